"""Scores: every reported metric over seeds, and class by class."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, computed_field, model_validator

from biotune.results.part import Part
from biotune.statistics import among, mean_and_standard_error, share_interval

LISTED_CONFUSIONS = 500
"""Pairs of confused classes that a result lists at most: all of them for 23 classes, a page of JSON for thousands."""


def known(value: float) -> float | None:
    """Return a value that JSON can hold: None for NaN and infinity."""
    return value if math.isfinite(value) else None


class Score(Part):
    """What several seeds reached in one metric on one set of images."""

    mean: float | None = Field(description="mean over seeds; `null` where it is not defined for a seed")
    standard_error: float | None = Field(description="standard error of the mean over seeds; `null` for one seed")
    per_seed: tuple[float | None, ...] = Field(description="value of each seed, `null` where it is not defined")

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Return the score of at least one seed."""
        per_seed = tuple(map(known, values))
        if None in per_seed:
            return cls(mean=None, standard_error=None, per_seed=per_seed)
        mean, error = mean_and_standard_error(values)
        return cls(mean=mean, standard_error=error, per_seed=per_seed)


class Scores(Part):
    """What several seeds reached on one set of images: accuracy, macro accuracy and the chosen metric."""

    metrics: dict[str, Score] = Field(
        description="by name of the metric: `accuracy`, `macro`, and the one that was chosen; log loss in nats"
    )

    @model_validator(mode="before")
    @classmethod
    def _of_version_1(cls, content: Any) -> Any:
        """Version 1 knew two metrics, macro accuracy by its mean alone."""
        if not isinstance(content, Mapping) or "metrics" in content:
            return content
        spread = {"standard_error": content.get("standard_error"), "per_seed": content.get("per_seed", ())}
        macro = {"mean": content.get("macro_accuracy"), "standard_error": None, "per_seed": ()}
        return {"metrics": {"accuracy": {"mean": content.get("accuracy"), **spread}, "macro": macro}}

    @classmethod
    def of(cls, values: Mapping[str, Sequence[float]]) -> Self:
        """Return the scores that seeds reached, by name of the metric."""
        return cls(metrics={name: Score.of(per_seed) for name, per_seed in values.items()})

    def get(self, metric: str) -> Score | None:
        """Return the score in a metric, None where it was not computed."""
        return self.metrics.get(metric)

    @computed_field(description="share of right labels, mean over seeds")  # type: ignore[prop-decorator]
    @property
    def accuracy(self) -> float:
        """The mean accuracy."""
        return self.metrics["accuracy"].mean or 0.0

    @computed_field(description="mean recall of the classes, mean over seeds")  # type: ignore[prop-decorator]
    @property
    def macro_accuracy(self) -> float | None:
        """The mean macro accuracy."""
        return self.metrics["macro"].mean

    @computed_field(description="standard error of `accuracy` over seeds; `null` for one seed")  # type: ignore[prop-decorator]
    @property
    def standard_error(self) -> float | None:
        """The standard error of the accuracy."""
        return self.metrics["accuracy"].standard_error

    @computed_field(  # type: ignore[prop-decorator]
        description="the accuracy of each seed, in the order of `protocol.seeds`; on the test set, diverged seeds are "
        "left out"
    )
    @property
    def per_seed(self) -> tuple[float, ...]:
        """The accuracy of each seed."""
        return tuple(value or 0.0 for value in self.metrics["accuracy"].per_seed)


class Values(Part):
    """One value in each metric."""

    metrics: dict[str, float | None] = Field(
        description="by name of the metric: `accuracy`, `macro`, and the one that was chosen; `null` where it is not "
        "defined"
    )


class ClassScores(Part):
    """How one network does on one class."""

    name: str = Field(description="name of the class")
    train: int | None = Field(None, description="number of its images that the network learned from")
    test: int = Field(description="number of its test images; for `evaluate`, of its scored images")
    recall: float | None = Field(
        description="share of these that the network labels right; `null` where there are none"
    )
    recall_interval: tuple[float, float] | None = Field(
        None,
        description="95 % interval of the recall from the choice of images, or of their groups; `null` without images, "
        "and in older files",
    )
    precision: float | None = Field(
        None, description="share of the images labelled so that are of the class; `null` where none is labelled so"
    )
    f1: float | None = Field(None, description="harmonic mean of the two; `null` without test image and label")


class Mistake(Part):
    """A wrong answer."""

    path: str = Field(description="of the image, relative to the source")
    truth: str = Field(description="true class")
    answer: str = Field(description="the class that was answered")
    probability: float = Field(description="given to the answer, in [0, 1]")


class Confusion(Part):
    """How often images of one class were taken for another."""

    truth: str = Field(description="true class")
    predicted: str = Field(description="the class that they were taken for")
    images: int = Field(description="how many images")


def class_scores(
    names: Sequence[str],
    labels: NDArray[np.int64],
    predicted: NDArray[np.int64],
    trained: Sequence[int] = (),
    groups: Sequence[str] | None = None,
) -> tuple[ClassScores, ...]:
    """Return the scores of every class, in the order of the names.

    Args:
        names: class names, by label.
        labels: true labels, shape (num_images,).
        predicted: predicted labels, same shape.
        trained: number of training images of each class, where it is known.
        groups: name of the group of each image; None where they come in none.

    Returns:
        One row per class; recall tp / (tp + fn), precision tp / (tp + fp), F1 2 tp / (2 tp + fp + fn).
    """
    there = np.bincount(labels, minlength=len(names)).tolist()
    named = np.bincount(predicted, minlength=len(names)).tolist()
    right = np.bincount(labels[labels == predicted], minlength=len(names)).tolist()
    return tuple(
        ClassScores(
            name=name,
            train=trained[label] if len(trained) else None,
            test=there[label],
            recall=_share(right[label], there[label]),
            recall_interval=share_interval(predicted[labels == label] == label, among(groups, labels == label)),
            precision=_share(right[label], named[label]),
            f1=_share(2 * right[label], there[label] + named[label]),
        )
        for label, name in enumerate(names)
    )


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def confusions(names: Sequence[str], labels: NDArray[np.int64], predicted: NDArray[np.int64]) -> tuple[Confusion, ...]:
    """Return the pairs of classes that were confused, the most frequent first, at most ``LISTED_CONFUSIONS``.

    Args:
        names: class names, by label.
        labels: true labels, shape (num_images,).
        predicted: predicted labels, same shape.

    Returns:
        The confusion matrix without its diagonal and its zeros.
    """
    wrong = labels != predicted
    pairs, counts = np.unique(np.stack([labels[wrong], predicted[wrong]], axis=1), axis=0, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:LISTED_CONFUSIONS]
    return tuple(
        Confusion(truth=names[truth], predicted=names[taken], images=int(count))
        for (truth, taken), count in zip(pairs[order].tolist(), counts[order], strict=True)
    )
