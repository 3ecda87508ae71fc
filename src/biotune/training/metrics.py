"""Scores of predictions, and the fitness that the search maximises."""

import warnings
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import f1_score, roc_auc_score

Array = NDArray[np.float64]
Labels = NDArray[np.int64]


def log_softmax(logits: Array) -> Array:
    """Return log-probabilities, shape (n, classes)."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


def cross_entropy(logits: Array, labels: Labels) -> float:
    """Return the mean cross-entropy in nats."""
    return float(-log_softmax(logits)[np.arange(len(labels)), labels].mean())


def accuracy(logits: Array, labels: Labels) -> float:
    """Return the share of right labels."""
    return float((logits.argmax(axis=1) == labels).mean())


def macro_accuracy(logits: Array, labels: Labels) -> float:
    """Return the mean per-class recall over the classes that occur in ``labels``."""
    right = logits.argmax(axis=1) == labels
    counts = np.bincount(labels)
    return float((np.bincount(labels, right)[counts > 0] / counts[counts > 0]).mean())


def macro_f1(logits: Array, labels: Labels) -> float:
    """Return the mean of the classes' F1 scores."""
    return float(f1_score(labels, logits.argmax(axis=1), average="macro", zero_division=0))


def auroc(logits: Array, labels: Labels) -> float:
    """Return the area under the ROC curve (one class against the rest, mean over the classes that occur)."""
    probabilities = np.exp(log_softmax(logits))
    present = [c for c in range(logits.shape[1]) if 0 < (labels == c).sum() < len(labels)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(np.mean([roc_auc_score(labels == c, probabilities[:, c]) for c in present])) if present else 0.0


def likelihood(logits: Array, labels: Labels) -> float:
    """Return exp(-cross-entropy), the geometric mean probability of the right class: log loss on a scale to 1."""
    return float(np.exp(-cross_entropy(logits, labels)))


METRICS: dict[str, Callable[[Array, Labels], float]] = {
    "accuracy": accuracy,
    "macro": macro_accuracy,
    "auroc": auroc,
    "f1": macro_f1,
    "log_loss": likelihood,
}


def one_image(labels: Labels, metric: str) -> float:
    """Return the smallest change of (macro) accuracy that one image can make."""
    counts = np.bincount(labels)
    if metric == "macro":
        return 1.0 / (int((counts > 0).sum()) * int(counts.max()))
    return 1.0 / len(labels)


def fitness(score: float, validation_loss: float, step: float) -> float:
    """Return the score less a small penalty that orders equal scores by validation loss.

    fitness = max(0, score - (step / 2) loss / (1 + loss)). The penalty stays below half of what one image can change
    (divide ``step`` by the number of seeds where fitness is a mean over them), so it never reverses a difference of
    one image. ``step`` 0 gives the plain score, as in the papers.

    Args:
        score: the metric, in [0, 1].
        validation_loss: mean cross-entropy, >= 0.
        step: see ``one_image``.

    Returns:
        The fitness, in [0, 1], higher is better.
    """
    return max(0.0, score - 0.5 * step * validation_loss / (1.0 + validation_loss))
