"""The figures of the study: how the searches went, what their gains are worth on the test, which weights changed."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

from benchmarks.refine_study.entries import HEURISTICS, LARGER, OBJECTIVES, RANDOM, SEARCHES, SEPARABLE
from benchmarks.refine_study.judged import NAMES, Results, rows, searched, usual, values
from biotune.report.figures import INK, MUTED, WIDTH, styled
from biotune.wording import MINUS

COLORS = {
    **dict(zip(HEURISTICS, ("#0072b2", "#56b4e9", "#009e73", "#e69f00", "#d55e00", "#cc79a7"), strict=True)),
    RANDOM: MUTED,
    SEPARABLE: INK,
}


_EQUAL = np.linspace(-12, 14, 200)
"""Where gains on both are equal: a straight line only where axes are linear."""


def draw_all(results: Results) -> dict[str, Figure]:
    """Return every figure by name."""
    drawn = {"curves": draw_curves(results), "gains": draw_gains(results)}
    changes = [row for case in results.values() for row in rows(case, entry="agreement") if "changes" in row]
    return {**drawn, **({"changes": draw_changes(np.array(changes[0]["changes"]))} if changes else {})}


@styled()
def draw_curves(results: Results) -> Figure:
    """Draw the best value so far after each iteration, mean over seeds: a panel for each case and objective."""
    shown = [name for name, case in results.items() if rows(case, agents=LARGER[0], iterations=LARGER[1])]
    figure = Figure((WIDTH, 2.6 * len(shown) + 0.6), layout="constrained")
    grid = figure.subplots(len(shown), len(OBJECTIVES), squeeze=False)
    for name, line in zip(shown, grid, strict=True):
        for objective, axes in zip(OBJECTIVES, line, strict=True):
            for entry in SEARCHES:
                (row,) = rows(results[name], **usual(entry, objective, 0.01))
                curve = np.array(row["curve"]) * (100 if objective == "accuracy" else 1)
                axes.plot(range(len(curve)), curve, color=COLORS[entry], label=NAMES[entry], lw=1.4)
            axes.set_title(f"{name}, {objective}", loc="left", color=INK)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.set(
                xlabel="iteration", ylabel="held-out accuracy, %" if objective == "accuracy" else "held-out loss, nats"
            )
            axes.grid(axis="y")
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure


@styled()
def draw_gains(results: Results) -> Figure:
    """Draw the gain on the test examples against that on the held-out ones, a point for each case, search and bound."""
    figure = Figure((WIDTH, 4.0), layout="constrained")
    for objective, axes in zip(OBJECTIVES, figure.subplots(1, 2, sharex=True, sharey=True), strict=True):
        for bound, marker in ((0.01, "o"), (0.1, "s")):
            for entry in SEARCHES:
                gains = [
                    [
                        100 * (searched(case, entry, objective, bound, key) - values(case, key, entry="trained")).mean()
                        for case in results.values()
                    ]
                    for key in ("validation_accuracy", "test_accuracy")
                ]
                label = NAMES[entry] if bound == 0.01 else None
                axes.scatter(*gains, s=18, marker=marker, color=COLORS[entry], label=label, alpha=0.8, linewidths=0)
        axes.plot(_EQUAL, _EQUAL, color=MUTED, lw=0.8, ls=":")
        axes.axhline(0, color=MUTED, lw=0.8)
        axes.axvline(0, color=MUTED, lw=0.8)
        axes.set_title(f"objective: {objective} (round: bound 0.01, square: 0.1)", loc="left", color=INK)
        axes.set(xlabel="gain on held-out examples, points", ylabel="gain on test examples, points")
        axes.set_xscale("symlog", linthresh=1)
        axes.set_yscale("symlog", linthresh=1)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(FixedLocator([-10, -3, -1, 0, 1, 3, 10]))
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}".replace("-", MINUS)))
        axes.grid()
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure


@styled()
def draw_changes(changes: np.ndarray) -> Figure:
    """Draw the absolute changes of the weights of a head, shape (classes, features)."""
    figure = Figure((WIDTH, 3.0), layout="constrained")
    axes, sizes = figure.add_subplot(), np.abs(changes)
    image = axes.imshow(sizes, aspect="auto", interpolation="nearest", cmap="cividis", vmin=0.0)
    figure.colorbar(image, label="absolute change")
    axes.set(xlabel="input of the head", ylabel="class")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    return figure
