"""Figures of what a network answers: images, confusions, how far its probabilities can be trusted."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

from biotune import wording
from biotune.report.answered import Bin, Shown
from biotune.report.figures import GRID, INK, METHOD_COLORS, MUTED, PAPER, WIDTH, name_ticks, styled
from biotune.results.operating_point import Rates
from biotune.statistics import accuracy_interval

_BLUE, _RED = METHOD_COLORS["biotune"], METHOD_COLORS["full"]


@styled()
def gallery(shown: Sequence[Shown], columns: int = 6) -> Figure:
    """Draw images with their answers, at least one, in so many columns over the width of a page.

    Wrong ones have a dashed frame, a cross and the true class.
    """
    share = min(columns, len(shown)) / columns
    columns = min(columns, len(shown))
    rows = -(-len(shown) // columns)
    figure = Figure((WIDTH * share, 1.95 * rows), layout="constrained")
    for index, one in enumerate(shown):
        axes = figure.add_subplot(rows, columns, index + 1)
        axes.imshow(one.image, interpolation="none")
        axes.set(xticks=[], yticks=[])
        right = one.truth == one.answer
        for spine in axes.spines.values():
            spine.set(visible=True, linewidth=2.2, edgecolor=_BLUE if right else _RED)
            spine.set_linestyle("-" if right else (0, (3, 1.5)))
        mark = "\N{CHECK MARK}" if right else "\N{BALLOT X}"
        name = f"{mark} {wording.label(one.answer, 19)}"
        name += "" if right else f"\ntrue: {wording.label(one.truth, 16)}"
        axes.set_title(name, parse_math=False, linespacing=1.3, pad=4, color=INK if right else _RED)
        axes.set_xlabel(wording.percent(one.probability, 0), size=8, color=MUTED, labelpad=2)
    return figure


@styled()
def confusion_matrix(counts: NDArray[np.int64], classes: Sequence[str]) -> Figure:
    """Draw a matrix of many classes: rows are true classes, columns answers, cells the share of the true class.

    Args:
        counts: images of each class by answer, shape (num_classes, num_classes).
        classes: class names, by label.

    Returns:
        The figure, as high as it is wide.
    """
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure = Figure((WIDTH, WIDTH * 0.92), layout="constrained")
    axes = figure.add_subplot()
    drawn = axes.imshow(np.where(counts > 0, shares, np.nan), cmap="Blues", vmin=0, vmax=1, interpolation="none")
    names = [wording.label(name, 18) for name in classes]
    size = max(4.0, min(9.0, 340 / len(names)))
    for side in ("x", "y"):
        name_ticks(axes, side, names, offset=0)
    axes.tick_params(axis="x", labelrotation=90, labelsize=size)
    axes.tick_params(axis="y", labelsize=size)
    axes.set(xlabel="answer", ylabel="true class")
    axes.set_facecolor(PAPER)
    bar = figure.colorbar(drawn, ax=axes, fraction=0.03, pad=0.015)
    bar.outline.set_visible(False)
    bar.set_label("share of the true class", color=INK)
    return figure


@styled()
def reliability(bins: Sequence[Bin]) -> Figure:
    """Draw how often answers of each probability are right, with 95 % intervals, and how many there are of each."""
    figure = Figure((WIDTH, 3.6), layout="constrained")
    axes = figure.add_subplot()
    axes.plot([0, 100], [0, 100], color=MUTED, lw=1, ls=":", label="as sure as right")
    for row in bins:
        low, high = accuracy_interval(row.accuracy, row.images)
        axes.plot([100 * row.probability] * 2, [100 * low, 100 * high], color=_BLUE, lw=1.4)
    places = [100 * row.probability for row in bins]
    heights = [100 * row.accuracy for row in bins]
    axes.plot(places, heights, color=_BLUE, marker="o", ms=5, label="answers of the test set")
    for place, row in zip(places, bins, strict=True):
        axes.annotate(
            f"{row.images:,}", (place, 0), (0, 3), textcoords="offset points", ha="center", size=7.5, color=MUTED
        )
    axes.set(xlabel="probability of the answer, %", ylabel="right, %", xlim=(0, 102), ylim=(-2, 102))
    axes.grid(axis="both")
    figure.legend(loc="outside upper left", ncols=2)
    return figure


@styled()
def two_classes(
    probability: NDArray[np.float64], positive: NDArray[np.bool_], name: str, thresholds: Sequence[float] = (0.5,)
) -> Figure:
    """Draw what other thresholds than a half would give: the ROC curve and precision over recall.

    Args:
        probability: of the class, shape (num_images,).
        positive: which images are of the class, same shape; some are, and some are not.
        name: title of the figure, the name of the class.
        thresholds: those that are marked: a red dot for the first, blue diamonds for others.

    Returns:
        The figure.
    """
    figure = Figure((WIDTH, 3.9), layout="constrained")
    left, right = figure.subplots(1, 2)
    false, true, _ = roc_curve(positive, probability)
    area = roc_auc_score(positive, probability)
    left.plot([0, 100], [0, 100], color=MUTED, lw=1, ls=":")
    left.step(100 * false, 100 * true, where="post", color=_BLUE)
    left.set_title(f"ROC curve: area {area:.3f}", parse_math=False, color=INK)
    left.set(xlabel="others taken for it, %", ylabel="of its images found (recall), %")
    precision, recall, _ = precision_recall_curve(positive, probability)
    average = average_precision_score(positive, probability)
    right.axhline(100 * positive.mean(), color=MUTED, lw=1, ls=":")
    right.step(100 * recall, 100 * precision, where="post", color=_BLUE)
    right.set_title(f"Precision over recall: average precision {average:.3f}", parse_math=False, color=INK)
    right.set(xlabel="of its images found (recall), %", ylabel="of its answers right (precision), %")
    for number, threshold in reversed(list(enumerate(thresholds))):  # the dot lies above
        rates = Rates.at(threshold, probability, positive)
        found, left_alone = 100 * (rates.sensitivity.share or 0), 100 * (rates.specificity.share or 0)
        mark = {
            "marker": "D" if number else "o",
            "ms": 8 if number else 5,
            "color": _BLUE if number else _RED,
            "ls": "none",
        }
        left.plot(100 - left_alone, found, **mark)
        if rates.precision.share is not None:
            right.plot(found, 100 * rates.precision.share, **mark)
    for axes in (left, right):
        axes.set(xlim=(-2, 102), ylim=(-2, 104))
        axes.grid(axis="both", color=GRID)
    figure.suptitle(wording.label(name, 60), parse_math=False, color=INK, size=9.5)
    return figure
