"""Parts of a set of photos of surfaces with splits by photo, from a tiny archive of the same layout."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import layouts
from biotune.datasets.image_set import ImageSet
from biotune.datasets.sources import open_source

pytestmark = pytest.mark.usefixtures("benchmark_datasets")

PHOTOS = {"metal": 6, "concrete": 3, "roof": 1, "tiles": 2, "wallpaper": 1, "wood": 20}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    archive = layouts.new_file(tmp_path / "usr/share/games/ufoai/base/0textures.pk3")
    stream = io.BytesIO()
    Image.new("RGB", (64, 64)).save(stream, "PNG")
    with zipfile.ZipFile(archive, "w") as pack:
        for material, count in PHOTOS.items():
            for number in range(count):
                pack.writestr(f"textures/{material}{number}.png", stream.getvalue())
    return tmp_path


def photos(images: ImageSet, split: str, class_name: str) -> set[str]:
    label = images.class_names.index(class_name)
    groups = zip(images.groups or (), images.splits, images.labels.tolist(), strict=True)
    return {group for group, part, own in groups if (part, own) == (split, label)}


def test_metal_and_other_surfaces_are_halved_by_photo(root: Path) -> None:
    images = open_source("metal_surfaces", root)

    assert images.class_names == ("metal", "other")
    assert len(images) == 4 * (6 + 7)
    assert [len(photos(images, split, "metal")) for split in ("train", "test")] == [3, 3]
    assert [len(photos(images, split, "other")) for split in ("train", "test")] == [3, 4]
    assert not photos(images, "train", "other") & photos(images, "test", "other")
    assert {image_id.rpartition("/")[2] for image_id in images.ids} == {"0", "2", "6", "8"}


def test_materials_have_eight_photos_to_train_on(root: Path) -> None:
    images = open_source("ufoai_materials", root)
    trained = np.array(images.splits) == "train"

    assert len(images.class_names) == 12
    assert [len(photos(images, split, "wood")) for split in ("train", "test")] == [8, 12]
    assert [len(photos(images, split, "roof")) for split in ("train", "test")] == [0, 1]
    assert (trained.sum(), (~trained).sum()) == (3 * (3 + 1 + 0 + 1 + 0 + 8), 2 * (3 + 2 + 1 + 1 + 1 + 12))
