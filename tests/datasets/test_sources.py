import codecs
import os
import unicodedata
from pathlib import Path

import pytest

from biotune.datasets.image_set import FilesBelow
from biotune.datasets.sources import open_source
from biotune.datasets.splits import require_learnable
from biotune.errors import InputError
from biotune.inspection.inspection import inspect


def test_a_folder_of_class_folders(write_images) -> None:
    root = write_images("dog/2.png", "cat/b/1.JPG", "cat/a.png", "dog/10.png")

    images = open_source(root)

    assert images.name == "images"
    assert images.ids == ("cat/a.png", "cat/b/1.JPG", "dog/10.png", "dog/2.png")
    assert images.class_names == ("cat", "dog")
    assert images.labels.tolist() == [0, 0, 1, 1]
    assert images.splits == ("",) * 4
    assert images.groups is None
    assert images.arrays is None
    assert images.files is not None
    assert images.image(1) == root / "cat/b/1.JPG"
    assert images.notes == ()


@pytest.mark.parametrize("validation", ["val", "valid", "validation", "VAL"])
def test_a_folder_of_splits_matches_classes_by_name(write_images, validation: str) -> None:
    root = write_images("train/b/1.png", "train/a/1.png", "train/c/1.png", f"{validation}/c/1.png", "test/b/1.png")

    images = open_source(root)

    by_id = dict(zip(images.ids, zip(images.splits, images.labels.tolist(), strict=True), strict=True))
    assert images.class_names == ("a", "b", "c")
    assert by_id == {
        "train/a/1.png": ("train", 0),
        "train/b/1.png": ("train", 1),
        "train/c/1.png": ("train", 2),
        f"{validation}/c/1.png": ("validation", 2),
        "test/b/1.png": ("test", 1),
    }


def test_training_alone_may_be_given(write_images) -> None:
    assert open_source(write_images("training/a/1.png", "training/b/1.png")).splits == ("train", "train")


def test_an_empty_class_folder_of_the_test_is_a_missing_class(write_images) -> None:
    root = write_images("train/a/1.png", "train/b/1.png", "test/a/1.png")
    (root / "test/b").mkdir()

    assert open_source(root).splits == ("test", "train", "train")


def test_train_can_be_the_name_of_a_class(write_images) -> None:
    assert open_source(write_images("train/1.png", "plane/1.png")).class_names == ("plane", "train")


def test_folders_beside_the_splits_are_ignored(write_images) -> None:
    images = open_source(write_images("train/a/1.png", "train/b/1.png", "test/a/1.png", "extra/c/1.png"))

    assert images.class_names == ("a", "b")
    assert images.notes == ("Ignored folders beside the splits: 1.",)


def test_clutter_is_ignored_and_counted(write_images) -> None:
    root = write_images(
        "a/1.png",
        "b/1.png",
        "a/.hidden.png",
        ".git/x/1.png",
        "__MACOSX/a/1.png",
        "a/Thumbs.db",
        "b/notes.txt",
        "up.png",
    )
    os.mkfifo(root / "a/pipe.png")
    (root / "b/broken.png").symlink_to(root / "nowhere.png")
    (root / "b/self.png").symlink_to(root / "b/self.png")
    (root / "b/again").symlink_to(root / "b")
    (root / "b/up").symlink_to(root / "a")

    images = open_source(root)

    assert images.ids == ("a/1.png", "b/1.png", "b/up/1.png")
    assert images.notes == (
        "Ignored files that are not images (images end in .bmp .dcm .dicom .gif .jfif .jpe .jpeg .jpg .png .tif .tiff "
        ".webp): 1.",
        "Ignored hidden files and folders: 6.",
        "Ignored images outside the class folders: 1.",
        "Ignored links to a folder that was read already: 1.",
        "Ignored pipes, sockets, devices and broken links: 4.",
    )


def test_link_loops_end(write_images) -> None:
    root = write_images("a/x/1.png", "a/y/1.png", "b/1.png")
    (root / "a/x/to_y").symlink_to(root / "a/y")
    (root / "a/y/to_x").symlink_to(root / "a/x")
    (root / "a/y/to_root").symlink_to(root)

    images = open_source(root)

    assert images.labels.tolist().count(1) == 1
    assert len(set(images.ids)) == len(images)


