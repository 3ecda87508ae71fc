"""The figures of a comparison: differences with intervals, mean ranks, and accuracy against cost (no pyplot)."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from biotune import wording
from biotune.report.comparison_rows import Row, reference_name, rows_of
from biotune.report.figures import GRID, INK, METHOD_COLORS, MUTED, PAPER, WIDTH, name_ticks, styled
from biotune.results import ComparedEntry, Comparison
from biotune.results.comparison import On

_BLUE, _RED = METHOD_COLORS["biotune"], METHOD_COLORS["full"]
_VERDICT_COLORS = {"better": _BLUE, "tie": MUTED, "worse": _RED}
_FAR = 3.0
"""An interval that ends beyond so many times the upper quartile of all ends is cut, so that the others can be seen."""


def draw_comparison(comparison: Comparison) -> dict[str, Figure]:
    """Draw every figure that a comparison has data for.

    These are ``forest`` where any method has a difference, ``ranks`` where two and more data sets have mean ranks, and
    ``cost`` where any score has a cost.
    """
    on = comparison.on
    rows = rows_of(comparison.methods, on)
    drawn: dict[str, Figure] = {}
    others = [row for row in rows if row.best.difference or row.default.difference]
    if others and on == "test":
        drawn["forest"] = forest(others, reference_name(comparison), _by_data_set(comparison))
    ranking = comparison.ranking.at(comparison.setting)
    if ranking and on == "test" and len(comparison.datasets) > 1:
        drawn["ranks"] = rank_diagram(ranking.mean_ranks, ranking.nemenyi_critical_distance, comparison.reference)
    if any(_has_cost(entry, on) for row in rows for entry in (row.default, row.best)):
        drawn["cost"] = cost(rows, comparison.reference, on)
    return drawn


def _by_data_set(comparison: Comparison) -> dict[str, list[float]]:
    """Return each method's differences on the single data sets, tuned where it was; nothing for one data set."""
    if len(comparison.datasets) == 1:
        return {}
    found: dict[str, list[float]] = {}
    for part in comparison.datasets:
        for key, entry in part.methods.items():
            if entry.best.difference:
                found.setdefault(key, []).append(entry.best.difference.difference)
    return found


