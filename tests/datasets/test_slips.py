"""Data as people bring them: with slips that are understood, or named in a sentence that says what to do."""

import shutil

import pytest

from biotune.datasets import open_source
from biotune.datasets.listing import names_alike
from biotune.datasets.splits import make_splits, require_learnable
from biotune.errors import InputError
from biotune.inspection.conclusions import conclude
from biotune.inspection.inspection import inspect

HEADERS = ("path,label,Split,Group", "path, label, split, group", "PATH,Label, SPLIT ,group")


def table(root, header, *rows):
    path = root / "table.csv"
    path.write_text("\n".join([header, *rows]), encoding="utf-8")
    return path


@pytest.mark.parametrize("header", HEADERS)
def test_capitals_and_blanks_of_a_header_are_nothing(header, write_images):
    root = write_images("1.png", "2.png")
    images = open_source(table(root, header, "1.png,a,train,x", "2.png, b, Test, y"))
    assert (images.splits, images.groups, images.notes) == (("train", "test"), ("x", "y"), ())


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("image_id,diagnosis", "rename its columns: path is the file of an image"),
        ("image,melanoma,nevus", "rename its columns"),
        ("path,Path,label", "has the column 'path' twice; name each column once"),
        ("a" * 2_000_000, "has a line of more than"),
    ],
)
def test_another_header_is_refused_with_what_to_do(header, words, tmp_path):
    with pytest.raises(InputError, match=words):
        open_source(table(tmp_path, header, "x,y"))


@pytest.mark.parametrize("mark", [";", "\t"])
@pytest.mark.parametrize("first", ["", "sep={}\n", "SEP={}\n"])
def test_tables_of_excel_are_read_whatever_separates_their_cells(first, mark, write_images):
    """German Excel writes semicolons; rows without a word at the end, and columns without a name, are usual."""
    root = write_images("a;1.png", "2.png")
    rows = (f'"a;1.png"{mark}"a"{mark}', f"2.png{mark}b{mark}", mark * 2, "", mark * 2)
    images = open_source(table(root, f"{first.format(mark)}path{mark}label{mark}", *rows))
    assert [path.name for path in images.files] == ["a;1.png", "2.png"]
    assert images.class_names == ("a", "b")
    assert images.notes == ()


def test_the_number_of_a_line_counts_what_announces_the_separator(write_images):
    path = table(write_images("1.png"), "sep=,\npath,label", "1.png,a", ",b")
    with pytest.raises(InputError, match="line 4: the path is empty"):
        open_source(path)


@pytest.mark.parametrize(
    ("column", "hint"),
    [
        ("subset", "If 'subset' says which rows are to train and to test, call that column split."),
        ("is_train", "If 'is_train' says which rows are to train and to test, call that column split."),
        ("patient_id", "If 'patient_id' says which rows belong together, call that column group."),
        ("age", ""),
    ],
)
def test_a_column_that_sounds_like_a_known_one_is_named(column, hint, write_images):
    root = write_images("1.png", "2.png")
    images = open_source(table(root, f"path,label,{column}", "1.png,a,1", "2.png,b,2"))
    assert images.notes == (f"Ignored columns of 'table.csv': {column}.", *([hint] if hint else []))


def test_texts_in_tables_of_excel(tmp_path):
    images = open_source(table(tmp_path, "sep=;\ntext;label;Studie", '"a; b";x;1', "c;y;2", ";;"))
    assert len(images) == 2
    assert images.class_names == ("x", "y")


@pytest.mark.parametrize(
    ("paths", "is_said"),
    [
        (("trn/cat/1.png", "trn/dog/2.png", "tst/cat/3.png", "tst/dog/4.png"), True),
        (("trn/cat/1.png", "trn/dog/2.png", "tst/cat/3.png"), False),
        (("trn/cat/1.png", "tst/cat/3.png"), False),
        (("trn/cat/1.png", "trn/dog/2.png", "trn/3.png", "tst/cat/3.png", "tst/dog/4.png"), False),
        (("cat/1.png", "dog/2.png"), False),
    ],
)
def test_classes_with_folders_of_the_same_names_may_be_splits(paths, is_said, write_images):
    text = "The folders 'trn' and 'tst' are taken as classes, but each holds the folders 'cat' and 'dog': if these are"
    notes = open_source(write_images(*paths)).notes
    assert any(note.startswith(text) for note in notes) is is_said


@pytest.mark.parametrize("written", ["a\\1.png", "a/1.png", ".\\a\\1.png"])
def test_paths_of_windows_are_understood(written, write_images):
    root = write_images("a/1.png", "b/2.png")
    images = open_source(table(root, "path,label", f"{written},a", "b/2.png,b"))
    assert all(path.exists() for path in images.files)
    assert not images.notes


@pytest.mark.parametrize(("stored", "written"), [("\u00e9.png", "e\u0301.png"), ("e\u0301.png", "\u00e9.png")])
def test_both_forms_of_an_accent_are_understood(stored, written, write_images):
    root = write_images(stored, "2.png")
    images = open_source(table(root, "path,label", f"{written},a", "2.png,b"))
    assert all(path.exists() for path in images.files)


@pytest.mark.parametrize(
    ("written", "words"), [("1.PNG", "but '1.png' is there: capital letters differ"), ("1", "write the ending too")]
)
def test_an_almost_right_name_is_explained(written, words, write_images):
    root = write_images("1.png", "2.png")
    with pytest.raises(InputError, match=words):
        open_source(table(root, "path,label", f"{written},a"))


