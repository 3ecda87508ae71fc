"""Standard errors and paired bootstrap intervals for scores of a few seeds on a finite test set (no torch)."""

import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field, computed_field
from pydantic.dataclasses import dataclass

from biotune.errors import InputError
from biotune.randomness import Stream

Verdict = Literal["better", "tie", "worse"]
Number = TypeVar("Number", int, float)


@dataclass(frozen=True)
class Interval:
    """A paired difference of two accuracies and its interval, as fractions in [-1, 1].

    The verdict is about these seeds and this test set. With few seeds the interval is too narrow: resampling n seeds
    covers only (n - 1) / n of their variance (none for a single seed), so ``better`` from three seeds is evidence, not
    proof, and ``tie`` means "no clear difference with this much data", not "equal".

    Args:
        difference: mean accuracy of the first method minus that of the second.
        low: lower end of the interval.
        high: upper end of the interval.
    """

    difference: Annotated[float, Field(description="in accuracy, over the seeds that both have")]
    low: Annotated[float, Field(description="lower end of the 95 % interval")]
    high: Annotated[float, Field(description="upper end")]

    @computed_field(description="what that says of the first of the two: `better`, `tie` or `worse`")  # type: ignore[prop-decorator]
    @property
    def verdict(self) -> Verdict:
        """``better`` or ``worse`` if the interval excludes zero, else ``tie``."""
        if self.low > 0:
            return "better"
        return "worse" if self.high < 0 else "tie"

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-able dictionary, including the verdict."""
        return {"difference": self.difference, "low": self.low, "high": self.high, "verdict": self.verdict}


def mean_and_standard_error(values: Sequence[float]) -> tuple[float, float | None]:
    """Return the mean and its standard error, s / sqrt(n), where s is the sample standard deviation (with n - 1).

    Args:
        values: one score per seed, shape (n,) with n >= 1.

    Returns:
        The mean, and the standard error or None for a single value.

    Raises:
        InputError: the list is empty, or not one-dimensional.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise InputError(f"got values of shape {array.shape}; pass a non-empty list of numbers, one per seed.")
    if array.size < 2:
        return float(array[0]), None
    if array.min() == array.max():
        return float(array[0]), 0.0  # the sum of equal numbers is rounded
    return float(array.mean()), float(array.std(ddof=1) / math.sqrt(array.size))


def paired_interval(
    correct_a: ArrayLike,
    correct_b: ArrayLike,
    num_resamples: int = 2000,
    seed: int = 0,
    confidence: float = 0.95,
    groups: Sequence[str] | None = None,
) -> Interval:
    """Return the difference in accuracy, a minus b, with its percentile bootstrap interval.

    Every resample draws seeds and test images with replacement, the same ones for both methods, so that images that are
    hard for both cancel out. Images of one group, such as a patient, are alike, so whole groups are drawn (the cluster
    bootstrap, Davison and Hinkley 1997, section 3.8). Memory is proportional to the number of answers and does not
    depend on the number of resamples.

    Args:
        correct_a: True where the prediction was right, shape (num_seeds, num_images).
        correct_b: the same for the other method, on the same images and seeds in the same order; where a seed of one
            method has no answers, leave it out of both.
        num_resamples: number of resamples, at least 1.
        seed: seed of the resampling; equal arguments give equal intervals.
        confidence: confidence level of the interval, in (0, 1).
        groups: name of the group of each image; None: every image is its own.

    Returns:
        The interval.

    Raises:
        InputError: the arrays do not fit each other, or an option is out of its range.
    """
    gains = _gains(correct_a, correct_b)
    resampled = _resampled_means(gains, num_resamples, Stream(seed, "bootstrap"), groups)
    return _interval(float(gains.mean()), resampled, confidence)


def pooled_interval(
    pairs: Sequence[tuple[ArrayLike, ArrayLike]],
    num_resamples: int = 2000,
    groups: Sequence[Sequence[str] | None] | None = None,
) -> Interval:
    """Return the mean over data sets of the difference in accuracy, with its paired bootstrap interval.

    Every data set counts the same. Seeds and test images are resampled within each data set; the data sets are not: the
    interval is about these data sets. The pairs hold correct answers of both methods, ``groups`` the groups of the
    images of each, and all else is as in ``paired_interval``.

    Raises InputError: there are no data sets, arrays do not fit each other, or an option is out of its range.
    """
    return mean_gain_interval([_gains(a, b) for a, b in pairs], num_resamples, groups)


def mean_gain_interval(
    gains: Sequence[NDArray[np.float64]],
    num_resamples: int = 2000,
    groups: Sequence[Sequence[str] | None] | None = None,
) -> Interval:
    """Return the mean gain over data sets with its bootstrap interval, resampled as in ``pooled_interval``.

    ``gains`` holds for each data set the gain of each repetition on each test image, shape (num_repetitions,
    num_images), in [-1, 1]; a repetition may be the mean of several trainings, which are then resampled together.
    ``groups`` are those of the images of each data set.

    Raises InputError: there are no data sets, or an option is out of its range.
    """
    if not gains:
        raise InputError("a pooled interval needs the answers on one data set at least.")
    resampled = [
        _resampled_means(part, num_resamples, Stream(0, "bootstrap", index), of_part)
        for index, (part, of_part) in enumerate(zip(gains, groups or [None] * len(gains), strict=True))
    ]
    return _interval(float(np.mean([part.mean() for part in gains])), np.mean(resampled, axis=0))


