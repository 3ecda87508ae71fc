"""The report's figures: what was found, how the search went, how the result compares (no pyplot)."""

import io
import math
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from biotune import wording
from biotune.results import Entry
from biotune.results.history import Candidate
from biotune.results.summary import Block

INK, MUTED, GRID, PAPER = "#1f2a37", "#6b7685", "#dfe4ea", "#fefefe"
METHOD_COLORS = {  # Okabe and Ito's palette: colour-blind readers can distinguish them
    "biotune": "#0072b2",
    "full": "#d55e00",
    "full_tuned": "#cc79a7",
    "mask_one_rate": "#009e73",
    "linear_probe": "#8a8f98",
}
_KINDS = {  # kind of a candidate: name, marker, colour
    "new": ("new", "o", "#0072b2"),
    "probe": ("probe", "^", "#e69f00"),
    "reevaluate": ("re-evaluated", "s", "#009e73"),
}
_MULTIPLIERS = LinearSegmentedColormap.from_list("multipliers", ["#2166ac", "#92c5de", "#f7f7f7", "#fdb863", "#b35806"])
_PAGE_COLORS = {
    INK: "currentColor",
    MUTED: "var(--muted)",
    GRID: "var(--line)",
    PAPER: "var(--paper)",
    METHOD_COLORS["biotune"]: "var(--blue)",
    METHOD_COLORS["full"]: "var(--red)",
}
_TAG = re.compile(r"<[^>]+>")
_IDENTIFIER = re.compile(r' id="|"#|url\(#')
WIDTH = 9.2
_NARROW = 0.9
"""A figure of at most this share of the page's width keeps it on the page: two images are not as wide as six."""
_STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9.0,
    "text.usetex": False,
    "text.parse_math": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.facecolor": "none",
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.titlesize": 8.0,
    "axes.unicode_minus": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "hatch.linewidth": 0.6,
    "hatch.color": MUTED,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "svg.fonttype": "none",
    "svg.hashsalt": "biotune",
}


@contextmanager
def styled() -> Iterator[None]:
    """Use this module's style, whatever the user's own is, and accept characters that the font lacks."""
    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


@styled()
def to_svg(figure: Figure, prefix: str = "figure") -> str:
    """Return a figure as an ``<svg>`` element for a page, in the page's own colours and fonts.

    Args:
        figure: drawn by one of the functions below.
        prefix: put before every id, so that one page can hold several figures.

    Returns:
        The element. Names are text nodes in it, escaped.
    """
    buffer, share = io.StringIO(), figure.get_size_inches()[0] / WIDTH
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    svg = buffer.getvalue()
    page = _TAG.sub(lambda tag: _page_tag(tag[0], prefix), svg[svg.index("<svg") :])
    if share > _NARROW:
        return page
    return page.replace("<svg ", f'<svg style="max-width:{100 * share:.0f}%;min-width:10rem" ', 1)


def _page_tag(tag: str, prefix: str) -> str:
    for color, replacement in _PAGE_COLORS.items():
        tag = tag.replace(color, replacement)
    return _IDENTIFIER.sub(rf"\g<0>{prefix}-", tag)