@pytest.mark.parametrize("name", ["naïve café", "猫", "🙂", "a\nb", " x ", "$\\frac{$", "<script>", "=1+1"])
def test_class_names_are_any_text(write_images, name: str) -> None:
    images = open_source(write_images(f"{name}/an image\n{name}.png", "zzzz/1.png"))

    assert unicodedata.normalize("NFC", name) in images.class_names
    assert f"{name}/an image\n{name}.png" in images.ids


def test_composed_and_decomposed_names_are_one_class(write_images) -> None:
    composed, decomposed = "caf\u00e9", "cafe\u0301"

    images = open_source(write_images(f"train/{composed}/1.png", "train/b/1.png", f"test/{decomposed}/1.png"))

    assert images.class_names == ("b", composed)


def test_numbers_are_sorted_by_value(write_images) -> None:
    images = open_source(write_images(*(f"{number}/a.png" for number in range(12))))

    assert images.class_names == tuple(str(number) for number in range(12))


def test_many_files_are_kept_as_names(write_images) -> None:
    files = open_source(write_images("b/1.png", "a/1.png", "c/1.png")).files

    assert isinstance(files, FilesBelow)
    assert files.names == ("a/1.png", "b/1.png", "c/1.png")
    assert list(files[1:]) == [files[1], files[2]] == [files.root / "b/1.png", files.root / "c/1.png"]


def test_names_that_are_no_utf8_are_escaped(write_images) -> None:
    root = write_images("a/1.png", "b/1.png")
    Path(os.fsdecode(os.fsencode(root) + b"/a/\xff.png")).write_bytes(b"")

    images = open_source(root)

    assert images.ids == ("a/1.png", "a/\\xff.png", "b/1.png")
    assert images.files is not None
    assert images.files[1].exists()


@pytest.mark.parametrize(
    ("paths", "folders", "message"),
    [
        ([], ["."], "must hold one folder of images for each class, but there are none; DATA can be a folder of class"),
        (["1.png", "2.png"], [], r"but images lie directly in it \(2\), so they have no label"),
        (
            ["a/1.png"],
            ["b"],
            "the class 'b' of 'images' has no image to train on; .* are a; give it images or remove it",
        ),
        (["train/a/1.png", "test/a/1.png"], ["train/b"], "the class 'b' of 'images' has no image to train on"),
        (["a/1.png", "a/2.png"], [], r"has only one class, 'a', but a classifier needs at least two\.$"),
        (["a/b/1.png", "a/c/2.png"], [], "at least two; if the class folders lie inside that folder, give its path"),
        (["train/a/1.png", "train/b/1.png", "val/c/1.png"], [], "class 'c' of 'images' has no image to train on"),
        (["test/a/1.png", "val/a/1.png"], [], "'images' has no image to train on; all are given to validate or test"),
        (
            ["foo/a/1.png", "foo/b/1.png", "test/a/1.png", "val/a/1.png"],
            [],
            r"'.*' may be split or not: 'test' and 'foo' both hold 'a'; name the folders of splits train",
        ),
        (["train/a/1.png", "train/b/1.png", "foo/b/1.png"], [], "may be split or not: 'train' and 'foo' both hold 'b'"),
        (["train/1.png", "test/1.png"], [], r"'.*/test' must hold one folder of images for each class, but images lie"),
    ],
)
def test_unusable_folders_are_refused(write_images, paths: list[str], folders: list[str], message: str) -> None:
    root = write_images(*paths)
    for folder in folders:
        (root / folder).mkdir(parents=True)

    with pytest.raises(InputError, match=message):
        require_learnable(open_source(root))


def test_what_cannot_be_learnt_from_can_be_looked_at(write_images) -> None:
    """An empty class stays a class; a test set alone, or one class, is a source."""
    root = write_images("a/1.png")
    (root / "b").mkdir()

    assert open_source(root).class_names == ("a", "b")
    assert open_source(write_images("b/test/x/1.png", "b/test/y/1.png") / "b").splits == ("test", "test")


def test_links_to_a_folder_above_are_ignored_and_named(write_images) -> None:
    root = write_images("a/x/1.png", "b/1.png")
    (root / "a/x/loop").symlink_to("../..")
    (root / "b/loop").symlink_to(root.parent)

    images = open_source(root)

    assert images.ids == ("a/x/1.png", "b/1.png")
    assert images.notes == tuple(
        f"Ignored a link to a folder that holds it, '{root}/{name}': 1." for name in ("a/x/loop", "b/loop")
    )


