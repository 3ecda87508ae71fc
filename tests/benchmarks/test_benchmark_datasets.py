"""The data sets of the benchmarks, where they are installed."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.datasets import BENCHMARK_DATASETS
from biotune.datasets.registry import DatasetInfo, data_root
from biotune.datasets.sources import open_source
from biotune.images.decoding import decode

pytestmark = pytest.mark.usefixtures("benchmark_datasets")

HERE = {name: info.find(data_root()) is not None for name, info in BENCHMARK_DATASETS.items()}
needs = {name: pytest.mark.skipif(not here, reason=f"needs the data set {name}") for name, here in HERE.items()}
ALL = [pytest.param(info, id=name, marks=needs[name]) for name, info in BENCHMARK_DATASETS.items()]
IN_MEMORY = ("dermo_patches", "skimage_textures", "usps_gpml", "mfeat_digits")


@pytest.mark.parametrize("info", ALL)
def test_every_benchmark_data_set_is_what_the_registry_says(info: DatasetInfo) -> None:
    images = info.load()

    assert images.name == info.name
    assert len(images) == info.images
    assert len(images.class_names) == len(set(images.class_names)) == len(np.unique(images.labels)) == info.classes
    assert len(set(images.ids)) == info.images
    assert min(decode(images.image(info.images - 1)).size) >= 8


@pytest.mark.parametrize("name", [pytest.param(name, marks=needs[name]) for name in IN_MEMORY])
def test_their_pixels_use_the_range_of_bytes(name: str) -> None:
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
        pytest.param("dermo_patches", (32, 64, 3), marks=needs["dermo_patches"]),
        pytest.param("skimage_textures", (64, 64, 3), marks=needs["skimage_textures"]),
    ],
)
def test_the_shape_of_their_images(name: str, shape: tuple[int, ...]) -> None:
    assert np.shape(open_source(name).image(0)) == shape


@needs["dermo_patches"]
def test_skin_patches_are_grouped_by_photo() -> None:
    images = open_source("dermo_patches")

    assert images.groups is not None
    assert len(set(images.groups)) == 199
    assert max(images.groups.count(group) for group in set(images.groups)) == 10
    assert np.bincount(images.labels).tolist() == [990, 995]
    assert images.ids[10] == "dermo_patches/10"
    assert images.groups[9:11] == ("photo 0", "photo 1")


@needs["skimage_textures"]
def test_texture_patches_are_split_by_the_side_of_the_photo() -> None:
    images = open_source("skimage_textures")
    splits = np.array(images.splits)

    assert np.bincount(images.labels[splits == "train"]).tolist() == [40] * 3
    assert np.bincount(images.labels[splits == "test"]).tolist() == [24] * 3


@needs["skimage_textures"]
def test_a_texture_patch_is_that_part_of_the_photo() -> None:
    folder = (importlib.util.find_spec("skimage").submodule_search_locations or [""])[0]
    photo = np.asarray(Image.open(Path(folder, "data/brick.png")).convert("RGB"))
    images = open_source("skimage_textures")

    np.testing.assert_array_equal(images.image(9), photo[64:128, 64:128])
    assert images.splits[4:6] == ("train", "test")
