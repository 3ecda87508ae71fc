"""Images of noise with a fixed seed: speed and memory do not depend on the content of images."""

import numpy as np
from numpy.typing import NDArray

from biotune.datasets.image_set import ImageSet
from biotune.pixels.learning_data import LearningData, Pixels

CLASSES = 10


class Noise:
    """Images that are generated when they are read: row i is noise with the seed i.

    Args:
        side: height and width in pixels.
    """

    def __init__(self, side: int) -> None:
        self.side = side

    @property
    def fingerprint(self) -> str:
        """The side; everything else is fixed."""
        return f"noise of side {self.side}"

    def read(self, row: int) -> NDArray[np.uint8]:
        """Return uint8 pixels, shape (side, side, 3)."""
        return np.random.Generator(np.random.Philox(row)).integers(0, 256, (self.side, self.side, 3), dtype=np.uint8)


def noise_set(count: int, side: int) -> ImageSet:
    """Return labelled noise that takes no memory before it is read.

    Args:
        count: number of images.
        side: height and width of each, in pixels.

    Returns:
        The images; the classes take turns.
    """
    return ImageSet(
        name="noise",
        ids=tuple(f"noise/{row}" for row in range(count)),
        labels=np.arange(count) % CLASSES,
        class_names=tuple(f"class {number}" for number in range(CLASSES)),
        splits=("",) * count,
        groups=None,
        files=None,
        arrays=None,
        reader=Noise(side),
    )


def resident_data(train: int, validation: int, side: int) -> LearningData:
    """Return learning data with its decoded images in memory.

    Args:
        train: number of training images.
        validation: number of validation images.
        side: height and width of each, in pixels.

    Returns:
        Noise, in which the classes take turns, without a test set.
    """
    count = train + validation
    pixels = np.random.Generator(np.random.Philox(0)).integers(0, 256, (count, side, side, 3), dtype=np.uint8)
    labels = np.arange(count) % CLASSES
    return LearningData(
        name="noise",
        class_names=tuple(f"class {number}" for number in range(CLASSES)),
        selection=Pixels(pixels, labels, tuple(f"noise/{row}" for row in range(count))),
        train=np.arange(train),
        validation=np.arange(train, count),
    )