def _gains(correct_a: ArrayLike, correct_b: ArrayLike) -> NDArray[np.float64]:
    """Return a minus b for each seed and image, shape (num_seeds, num_images), in {-1, 0, 1}."""
    a, b = np.asarray(correct_a, dtype=bool), np.asarray(correct_b, dtype=bool)
    if a.ndim != 2 or a.shape != b.shape or not a.size:
        raise InputError(
            f"got answers of shapes {a.shape} and {b.shape}; "
            "pass two arrays (num_seeds, num_images) over the same seeds and images, neither empty."
        )
    return np.asarray(a.astype(np.float64) - b)


def _interval(difference: float, resampled: NDArray[np.float64], confidence: float = 0.95) -> Interval:
    if not 0 < confidence < 1:
        raise InputError(f"got confidence={confidence}; pass a confidence between 0 and 1.")
    low, high = np.quantile(resampled, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(difference, float(low), float(high))


def _resampled_means(
    gains: NDArray[np.float64], num_resamples: int, stream: Stream, groups: Sequence[str] | None = None
) -> NDArray[np.float64]:
    """Return the means, shape (num_resamples,), of ``gains`` (num_seeds, num_images) under both resamplings."""
    if num_resamples < 1:
        raise InputError(f"got num_resamples={num_resamples}; pass at least 1 resample.")
    num_seeds, num_images = gains.shape
    sizes = np.ones(num_images)
    if groups is not None:
        numbers = _numbered(groups)
        sizes = np.bincount(numbers).astype(np.float64)
        gains = np.stack([np.bincount(numbers, weights=row) for row in gains])
    means = np.empty(num_resamples)
    for index in range(num_resamples):
        seeds = _resample_counts(num_seeds, stream)
        drawn = _resample_counts(len(sizes), stream)
        means[index] = seeds @ (gains @ drawn) / (num_seeds * (sizes @ drawn))
    return means


def _numbered(groups: Sequence[str]) -> NDArray[np.intp]:
    """Return the number of the group of each image, from 0, shape (n,)."""
    return np.unique(np.asarray(groups, dtype=object), return_inverse=True)[1]


def _resample_counts(size: int, stream: Stream) -> NDArray[np.float64]:
    """Return how often each of ``size`` items is drawn in ``size`` draws with replacement, shape (size,)."""
    drawn = (stream.uniform(size) * size).astype(np.intp)
    return np.bincount(drawn, minlength=size).astype(np.float64)


def accuracy_interval(accuracy: float, images: float, standard_error: float | None = None) -> tuple[float, float]:
    """Return the 95 % interval of an accuracy, from the choice of images and, if given, from the spread of seeds.

    Wilson's interval: it stays in [0, 1], and does not close where all or no answers are right. A spread of seeds makes
    it as wide as that of fewer images: as many as would have the variance of both together.

    Args:
        accuracy: share of right answers, in [0, 1]; mean over seeds.
        images: how many images were answered, above 0.
        standard_error: of the mean over seeds; None for one seed, or for one vote of all.

    Returns:
        Lower and upper end, in [0, 1].
    """
    variance = accuracy * (1 - accuracy)
    effective = variance / (variance / images + standard_error**2) if variance and standard_error else images
    square = 1.96**2
    centre = (accuracy + square / (2 * effective)) / (1 + square / effective)
    half = wilson_half(accuracy, effective)
    return max(0.0, centre - half), min(1.0, centre + half)


def share_interval(right: NDArray[np.bool_], groups: Sequence[str] | None = None) -> tuple[float, float] | None:
    """Return the 95 % interval of the share of images that are True, from their choice, or that of their groups.

    ``right`` has the shape (n,), ``groups`` names the group of each; None for no images.
    """
    if not len(right):
        return None
    images = float(len(right)) if groups is None else effective_images(right, groups)
    return accuracy_interval(float(right.mean()), images)


def among(groups: Sequence[str] | None, chosen: NDArray[np.bool_]) -> list[str] | None:
    """Return the groups of the images that are chosen, which has the shape (n,); None without groups."""
    return None if groups is None else [group for group, is_in in zip(groups, chosen, strict=True) if is_in]


def effective_images(correct: NDArray[np.bool_], groups: Sequence[str]) -> float:
    """Return how many independent images would tell an accuracy as surely as images that come in groups.

    p (1 - p) over the variance of p between groups, g / (g - 1) sum over the g groups of (right - p images)^2 / n^2; at
    most n; where all or no answers are right, g. That times (1.96 / t)^2 with the quantile t of g - 1 degrees of
    freedom, since few groups say little of their variance; at least 1.

    Args:
        correct: whether each answer is right, shape (n,), n above 0.
        groups: name of the group of each image.

    Returns:
        A number from 1 to n, for ``accuracy_interval``.

    Source: Korn and Graubard 1998 (Survey Methodology 24), who put it into the interval of Clopper and Pearson;
    departure: here it is put into Wilson's.
    """
    from scipy.stats import t  # takes half a second to import

    numbers = _numbered(groups)
    sizes, right = np.bincount(numbers), np.bincount(numbers, weights=correct)
    count, images, accuracy = len(sizes), len(correct), float(correct.mean())
    if count < 2:
        return 1.0
    variance = count / (count - 1) * float(np.square(right - accuracy * sizes).sum()) / images**2
    if accuracy in (0.0, 1.0):
        effective = float(count)
    else:
        effective = min(accuracy * (1 - accuracy) / variance, images) if variance else float(images)
    return max(1.0, effective * (1.96 / float(t.ppf(0.975, count - 1))) ** 2)


def wilson_half(accuracy: float, images: float) -> float:
    """Return half the width of Wilson's 95 % interval of an accuracy, a share in [0, 1], on so many images."""
    square = 1.96**2
    return math.sqrt(square * accuracy * (1 - accuracy) / images + (square / images) ** 2 / 4) / (1 + square / images)


def sum_of_known(values: Sequence[Number | None]) -> Number | None:
    """Return the sum of values, None if any is missing."""
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None
