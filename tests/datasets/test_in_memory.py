"""Data that a program holds: PyTorch and Hugging Face data sets, arrays, lists of files, and splits of them."""

import io
import os
from dataclasses import replace
from pathlib import Path

import datasets
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset, IterableDataset, Subset, TensorDataset
from torchvision.datasets import FakeData, ImageFolder
from torchvision.transforms import v2

from biotune.datasets.image_set import ImageSet
from biotune.datasets.in_memory import describe, open_data, to_source
from biotune.datasets.splits import require_learnable
from biotune.errors import InputError
from biotune.images.decoding import content_digest, decode

RGB = np.arange(5 * 4 * 3, dtype=np.uint8).reshape(5, 4, 3)
"""An image of 5 rows and 4 columns."""


class Pairs(Dataset):
    """A map-style data set over a list."""

    def __init__(self, items: list, classes: list[str] | None = None) -> None:
        self.items = items
        if classes:
            self.classes = classes

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int):
        return self.items[index]


def grey(value: int) -> np.ndarray:
    return np.full((4, 4), value, dtype=np.uint8)


def pairs(values: range, classes: list[str] | None = None) -> Pairs:
    return Pairs([(grey(value), value % 2) for value in values], classes)


def values_of(images: ImageSet) -> list[int]:
    return [decode(images.image(row)).getpixel((0, 0))[0] for row in range(len(images))]


@pytest.mark.parametrize(
    "image",
    [
        RGB,
        RGB.transpose(2, 0, 1),
        torch.from_numpy(RGB),
        torch.from_numpy(RGB).permute(2, 0, 1),
        torch.from_numpy(RGB).permute(2, 0, 1) / 255,
        (RGB / 255).astype(np.float16),
        RGB / 255,
        Image.fromarray(RGB),
        v2.functional.to_image(Image.fromarray(RGB)),
        torch.from_numpy(RGB / 255).permute(2, 0, 1).requires_grad_(),
    ],
)
def test_every_kind_of_image_is_the_same_image(image) -> None:
    np.testing.assert_array_equal(np.asarray(decode(to_source(image))), RGB)


@pytest.mark.parametrize("image", [RGB[..., 0], RGB[..., :1], RGB[None, ..., 0], Image.fromarray(RGB[..., 0])])
def test_every_kind_of_grey_image_is_the_same_image(image) -> None:
    np.testing.assert_array_equal(np.asarray(decode(to_source(image)))[..., 1], RGB[..., 0])


def test_a_tensor_of_three_rows_and_columns_has_its_channels_first() -> None:
    cube = np.arange(27, dtype=np.uint8).reshape(3, 3, 3)

    np.testing.assert_array_equal(to_source(torch.from_numpy(cube)), cube.transpose(1, 2, 0))
    np.testing.assert_array_equal(to_source(cube), cube)


@pytest.mark.parametrize("mode", ["1", "P", "LA", "RGBA", "CMYK", "I;16", "YCbCr"])
def test_pillow_images_of_other_modes_are_read_as_their_files_are(tmp_path: Path, mode: str) -> None:
    grey_16 = Image.fromarray((RGB[..., 0].astype(np.uint16) + 1) * 900)
    image = grey_16 if mode == "I;16" else Image.fromarray(RGB).convert(mode)
    image.save(tmp_path / "x.tif")

    np.testing.assert_array_equal(np.asarray(decode(to_source(image))), np.asarray(decode(tmp_path / "x.tif")))


@pytest.mark.parametrize(
    ("mode", "same"), [("HSV", "RGB"), ("RGBa", "RGBA"), ("La", "LA"), ("PA", "RGBA"), ("I;16N", "I;16")]
)
def test_pillow_images_of_modes_that_no_file_has_are_read_as_what_they_hold(mode: str, same: str) -> None:
    if mode == "I;16N":
        image, like = (Image.new(name, (3, 2), 30_000) for name in (mode, same))
    else:
        image = Image.new("RGBA", (3, 2), (255, 0, 0, 128)).convert("P" if mode == "PA" else same).convert(mode)
        like = image.convert(same)

    np.testing.assert_array_equal(np.asarray(decode(to_source(image))), np.asarray(decode(to_source(like))))


def test_a_pillow_image_that_cannot_be_loaded_is_named() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    whole = io.BytesIO()
    Image.fromarray(noise).save(whole, format="PNG")
    closed = Image.fromarray(RGB)
    closed.close()

    for image in (closed, Image.open(io.BytesIO(whole.getvalue()[:2000]))):
        with pytest.raises(InputError, match=r"item 1 of the data set cannot be read \(Pillow cannot load it \("):
            open_data(([RGB, image], [0, 1]))


