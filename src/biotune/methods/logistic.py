"""Logistic regression on features that stay as they are: weight and bias of a linear classifier."""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from biotune.datasets.folds import stratified_folds

Indices = NDArray[np.int64]
Floats = NDArray[np.float64]

PENALTIES = (1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0)
"""Values of C that cross-validation tries, the strongest penalty first: each fit starts from the one before it."""

FOLDS = 5
ITERATIONS = 200
"""Steps of L-BFGS, at most."""

TOLERANCE = 1e-4
"""They end where no derivative of the mean loss is larger: scikit-learn's default."""

WITHOUT_FOLDS = 1e-2
"""C where no image can be held out, since no class has two images (or groups) or there is only one class."""

ABSENT = 10.0
"""So far below the lowest other bias, in nats, is that of a class without training images: without a penalty it would
go to minus infinity, and take the loss of an image of this class to infinity."""


@dataclass(frozen=True)
class LinearHead:
    """A linear classifier: logits = weight @ features + bias.

    Args:
        weight: shape (classes, num_features).
        bias: shape (classes,).
        c: inverse strength of the penalty that it was fitted with.
        loss: what was minimised, over C times the number of images: mean cross-entropy, in nats, and penalty.
    """

    weight: Floats
    bias: Floats
    c: float
    loss: float


def fit_logistic(
    features: NDArray[np.floating],
    labels: Indices,
    num_classes: int,
    *,
    groups: Indices | None = None,
    weights: Floats | None = None,
    seed: int = 0,
    c: float = 0.0,
) -> LinearHead:
    """Fit a multinomial logistic regression on standardised features, and fold the standardisation into its weights.

    Minimised is ``C sum_i w_i cross_entropy_i + |V|^2 / 2`` over V and b, where ``logits = V (x - mean) / std + b``, by
    L-BFGS (scikit-learn). A feature that never changes gets the weight 0.

    Args:
        features: shape (n, num_features).
        labels: class index of each image, shape (n,).
        num_classes: number of outputs of the classifier, whether all classes occur or not.
        groups: number of the group of each image, shape (n,): never in two folds; None: every image is its own.
        weights: weight of each image, shape (n,); None for equal ones.
        seed: deals the folds.
        c: inverse strength of the penalty; 0 to choose it by ``choose_c``.

    Returns:
        The classifier of the features as they were given.
    """
    mean, std = features.mean(0, dtype=np.float64), features.std(0, dtype=np.float64)
    std[std == 0] = np.inf
    scaled, axes = _rotated((features - mean) / std)
    weights = np.ones(len(labels)) if weights is None else weights

    def path(train: Indices, held_out: Indices) -> Floats:
        fitted = _Path(scaled[train], labels[train], weights[train], num_classes)
        return np.array([_loss(*fitted.at(value), scaled, labels, weights, held_out) for value in PENALTIES])

    c = c or choose_c(labels, groups, seed, path)
    fitted, bias = _Path(scaled, labels, weights, num_classes).at(c)
    loss = _loss(fitted, bias, scaled, labels, weights, np.arange(len(labels))) / len(labels)
    penalty = float((fitted**2).sum()) / (2 * c * len(labels))
    weight = fitted @ axes.T / std
    return LinearHead(weight, bias - weight @ mean, c, loss + penalty)


def _rotated(features: Floats) -> tuple[Floats, Floats]:
    """Return the features along axes of the space that the images span, and these axes as columns.

    The penalty does not change in a rotation, and no weight leaves that space. 160 images of 1280 features have 160
    numbers each then, and a fit takes an eighth of the time; with more images than features nothing is done.
    """
    if len(features) >= features.shape[1]:
        return features, np.eye(features.shape[1])
    axes, rotated = np.linalg.qr(features.T)
    return rotated.T, axes


def choose_c(labels: Indices, groups: Indices | None, seed: int, path: Callable[[Indices, Indices], Floats]) -> float:
    """Return the C of least log-loss in stratified cross-validation, in five folds or as many as there are images.

    A held-out image whose class the other folds lack says nothing about C, and does not count.

    Args:
        labels: class index of each image, shape (n,).
        groups: number of the group of each image, shape (n,), or None.
        seed: deals the folds.
        path: from the images to fit and the images held out to the summed log-loss of these at each of ``PENALTIES``.

    Returns:
        One of ``PENALTIES``, that of the stronger penalty in a tie; ``WITHOUT_FOLDS`` where nothing can be held out.
    """
    total, count = np.zeros(len(PENALTIES)), 0
    for rest, known in _folds(labels, groups, seed):
        total += path(rest, known)
        count += len(known)
    return PENALTIES[int(np.argmin(total))] if count else WITHOUT_FOLDS


