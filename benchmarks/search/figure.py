"""The figure of the benchmark ``search``: fitness of each search's choice against its cost, and its test accuracy."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from biotune import wording
from biotune.report.figures import GRID, INK, METHOD_COLORS, MUTED, WIDTH, styled

NAMES = {"paper": "Papers' protocol", "reference": "Reference preset"}
_BLUE = METHOD_COLORS["biotune"]
_COLORS = ("#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#6b7685", "#a6761d", "#1f2a37", "#b2182b", "#66a61e")
"""Colours of the other searches, in order: Okabe and Ito's palette first."""

_LOG_FROM = 8.0
"""Costs that differ by more than this factor are drawn on a logarithmic axis."""


def search_name(key: str) -> str:
    """Return the display name of a search, or of a preset that is compared like one."""
    return NAMES.get(key) or wording.method_name(key)


@styled()
def draw_search(content: Mapping[str, Any]) -> Figure:
    """Draw a row for each data set: curves with bands at the left, test accuracy at the right.

    Args:
        content: as in ``search.json``.

    Returns:
        The figure. Left: the validation fitness of the recipe that each search would choose, against its work; the
        median over root seeds, and the quartiles as a band. Right: the mean test accuracy of what it chose at the end,
        with its standard error, and every root seed as a small dot.
    """
    keys = content["settings"]["searches"]
    colors = dict(zip(keys, (_BLUE, *(_COLORS[index % len(_COLORS)] for index in range(len(keys)))), strict=False))
    data_sets = content["data_sets"]
    figure = Figure((WIDTH, 0.75 + 2.5 * len(data_sets)), layout="constrained")
    grid = figure.subplots(len(data_sets), 2, squeeze=False, width_ratios=(2.3, 1.0))
    for row, (name, part) in enumerate(data_sets.items()):
        left, right = grid[row]
        _draw_curves(left, part["curves"], colors)
        left.set_ylabel("validation fitness, %")
        left.set_title(f"{wording.label(name)}: recipe that the search would choose", loc="left", color=INK)
        repetitions = [each for each in content["repetitions"] if each["data_set"] == name]
        _draw_ends(right, part["searches"], repetitions, colors)
        right.set_title("recipe chosen at the end", loc="left", color=INK)
        right.tick_params(axis="x", labelbottom=row == len(data_sets) - 1)
    grid[-1][0].set_xlabel("work of the search, in full fine-tunes")
    handles = [Line2D([], [], color=color, lw=2.0, label=search_name(key)) for key, color in colors.items()]
    figure.legend(handles=handles, loc="outside upper left", ncols=min(6, len(handles)), handlelength=1.4)
    return figure


def _draw_curves(axes: Axes, bands: Mapping[str, Any], colors: Mapping[str, str]) -> None:
    """Draw medians and quartiles as steps; BioTune last, on top."""
    for key in reversed([key for key in colors if bands[key]]):
        found, own = bands[key], key == "biotune"
        low, median, high = (100 * np.array(found[name]) for name in ("low", "median", "high"))
        order = 4 if own else 3
        axes.fill_between(
            found["work"], low, high, step="post", color=colors[key], alpha=0.2 if own else 0.1, lw=0, zorder=order - 2
        )
        axes.step(found["work"], median, where="post", color=colors[key], lw=2.0 if own else 1.3, zorder=order)
        axes.plot(found["work"][-1], median[-1], "o", color=colors[key], ms=5 if own else 3.5, zorder=order)
    _cut(axes, bands)
    ends = [found["work"][-1] for found in bands.values() if found]
    if ends and max(ends) > _LOG_FROM * min(ends):
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=20))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_xlim(left=0)
    axes.yaxis.set_major_locator(MaxNLocator(6))
    axes.grid(axis="both")


def _cut(axes: Axes, bands: Mapping[str, Any]) -> None:
    """Limit the axis to BioTune's curve and the ends of the others; parts of others may lie below it."""
    shown = [found["low"][0 if key == "biotune" else -1] for key, found in bands.items() if found]
    if shown:
        top = max(found["high"][-1] for found in bands.values() if found)
        margin = 100 * max(0.06 * (top - min(shown)), 0.002)
        axes.set_ylim(100 * min(shown) - margin, 100 * top + margin)


def _draw_ends(
    axes: Axes, rows: Mapping[str, Any], repetitions: Sequence[Mapping[str, Any]], colors: Mapping[str, str]
) -> None:
    """Draw the test accuracy of each search: the mean with its standard error, and the single repetitions."""
    keys = list(colors)
    for place, key in enumerate(keys):
        found = [each["searches"][key]["test"] for each in repetitions]
        dots = [100 * float(np.mean(values)) for values in found if values]
        spots = place + np.linspace(-0.22, 0.22, len(dots)) if len(dots) > 1 else [place]
        axes.scatter(spots[: len(dots)], dots, s=9, color=colors[key], alpha=0.45, lw=0, zorder=2)
        score = rows[key]["test"]
        if score is None:
            continue
        error = score["standard_error"]
        axes.errorbar(
            place, 100 * score["accuracy"], None if error is None else 100 * error, fmt="o", ms=6, capsize=3,
            color=colors[key], mec="white", mew=0.8, zorder=4,
        )  # fmt: skip
    mean = rows[keys[0]]["test"]
    if mean is not None:
        axes.axhline(100 * mean["accuracy"], color=_BLUE, lw=0.8, alpha=0.5, zorder=1)
    axes.set_xlim(-0.6, len(keys) - 0.4)
    axes.set_xticks(range(len(keys)), [search_name(key) for key in keys], rotation=35, ha="right", size=7.5)
    axes.tick_params(axis="x", length=0, colors=MUTED)
    axes.set_ylabel("test accuracy, %")
    axes.yaxis.set_major_locator(MaxNLocator(6))
    axes.grid(axis="y", color=GRID)
