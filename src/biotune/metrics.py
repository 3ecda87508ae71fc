"""The metrics that score predictions, and the fitness that the search maximises; no torch.

A new metric is a function and one line in ``METRICS``: settings take its name, and every result shows its score.
"""

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from biotune import wording

Array = NDArray[np.float64]
Labels = NDArray[np.int64]


def log_softmax(logits: Array) -> Array:
    """Return log-probabilities, shape (num_images, num_classes)."""
    from scipy.special import log_softmax as of_scipy  # takes a quarter of a second to import

    return np.asarray(of_scipy(logits, axis=1))


def cross_entropy(logits: Array, labels: Labels) -> float:
    """Return the mean cross-entropy in nats.

    scikit-learn's ``log_loss`` clips probabilities and differs in the last bits, and fitness must stay bit for bit the
    same.
    """
    return float(-log_softmax(logits)[np.arange(len(labels)), labels].mean())


def calibrated(logits: Array, labels: Labels) -> Array:
    """Return the log-probability of each image's own class at the temperature of the least log-loss.

    Every class counts alike in that loss.

    Args:
        logits: shape (n, classes).
        labels: shape (n,).

    Returns:
        Values of at most 0, shape (n,).

    Source: temperature scaling, Guo et al. 2017 (ICML). Departure: fitted on the same images that are scored.
    """
    from scipy.optimize import minimize_scalar  # slow to import

    weights = class_shares(labels)

    def rows(exponent: float) -> Array:
        return log_softmax(logits * 10.0**exponent)[np.arange(len(labels)), labels]

    def loss(exponent: float) -> float:
        return float(-(weights * rows(exponent)).sum())

    found = minimize_scalar(loss, bounds=(-4.0, 2.0), method="bounded", options={"xatol": 1e-3})
    return rows(float(found.x))


def class_shares(labels: Labels) -> Array:
    """Return a weight for each image, shape (n,), so that every class that occurs counts alike; they add up to 1."""
    weights = 1.0 / np.bincount(labels)[labels]
    return np.asarray(weights / weights.sum())


def calibrated_loss(logs: Array, labels: Labels) -> float:
    """Return the log-loss of what ``calibrated`` gave, in nats, >= 0; every class that occurs counts alike.

    It sees how sure a network is of each answer, so it tells more of a few images than the share of right ones; and
    unlike the plain log-loss it does not ask how well a network is calibrated, which one number would put right.
    """
    return float(-(class_shares(labels) * logs).sum())


def accuracy(logits: Array, labels: Labels) -> float:
    """Return the share of correct labels."""
    return float((logits.argmax(axis=1) == labels).mean())


def macro_accuracy(logits: Array, labels: Labels) -> float:
    """Return the mean recall of the classes that occur in ``labels``."""
    from sklearn.metrics import recall_score  # takes a second to import

    return float(
        recall_score(labels, logits.argmax(axis=1), labels=np.unique(labels), average="macro", zero_division=0)
    )


def macro_f1(logits: Array, labels: Labels) -> float:
    """Return the mean of the classes' F1 scores, over the classes that occur in labels or predictions."""
    from sklearn.metrics import f1_score

    return float(f1_score(labels, logits.argmax(axis=1), average="macro", zero_division=0))


def auroc(logits: Array, labels: Labels) -> float:
    """Return the area under the ROC curve (one class against the rest, mean over the classes that occur).

    NaN if all labels are of one class: then there is nothing to rank.
    """
    from sklearn.metrics import roc_auc_score

    return _one_against_rest(roc_auc_score, logits, labels)


def average_precision(logits: Array, labels: Labels) -> float:
    """Return the average precision (one class against the rest, mean over the classes that occur).

    AP = sum over the ranks of (recall there - recall before) * precision there: the area under the precision-recall
    curve without interpolation. NaN if all labels are of one class.
    """
    from sklearn.metrics import average_precision_score

    return _one_against_rest(average_precision_score, logits, labels)