@styled()
def forest(rows: Sequence[Row], reference: str, by_data_set: Mapping[str, Sequence[float]]) -> Figure:
    """Draw the difference of the reference to each method with its interval: default filled, tuned hollow.

    Args:
        rows: methods with a difference, top down.
        reference: its display name.
        by_data_set: key -> differences on single data sets, drawn as small dots; empty for one data set.

    Returns:
        The figure.
    """
    figure = Figure((WIDTH, 1.35 + 0.5 * len(rows)), layout="constrained")
    axes = figure.add_subplot()
    low, high = _forest_limits(rows, by_data_set)
    axes.set(xlim=(low, high), ylim=(len(rows) - 0.4, -0.6))
    axes.axvline(0, color=_BLUE, lw=1.2, zorder=1)
    for place, row in enumerate(rows):
        if place % 2:
            axes.axhspan(place - 0.5, place + 0.5, facecolor=GRID, alpha=0.35, lw=0, zorder=0)
        _draw_dots(axes, [100 * value for value in by_data_set.get(row.key, ())], place)
        if row.tuned is None:
            _draw_difference(axes, row.default, place, filled=True)
        else:
            _draw_difference(axes, row.tuned, place - 0.19, filled=False)
            _draw_difference(axes, row.default, place + 0.19, filled=True)
    name_ticks(axes, "y", [wording.label(row.name) for row in rows], offset=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    axes.set_xlabel(f"{wording.label(reference)} minus the method, points of test accuracy", parse_math=False)
    axes.text(
        0, 1.005, f"  {wording.label(reference)} is better \N{RIGHTWARDS ARROW}", transform=axes.get_xaxis_transform(),
        ha="left", va="bottom", size=8, color=_BLUE, parse_math=False,
    )  # fmt: skip
    if any(row.tuned for row in rows):
        _filling_legend(figure)
    return figure


def _forest_limits(rows: Sequence[Row], by_data_set: Mapping[str, Sequence[float]]) -> tuple[float, float]:
    """Return the range of the axis in points: all intervals and dots but those that would squash the others."""
    found = [part.difference for row in rows for part in (row.default, row.best) if part.difference]
    sizes = np.array([max(abs(item.low), abs(item.high)) for item in found]) * 100
    limit = max(1.0, _FAR * float(np.quantile(sizes, 0.75)))
    dots = [100 * value for row in rows for value in by_data_set.get(row.key, ())]
    low = max(-limit, min(-0.5, *(100 * item.low for item in found), *dots))
    high = min(limit, max(0.5, *(100 * item.high for item in found), *dots))
    margin = 0.04 * (high - low)
    return low - margin, high + margin


def _draw_dots(axes: Axes, values: Sequence[float], height: float) -> None:
    """Draw the differences on single data sets, those beyond the axis as arrows at its end."""
    low, high = axes.get_xlim()
    for marker, shown in (
        ("o", [value for value in values if low <= value <= high]),
        ("<", [low for value in values if value < low]),
        (">", [high for value in values if value > high]),
    ):
        heights = np.full(len(shown), height)
        axes.scatter(shown, heights, s=9, marker=marker, color=MUTED, alpha=0.55, lw=0, zorder=2, clip_on=False)


def _draw_difference(axes: Axes, entry: ComparedEntry, height: float, filled: bool) -> None:
    """Draw one interval, with an arrow where it leaves the axis, and its numbers at the right."""
    found = entry.difference
    if found is None:
        return
    low, high = axes.get_xlim()
    color = _VERDICT_COLORS[found.verdict]
    start, middle, end = (100 * value for value in (found.low, found.difference, found.high))
    axes.plot([max(start, low), min(end, high)], [height, height], color=color, lw=1.7, zorder=3, solid_capstyle="butt")
    for value, edge, mark in ((start, low, "<"), (end, high, ">")):
        if (value < edge) if mark == "<" else (value > edge):
            axes.plot(edge, height, mark, color=color, ms=5, clip_on=False, zorder=4)
    if low <= middle <= high:
        face = color if filled else PAPER
        axes.plot(middle, height, "o", ms=5.5, mfc=face, mec=color, mew=1.4, zorder=5)
    numbers = f"{wording.points(found.difference)} {wording.interval(found.low, found.high)}  {found.verdict}"
    axes.text(1.012, height, numbers, transform=axes.get_yaxis_transform(), va="center", size=7.8, color=INK)


def _filling_legend(figure: Figure) -> None:
    handles = [
        Line2D([], [], ls="", marker="o", ms=5.5, mfc=PAPER, mec=INK, mew=1.4, label="tuned"),
        Line2D([], [], ls="", marker="o", ms=5.5, mfc=INK, mec=INK, mew=1.4, label="default, or a search"),
    ]
    figure.legend(handles=handles, loc="outside upper left", ncols=2, handletextpad=0.2, columnspacing=1.3)


@styled()
def rank_diagram(mean_ranks: Mapping[str, float], distance: float | None, reference: str) -> Figure:
    """Draw mean ranks on a line, the best left; bars join methods whose ranks Nemenyi's test does not separate.

    Args:
        mean_ranks: key -> mean rank, at least one.
        distance: the critical distance; None draws the ranks alone.
        reference: key of the highlighted method.

    Returns:
        The figure, after Demsar (2006), figure 1.
    """
    ranked = sorted(mean_ranks.items(), key=lambda pair: pair[1])
    num, half = len(ranked), -(-len(ranked) // 2)
    bars = [] if distance is None else cliques([rank for _, rank in ranked], distance)
    first = 0.9 + 0.42 * len(bars)
    bottom = first + 0.8 * (half - 1) + 0.5
    top = 0.8 if distance is None else 1.9
    figure = Figure((WIDTH, 0.3 * (top + bottom)))
    axes = figure.add_axes((0, 0, 1, 1))
    span = max(1.0, num - 1.0)
    axes.set(xlim=(1 - 0.72 * span, 1 + 1.72 * span), ylim=(-bottom, top))
    axes.axis("off")
    axes.plot([1, 1 + span], [0, 0], color=INK, lw=1.1)
    for tick in range(1, int(1 + span) + 1, 1 + int(span) // 12):
        axes.plot([tick, tick], [0, 0.18], color=INK, lw=1.0)
        axes.text(tick, 0.27, str(tick), ha="center", va="bottom", size=8, color=INK)
    for place, (key, rank) in enumerate(ranked):
        left = place < half
        height = -(first + 0.8 * (place if left else num - 1 - place))
        edge = 1 - 0.05 * span if left else 1 + 1.05 * span
        own = key == reference
        color = _BLUE if own else INK
        axes.plot([rank, rank, edge], [0, height, height], color=color if own else MUTED, lw=1.5 if own else 0.8)
        name = wording.label(wording.method_name(key), 30)
        written = f"{name}  {rank:.2f}" if left else f"{rank:.2f}  {name}"
        axes.text(
            edge + (-0.012 if left else 0.012) * span, height, written, ha="right" if left else "left", va="center",
            size=8.5, color=color, weight="bold" if own else "normal", parse_math=False,
        )  # fmt: skip
    for level, (start, end) in enumerate(bars):
        height = -0.45 - 0.42 * level
        reach = 0.012 * span
        axes.plot([ranked[start][1] - reach, ranked[end][1] + reach], [height, height], color=INK, lw=3.2)
    if distance is not None:
        axes.plot(
            [1, 1, 1, 1 + distance, 1 + distance, 1 + distance], [1.15, 1.35, 1.25, 1.25, 1.35, 1.15], color=INK, lw=1
        )
        axes.text(1 + distance / 2, 1.38, f"critical distance {distance:.2f}", ha="center", va="bottom", size=8)
    return figure


def cliques(ranks: Sequence[float], distance: float) -> list[tuple[int, int]]:
    """Return the largest groups of at least two methods whose mean ranks lie within the critical distance.

    The ranks ascend. A group is the index of its first and of its last rank; none lies within another.
    """
    found: list[tuple[int, int]] = []
    for start, rank in enumerate(ranks):
        end = max(index for index, other in enumerate(ranks) if other - rank < distance)
        if end > start and (not found or end > found[-1][1]):
            found.append((start, end))
    return found


@styled()
def cost(rows: Sequence[Row], reference: str, on: On) -> Figure:
    """Draw accuracy against cost, one mark per method, tuned ones hollow and joined with their defaults.

    Args:
        rows: methods, the best first.
        reference: key of the highlighted one.
        on: the images whose scores are drawn.

    Returns:
        The figure, names in a column at its right.
    """
    shown = [row for row in rows if _has_cost(row.best, on)]
    figure = Figure((WIDTH, max(4.2, 0.8 + 0.215 * len(shown))), layout="constrained")
    axes = figure.add_subplot()
    parts = [entry for row in rows for entry in (row.default, row.best) if _has_cost(entry, on)]
    heights = [_height(entry, on) for entry in parts]
    margin = max(0.3, 0.06 * (max(heights) - min(heights)))
    axes.set_xscale("log")
    axes.set_ylim(min(heights) - margin, max(heights) + margin)
    costs = [_cost(entry) for entry in parts]
    axes.set_xlim(min(costs) / 1.3, max(costs) * 1.3)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=20))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    bottom, top = axes.get_ylim()
    wanted = [(_height(row.best, on) - bottom) / (top - bottom) for row in shown]
    for row, place in zip(shown, spread(wanted, 1 / max(len(shown), 14)), strict=True):
        _draw_cost(axes, row, place, own=row.key == reference)
    axes.grid(axis="both")
    where = "test" if on == "test" else "validation (used for selection)"
    axes.set(xlabel="cost in full fine-tunes, selection included (log scale)", ylabel=f"accuracy, {where}, %")
    if any(row.tuned for row in shown):
        _filling_legend(figure)
    return figure


def _has_cost(entry: ComparedEntry, on: On) -> bool:
    return entry.scores(on) is not None and bool(entry.cost_in_full_finetunes)


def _cost(entry: ComparedEntry) -> float:
    return entry.cost_in_full_finetunes or 0.0


def _height(entry: ComparedEntry, on: On) -> float:
    """Accuracy in per cent."""
    scores = entry.scores(on)
    return 0.0 if scores is None else 100 * scores.accuracy


def _draw_cost(axes: Axes, row: Row, place: float, own: bool) -> None:
    color = _BLUE if own else INK
    best, default = row.best, row.default
    height = _height(best, row.on)
    if row.tuned and _has_cost(default, row.on):
        ends = [_height(default, row.on), height]
        axes.plot([_cost(default), _cost(best)], ends, color=MUTED, lw=0.8, alpha=0.7, zorder=2)
        axes.plot(_cost(default), ends[0], "o", ms=6, color=color, zorder=3)
    size = 9 if own else 6
    face = PAPER if row.tuned else color
    axes.plot(_cost(best), height, "o", ms=size, mfc=face, mec=color, mew=1.4, zorder=5 if own else 4)
    axes.annotate(
        wording.label(row.name), (_cost(best), height), (1.03, place), textcoords="axes fraction",
        va="center", size=8.2, color=color, weight="bold" if own else "normal", parse_math=False,
        arrowprops={
            "arrowstyle": "-", "color": color if own else MUTED, "lw": 0.6, "alpha": 0.6, "shrinkA": 1, "shrinkB": 4,
            "relpos": (0.0, 0.5),
        },
    )  # fmt: skip


def spread(wanted: Sequence[float], gap: float) -> list[float]:
    """Move places in [0, 1], descending, as little as needed so that labels are at least ``gap`` apart.

    ``len(wanted) * gap`` is at most 1; the result lies in [gap / 2, 1 - gap / 2].
    """
    places: list[float] = []
    for value in wanted:
        ceiling = places[-1] - gap if places else 1 - gap / 2
        places.append(min(value, ceiling))
    floor = gap / 2
    for index in reversed(range(len(places))):
        places[index] = max(places[index], floor)
        floor = places[index] + gap
    return places
