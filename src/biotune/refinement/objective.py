"""What is improved: a metric on held-out images, or its mean over parts of them; of many vectors at once."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from biotune.metrics import METRICS, Metric
from biotune.refinement.layers import Vector
from biotune.refinement.outputs import Labels, Outputs, Part

WORST = -1e9
"""Fitness of a point whose loss is not a finite number: below every other one."""

Indices = NDArray[np.int64]
_Sums = NDArray[np.float64]


class Objective:
    """Judges vectors of weights; a fitness is higher for better ones: a score as it is, a loss with its sign changed.

    The mean over parts counts each part alike. Of the share of right labels and of losses it is what all images
    together give, if the parts are of one size; of other metrics, such as the mean F1 of the classes, a change that
    helps on a few images of one part alone gains less.

    Args:
        metric: how the predictions of one vector are scored.
        labels: class index of each image of the outputs, shape (n,).
        num_classes: number of outputs of the network.
        parts: the images that count, as disjoint indices, none empty; others are ignored.
    """

    def __init__(self, metric: Metric, labels: Labels, num_classes: int, parts: Sequence[Indices]) -> None:
        self.metric = metric
        self._num_classes = num_classes
        self._count = _COUNTERS.get(metric.name, Objective._by_logits)
        self._labels = labels
        self._parts = [np.asarray(part) for part in parts]
        self._part_of = np.full(len(labels), len(parts), dtype=np.int64)  # the last one is for what does not count
        for number, part in enumerate(self._parts):
            self._part_of[part] = number
        self._truth = torch.from_numpy(labels)
        self._members = torch.from_numpy(np.eye(len(parts) + 1)[self._part_of])

    def fitness(self, outputs: Outputs, vectors: Vector) -> NDArray[np.float64]:
        """Return the fitness of each vector, shape (num_vectors,), of vectors of shape (num_vectors, num_values)."""
        values = self._count(self, outputs, vectors)
        signed = -values if self.metric.is_loss else values
        return np.asarray(np.nan_to_num(signed.mean(0), nan=WORST, posinf=WORST, neginf=WORST))

    def value(self, fitness: float) -> float:
        """Return the value of the metric behind a fitness."""
        return -fitness if self.metric.is_loss else fitness

    def _losses(self, outputs: Outputs, vectors: Vector) -> _Sums:
        """Return the mean cross-entropy of each part and vector, shape (parts, vectors)."""
        sums = self._zeros(len(vectors))
        for part in outputs.parts(vectors):
            losses = _cross_entropies(part.logits, self._labels_of(part))
            self._add(sums, part, losses)
        return self._means(sums)

    def _shares(self, outputs: Outputs, vectors: Vector) -> _Sums:
        """Return the share of right labels of each part and vector, shape (parts, vectors)."""
        sums = self._zeros(len(vectors))
        for part in outputs.parts(vectors):
            self._add(sums, part, (predicted(part.logits) == self._labels_of(part)).float())
        return self._means(sums)

    def _recalls(self, outputs: Outputs, vectors: Vector) -> _Sums:
        """Return the mean recall of the classes that occur, shape (parts, vectors)."""
        right, there, _ = self._by_class(outputs, vectors)
        shares = np.divide(right, there, out=np.zeros_like(right), where=there > 0)
        return np.asarray(shares.sum(2) / (there > 0).sum(2))

    def _f1(self, outputs: Outputs, vectors: Vector) -> _Sums:
        """Return the mean F1 of the classes that occur in labels or predictions, shape (parts, vectors)."""
        right, there, named = self._by_class(outputs, vectors)
        total = there + named
        scores = np.divide(2 * right, total, out=np.zeros_like(right), where=total > 0)
        return np.asarray(scores.sum(2) / (total > 0).sum(2))

    def _by_class(self, outputs: Outputs, vectors: Vector) -> tuple[_Sums, _Sums, _Sums]:
        """Count images of each class: labelled right, all, and labelled so; each (parts, vectors, classes)."""
        cells = (len(self._parts) + 1) * self._num_classes
        right, named = np.zeros((len(vectors), cells)), np.zeros((len(vectors), cells))
        for part in outputs.parts(vectors):
            found = predicted(part.logits).long().cpu().numpy()
            labels = self._labels[part.images]
            offset = self._part_of[part.images] * self._num_classes
            for row, chosen in zip(range(part.vectors.start, part.vectors.stop), found, strict=True):
                named[row] += np.bincount(offset + chosen, minlength=cells)
                right[row] += np.bincount((offset + labels)[chosen == labels], minlength=cells)
        there = np.bincount(self._part_of * self._num_classes + self._labels, minlength=cells).astype(np.float64)
        return self._split(right), self._split(np.repeat(there[None], len(vectors), 0)), self._split(named)

    def _split(self, counts: _Sums) -> _Sums:
        """Return counts of shape (vectors, cells) as (parts, vectors, classes)."""
        return counts.reshape(len(counts), -1, self._num_classes)[:, :-1].transpose(1, 0, 2)

    def _by_logits(self, outputs: Outputs, vectors: Vector) -> _Sums:
        """Return any metric of each part and vector, one vector after the other, shape (parts, vectors)."""
        columns = []
        for vector in vectors:
            logits = torch.cat([part.logits[0].T.cpu() for part in outputs.parts(vector[None])]).double().numpy()
            columns.append([self.metric.value(logits[part], self._labels[part]) for part in self._parts])
        return np.array(columns).T

    def _labels_of(self, part: Part) -> Tensor:
        return self._truth[part.images].to(part.logits.device)

    def _zeros(self, num_vectors: int) -> _Sums:
        return np.zeros((len(self._parts) + 1, num_vectors))

    def _add(self, sums: _Sums, part: Part, values: Tensor) -> None:
        """Add values, shape (vectors, images), to the sums of the parts that the images belong to."""
        sums[:, part.vectors] += (values.double() @ self._members[part.images].to(values.device)).T.cpu().numpy()

    def _means(self, sums: _Sums) -> _Sums:
        sizes = np.array([len(part) for part in self._parts], dtype=np.float64)
        return np.asarray(sums[:-1] / sizes[:, None])


_COUNTERS: dict[str, Callable[[Objective, Outputs, Vector], _Sums]] = {
    METRICS["log_loss"].name: Objective._losses,
    METRICS["accuracy"].name: Objective._shares,
    METRICS["macro"].name: Objective._recalls,
    METRICS["f1"].name: Objective._f1,
}
"""Metrics that are counted for many vectors at once; others are computed from the logits of one after the other."""


def predicted(logits: Tensor) -> Tensor:
    """Return the class of the largest logit, the first of a tie: (vectors, images) from (vectors, classes, images).

    As ``argmax`` over the classes, which takes twice as long where they are not the last axis.
    """
    largest = logits[:, 0].clone()
    found = torch.zeros_like(largest)
    for number in range(1, logits.shape[1]):
        found.masked_fill_(logits[:, number] > largest, number)
        torch.maximum(largest, logits[:, number], out=largest)
    return found


def _cross_entropies(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the cross-entropy of each image, (vectors, images), in nats; ``logits`` is overwritten."""
    own = logits[:, labels, torch.arange(len(labels), device=labels.device)]
    largest = logits.amax(1)
    total = logits.sub_(largest[:, None]).exp_().sum(1)
    return total.log_().add_(largest).sub_(own)
