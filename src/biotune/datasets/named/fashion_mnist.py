"""Fashion-MNIST (MIT) in its four IDX files, as torchvision and Debian's ``dataset-fashion-mnist`` keep them."""

import gzip
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from biotune.datasets.image_set import ImageSet
from biotune.datasets.named.base import first_existing, in_memory

_FOLDER = "usr/share/datasets/fashion-mnist"
_FILES = {"train": "train", "test": "t10k"}
_CLASSES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)


def find_fashion_mnist(root: Path) -> Path | None:
    """Return the folder of its four files: torchvision's, or Debian's package unpacked in the root or installed."""
    folders = (root / "FashionMNIST" / "raw", root / _FOLDER, Path("/", _FOLDER))
    return next((folder for folder in folders if _idx_file(folder, "t10k-labels-idx1-ubyte")), None)


def read_fashion_mnist(folder: Path) -> ImageSet:
    """Return Fashion-MNIST, 28x28 grey, with its 60000 training and 10000 test images."""
    parts = {
        split: (
            _idx(folder, f"{file}-images-idx3-ubyte")[..., None],
            _idx(folder, f"{file}-labels-idx1-ubyte").astype(np.int64),
        )
        for split, file in _FILES.items()
    }
    return in_memory("fashion_mnist", _CLASSES, parts)


def _idx_file(folder: Path, name: str) -> Path | None:
    return first_existing(folder / name, folder / f"{name}.gz")


def _idx(folder: Path, name: str) -> NDArray[np.uint8]:
    """Read an IDX file of bytes: four bytes, the last the number of dimensions; their big-endian sizes; the data."""
    file = _idx_file(folder, name)
    if file is None:
        raise FileNotFoundError(f"no {name}")
    content = file.read_bytes()
    content = gzip.decompress(content) if file.suffix == ".gz" else content
    dimensions = content[3]
    shape = np.frombuffer(content, dtype=">i4", count=dimensions, offset=4)
    return np.frombuffer(content, dtype=np.uint8, offset=4 + 4 * dimensions).reshape(shape)
