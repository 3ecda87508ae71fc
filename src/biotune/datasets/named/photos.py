"""Patches cut from the photos that come with scikit-image.

Licences: most of the photos are CC0 or in the public domain, the others free to use with attribution; see
``skimage/data/README.txt``.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from biotune.datasets.image_set import ImageSet

_PATCH_SIDE = 64
_TRAIN_SHARE = 5 / 8
"""Left share of every photo that is for training. Chosen by hand, like the next value."""

_SMALLEST_DEVIATION = 4.0
"""Patches with a smaller standard deviation of the grey values are empty background."""

_PHOTOS = {
    "brick": "brick.png",
    "grass": "grass.png",
    "gravel": "gravel.png",
    "astronaut": "astronaut.png",
    "chelsea": "chelsea.png",
    "coffee": "coffee.png",
    "hubble": "hubble_deep_field.jpg",
    "ihc": "ihc.png",
    "retina": "retina.jpg",
    "rocket": "rocket.jpg",
    "moon": "moon.png",
    "page": "page.png",
    "coins": "coins.png",
    "motorcycle": "motorcycle_left.png",
}


def read_skimage_photos(folder: Path) -> ImageSet:
    """Return 1222 patches of 64x64 from 14 photos; the class is the photo."""
    return cut_patches("skimage_photos", folder, _PHOTOS)


def cut_patches(name: str, folder: Path, photos: Mapping[str, str]) -> ImageSet:
    """Cut photos into patches that share no pixel: the left 5/8 of each photo to train, the right 3/8 to test.

    Nearly uniform patches (standard deviation below 4) are empty background and are left out.

    Args:
        name: of the data set.
        folder: the folder of the photos.
        photos: class name -> file name.

    Returns:
        The patches, 64x64 RGB.
    """
    patches: list[NDArray[np.uint8]] = []
    labels: list[int] = []
    splits: list[str] = []
    for label, file in enumerate(photos.values()):
        photo = _rgb(folder / file)
        height, width, _ = photo.shape
        border = int(width * _TRAIN_SHARE) // _PATCH_SIDE * _PATCH_SIDE
        for top in range(0, height - _PATCH_SIDE + 1, _PATCH_SIDE):
            for left in range(0, width - _PATCH_SIDE + 1, _PATCH_SIDE):
                patch = photo[top : top + _PATCH_SIDE, left : left + _PATCH_SIDE]
                if patch.std() >= _SMALLEST_DEVIATION:
                    patches.append(patch)
                    labels.append(label)
                    splits.append("train" if left < border else "test")
    return ImageSet(
        name=name,
        ids=tuple(f"{name}/{index}" for index in range(len(patches))),
        labels=np.array(labels, dtype=np.int64),
        class_names=tuple(photos),
        splits=tuple(splits),
        groups=None,
        files=None,
        arrays=np.stack(patches),
    )


def _rgb(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))
