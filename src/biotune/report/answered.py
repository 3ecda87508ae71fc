"""What a network answers on the test images: which of them a page shows, and how right its probabilities are."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from biotune.metrics import calibration_bins
from biotune.pixels.rows import ImageRows


class Shown(NamedTuple):
    """An image on the page, with its answer.

    Args:
        image: RGB values, shape (height, width, 3).
        path: of its file, relative to the source.
        truth: name of the true class.
        answer: name of the class that was answered.
        probability: given to the answer, in [0, 1].
    """

    image: NDArray[np.uint8]
    path: str
    truth: str
    answer: str
    probability: float


@dataclass(frozen=True)
class Answered:
    """The test images with what ``biotune predict`` answers.

    Args:
        classes: class names, by label.
        paths: of the images, relative to the source.
        images: RGB values, shape (num_images, height, width, 3); read only where an image is shown. None for texts,
            none of which is shown.
        labels: true label of each, shape (num_images,).
        predicted: label that was answered, same shape.
        probability: given to the answer, in [0, 1], same shape.
        probabilities: of every class, shape (num_images, num_classes); None where they were not kept.
        groups: name of the group of each image; None where they come in none.
        explained: a few wrong answers and a few right ones, each image with what spoke for the answer beside it; none
            of texts, and of networks that cannot be explained so.
        places: in a row of the map that was enlarged for them; 0 without any.
    """

    classes: tuple[str, ...]
    paths: tuple[str, ...]
    images: ImageRows | None
    labels: NDArray[np.int64]
    predicted: NDArray[np.int64]
    probability: NDArray[np.float64]
    probabilities: NDArray[np.float64] | None = None
    groups: tuple[str, ...] | None = None
    explained: tuple[Shown, ...] = ()
    places: int = 0

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Where the answer is right, shape (num_images,)."""
        return np.asarray(self.labels == self.predicted)

    def sample(self, number: int) -> list[Shown]:
        """Return at most so many images, spread evenly over all."""
        return self.shown(np.unique(np.linspace(0, len(self.labels) - 1, number).astype(int)))

    @property
    def mistakes(self) -> NDArray[np.intp]:
        """The rows of wrong answers, the surest first."""
        wrong = np.flatnonzero(~self.correct)
        return wrong[np.argsort(-self.probability[wrong], kind="stable")]

    @property
    def confusion(self) -> NDArray[np.int64]:
        """How many images of each class (rows) got each answer (columns), shape (num_classes, num_classes)."""
        pairs = self.labels * len(self.classes) + self.predicted
        return np.bincount(pairs, minlength=len(self.classes) ** 2).reshape(len(self.classes), -1)

    def surest_mistakes(self, number: int) -> list[Shown]:
        """Return at most so many wrong answers, the surest first."""
        return self.shown(self.mistakes[:number])

    def mistakes_of(self, groups: Collection[str], number: int = 6) -> dict[str, list[str]]:
        """Return the paths of the wrong answers of some groups, by group, the surest first; at most so many each."""
        paths: dict[str, list[str]] = {name: [] for name in groups}
        if self.groups is None:
            return paths
        for row in self.mistakes.tolist():
            own = paths.get(self.groups[row])
            if own is not None and len(own) < number:
                own.append(self.paths[row])
        return paths

    def to_explain(self, number: int) -> NDArray[np.intp]:
        """Return the rows of at most so many answers: the surest mistakes, then as many right ones, spread evenly."""
        right = np.flatnonzero(self.correct)
        wrong = self.mistakes[: max(number // 2, number - len(right))]
        room = min(number - len(wrong), len(right))
        return np.concatenate([wrong, right[np.linspace(0, len(right) - 1, room).astype(int)]])

    def shown(self, rows: NDArray[np.intp]) -> list[Shown]:
        """Return the images of some rows with their answers; none of texts."""
        if self.images is None:
            return []
        return [
            Shown(
                image,
                self.paths[row],
                self.classes[self.labels[row]],
                self.classes[self.predicted[row]],
                float(self.probability[row]),
            )
            for row, image in zip(rows.tolist(), self.images[rows], strict=True)
        ]


class Bin(NamedTuple):
    """Answers of similar probability.

    Args:
        images: how many.
        probability: their mean probability, in [0, 1].
        accuracy: the share that is right, in [0, 1].
    """

    images: int
    probability: float
    accuracy: float


def reliability(probability: NDArray[np.float64], correct: NDArray[np.bool_]) -> list[Bin]:
    """Return the answers in the bins of the calibration error, without empty ones, from the least sure to the surest.

    ``probability`` is that of the answered class, ``correct`` whether it is right, both of shape (num_images,).
    """
    place = calibration_bins(probability)
    parts = [place == number for number in np.unique(place)]
    return [Bin(int(part.sum()), float(probability[part].mean()), float(correct[part].mean())) for part in parts]