@styled()
def to_png(figure: Figure) -> bytes:
    """Return a figure as a PNG file of 160 dots per inch on white."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=160, facecolor="white")
    return buffer.getvalue()


def learning_rate_map(blocks: Sequence[Block], others: Sequence[tuple[str, Sequence[float]]] = ()) -> Figure:
    """Draw recipes as rows of cells, one per block, coloured by the learning-rate multiplier; frozen ones are hatched.

    The blocks are the winner's, from the input side to the head; label and multipliers of others are shown below it.
    """
    names = [wording.label(block.name) for block in blocks]
    return recipe_map(names, [("Winner", [block.multiplier for block in blocks]), *others])


@styled()
def recipe_map(names: Sequence[str], recipes: Sequence[tuple[str, Sequence[float]]]) -> Figure:
    """Draw recipes of one network as rows of cells, coloured by the learning-rate multiplier; frozen ones are hatched.

    Args:
        names: of the blocks, from the input side to the head.
        recipes: label and multipliers of each, at least one.

    Returns:
        The figure.
    """
    used = [value for _, multipliers in recipes for value in multipliers if value > 0]
    span = max([1.0, *(abs(math.log10(value)) for value in used)])
    norm = Normalize(-span, span)
    longest = max(map(len, names))
    figure = Figure(
        (max(WIDTH, 1.8 + 0.55 * len(names)), 1.0 + 0.42 * len(recipes) + 0.045 * longest), layout="constrained"
    )
    axes = figure.add_subplot()
    for row, (_, multipliers) in enumerate(recipes):
        for column, value in enumerate(multipliers):
            _draw_cell(axes, column, row, value, norm)
    axes.set(xlim=(0, len(names)), ylim=(len(recipes), 0))
    name_ticks(axes, "x", names, slanted=longest > 60 / len(names))
    name_ticks(axes, "y", [wording.label(name) for name, _ in recipes])
    shown = (0.1, 0.3, 1, 3, 10)
    bar = figure.colorbar(ScalarMappable(norm, _MULTIPLIERS), ax=axes, ticks=np.log10(shown), pad=0.015, fraction=0.03)
    bar.ax.set_yticklabels([wording.multiplier(value) for value in shown])
    bar.outline.set_visible(False)
    return figure


def _draw_cell(axes: Axes, column: int, row: int, value: float, norm: Normalize) -> None:
    if value == 0:
        axes.add_patch(Rectangle((column, row), 1, 1, facecolor=GRID, edgecolor=MUTED, hatch="////", linewidth=0))
        axes.add_patch(Rectangle((column, row), 1, 1, fill=False, edgecolor=PAPER, linewidth=2.5))
        box = {"facecolor": GRID, "edgecolor": "none", "boxstyle": "round,pad=0.15"}
        axes.text(column + 0.5, row + 0.5, "frozen", ha="center", va="center", size=7.5, color=INK, bbox=box)
        return
    place = float(norm(np.log10(value)))
    axes.add_patch(Rectangle((column, row), 1, 1, facecolor=_MULTIPLIERS(place), edgecolor=PAPER, linewidth=2.5))
    color = "#ffffff" if abs(place - 0.5) > 0.38 else "#1b1b1b"
    axes.text(column + 0.5, row + 0.5, wording.multiplier(value), ha="center", va="center", size=8.5, color=color)


@styled()
def convergence(
    candidates: Sequence[Candidate], baseline: float | None = None, steps: Sequence[tuple[int, int]] = ()
) -> Figure:
    """Draw every candidate's fitness in the order of the search, the best so far, and full fine-tuning for comparison.

    ``baseline`` is the validation score of full fine-tuning where candidates were compared, or None; ``steps`` lead
    from parents to children, as sequence numbers, among the ancestors of the chosen recipe.
    """
    figure = Figure((WIDTH, 3.9), layout="constrained")
    axes = figure.add_subplot()
    candidates = sorted(candidates, key=lambda row: row.sequence)
    trained = [row for row in candidates if row.outcome == "ok"]
    failed = [row for row in candidates if row.outcome != "ok"]
    _shade_generations(axes, candidates)
    for kind, (name, marker, color) in _KINDS.items():
        rows = [row for row in trained if row.kind == kind]
        for finished, alpha in ((False, 0.3), (True, 0.9)):
            part = [row for row in rows if row.finished == finished]
            label = name if finished == any(row.finished for row in rows) else None
            if part:
                axes.scatter(
                    *_numbers_and_fitness(part), s=26, marker=marker, color=color, alpha=alpha, lw=0, label=label
                )
    by_number = {row.sequence: row for row in trained}
    for step in steps:
        if pair := [by_number[number] for number in step if number in by_number]:
            axes.plot(*_numbers_and_fitness(pair), color=METHOD_COLORS["biotune"], lw=0.9, zorder=1)
    if best := [row for row in trained if row.finished]:
        numbers, fitness = _numbers_and_fitness(best)
        axes.step(numbers, np.maximum.accumulate(fitness), where="post", color=INK, label="best so far")
    if failed:
        bottom = np.full(len(failed), 0.03)
        axes.scatter(
            _numbers_and_fitness(failed)[0], bottom, s=28, marker="x", color=MUTED, lw=1.4,
            transform=axes.get_xaxis_transform(), label="diverged or infeasible",
        )  # fmt: skip
    if baseline is not None:
        axes.axhline(baseline, color=METHOD_COLORS["full"], ls=(0, (5, 2)), lw=1.3, label=wording.method_name("full"))
    axes.grid(axis="y")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="candidate", ylabel="fitness (validation)")
    axes.margins(x=0.015, y=0.12)
    if axes.get_legend_handles_labels()[0]:
        figure.legend(loc="outside upper left", ncols=6, columnspacing=1.3, handletextpad=0.4)
    return figure


def _numbers_and_fitness(rows: Sequence[Candidate]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    numbers = np.array([row.sequence + 1 for row in rows], dtype=np.float64)
    return numbers, np.array([row.fitness for row in rows], dtype=np.float64)


def _shade_generations(axes: Axes, candidates: Sequence[Candidate]) -> None:
    starts: dict[int, float] = {}
    for row in candidates:
        starts.setdefault(row.generation, row.sequence + 0.5)
    ends = [*list(starts.values())[1:], max((row.sequence for row in candidates), default=0) + 1.5]
    every = 1 + len(starts) // 13
    for index, ((generation, start), end) in enumerate(zip(starts.items(), ends, strict=True)):
        if index % 2 == 0:
            axes.axvspan(start, end, facecolor=GRID, alpha=0.5, lw=0, zorder=0)
        if index % every == 0:
            name = f"generation {generation}" if len(starts) < 8 else str(generation)
            axes.text(
                (start + end) / 2, 0.985, name, transform=axes.get_xaxis_transform(),
                ha="center", va="top", size=7.5, color=MUTED,
            )  # fmt: skip


@styled()
def comparison(entries: Mapping[str, Entry]) -> Figure:
    """Draw the accuracy of each method, top down as given: mean with its standard error, single seeds as rings.

    The test score is drawn, or the validation score where there is no test set.
    """
    figure = Figure((WIDTH, 0.9 + 0.47 * len(entries)), layout="constrained")
    axes = figure.add_subplot()
    first = next(iter(entries.values()))
    axes.axvline(100 * first.shown.accuracy, color=METHOD_COLORS["biotune"], lw=1, ls=":", zorder=1)
    for place, (key, entry) in enumerate(entries.items()):
        color, score = METHOD_COLORS.get(key, MUTED), entry.shown
        seeds = 100 * np.array(score.per_seed)
        axes.scatter(seeds, np.full(len(seeds), place + 0.22), s=20, facecolors="none", edgecolors=color, lw=1.1)
        error = 100 * (score.standard_error or 0.0)
        axes.errorbar(100 * score.accuracy, place, xerr=error, fmt="D", ms=6, color=color, capsize=3.5, elinewidth=1.6)
        spread = f" ± {error:.1f}" if score.standard_error is not None else ""
        numbers = f"{100 * score.accuracy:.1f}{spread} %\n{wording.share(entry.trainable_fraction)} trained"
        axes.text(1.015, place, numbers, transform=axes.get_yaxis_transform(), va="center", size=8, linespacing=1.35)
    axes.set_ylim(len(entries) - 0.45, -0.55)
    name_ticks(axes, "y", [wording.label(wording.method_name(key)) for key in entries], offset=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="both")
    on = "test" if first.test else "validation (used for selection)"
    axes.set_xlabel(f"accuracy on the {on} set, %")
    axes.margins(x=0.06)
    return figure


def name_ticks(axes: Axes, side: str, names: Sequence[str], offset: float = 0.5, slanted: bool = False) -> None:
    """Write names, taken as they are, along an axis without tick marks; ``offset`` from the start of each unit."""
    axis = axes.xaxis if side == "x" else axes.yaxis
    turned: dict[str, Any] = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"} if slanted else {}
    axis.set_ticks(np.arange(len(names)) + offset, labels=list(names), parse_math=False, **turned)
    axes.tick_params(axis="both", length=0)
