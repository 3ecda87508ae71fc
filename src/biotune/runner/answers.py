"""The answers of one way of fine-tuning on the test images: scores, what is stored of them, and the files of a run."""

import base64
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biotune.errors import InputError
from biotune.metrics import METRICS, Metric
from biotune.pixels.learning_data import Pixels
from biotune.results.answers import TestAnswers
from biotune.results.scores import known
from biotune.runs import folder as files
from biotune.runs.files import write_atomic

KEPT_BYTES = 8 * 2**20
"""Probabilities of one training that take more are not kept: 4,000 images of 1,000 classes just fit, and the results of
a comparison of 25 methods stay below a gigabyte."""

_HALF = np.dtype("<f2")
"""Probabilities are kept with three digits: little-endian float16, on every machine."""


@dataclass(frozen=True)
class Answers:
    """The answers of one way of fine-tuning on the test images.

    Args:
        predicted: class index, shape (num_seeds, num_images).
        probability: of the predicted class, same shape.
        labels: true class index, shape (num_images,).
        scores: metric -> one value per seed, computed from the full precision; NaN where it is undefined.
        probabilities: of every class in float16, shape (num_seeds, num_images, num_classes); None where they would take
            more than ``KEPT_BYTES`` a seed.
        vote: the answers of all seeds together, in one row; None for one seed.
        groups: name of the group of each image; None where they come in none.
    """

    predicted: NDArray[np.int64]
    probability: NDArray[np.float64]
    labels: NDArray[np.int64]
    scores: Mapping[str, tuple[float, ...]]
    probabilities: NDArray[np.float16] | None = None
    vote: "Answers | None" = None
    groups: tuple[str, ...] | None = None

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Where the answer was right, shape (num_seeds, num_images)."""
        return np.asarray(self.predicted == self.labels)

    def score(self, metric: str) -> tuple[float, ...]:
        """Return the value of any metric for each seed.

        Metrics that are not in ``scores`` are computed from the kept probabilities, which have three digits.

        Args:
            metric: a name in ``METRICS``.

        Returns:
            One value per seed.

        Raises:
            InputError: the metric was not computed, and no probabilities were kept.
        """
        if metric in self.scores:
            return self.scores[metric]
        if self.probabilities is None:
            raise InputError(f"there are too many test images and classes to keep what '{metric}' is computed from.")
        smallest = np.finfo(np.float16).smallest_subnormal  # what is below it was rounded to 0
        logits = np.log(np.maximum(self.probabilities, smallest).astype(np.float64))
        return tuple(METRICS[metric].value(row, self.labels) for row in logits)


def stored_answers(
    log_probabilities: NDArray[np.float64], labels: NDArray[np.int64], metrics: Mapping[str, Metric]
) -> dict[str, Any]:
    """Return the answers of one training as JSON-able data, the probabilities in base64.

    Args:
        log_probabilities: shape (num_images, num_classes).
        labels: true class indices, shape (num_images,).
        metrics: those to score in full precision, by their name in results.

    Returns:
        What ``answers_of`` reads.
    """
    kept = np.exp(log_probabilities).astype(_HALF)
    return {
        "predicted": log_probabilities.argmax(axis=1).tolist(),
        "probability": np.exp(log_probabilities.max(axis=1)).round(6).tolist(),
        "scores": {name: known(metric.value(log_probabilities, labels)) for name, metric in metrics.items()},
        "probabilities": base64.b64encode(kept.tobytes()).decode() if kept.nbytes <= KEPT_BYTES else None,
    }


def vote_of(log_probabilities: Iterable[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return the logarithm of the mean probabilities of some networks, shape (num_images, num_classes).

    There must be one network at least; what they give is taken one by one, so that a generator saves memory.
    """
    each = iter(log_probabilities)
    summed, count = next(each), 1
    for other in each:
        summed, count = np.logaddexp(summed, other), count + 1
    return np.asarray(summed - np.log(count))


def answers_of(rows: Sequence[Mapping[str, Any]], test: Pixels) -> Answers:
    """Rebuild the answers of several trainings on the test images from ``stored_answers``."""
    kept = [row["probabilities"] for row in rows if row["probabilities"] is not None]
    halves = [np.frombuffer(base64.b64decode(text), _HALF).reshape(len(test.labels), -1) for text in kept]
    return Answers(
        predicted=np.array([row["predicted"] for row in rows], dtype=np.int64),
        probability=np.array([row["probability"] for row in rows]),
        labels=test.labels,
        scores={
            name: tuple(np.nan if row["scores"][name] is None else row["scores"][name] for row in rows)
            for name in rows[0]["scores"]
        },
        probabilities=np.stack(halves) if halves else None,
        groups=test.groups,
    )


def write_answers(
    folder: Path, class_names: Sequence[str], test: Pixels, answers: Mapping[str, Answers | None]
) -> None:
    """Write ``probabilities.npz``, then ``answers.json``: every answer on the test set.

    Args:
        folder: an existing folder.
        class_names: by label.
        test: the test images.
        answers: of each entry; None where it was not tested.
    """
    tested = {name: found for name, found in answers.items() if found is not None}
    buffer = io.BytesIO()
    kept = {name: found.probabilities for name, found in tested.items() if found.probabilities is not None}
    np.savez_compressed(buffer, allow_pickle=False, **kept)
    write_atomic(folder / files.PROBABILITIES, buffer.getvalue())
    content = TestAnswers(
        classes=tuple(class_names),
        images=tuple(test.ids),
        truth=tuple(test.labels.tolist()),
        predicted={name: tuple(map(tuple, found.predicted.tolist())) for name, found in tested.items()},
    )
    write_atomic(folder / files.ANSWERS, json.dumps(content.to_json(), ensure_ascii=False))