def _folds(labels: Indices, groups: Indices | None, seed: int) -> Iterator[tuple[Indices, Indices]]:
    """Yield the images to fit and the images held out, for every fold that can say anything."""
    units = len(labels) if groups is None else len(np.unique(groups))
    everything = np.arange(len(labels))
    for part in stratified_folds(labels, everything, min(FOLDS, units), seed, groups):
        rest = np.setdiff1d(everything, part)
        known = part[np.isin(labels[part], labels[rest])]
        if len(known) and len(np.unique(labels[rest])) > 1:
            yield rest, known


@dataclass(frozen=True)
class HeldOut:
    """How a logistic regression does on images that it was not fitted to.

    Args:
        rows: the images that were held out, ascending; those of no use for ``choose_c`` are not among them.
        losses: cross-entropy of each at the best C, in nats.
        correct: whether each is labelled right at that C.
    """

    rows: Indices
    losses: Floats
    correct: NDArray[np.bool_]


def score_out_of_fold(
    features: NDArray[np.floating], labels: Indices, num_classes: int, groups: Indices | None = None, seed: int = 0
) -> HeldOut:
    """Return how ``fit_logistic`` does in the folds by which it chooses C; arguments as there.

    The scores are a little too good, since C is chosen by the same images: good enough to rank features.
    """
    mean, std = features.mean(0, dtype=np.float64), features.std(0, dtype=np.float64)
    std[std == 0] = np.inf
    scaled, _ = _rotated((features - mean) / std)
    losses = np.full((len(PENALTIES), len(labels)), np.nan)
    correct = np.zeros(losses.shape, dtype=bool)
    for train, held_out in _folds(labels, groups, seed):
        fitted = _Path(scaled[train], labels[train], np.ones(len(train)), num_classes)
        for number, value in enumerate(PENALTIES):
            weight, bias = fitted.at(value)
            logits = scaled[held_out] @ weight.T + bias
            losses[number, held_out] = _cross_entropies(logits, labels[held_out])
            correct[number, held_out] = logits.argmax(1) == labels[held_out]
    rows = np.flatnonzero(~np.isnan(losses[0]))
    best = int(np.argmin(losses[:, rows].sum(1)))
    return HeldOut(rows, losses[best, rows], correct[best, rows])


class _Path:
    """Fits at one C after the other, each from where the one before it ended.

    On one thread: so the result does not depend on their number, and steps of L-BFGS are too short to share anyway.

    Args:
        features: standardised, shape (n, num_features).
        labels: shape (n,).
        weights: weight of each image, shape (n,).
        num_classes: number of outputs.
    """

    def __init__(self, features: Floats, labels: Indices, weights: Floats, num_classes: int) -> None:
        from sklearn.linear_model import LogisticRegression  # takes a second to import

        self._data = features, labels, weights
        self._num_classes = num_classes
        self._model = LogisticRegression(max_iter=ITERATIONS, tol=TOLERANCE, warm_start=True)

    def at(self, c: float) -> tuple[Floats, Floats]:
        """Return weight, shape (classes, num_features), and bias, shape (classes,)."""
        features, labels, weights = self._data
        present = np.unique(labels)
        weight, bias = np.zeros((self._num_classes, features.shape[1])), np.zeros(self._num_classes)
        if len(present) > 1:
            with warnings.catch_warnings(), threadpool_limits(1, "blas"):
                warnings.simplefilter("ignore")  # where the steps end before the tolerance is reached
                self._model.set_params(C=c).fit(features, labels, sample_weight=weights)
            found, shift = self._model.coef_, self._model.intercept_
            if len(present) == 2:  # one logit there: the difference of the two here
                found, shift = np.concatenate([-found, found]) / 2, np.concatenate([-shift, shift]) / 2
            weight[present], bias[present] = found, shift
        bias[np.setdiff1d(np.arange(self._num_classes), present)] = bias[present].min() - ABSENT
        return weight, bias


def _loss(weight: Floats, bias: Floats, features: Floats, labels: Indices, weights: Floats, rows: Indices) -> float:
    """Return the summed cross-entropy of some images, each with its weight, in nats."""
    losses = _cross_entropies(features[rows] @ weight.T + bias, labels[rows])
    return float((weights[rows] * losses).sum())


def _cross_entropies(logits: Floats, labels: Indices) -> Floats:
    """Return the cross-entropy of each image, shape (n,), in nats."""
    shifted = logits - logits.max(1, keepdims=True)
    losses: Floats = np.log(np.exp(shifted).sum(1)) - shifted[np.arange(len(labels)), labels]
    return losses