def test_a_pillow_image_is_turned_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.fromarray(RGB)
    image.info["exif"] = exif.tobytes()

    np.testing.assert_array_equal(to_source(image), np.rot90(RGB, -1))


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (
            torch.randn(3, 8, 8) * 5,
            r"holds values from -.* but floating-point values must lie in \[0, 1\]; leave out the",
        ),
        (np.full((4, 4), np.nan), "holds values from nan to nan"),
        (np.zeros((4, 4), dtype=np.int64), "an image of type int64 was given; use uint8, or floating point"),
        (np.zeros((4, 4, 5), dtype=np.uint8), r"an image of shape \(4, 4, 5\) was given; use \(height, width\)"),
        (np.zeros((0, 4)), "an image of type float64 was given"),
        (None, "an image of type object was given"),
    ],
)
def test_what_is_no_image_is_refused(image, message: str) -> None:
    with pytest.raises(InputError, match=message):
        to_source(image)


def test_a_torch_data_set() -> None:
    seen = []

    images = open_data(pairs(range(6), ["cat", "dog", "cow"]), lambda done, total: seen.append((done, total)))

    assert images.name == "Pairs"
    assert images.ids == tuple(f"item/{index}" for index in range(6))
    assert images.class_names == ("cat", "dog")
    assert images.labels.tolist() == [0, 1] * 3
    assert values_of(images) == list(range(6))
    assert values_of(images.subset([4, 1])) == [4, 1]
    assert seen == [(done, 6) for done in range(1, 7)]


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        ([torch.tensor(10), torch.tensor(9)], ("9", "10")),
        ([np.int64(1), np.uint8(0)], ("0", "1")),
        (["b", "a"], ("a", "b")),
    ],
)
def test_labels_are_numbers_or_texts(labels, classes) -> None:
    images = open_data(Pairs([(grey(0), labels[0]), (grey(1), labels[1])]))

    assert images.class_names == classes
    assert images.labels.tolist() == [1, 0]


def test_data_sets_of_torchvision_and_torch(write_images) -> None:
    root = write_images(*(f"{name}/{number}.png" for name in ("no", "yes") for number in range(3)))
    folder = ImageFolder(root, transform=v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True)]))
    tensors = TensorDataset(
        torch.arange(4, dtype=torch.uint8).view(4, 1, 1, 1).expand(4, 3, 2, 2), torch.tensor([0, 1] * 2)
    )
    fake = FakeData(size=20, image_size=(3, 8, 8), num_classes=2, random_offset=1)

    images, part = open_data(folder), open_data(Subset(Subset(folder, [5, 0, 4]), [0, 1]))

    assert (images.class_names, values_of(images)) == (("no", "yes"), [0, 1, 2, 3, 4, 5])
    assert (part.class_names, part.labels.tolist(), values_of(part)) == (("no", "yes"), [1, 0], [5, 0])
    assert values_of(open_data(tensors)) == [0, 1, 2, 3]
    assert len(open_data(fake)) == 20


def test_arrays_with_labels() -> None:
    arrays = np.arange(6, dtype=np.uint8).repeat(12).reshape(6, 2, 2, 3)

    images = open_data((arrays, [1, 0] * 3))

    assert images.arrays is arrays
    assert (images.name, images.ids[5], images.labels.tolist()) == ("6 images in memory", "image/5", [1, 0] * 3)
    assert values_of(open_data((arrays[..., 0], ["a", "b"] * 3))) == list(range(6))
    assert values_of(open_data((torch.from_numpy(arrays).permute(0, 3, 1, 2), [0, 1] * 3))) == list(range(6))
    assert values_of(open_data(([grey(3), Image.fromarray(RGB)], np.array([0, 1])))) == [3, 0]


def test_grey_images_are_the_same_alone_and_in_one_array() -> None:
    """So a run knows the images again that it learned from, in whichever form they come."""
    arrays = np.arange(48, dtype=np.uint8).reshape(3, 4, 4)
    for images in (list(arrays), arrays / 255, [Image.fromarray(array) for array in arrays]):
        found = open_data((images, ["a", "b", "a"]))
        assert [content_digest(found.image(row)) for row in range(3)] == [
            content_digest(open_data((arrays, ["a", "b", "a"])).image(row)) for row in range(3)
        ]