@pytest.mark.parametrize(
    ("one", "other"), [("training_set", "test_set"), ("seg_train", "seg_test"), ("Train1", "Test1")]
)
def test_a_word_of_a_name_says_the_split(one, other, write_images):
    images = open_source(write_images(f"{one}/a/1.png", f"{one}/b/1.png", f"{other}/a/1.png", f"{other}/b/1.png"))
    assert images.class_names == ("a", "b")
    assert set(images.splits) == {"train", "test"}


@pytest.mark.parametrize(
    "paths", [("train station/1.png", "test tube/1.png"), ("train station/x/1.png", "car/x/1.png")]
)
def test_a_class_with_such_a_word_stays_a_class(paths, write_images):
    images = open_source(write_images(*paths))
    assert len(images.class_names) == 2
    assert set(images.splits) == {""}


def test_splits_one_folder_deeper_are_named(write_images):
    root = write_images("train/train/a/1.png", "train/train/b/1.png", "test/test/a/1.png")
    with pytest.raises(InputError, match=r"'.*test' holds the folder 'test' only; .* lie inside that one"):
        open_source(root)


@pytest.mark.parametrize(
    ("name", "words"), [("x.ppm", "a format that is not read"), ("x.heic", "save them as PNG"), ("x.txt", "not images")]
)
def test_a_class_without_images_says_what_was_ignored(name, words, write_images):
    root = write_images("a/1.png", "b/1.png")
    (root / "b/1.png").rename(root / "b" / name)
    with pytest.raises(InputError, match=f"the class 'b' .* has no image to train on.*Ignored .*{words}"):
        require_learnable(open_source(root))


def test_a_class_of_broken_links_is_explained(write_images):
    root = write_images("a/1.png")
    (root / "b").mkdir()
    (root / "b/1.png").symlink_to(root / "nowhere")
    with pytest.raises(InputError, match="broken links: 1"):
        require_learnable(open_source(root))


def test_nothing_but_other_formats_is_explained(write_images):
    root = write_images("a/1.png")
    (root / "a/1.png").rename(root / "a/1.ppm")
    with pytest.raises(InputError, match=r"has no image to train on.*\.ppm"):
        require_learnable(open_source(root))


@pytest.mark.parametrize("ending", ["jpe", "jfif", "JFIF"])
def test_every_ending_of_jpeg_is_taken(ending, write_images):
    assert len(open_source(write_images(f"a/1.{ending}", "b/1.png"))) == 2


@pytest.mark.parametrize(
    "names", [("run.sqlite",), (".owner.json",), ("plan.json",), ("quarantine.csv", "duplicates.csv")]
)
@pytest.mark.parametrize("where", ["out", "a/out"])
def test_what_biotune_wrote_is_no_class_and_no_image(names, where, write_images):
    root = write_images("a/1.png", "b/1.png", f"{where}/figure.png")
    for name in names:
        (root / where / name).touch()
    images = open_source(root)
    assert images.class_names == ("a", "b")
    assert images.notes == ("Ignored folders that biotune wrote: 1.",)


def test_a_folder_with_a_table_names_it(write_images):
    root = write_images("1.png", "2.png")
    (root / "metadata.csv").write_text("file_name,label")
    with pytest.raises(InputError, match=r"'metadata\.csv'"):
        open_source(root)


@pytest.mark.parametrize("ending", [".tsv", ".xlsx", ".json"])
def test_another_kind_of_table_is_named(ending, tmp_path):
    (tmp_path / f"table{ending}").touch()
    with pytest.raises(InputError, match=r"save it as a \.csv file, with commas"):
        open_source(tmp_path / f"table{ending}")


def test_the_home_folder_is_meant(write_images, monkeypatch):
    monkeypatch.setenv("HOME", str(write_images("a/1.png", "b/1.png").parent))
    assert len(open_source("~/images")) == 2


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (("bolt", "BOLT"), "2 classes whose names look alike ('bolt' and 'BOLT')"),
        (("bolt", "bolt "), "'bolt' and 'bolt '"),
        (("bolt", "bo\u200blt", "nut"), r"'bolt' and 'bo\u200blt'"),
        (("A", "a"), ""),
        (("C", "C++", "1", "-1", "nut"), ""),
    ],
)
def test_names_that_look_alike(names, shown):
    found = names_alike(names)
    assert shown in found
    assert bool(shown) == bool(found)


def test_check_and_runs_say_that_names_look_alike(write_images, tmp_path):
    source = write_images(*(f"{name}/{number}.png" for name in ("bolt", "BOLT") for number in range(4)))
    images = open_source(source)
    said = "names look alike"
    assert any(said in warning for warning in conclude(inspect(images, lambda done, total: None)).warnings)
    assert any(said in note for note in make_splits(images, 0.2, 0.2, 0).notes)
    shutil.rmtree(source)


@pytest.mark.parametrize(
    "content",
    [
        '"\n"\n',
        '"pa\nth",label\n1.png,a\n',
        'path,label,split\n1.png,a,"tr\nain"\n',
        'path,label\n"1\n.png",a\n',
        'path,label\n"1\n.png",a\n"1\n.png",a\n',
        'text,label,split\nfine,a,"tr\nain"\n',
    ],
)
def test_a_cell_of_several_lines_is_named_in_one(content, tmp_path):
    (tmp_path / "table.csv").write_text(content)
    with pytest.raises(InputError) as caught:
        open_source(tmp_path / "table.csv")
    assert "\n" not in str(caught.value)