def _one_against_rest(score: Callable[[NDArray[np.bool_], Array], float], logits: Array, labels: Labels) -> float:
    """Return the mean score of the probabilities of each class that occurs and is not the only one; NaN if none is."""
    probabilities = np.exp(log_softmax(logits))
    present = [c for c in range(logits.shape[1]) if 0 < (labels == c).sum() < len(labels)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scores = [score(labels == c, probabilities[:, c]) for c in present]
    return float(np.mean(scores)) if scores else math.nan


def kappa(logits: Array, labels: Labels) -> float:
    """Return Cohen's kappa: how much more often answers are right than if they were dealt out by chance.

    kappa = (p - e) / (1 - e), where p is the share of right answers, and e that of answers of the same frequencies in
    random order. From -1 to 1; NaN if all labels and all answers are of one class.
    """
    from sklearn.metrics import cohen_kappa_score

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(cohen_kappa_score(labels, logits.argmax(axis=1)))


CALIBRATION_BINS = 15
"""Bins of the calibration error, as in Guo et al. 2017."""


def calibration_error(logits: Array, labels: Labels) -> float:
    """Return the expected calibration error: how far the probability of an answer is from how often it is right.

    ECE = sum over bins b of n_b / n |share right in b - mean probability in b|, where bin b of ``CALIBRATION_BINS``
    equally wide ones holds the n_b images whose answer has a probability above b / 15 and up to (b + 1) / 15.

    Args:
        logits: shape (n, classes).
        labels: shape (n,).

    Returns:
        At least 0, at most 1. Of few images it is too large: a bin of n_b images is off by about 0.4 / sqrt(n_b) by
        chance.

    Source: Guo et al. 2017 (ICML), equation 3.
    """
    return calibration_error_of(np.exp(log_softmax(logits).max(axis=1)), logits.argmax(axis=1) == labels)


def calibration_error_of(probability: Array, right: NDArray[np.bool_]) -> float:
    """Return the expected calibration error of answers, given their probabilities and whether they are right, (n,)."""
    gaps = np.bincount(calibration_bins(probability), weights=right - probability, minlength=CALIBRATION_BINS)
    return float(np.abs(gaps).sum() / len(probability))


def calibration_bins(probability: Array) -> NDArray[np.int64]:
    """Return the bin of each probability, from 0 to ``CALIBRATION_BINS`` - 1, shape (n,)."""
    return np.clip(np.ceil(probability * CALIBRATION_BINS).astype(np.int64) - 1, 0, CALIBRATION_BINS - 1)


def mean_cost(costs: Array, logits: Array, labels: Labels) -> float:
    """Return the mean cost of the answers, where ``costs`` [true class, answer] has shape (classes, classes)."""
    return float(costs[labels, logits.argmax(axis=1)].mean())


@dataclass(frozen=True)
class Metric:
    """One way to score predictions.

    A score is at most 1, higher is better, and by default at least 0; a loss is at least 0, lower is better. Selection
    needs [0, 1]: a loss L becomes exp(-L), and a score with another ``lowest`` value is scaled from [lowest, 1].

    Args:
        name: name of the metric, as written within a sentence.
        meaning: what the metric measures, to be read after "the".
        value: function of logits (or log-probabilities), shape (num_images, num_classes), and labels, shape
            (num_images,); NaN if the metric is undefined.
        weighs_classes_alike: True if every class counts the same, False if every image does, None if neither is true.
        is_loss: whether lower is better.
        lowest: the worst value of a score, below 1.
    """

    name: str
    meaning: str
    value: Callable[[Array, Labels], float]
    weighs_classes_alike: bool | None = None
    is_loss: bool = False
    lowest: float = 0.0

    @property
    def label(self) -> str:
        """The name as a heading."""
        return self.name[0].upper() + self.name[1:]

    @property
    def is_share(self) -> bool:
        """Whether values are fractions in [0, 1], which are shown in per cent."""
        return not self.is_loss and self.lowest == 0

    @property
    def scale(self) -> str:
        """What a heading adds to the name where values are shown without a unit."""
        return ", lower is better" if self.is_loss else " in %" if self.is_share else ""

    def selection_score(self, logits: Array, labels: Labels) -> float:
        """Return the value in [0, 1] for selection: higher is better, 0 if the metric is undefined.

        exp(-L) of the log loss is the geometric mean probability of the true class.
        """
        value = self.value(logits, labels)
        if math.isnan(value):
            return 0.0
        return float(np.exp(-value)) if self.is_loss else (value - self.lowest) / (1 - self.lowest)

    def from_selection_score(self, score: float) -> float:
        """Return the value behind a ``selection_score``; infinite for the score 0 of a loss."""
        if not self.is_loss:
            return self.lowest + score * (1 - self.lowest)
        return -math.log(score) if score > 0 else math.inf

    def write(self, value: float | None, unit: str = "\N{NO-BREAK SPACE}%", digits: int = 1) -> str:
        """Write a value for people: ``88.9 %`` with ``digits`` decimals; others as ``0.345``, with two more."""
        if self.is_share:
            return wording.percent(value, digits, unit)
        if value is None or not math.isfinite(value):
            return wording.MISSING
        return f"{value:.{digits + 2}f}".replace("-", wording.MINUS)


METRICS: dict[str, Metric] = {
    "accuracy": Metric("accuracy", "share of right labels", accuracy, False),
    "macro": Metric("macro accuracy", "mean recall of the classes", macro_accuracy, True),
    "auroc": Metric("AUROC", "mean of the classes' areas under the ROC curve", auroc, True),
    "f1": Metric("macro F1", "mean of the classes' F1 scores", macro_f1, True),
    "average_precision": Metric(
        "average precision", "mean of the classes' areas under the precision-recall curve", average_precision, True
    ),
    "kappa": Metric("Cohen's kappa", "agreement of answers and labels beyond chance", kappa, lowest=-1.0),
    "log_loss": Metric("log loss", "mean cross-entropy in nats", cross_entropy, False, is_loss=True),
}

CALIBRATION = Metric(
    "calibration error", "gap between probability and share of right labels", calibration_error, is_loss=True
)


def cost_metric(costs: Array) -> Metric:
    """Return the mean cost by a matrix, [true class, answer] of shape (classes, classes), as a metric."""
    return Metric("mean cost", "mean cost of an answer by the cost matrix", partial(mean_cost, costs), is_loss=True)


def reported(chosen: str) -> tuple[str, ...]:
    """Return the metrics that every result holds: accuracy, macro accuracy and the chosen one."""
    return tuple(dict.fromkeys(("accuracy", "macro", chosen)))


SMALLEST_STEP = 1e-9
"""Least that ``one_image`` returns. Classes of many different sizes allow differences far below anything that float64
adds up exactly; differences below this one may be reversed."""


def one_image(parts: Sequence[Labels], metric: str) -> float:
    """Return the smallest difference that two (macro) accuracies on the same images can have.

    An accuracy on n images is a multiple of 1/n. A macro accuracy on k classes of sizes n_c is the mean of r_c / n_c,
    so two differ by a multiple of 1 / (k lcm(n_c)): with 2 and 3 images, one image of each class more and less right
    makes a twelfth, not a sixth. Scores on several sets of images, whose means are compared, are multiples of one over
    the least common multiple of all.

    Args:
        parts: labels of the images of each set, each of shape (num_images,), none empty.
        metric: name in ``METRICS``; others than ``macro`` are taken for accuracy.

    Returns:
        The difference, at least ``SMALLEST_STEP``.
    """
    whole = math.lcm(*(_denominator(labels, metric) for labels in parts))
    return max(1 / whole, SMALLEST_STEP)


def _denominator(labels: Labels, metric: str) -> int:
    """Return the whole number that makes a whole number of every score."""
    if metric != "macro":
        return len(labels)
    counts = [int(count) for count in np.bincount(labels) if count]
    return len(counts) * math.lcm(*counts)


def fitness(score: float, validation_loss: float, step: float) -> float:
    """Return the score minus a small penalty that orders equal scores by validation loss.

    fitness = max(0, score - (step / 2) loss / (1 + loss)). The penalty stays below half of the smallest difference
    (divide ``step`` by the number of seeds if fitness is a mean over them), so it never reverses one. ``step`` 0 gives
    the plain score, as in the papers.

    Args:
        score: result of ``Metric.selection_score``, in [0, 1].
        validation_loss: mean cross-entropy, >= 0.
        step: see ``one_image``.

    Returns:
        The fitness, in [0, 1], higher is better.
    """
    return max(0.0, score - 0.5 * step * validation_loss / (1.0 + validation_loss))
