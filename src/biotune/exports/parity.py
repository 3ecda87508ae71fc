"""Whether what was exported answers as the run does: its own ``predict.py`` is run on images of the run."""

import runpy
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from biotune.datasets import ImageSet, open_source
from biotune.datasets.splits import make_splits
from biotune.errors import InputError
from biotune.exports.source import Subject
from biotune.images.decoding import UnreadableImageError, decode
from biotune.images.resizing import resize
from biotune.randomness import words
from biotune.runs.events import Observer, Progress

TOLERANCE = 1e-4
"""How much a probability may differ; rounding alone gives about 1e-6."""

MOST_IMAGES = 500
"""Images that are compared at most, evenly spaced: a fault shows on far fewer."""

_BATCH = 8
_MADE_UP = 16
_SMALL = (12, 16, 3)
"""Height, width and channels of made-up images: enlarged, they are blots, whose answers differ more than of noise."""

Probabilities = Callable[[list[Image.Image]], NDArray[np.floating]]


@dataclass(frozen=True)
class Parity:
    """How closely an export answers as its run does.

    Args:
        images: how many images were compared.
        what: which ones, such as ``validation images of the data set``.
        greatest_difference: of a probability of any class of any of them, in [0, 1].
        same_class: how many of them have the same most probable class.
    """

    images: int
    what: str
    greatest_difference: float
    same_class: int

    @property
    def sentence(self) -> str:
        """What was found."""
        return (
            f"On {self.images:,} {self.what}, the probabilities of this export differ from those of BioTune by at most "
            f"{self.greatest_difference:.1e} ({TOLERANCE:g} is allowed); {self.same_class:,} have the same class."
        )


def compared(folder: Path, subject: Subject, observer: Observer) -> Parity:
    """Compare the probabilities of ``predict.py`` with those of the run, from RGB images on.

    Args:
        folder: the export, complete but for its card.
        subject: the run.
        observer: receives the progress.

    Returns:
        What was found.

    Raises:
        InputError: a probability differs by more than ``TOLERANCE``.
    """
    answer: Probabilities = runpy.run_path(str(folder / "predict.py"))["probabilities"]
    own = _own_images(subject)
    total, what = (_MADE_UP, "made-up images (the data set was not found)") if own is None else (len(own[0]), own[1])
    greatest, same, done = 0.0, 0, 0
    for batch in _batches(_made_up() if own is None else _decoded(own[0])):
        rows = [resize(image, subject.preprocessing) for image in batch]
        expected, found = subject.classifier.probabilities(rows), np.asarray(answer(batch), dtype=np.float64)
        greatest = float(np.maximum(greatest, np.abs(found - expected).max()))  # NaN stays
        same += int((found.argmax(axis=1) == expected.argmax(axis=1)).sum())
        done += len(batch)
        observer(Progress("comparing answers", done, total))
    if not greatest <= TOLERANCE:
        raise InputError(
            f"the export of {subject.name} does not answer as the run does: a probability differs by {greatest:.1e} on "
            f"{done:,} {what}, and {TOLERANCE:g} is allowed; nothing was exported. Choose another format, and please "
            "report it."
        )
    return Parity(done, what, greatest, same)


def _own_images(subject: Subject) -> tuple[ImageSet, str] | None:
    """Return validation images of the run's data set and what they are; None where it is gone or has changed."""
    data = subject.config.data
    try:
        source = open_source(data.source, data.root)
        splits = make_splits(source, data.validation_fraction, data.test_fraction, data.split_seed)
    except InputError:  # also a source that only Python could give
        return None
    if splits.fingerprint != subject.fingerprint:
        return None
    rows, part = (splits.validation, "validation") if len(splits.validation) else (splits.train, "training")
    chosen = np.unique(np.linspace(0, len(rows) - 1, min(MOST_IMAGES, len(rows))).round().astype(np.int64))
    return source.subset(rows[chosen]), f"{part} images of the data set"


def _decoded(images: ImageSet) -> Iterator[Image.Image]:
    """Yield the images that can be read, as RGB."""
    for row in range(len(images)):
        try:
            yield decode(images.image(row))
        except UnreadableImageError:
            continue


def _made_up() -> Iterator[Image.Image]:
    size = int(np.prod(_SMALL))
    for number in range(_MADE_UP):
        noise = words(size // 8, 0, "made-up image", number).view(np.uint8)
        yield Image.fromarray(noise.reshape(_SMALL))


def _batches(images: Iterable[Image.Image]) -> Iterator[list[Image.Image]]:
    """Yield one image alone, then several at a time: the size of a batch must not matter."""
    remaining = iter(images)
    size = 1
    while batch := list(islice(remaining, size)):
        yield batch
        size = _BATCH
