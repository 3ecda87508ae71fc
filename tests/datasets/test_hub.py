"""Hugging Face data sets: saved ones, loaded ones, their columns, and a hub that cannot be reached."""

import os
import sys
import time
import zipfile
from pathlib import Path

import datasets
import numpy as np
import pytest
from PIL import Image

from biotune.datasets.loaded import open_datasets
from biotune.datasets.sources import open_source
from biotune.datasets.splits import require_learnable
from biotune.errors import InputError
from biotune.images.decoding import decode

IMAGE, CLASSES = datasets.Image(), datasets.ClassLabel(names=["dog", "cat", "cow"])


def grey(value: int) -> Image.Image:
    return Image.fromarray(np.full((4, 4), value, dtype=np.uint8))


def made(values: range, **columns) -> datasets.Dataset:
    """Return a data set of grey images; columns are given as (feature, values)."""
    columns = columns or {"label": (CLASSES, [value % 2 for value in values])}
    features = datasets.Features({"image": IMAGE, **{name: feature for name, (feature, _) in columns.items()}})
    content = {
        "image": [grey(value) for value in values],
        **{name: list(cells) for name, (_, cells) in columns.items()},
    }
    return datasets.Dataset.from_dict(content, features=features)


def values_of(images) -> list[int]:
    return [decode(images.image(row)).getpixel((0, 0))[0] for row in range(len(images))]


def test_a_saved_data_set_with_splits(tmp_path: Path) -> None:
    """Parts keep their meaning, class names their order; the part called otherwise is left out."""
    parts = {
        "train": made(range(4)),
        "validation": made(range(4, 6)),
        "test": made(range(6, 8)),
        "extra": made(range(3)),
    }
    datasets.DatasetDict(parts).save_to_disk(tmp_path / "beans")

    images = open_source(tmp_path / "beans")

    assert images.name == "beans"
    assert images.class_names == ("dog", "cat")
    assert images.ids == (
        *(f"train/{row}" for row in range(4)),
        "validation/0",
        "validation/1",
        "test/0",
        "test/1",
    )
    assert images.splits == ("train",) * 4 + ("validation",) * 2 + ("test",) * 2
    assert images.labels.tolist() == [0, 1] * 4
    assert values_of(images) == list(range(8))
    assert values_of(images.subset([6, 1])) == [6, 1]
    assert images.notes == ("Ignored the split 'extra': 3.",)


def test_a_saved_data_set_without_splits(tmp_path: Path) -> None:
    made(range(6)).save_to_disk(tmp_path / "one")

    assert open_source(tmp_path / "one").splits == ("",) * 6
    assert open_source(f"hf:{tmp_path / 'one'}").ids[-1] == "row/5"


def test_a_shuffled_selection_keeps_images_and_labels_together() -> None:
    images = open_datasets("x", made(range(20)).shuffle(seed=1).select(range(7)), {})

    assert images.labels.tolist() == [value % 2 for value in values_of(images)]
    assert len(set(values_of(images))) == 7


def test_files_that_cells_name_are_part_of_the_fingerprint(write_images, tmp_path: Path) -> None:
    """Those of the chosen rows alone, and the archive of an image inside one."""
    root = write_images("1.png", "2.png", "3.png")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(root / "1.png", "1.png")
    paths = [*(str(root / f"{number}.png") for number in (1, 2, 3)), f"zip://1.png::{tmp_path / 'a.zip'}"]
    whole = datasets.Dataset.from_dict({"image": paths, "label": ["a", "b", "a", "b"]}).cast_column("image", IMAGE)
    images = open_datasets("x", whole.select([2, 1, 3]), {})
    first = images.reader.fingerprint
    assert images.image(2) == (root / "1.png").read_bytes()
    grey(9).resize((50, 50)).save(root / "1.png")
    assert images.reader.fingerprint == first
    for file in (root / "2.png", root / "3.png", tmp_path / "a.zip"):
        before = images.reader.fingerprint
        os.utime(file, ns=(0, 1))
        assert images.reader.fingerprint != before
    (root / "2.png").unlink()
    assert images.reader.fingerprint != first


def test_groups_texts_and_numbers() -> None:
    part = made(
        range(4),
        label=(datasets.Value("string"), ["b", "a", "b", "a"]),
        group=(datasets.Value("int64"), [7, 7, 8, None]),
        width=(datasets.Value("int32"), [4] * 4),
    )

    images = open_datasets("x", part, {})

    assert images.class_names == ("a", "b")
    assert images.groups == ("7", "7", "8", "only row/3")


