"""Parts of ``ufoai_textures`` with splits by photo: few photos of many materials, and metal against the rest.

Licences: see ``benchmarks.datasets.archives``.
"""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.datasets.archives import read_ufoai_textures
from biotune.datasets.image_set import ImageSet

_CORNERS = (0, 2, 6, 8)
"""Crops of a photo that do not touch, of the nine, row by row."""

_MATERIAL_PHOTOS, _METAL_PHOTOS = 8, 38
_OTHERS = ("concrete", "roof", "tiles", "wallpaper")


def read_ufoai_materials(archive: Path) -> ImageSet:
    """Return crops of 12 materials: three each of eight photos a class to train, two each of all other photos to test.

    At most half of a class's photos are for training.
    """
    images = read_ufoai_textures(archive)
    classes = {name: (name,) for name in images.class_names}
    return _by_photo("ufoai_materials", images, classes, _MATERIAL_PHOTOS, (_CORNERS[:3], _CORNERS[:2]))


def read_metal_surfaces(archive: Path) -> ImageSet:
    """Return crops of metal, and of concrete, roofs, tiles and wallpaper: four of each photo.

    Half of a class's photos are for training, at most 38, the other half for testing.
    """
    images = read_ufoai_textures(archive)
    classes = {"metal": ("metal",), "other": _OTHERS}
    return _by_photo("metal_surfaces", images, classes, _METAL_PHOTOS, (_CORNERS, _CORNERS))


def _by_photo(
    name: str,
    images: ImageSet,
    classes: Mapping[str, Sequence[str]],
    train_photos: int,
    crops: tuple[Sequence[int], Sequence[int]],
) -> ImageSet:
    """Choose crops of the photos of some materials, and split them by photo.

    Args:
        name: of the new set.
        images: nine crops of each photo, one photo after the other.
        classes: class -> its materials.
        train_photos: most photos of a class to train on, and no more than half of them.
        crops: which crops of a photo to train on and which to test on.

    Returns:
        The images to train on, then those to test on.
    """
    groups, per_photo = images.groups or (), len(images) // len(set(images.groups or ()))
    rows, labels, splits = [], [], []
    chosen: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for label, materials in enumerate(classes.values()):
        known = [images.class_names.index(material) for material in materials]
        photos = [row for row in range(0, len(images), per_photo) if images.labels[row] in known]
        photos.sort(key=lambda row: hashlib.sha256(groups[row].encode()).digest())
        count = min(train_photos, len(photos) // 2)
        chosen["train"] += [(row, label) for row in photos[:count]]
        chosen["test"] += [(row, label) for row in photos[count:]]
    for (split, pairs), kept in zip(chosen.items(), crops, strict=True):
        for row, label in pairs:
            rows += [row + crop for crop in kept]
            labels += [label] * len(kept)
            splits += [split] * len(kept)
    return replace(
        images.subset(rows),
        name=name,
        labels=np.array(labels, dtype=np.int64),
        class_names=tuple(classes),
        splits=tuple(splits),
    )
