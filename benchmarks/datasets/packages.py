"""Data sets inside installed Python packages.

Licences (of the images; each package says more):

* ``dermo_patches``: cut from the photos of PH2 (research and education, cite Mendonca et al. 2013); the package is MIT.
* ``skimage_textures``: three photos of scikit-image, most of which are CC0 (see ``skimage/data/README.txt``).
* ``foolbox20``: images of ImageNet, for research; the package is MIT.
"""

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from biotune.datasets.image_set import ImageSet
from biotune.datasets.named.base import LabelledFile, from_files
from biotune.datasets.named.photos import cut_patches

_SURFACES = {"brick": "brick.png", "grass": "grass.png", "gravel": "gravel.png"}


def read_dermo_patches(folder: Path) -> ImageSet:
    """Return 1985 pairs of skin patches side by side, 32x64 RGB, grouped by the photo they were cut from.

    A pair is similar (a patch and its shifted copy) or not (one patch in the lesion, one outside). Every
    photo has ten consecutive numbers; five pairs that are truncated at the edge of a photo are left out.
    """
    name = "dermo_patches"
    pairs: list[tuple[int, int, NDArray[np.uint8]]] = []
    for label, inside in enumerate(("Similar", "nonSimilar")):
        for first in folder.joinpath(inside).glob("patch*a.bmp"):
            patches = [_rgb(first), _rgb(first.with_name(first.name.replace("a.bmp", "b.bmp")))]
            if all(patch.shape == (32, 32, 3) for patch in patches):
                number = int("".join(re.findall(r"\d", first.name)))
                pairs.append((number, label, np.concatenate(patches, axis=1)))
    pairs.sort(key=lambda pair: pair[0])
    return ImageSet(
        name=name,
        ids=tuple(f"{name}/{number}" for number, _, _ in pairs),
        labels=np.array([label for _, label, _ in pairs], dtype=np.int64),
        class_names=("similar", "not similar"),
        splits=("",) * len(pairs),
        groups=tuple(f"photo {number // 10}" for number, _, _ in pairs),
        files=None,
        arrays=np.stack([pixels for _, _, pixels in pairs]),
    )


def read_skimage_textures(folder: Path) -> ImageSet:
    """Return 192 patches of 64x64 of three surfaces (brick, grass, gravel)."""
    return cut_patches("skimage_textures", folder, _SURFACES)


def read_foolbox20(folder: Path) -> ImageSet:
    """Return foolbox's 20 photos of ImageNet in 19 of its classes; the label is at the end of the file's name."""
    from torchvision.models import SqueezeNet1_1_Weights  # noqa: PLC0415 - torchvision is slow to import

    imagenet = SqueezeNet1_1_Weights.IMAGENET1K_V1.meta["categories"]
    files = sorted(folder.glob("imagenet_*_*.jpg"))
    rows = [LabelledFile(file, imagenet[int(file.stem.rpartition("_")[2])], "") for file in files]
    return from_files("foolbox20", folder, sorted({row.class_name for row in rows}), rows)


def _rgb(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))