@pytest.mark.parametrize("is_split", [False, True])
def test_a_folder_without_permission_is_named(write_images, is_split: bool) -> None:
    root = write_images(*(["train/a/1.png", "train/b/1.png", "test/b/1.png"] if is_split else ["a/1.png", "b/1.png"]))
    closed = root / ("train/b" if is_split else "b")
    closed.chmod(0)
    if os.access(closed, os.R_OK):
        pytest.skip("this user may read everything")

    with pytest.raises(InputError, match=rf"^the folder '{closed}' cannot be read: Permission denied; change its perm"):
        open_source(root)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("mnist500", r"'mnist500' is not a file, .* \(did you mean 'mnist5000' or 'mnist'\?\); DATA is a folder"),
        ("Digits8", "did you mean 'digits8'"),
        ("s/nonexist", r"'s/nonexist' is not a file, a folder or a named data set; DATA is"),
        ("no/such/folder", r"'no/such/folder' is not a file, a folder or a named data set; DATA is a folder of class"),
        ("", "DATA is empty; DATA is a folder"),
        ("x" * 300, "is not a file, a folder or a named data set"),
        ("nul\0", "is not a file, a folder or a named data set"),
        (__file__, r"is neither a folder nor a \.csv or \.parquet file; DATA is"),
        ("/dev/null", r"is neither a folder nor a \.csv or \.parquet file"),
    ],
)
def test_unknown_sources_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: str, message: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        open_source(data)


def test_a_data_set_wins_over_a_folder_of_its_name(write_images, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write_images("digits8/a/1.png", "digits8/b/1.png")
    monkeypatch.chdir(root)

    assert len(open_source("digits8")) == 1797
    assert len(open_source("./digits8")) == 2
    assert open_source("./digits8").name == "digits8"


def _csv(root: Path, text: str) -> Path:
    path = root / "labels.csv"
    path.write_bytes(text.encode())
    return path


def test_a_csv_with_all_columns(write_images) -> None:
    root = write_images("x/1.png", "x/2.png", "3.png", "a,b.png")
    path = _csv(
        root,
        "\ufefflabel,path,split,group,site\r\nb,x/1.png,train,p1,s\r\na,./x/2.png,VAL,p1,s\r\n"
        'b, 3.png ,test,p2,s\r\na,"a,b.png",,,s\r\n',
    )

    images = open_source(path)

    assert images.name == "labels.csv"
    assert images.ids == ("x/1.png", "x/2.png", "3.png", "a,b.png")
    assert images.class_names == ("a", "b")
    assert images.labels.tolist() == [1, 0, 1, 0]
    assert images.splits == ("train", "validation", "test", "")
    assert images.groups == ("p1", "p1", "p2", "only a,b.png")
    assert images.image(1) == root / "x/2.png"
    assert images.notes == ("Ignored columns of 'labels.csv': site.",)


def test_a_csv_without_groups_has_none(write_images) -> None:
    images = open_source(_csv(write_images("1.png", "2.png"), "path,label\n1.png,a\n2.png,b\n"))

    assert images.groups is None
    assert images.splits == ("", "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "starts with '', but its first line must be the header path,label"),
        ("scan,label\n1.png,a\n", "starts with 'scan,label', but its first line must be the header"),
        ("path|label\n1.png|a\n", r"starts with 'path\|label', but its first line must be the header path,label"),
        ("path,label,label\n1.png,a,b\n", "has the column 'label' twice; name each column once"),
        ("path,label\n", "lists no images"),
        (
            "path,label\n8.png,a\n9.png,b\n",
            r"none of the 2 files that .* lists exists \(first: '8\.png'\); paths are",
        ),
        ("path,label\n1.png,a\n\0.png,b\n", "line 3: the path holds a zero byte"),
        ("path,label\n1.png,a\n2.png, \n", "line 3: the label is empty"),
        ("path,label\n,a\n", "line 2: the path is empty"),
        ("path,label,split\n1.png,a,dev\n", "line 2: unknown split 'dev'; use train, val, test"),
        ("path,label\n1.png,a\n2.png,b,c\n", "line 3: has more or fewer cells than the header"),
        ("path,label\n1.png,a\n2.png\n", "line 3: has more or fewer cells"),
        ("path,label\n1.png,a\n./1.png,b\n", r"line 3: the image '1\.png' is listed a second time"),
        ("path,label\n1.png,a\n2.png,a\n", r"has only one class, 'a', but a classifier needs at least two\.$"),
        ("path,label,split\n1.png,a,train\n2.png,b,val\n", "class 'b' .* the classes of train are a"),
        ("path,label,split\n1.png,a,test\n2.png,b,test\n", "has no image to train on; all are given to validate"),
    ],
)
def test_a_bad_csv_is_refused(write_images, text: str, message: str) -> None:
    path = _csv(write_images("1.png", "2.png"), text)

    with pytest.raises(InputError, match=message):
        require_learnable(open_source(path))