def test_columns_of_pandas_count_by_position() -> None:
    """Rows in another order, or only some of them: an index from elsewhere must not choose the image of a label."""
    table = pd.DataFrame({"image": [grey(value) for value in range(4)], "label": ["0", "1", "2", "3"]}).iloc[[3, 1, 2]]
    items = pd.Series(list(zip(table.image, table.label, strict=True)), index=[2, 0, 1])

    for data in ((table.image, table.label), (table[["image"]], table), (table.image, list(table.label)), items):
        images = open_data(data)
        assert [images.class_names[label] for label in images.labels] == ["3", "1", "2"]
        assert values_of(images) == [3, 1, 2]


def test_files_with_labels(write_images) -> None:
    root = write_images("1.png", "2.png")

    images = open_data(([root / "1.png", str(root / "2.png")], ["b", "a"]))

    assert images.files == (root / "1.png", root / "2.png")
    assert images.ids == (str(root / "1.png"), str(root / "2.png"))
    assert images.class_names == ("a", "b")


def test_names_that_are_not_utf_8_become_escapes(write_images) -> None:
    """As in a folder: ids, classes and groups are written into files, which hold UTF-8 alone."""
    root = write_images("1.png", "2.png")
    odd = Path(os.fsdecode(bytes(root) + b"/\xff1.png"))
    (root / "1.png").rename(odd)

    images = open_data({"train": ([odd, root / "2.png"], ["b", os.fsdecode(b"\xff")])})

    assert images.files == (odd, root / "2.png")
    assert images.ids[0] == f"train/{root}/\\xff1.png"
    assert images.class_names == ("\\xff", "b")


def test_class_names_are_normalised() -> None:
    """macOS writes accents as letters of their own."""
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["cafe\u0301", "bar"])})
    content = {"image": [Image.fromarray(grey(value)) for value in range(2)], "label": [0, 1]}

    for data in (
        pairs(range(2), ["cafe\u0301", "bar"]),
        Pairs([(grey(0), "caf\u00e9"), (grey(1), "bar")], ["cafe\u0301", "bar"]),
        datasets.Dataset.from_dict(content, features=features),
        {"train": replace(open_data(pairs(range(2), ["x", "bar"])), class_names=("cafe\u0301", "bar"))},
    ):
        assert open_data(data).class_names == ("caf\u00e9", "bar")


def test_an_image_set_stays_what_it_is(write_images) -> None:
    images = open_data(write_images("a/1.png", "b/1.png"))

    assert open_data(images) is images
    assert describe(images) == "images"


def test_splits_of_several_kinds() -> None:
    """The validation part has one class only, the test part its classes in another order."""
    arrays = np.stack([grey(20), grey(21)])
    data = {"train": pairs(range(4), ["no", "yes"]), "val": Pairs([(grey(9), "yes")]), "test": (arrays, ["yes", "no"])}

    images = open_data(data)

    assert images.splits == ("train",) * 4 + ("validation",) + ("test",) * 2
    assert images.ids[3:] == ("train/item/3", "val/item/0", "test/image/0", "test/image/1")
    assert [images.class_names[label] for label in images.labels] == ["no", "yes", "no", "yes", "yes", "yes", "no"]
    assert values_of(images) == [0, 1, 2, 3, 9, 20, 21]
    assert values_of(images.subset([6, 4, 0])) == [21, 9, 0]


def test_splits_of_files_stay_files(write_images) -> None:
    root = write_images("one/a/1.png", "one/b/1.png", "two/a/2.png", "two/b/2.png")

    images = open_data({"train": root / "one", "test": str(root / "two")})

    assert images.files == tuple(root / name for name in ("one/a/1.png", "one/b/1.png", "two/a/2.png", "two/b/2.png"))
    assert images.splits == ("train", "train", "test", "test")


def test_images_without_a_group_are_alone_in_several_tables_too(write_images) -> None:
    """The tables list images of the same names; only the patient of both is one group."""
    root = write_images(*(f"{part}/{number}.png" for part in ("one", "two") for number in range(3)))
    for part in ("one", "two"):
        (root / part / "t.csv").write_text("path,label,group\n0.png,a,\n1.png,b,\n2.png,a,patient\n")

    images = open_data({"train": root / "one/t.csv", "test": root / "two/t.csv"})

    assert images.groups == tuple(
        group for part in ("train", "test") for group in (f"only {part}/0.png", f"only {part}/1.png", "patient")
    )