def test_images_without_a_label_are_left_out() -> None:
    """Test labels of competitions are -1: the whole part is left out, and the test set taken from the others."""
    parts = {"train": made(range(4)), "test": made(range(4, 6), label=(CLASSES, [-1, -1]))}
    one_missing = made(range(4), label=(CLASSES, [0, None, 1, 0]))

    images, part = open_datasets("x", datasets.DatasetDict(parts), {}), open_datasets("x", one_missing, {})

    assert (values_of(images), images.notes) == ([0, 1, 2, 3], ("Left out images without a label: 2.",))
    assert (values_of(part), part.ids) == ([0, 2, 3], ("row/0", "row/2", "row/3"))


def test_a_whole_number_below_zero_is_a_class() -> None:
    """As in a CSV file: only beside named classes does -1 mean that there is no label."""
    part = made(range(5), label=(datasets.Value("int64"), [-1, 1, -1, 1, None]))

    images = open_datasets("x", part, {})

    assert [images.class_names[label] for label in images.labels] == ["-1", "1", "-1", "1"]
    assert images.notes == ("Left out images without a label: 1.",)


def test_columns_are_chosen_by_the_user(tmp_path: Path) -> None:
    """As CIFAR-100 has them: a fine and a coarse label."""
    fine, coarse = datasets.ClassLabel(names=["oak", "elm", "cod"]), datasets.ClassLabel(names=["tree", "fish"])
    made(range(3), fine_label=(fine, [0, 1, 2]), coarse_label=(coarse, [0, 0, 1])).save_to_disk(tmp_path / "c")

    with pytest.raises(
        InputError,
        match=r"'c' has several columns that may hold the label \(fine_label, coarse_label\); its columns are "
        r"image \(Image\), fine_label \(ClassLabel\), coarse_label \(ClassLabel\); choose one with hf:NAME\?label=",
    ):
        open_source(tmp_path / "c")
    images = open_source(f"hf:{tmp_path / 'c'}?label=coarse_label&group=fine_label")
    assert images.class_names == ("tree", "fish")
    assert images.groups == ("0", "1", "2")


def test_one_label_of_several_is_taken_with_a_note() -> None:
    fine = datasets.ClassLabel(names=["oak", "elm", "cod"])
    part = made(range(4), label=(CLASSES, [0, 1, 0, 1]), fine=(fine, [0, 1, 2, 0]))

    images, asked = open_datasets("x", part, {}), open_datasets("x", part, {"label": "fine"})

    assert (images.class_names, asked.class_names) == (("dog", "cat"), ("oak", "elm", "cod"))
    assert images.notes == ("The label is the column 'label'; fine would fit too (choose with hf:NAME?label=COLUMN).",)
    assert asked.notes == ()


def sentences(parts: dict[str, list[tuple[str, int]]], column: str = "text", **more) -> datasets.DatasetDict:
    """Return a data set of texts as IMDB and SST-2 are on the hub: a text and a label, -1 where it is not told."""
    kinds = {column: datasets.Value("string"), "label": datasets.ClassLabel(names=["bad", "good"]), **more}
    found = {}
    for split, rows in parts.items():
        cells = {column: [text for text, _ in rows], "label": [label for _, label in rows]}
        others = {name: [f"{name} {row}" for row in range(len(rows))] for name in more}
        found[split] = datasets.Dataset.from_dict({**cells, **others}, features=datasets.Features(kinds))
    return datasets.DatasetDict(found)


def texts_of(found) -> list[str]:
    return [found.image(row).decode() for row in range(len(found))]


def test_texts_with_splits_and_without_some_labels(tmp_path: Path) -> None:
    parts = {"train": [("Dull.", 0), ("Fine.", 1)], "test": [("?", -1), ("Bright.", 1)], "unsupervised": [("x", -1)]}
    sentences(parts, "sentence").save_to_disk(tmp_path / "sst2")

    found = open_source(f"hf:{tmp_path / 'sst2'}")

    assert found.kind == "text"
    assert found.class_names == ("bad", "good")
    assert texts_of(found) == ["Dull.", "Fine.", "Bright."]
    assert found.ids == ("train/0", "train/1", "test/1")
    assert found.splits == ("train", "train", "test")
    assert found.notes == ("Left out texts without a label: 1.", "Ignored the split 'unsupervised': 1.")


def test_one_text_of_several_is_taken_with_a_note_or_as_asked() -> None:
    parts = sentences({"train": [("Dull.", 0), ("Fine.", 1)]}, title=datasets.Value("string"))

    found, asked = open_datasets("x", parts, {}), open_datasets("x", parts, {"text": "title"})

    assert texts_of(found) == ["Dull.", "Fine."]
    assert found.notes == ("The text is the column 'text'; title would fit too (choose with hf:NAME?text=COLUMN).",)
    assert (texts_of(asked), asked.notes) == (["title 0", "title 1"], ())


