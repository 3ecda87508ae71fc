"""Figures of the trainings: how loss and accuracy went, epoch by epoch, in a panel for each method."""

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

from biotune import wording
from biotune.report.figures import INK, METHOD_COLORS, MUTED, PAPER, WIDTH, styled
from biotune.results.history import Curve

Panel = tuple[str, Sequence[Curve]]
Values = Callable[[Curve], Sequence[float]]


def panels_of(curves: Sequence[Curve], judged: Sequence[Curve] = ()) -> list[Panel]:
    """Return the trainings of each method that took several epochs, with the method's name.

    ``judged`` are those of the chosen recipe in the search; they get a panel of their own, after the first one.
    """
    methods = dict.fromkeys(curve.method for curve in curves)
    panels = [(wording.method_name(name), [curve for curve in curves if curve.method == name]) for name in methods]
    if judged:
        panels.insert(1, ("BioTune, in the search", list(judged)))
    return [(name, own) for name, own in panels if max(map(_epochs, own)) > 1]


def _epochs(curve: Curve) -> int:
    return max(len(curve.train_loss), len(curve.validation_accuracy))


@styled()
def learning_curves(panels: Sequence[Panel]) -> Figure:
    """Draw how the trainings went: losses above, validation accuracy below where all methods left images out.

    Args:
        panels: at least one, from ``panels_of``: a panel each, so that equal curves do not hide each other.

    Returns:
        The figure; all panels of a row have the same scale.
    """
    every = [curve for _, curves in panels for curve in curves]
    has_loss = any(one.train_loss for one in every)
    has_accuracy = all(any(one.validation_accuracy for one in curves) for _, curves in panels) or not has_loss
    figure = Figure((WIDTH, 0.7 + 2.1 * (has_loss + has_accuracy)), layout="constrained")
    axes = figure.subplots(has_loss + has_accuracy, len(panels), sharex=True, sharey="row", squeeze=False)
    for (name, curves), column in zip(panels, axes.T, strict=True):
        color = METHOD_COLORS["biotune"] if column[0] is axes[0, 0] else INK
        column[0].set_title(wording.label(name, 24), parse_math=False, color=INK)
        if has_loss:
            _draw(column[0], curves, lambda curve: curve.train_loss, color, "-")
            _draw(column[0], curves, lambda curve: curve.validation_loss, METHOD_COLORS["full"], "--")
        if has_accuracy:
            _draw(column[-1], curves, lambda curve: [100 * v for v in curve.validation_accuracy], color, "-", True)
        column[-1].set_xlabel("epoch")
    if has_loss:
        axes[0, 0].set_ylabel("loss, nats")
        _on_a_log_scale(axes[0, 0])
    if has_accuracy:
        axes[-1, 0].set_ylabel("validation accuracy, %")
    for one in axes.flat:
        one.grid(axis="y")
        one.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    if any(curve.validation_loss for curve in every):
        kinds = (("training loss", MUTED, "-"), ("validation loss", METHOD_COLORS["full"], "--"))
        lines = [Line2D([], [], color=color, ls=style, label=label) for label, color, style in kinds]
        figure.legend(handles=lines, loc="outside upper left", ncols=2)
    return figure


def _draw(axes: Axes, curves: Sequence[Curve], values: Values, color: str, style: str, best: bool = False) -> None:
    """Draw a line for each training that has values, with a dot at the highest one if asked for."""
    for curve in curves:
        line = np.array(values(curve), dtype=np.float64)
        if len(line):
            axes.plot(np.arange(1, len(line) + 1), line, color=color, ls=style, lw=1.3)
        if len(line) and best:
            axes.plot(line.argmax() + 1, line.max(), "o", ms=4.5, color=color, mec=PAPER, mew=0.8)


def _on_a_log_scale(axes: Axes) -> None:
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
