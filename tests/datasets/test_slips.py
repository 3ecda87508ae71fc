"""Data as people bring them: with slips that are understood, or named in a sentence that says what to do."""

import shutil
from pathlib import Path

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


@pytest.mark.parametrize(
    ("header", "note"),
    [
        ("file_name,label", "The path is the column 'file_name'."),
        ("path,Class", "The label is the column 'Class'."),
        ("filename;class", "The path is the column 'filename'.|The label is the column 'class'."),
        ("image, target", "The path is the column 'image'.|The label is the column ' target'."),
    ],
)
def test_columns_that_others_call_otherwise_are_taken_with_a_note(header, note, write_images):
    """As Hugging Face, Keras and Kaggle write them."""
    mark = ";" if ";" in header else ","
    images = open_source(table(write_images("1.png", "2.png"), header, f"1.png{mark}a", f"2.png{mark}b"))
    assert (images.ids, images.class_names) == (("1.png", "2.png"), ("a", "b"))
    assert "|".join(images.notes).replace("' ", "'") == note.replace("' ", "'")


@pytest.mark.parametrize("header", ["file_name,filename,label", "file_name,diagnosis", "path,class,target"])
def test_columns_of_which_several_or_none_would_fit_are_refused_as_they_are(header, write_images):
    with pytest.raises(InputError, match=rf"starts with '{header}', but its first line must be the header path,label"):
        open_source(table(write_images("1.png", "2.png"), header, "1.png,a,a"))


def test_our_own_names_win(write_images):
    images = open_source(table(write_images("1.png", "2.png"), "class,label,path,file", "x,a,1.png,q", "x,b,2.png,q"))
    assert images.class_names == ("a", "b")
    assert images.notes == ("Ignored columns of 'table.csv': class, file.",)


def test_images_one_folder_deeper_than_a_table_says_are_found_and_named(write_images):
    root = write_images("images/1.png", "images/2.png")
    with pytest.raises(InputError, match=r"but 'images/1\.png' is there: write 'images/' before the paths, or"):
        open_source(table(root, "path,label", "1.png,a", "2.png,b"))


@pytest.mark.parametrize("name", ["@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information", "lost+found"])
def test_folders_of_operating_systems_and_servers_are_no_classes(name, write_images):
    """At the top and in classes; Synology keeps thumbnails there."""
    images = open_source(write_images("cat/1.png", "dog/2.png", f"{name}/3.png", f"cat/{name}/4.png"))
    assert (images.ids, images.class_names) == (("cat/1.png", "dog/2.png"), ("cat", "dog"))
    assert images.notes == ("Ignored hidden files and folders: 2.",)


@pytest.mark.parametrize(
    "paths",
    [
        ("images/1.png", "masks/1.png"),
        ("JPEGImages/1.png", "Annotations/1.xml", "SegmentationClass/1.png"),
        ("train/images/1.png", "train/labels/1.txt", "val/images/2.png", "val/labels/2.txt"),
    ],
)
def test_pictures_with_masks_or_boxes_are_no_classes(paths, write_images):
    root = write_images(*(path for path in paths if path.endswith("png")))
    for path in paths:
        (root / path).parent.mkdir(exist_ok=True)
    with pytest.raises(InputError, match=r"looks like pictures .* and what is marked in them .* rename them"):
        open_source(root)


@pytest.mark.parametrize(("one", "other"), [("gloves", "masks"), ("images", "text")])
def test_a_class_called_masks_or_images_is_one(one, other, write_images):
    assert open_source(write_images(f"{one}/1.png", f"{other}/2.png")).class_names == (one, other)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("data.zip", "is an archive; unpack it, and give the folder"),
        ("data.tar.gz", "is an archive"),
        ("data.npz", r"is a file of arrays; load it in Python and give them to biotune\.tune\(\(images, labels\)\)"),
        ("photo.JPG", "is a single image; give the folder that holds a folder of images for each class"),
    ],
)
def test_other_kinds_of_files_are_refused_with_the_way_out(name, words, tmp_path):
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(InputError, match=words):
        open_source(tmp_path / name)


@pytest.mark.parametrize("given", ["https://example.org/a.zip", "s3://bucket/photos"])
@pytest.mark.parametrize("kind", [str, Path])
def test_an_address_is_refused_with_the_way_out(kind, given):
    with pytest.raises(InputError, match=f"'{given}' is an address; download what is there, unpack it, and give"):
        open_source(kind(given))


@pytest.mark.parametrize(
    ("paths", "table_name", "words"),
    [
        (("train/1.png", "train/2.png", "test/3.png"), "train.csv", "have no label (if 'train.csv' says it, give that"),
        (("images/1.png", "images/2.png"), "labels.csv", "at least two (if 'labels.csv' says it, give that as a CSV"),
        (("1.png", "2.png"), "metadata.jsonl", "have no label (if 'metadata.jsonl' says it, give that as a CSV file"),
        (("1.png", "2.png"), "._labels.csv", "have no label; DATA can be"),
    ],
)
def test_a_table_beside_images_without_labels_is_named(paths, table_name, words, write_images):
    root = write_images(*paths)
    (root / table_name).write_text("id,label\n")
    with pytest.raises(InputError) as caught:
        require_learnable(open_source(root))
    assert words in str(caught.value)


def test_a_set_of_one_class_is_described_in_good_english(write_images):
    found = conclude(inspect(open_source(write_images("only/1.png"))))
    assert str(found.conclusion) in repr(found)
    assert "1 image of 1 class;" in repr(found)
    assert not [warning for warning in found.warnings if "times as many" in warning]