def test_data_sets_of_hugging_face() -> None:
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["x", "y"])})
    content = {"image": [Image.fromarray(grey(value)) for value in range(4)], "label": [0, 1, 0, 1]}
    whole = datasets.Dataset.from_dict(content, features=features)

    alone, split = open_data(whole), open_data({"train": whole, "validation": whole.select([2])})

    assert (alone.class_names, values_of(alone)) == (("x", "y"), [0, 1, 2, 3])
    assert (split.splits, values_of(split)) == (("train",) * 4 + ("validation",), [0, 1, 2, 3, 2])


class _Endless(IterableDataset):
    def __iter__(self):
        return iter([(grey(0), 0)])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (3, "data of the type int was given; give a path or name, a data set of"),
        (_Endless(), "data of the type _Endless was given"),
        (Pairs([grey(0), grey(1)]), r"item 0 of the data set is not a pair \(image, label\) but a ndarray"),
        (Pairs([(grey(0), 0.5), (grey(1), 1)]), "the label 0.5 is neither a whole number nor a text"),
        (
            (np.zeros((2, 4, 4), dtype=np.uint8), np.eye(2)),
            r"a label of shape \(2,\) was given; give one class per image",
        ),
        (Pairs([(grey(0), torch.eye(2)[0])]), r"a label of shape \(2,\) was given; .* for one-hot rows their argmax"),
        (
            Pairs([(grey(0), 0), (grey(1), 2)], ["a", "b"]),
            r"the label 2 is none of the data set's 2 classes \(0 to 1\)",
        ),
        (
            Pairs([(grey(0), "a"), (grey(1), "bird")], ["a", "b"]),
            r"the label 'bird' is none of the 2 classes that the data set names \(a and b\); add it to their names, or",
        ),
        (
            pairs(range(2), ["crane", "dog", "crane"]),
            "the classes 0 and 2 of the data set are both called 'crane'; give each a name of its own",
        ),
        (Pairs([(grey(0), 0), (grey(1), 0)]), "'Pairs' has only one class, '0', but a classifier needs at least two"),
        (Pairs([]), "'Pairs' has no labelled image"),
        ((np.zeros((3, 4, 4), dtype=np.uint8), [0, 1]), "3 images and 2 labels were given; give one label per image"),
        (
            (pd.DataFrame({"a": [1], "b": [2]}), [0]),
            "the table has the columns a, b; give the one that holds the images, or call it 'path'",
        ),
        (
            pd.DataFrame({"path": ["a.png"], "label": ["a"]}),
            r"a table of pandas was given; give the columns of its images and its labels as a pair, such as \(table\[",
        ),
        ((["a.png", "a.png"], [0, 1]), r"the file 'a\.png' is given a second time"),
        (
            {"train": pairs(range(4)), "extra": pairs(range(2))},
            "'extra' is not a split; use the keys train, val and test",
        ),
        ({}, "an empty dictionary was given; give a path"),
        ({"train": pairs(range(2), ["a", "b"]), "val": pairs(range(1))}, "class '0' of .* has no image to train on"),
    ],
)
def test_what_is_no_data_is_refused(data, message: str) -> None:
    with pytest.raises(InputError, match=message):
        require_learnable(open_data(data))


def test_an_item_that_fails_is_named() -> None:
    class Broken(Pairs):
        def __getitem__(self, index: int):
            if index == 1:
                raise OSError("disk on fire\nsecond line")
            return super().__getitem__(index)

    with pytest.raises(InputError, match=r"item 1 of the data set cannot be read \(disk on fire\)"):
        open_data(Broken([(grey(0), 0), (grey(1), 1)]))


def test_an_item_that_changes_is_refused() -> None:
    """As under random augmentation: the second reading of the first item is another image."""

    class Augmented(Pairs):
        reads = 0

        def __getitem__(self, index: int):
            self.reads += 1
            return grey(self.reads), index

    images = open_data(Augmented([0, 1]))

    with pytest.raises(
        InputError, match=r"item 0 of the data is no longer the image that was first read; .* leave out"
    ):
        images.image(0)


def test_the_fingerprint_is_of_the_pixels() -> None:
    first, again, other = (
        open_data({"train": pairs(values), "test": (np.stack([grey(9)] * 2), [0, 1])}).reader.fingerprint
        for values in (range(4), range(4), range(1, 5))
    )

    assert first == again != other
