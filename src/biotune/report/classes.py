"""Class by class: how unequal the classes are, and how the exported model does on each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

UNEQUAL = 3.0
"""The classes are called unequal where the largest has more than so many times the images of the smallest."""

_METRICS = {
    "macro": "macro accuracy, which counts every class alike",
    "f1": "the mean of the classes' F1 scores, which counts every class alike",
    "auroc": "the mean of the classes' areas under the ROC curve, which counts every class alike",
    "accuracy": "plain accuracy, in which the large classes count most (--metric macro counts all alike)",
    "log_loss": "the log loss, in which the large classes count most (--metric macro counts all alike)",
}
_REMEDIES = {
    "none": "Training did not balance them (--imbalance weights or sampling does)",
    "weights": "In training, images of small classes weighed more in the loss",
    "sampling": "In training, every class was drawn equally often",
}


@dataclass(frozen=True)
class ClassRow:
    """One class of a run.

    Args:
        name: of the class.
        train: training images.
        test: test images.
        recall: share of its test images that the exported model labels right; None without a test image.
    """

    name: str
    train: int
    test: int
    recall: float | None


def unequal_classes(summary: Mapping[str, Any]) -> list[ClassRow]:
    """Return every class, the smallest first, if the classes are unequal, else nothing."""
    rows = [ClassRow(**row) for row in (summary.get("exported") or {}).get("per_class", ())]
    rows.sort(key=lambda row: row.train)
    return rows if rows and rows[-1].train > UNEQUAL * rows[0].train else []


def on_unequal_classes(rows: Sequence[ClassRow], summary: Mapping[str, Any]) -> str:
    """Return the sentences that say what unequal classes mean for the scores and what was done about them.

    Args:
        rows: those of ``unequal_classes``, not empty.
        summary: of the run.

    Returns:
        A paragraph.
    """
    smallest, largest, protocol = rows[0].train, rows[-1].train, summary["protocol"]
    return (
        f"The classes are unequal: the largest has {largest} training images, the smallest {smallest}. Recipe, epochs "
        f"and tuned baselines were chosen by {_METRICS[protocol['metric']]}. {_REMEDIES[protocol['imbalance']]}."
    )