def test_files_of_a_table_that_are_not_there_are_unreadable_images(write_images) -> None:
    listed = ["1.png", "2.png", *(f"{number}.png" for number in range(3, 8)), ".", "/dev/zero"]
    lines = [f"{name},{'ab'[number % 2]}" for number, name in enumerate(listed)]
    images = open_source(_csv(write_images("1.png", "2.png"), "\n".join(["path,label", *lines])))

    bad = {item.id: item.reason for item in inspect(images).quarantined}

    assert images.notes == ("Missing, or not files: '3.png', '4.png', '5.png', '6.png', '7.png' and 2 more.",)
    assert bad == {
        **{f"{number}.png": "No such file or directory" for number in range(3, 8)},
        ".": "it is not a regular file",
        "/dev/zero": "it is not a regular file",
    }


@pytest.mark.parametrize(("encoding", "line"), [("latin-1", 2), ("cp437", 2)])
def test_a_csv_in_another_encoding_is_refused(tmp_path: Path, encoding: str, line: int) -> None:
    path = tmp_path / "labels.csv"
    path.write_bytes("path,label\ncaf\xe9.png,a\n".encode(encoding))

    with pytest.raises(InputError, match=f"is not in UTF-8, as its line {line} shows; save it as CSV in UTF-8"):
        open_source(path)


@pytest.mark.parametrize("mark", [codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE])
def test_unicode_text_of_excel_is_read(write_images, mark: bytes) -> None:
    path = _csv(write_images("caf\xe9.png", "2.png"), "")
    name = "utf-16-le" if mark == codecs.BOM_UTF16_LE else "utf-16-be"
    path.write_bytes(mark + "path\tlabel\r\ncaf\xe9.png\ta\r\n2.png\tb\r\n".encode(name))

    assert open_source(path).ids == ("caf\xe9.png", "2.png")


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-32"])
def test_unicode_without_its_usual_mark_is_refused(write_images, encoding: str) -> None:
    path = _csv(write_images("1.png", "2.png"), "")
    path.write_bytes("path,label\n1.png,a\n2.png,b\n".encode(encoding))

    with pytest.raises(InputError, match=r"is not a CSV file \(it holds zero bytes\); save it as CSV in UTF-8"):
        open_source(path)


def test_utf_16_that_breaks_off_is_refused(write_images) -> None:
    path = _csv(write_images("1.png"), "")
    path.write_bytes("path,label\n1.png,a\n".encode("utf-16") + b"x")

    with pytest.raises(InputError, match="is not in UTF-8"):
        open_source(path)


def test_empty_lines_above_the_header_are_passed_over(write_images) -> None:
    path = _csv(write_images("1.png", "2.png"), "\n \npath,label\n1.png,a\n2.png,b\n")

    assert open_source(path).ids == ("1.png", "2.png")
    path.write_text("\n \npath,label\n1.png,\n")
    with pytest.raises(InputError, match="line 4: the label is empty"):
        open_source(path)


@pytest.mark.parametrize(
    "front", ["parts/", "/home/me/parts/", "file:///home/me/parts/", "C:\\Users\\me\\", "https://example.org/a//"]
)
def test_paths_with_a_front_too_many_are_refused_with_what_to_cut(write_images, front: str) -> None:
    path = _csv(write_images("in/1.png", "2.png"), f"path,label\n{front}in/1.png,a\n{front}2.png,b\n")

    with pytest.raises(InputError) as caught:
        open_source(path)
    assert f", but 'in/1.png' is there: cut '{front}' from the paths" in str(caught.value)


def test_a_path_of_sixty_thousand_folders_is_refused_at_once(write_images) -> None:
    path = _csv(write_images("1.png"), f"path,label\n{'a/' * 60_000}1.png,a\n")

    with pytest.raises(InputError, match=r"but '1\.png' is there"):
        open_source(path)