def test_a_network_of_texts_learns_from_them(tmp_path: Path, cli) -> None:
    rows = [(f"a {'fine' if row % 2 else 'dull'} film, number {row}", row % 2) for row in range(24)]
    sentences({"train": rows, "test": rows[:8]}).save_to_disk(tmp_path / "films")
    command = ("train", tmp_path / "films", "--model", "text:mean", "--method", "full", "--epochs", 1, "--seeds", 1)
    done = cli(*command, "--threads", 1, "--out", tmp_path / "run")
    assert done.code == 0, done.err
    assert "test texts in 2 classes" in done.err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hf:", "'hf:' names no data set; write hf:NAME"),
        ("hf:x?labels=y", r"'hf:x\?labels=y' chooses 'labels'; write hf:NAME"),
        ("hf:x?label", "chooses 'label'; write hf:NAME"),
        ("hf:{root}?label=kind", r"'one' has no column 'kind'; it has image \(Image\), label \(ClassLabel\)"),
        ("hf:{root}/..?label=kind", "has no columns to choose from; leave out what follows the question mark"),
    ],
)
def test_wrong_addresses_are_refused(tmp_path: Path, text: str, message: str) -> None:
    made(range(2)).save_to_disk(tmp_path / "one")

    with pytest.raises(InputError, match=message):
        open_source(text.format(root=tmp_path / "one"))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"size": (datasets.Value("float32"), [0.5, 0.5])}, "'x' has no column of labels; its columns are image"),
        ({"label": (CLASSES, [0, 0])}, "'x' has only one class, 'dog', but a classifier needs at least two"),
        ({"label": (CLASSES, [-1, -1])}, "'x' has no labelled image, but a classifier needs at least two"),
    ],
)
def test_unusable_data_sets_are_refused(columns, message: str) -> None:
    with pytest.raises(InputError, match=message):
        require_learnable(open_datasets("x", made(range(2), **columns), {}))


def test_a_damaged_data_set_is_refused(tmp_path: Path) -> None:
    made(range(4)).save_to_disk(tmp_path / "one")
    next((tmp_path / "one").glob("*.arrow")).write_bytes(b"cut")

    with pytest.raises(InputError, match=r"the data set in '.*one' is damaged \(.*\); save it again"):
        open_source(tmp_path / "one")


def test_a_saved_data_set_without_its_description_is_refused(tmp_path: Path) -> None:
    made(range(4)).save_to_disk(tmp_path / "one")
    (tmp_path / "one" / "dataset_info.json").unlink()

    with pytest.raises(
        InputError, match=r"looks like a saved data set, but dataset_info\.json is missing; save it again"
    ):
        open_source(tmp_path / "one")


def test_images_that_are_files_are_read_from_them(tmp_path: Path) -> None:
    grey(9).save(tmp_path / "9.png")
    features = datasets.Features({"image": IMAGE, "label": CLASSES})
    content = {"image": [str(tmp_path / "9.png")] * 2, "label": [0, 1]}

    assert values_of(open_datasets("x", datasets.Dataset.from_dict(content, features=features), {})) == [9, 9]


def test_an_archive_of_the_library_is_read(tmp_path: Path) -> None:
    """The library's own loader, as for a data set of the hub that holds class folders."""
    for value, name in enumerate(("a", "b", "a", "b")):
        (tmp_path / "train" / name).mkdir(parents=True, exist_ok=True)
        grey(value).save(tmp_path / "train" / name / f"{value}.png")
    loaded = datasets.load_dataset(str(tmp_path), cache_dir=str(tmp_path / "cache"))

    images = open_datasets("x", loaded, {})

    assert images.splits == ("train",) * 4
    assert sorted(zip(values_of(images), images.labels.tolist(), strict=True)) == [(0, 0), (1, 1), (2, 0), (3, 1)]


def test_the_fingerprint_is_of_content_and_column() -> None:
    first, again, other = (open_datasets("x", made(values), {}).reader for values in (range(3), range(3), range(1, 4)))

    assert first.fingerprint == again.fingerprint != other.fingerprint


def test_the_missing_library_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(range(2)).save_to_disk(tmp_path / "one")
    monkeypatch.setitem(sys.modules, "datasets", None)

    with pytest.raises(InputError, match=r"need the package datasets; run: pip install 'biotune\[hf\]'"):
        open_source(tmp_path / "one")


def test_an_unreachable_hub_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A port that nobody listens on stands for the hub."""
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.hf_api.ENDPOINT", "http://127.0.0.1:9", raising=False)
    begun = time.monotonic()

    with pytest.raises(
        InputError, match="'some/photos' is not a local folder, and the Hugging Face hub cannot be reached"
    ):
        open_source("hf:some/photos")
    assert time.monotonic() - begun < 5


def test_offline_by_choice_uses_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)

    with pytest.raises(InputError, match=r"the data set 'some/photos' cannot be loaded \(Couldn't reach"):
        open_source("hf:some/photos")
