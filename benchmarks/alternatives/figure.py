"""The figure of the benchmark ``alternatives``: test accuracy against processor seconds, a point for each entry."""

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.text import Annotation
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from matplotlib.transforms import Bbox

from biotune import wording
from biotune.report.figures import GRID, INK, METHOD_COLORS, MUTED, WIDTH, styled

_COLORS = {
    "features": "#6b7685",
    "last_block": "#009e73",
    "head_then_all": "#d55e00",
    "plain_loop": "#cc79a7",
    "layer_decay": "#a6761d",
    "fastai": "#1f2a37",
}
_PLACES = (
    *((7, 0, "left", "center"), (-7, 0, "right", "center"), (0, 8, "center", "bottom"), (0, -8, "center", "top")),
    *((7, 10, "left", "bottom"), (7, -10, "left", "top"), (-7, 10, "right", "bottom"), (-7, -10, "right", "top")),
)
"""Where a label may stand beside its point: offset in typographic points, and alignment; the first free one is used."""

_COLUMNS = 2


@styled()
def draw_alternatives(content: Mapping[str, Any]) -> Figure:
    """Draw a panel for each data set: accuracy with its interval against processor seconds, a line over image sizes.

    Args:
        content: as in ``alternatives.json``.

    Returns:
        The figure.
    """
    data_sets, settings = content["data_sets"], content["settings"]
    columns = min(_COLUMNS, len(data_sets))
    lines = -(-len(data_sets) // columns)
    figure = Figure((WIDTH, 0.4 + 3.7 * lines), layout="constrained")
    grid = figure.subplots(lines, columns, squeeze=False)
    panels = dict(zip(data_sets, grid.flat, strict=False))
    for axes in grid.flat[len(data_sets) :]:
        axes.set_axis_off()
    for name, axes in panels.items():
        counts = settings["data_sets"][name]
        labelled = counts["train"] + counts["validation"]
        title = f"{wording.label(name)}: {labelled} images to learn from, {counts['classes']} classes"
        axes.set_title(title, loc="left", color=INK)
        _draw(axes, data_sets[name])
    threads = wording.plural(content["machine"]["threads"], "thread")
    figure.supxlabel(f"processor seconds of the whole process, {threads}", size=9.0, color=INK)
    figure.draw_without_rendering()  # to know where things are
    for name, axes in panels.items():
        _label(axes, data_sets[name], settings["titles"])
    return figure


def _draw(axes: Axes, rows: Mapping[str, Any]) -> None:
    for base in dict.fromkeys(name.partition("@")[0] for name in rows):
        family = sorted((row["cpu_s"], row["accuracy"]) for name, row in rows.items() if name.partition("@")[0] == base)
        line = [[cost for cost, _ in family], [100 * accuracy for _, accuracy in family]]
        axes.plot(*line, color=_color(base), lw=1.0, zorder=2)
    for name, row in rows.items():
        accuracy, own = 100 * row["accuracy"], name.startswith("biotune")
        below, above = accuracy - 100 * row["low"], 100 * row["high"] - accuracy
        _, _, bars = axes.errorbar(
            row["cpu_s"], accuracy, [[max(0.0, below)], [max(0.0, above)]], fmt="s" if own else "o",
            ms=7 if own else 5, color=_color(name), elinewidth=0.9, mec="white", mew=0.7, zorder=4 if own else 3,
        )  # fmt: skip
        for bar in bars:
            bar.set_alpha(0.5)
    seconds = [row["cpu_s"] for row in rows.values()]
    axes.set_xscale("log")
    axes.set_xlim(min(seconds) / 1.8, max(seconds) * 1.8)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=20))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_locator(MaxNLocator(6))
    axes.set_ylabel("test accuracy, %")
    axes.grid(axis="both", color=GRID)


def _label(axes: Axes, rows: Mapping[str, Any], titles: Mapping[str, str]) -> None:
    """Write each entry's name beside its point, where it covers no other name and no other point."""
    taken: list[Bbox] = []
    points = {name: axes.transData.transform((row["cpu_s"], 100 * row["accuracy"])) for name, row in rows.items()}
    for name, row in sorted(rows.items(), key=lambda item: -item[1]["accuracy"]):
        others = [point for other, point in points.items() if other != name]
        for place in _PLACES:
            text = _written(axes, titles[name], (row["cpu_s"], 100 * row["accuracy"]), place, _color(name))
            box = text.get_window_extent().padded(3)
            inside = axes.bbox.x0 <= box.x0 and box.x1 <= axes.bbox.x1
            if inside and not any(box.overlaps(other) for other in taken) and not any(box.contains(*p) for p in others):
                break
            text.remove()
        else:
            text = _written(axes, titles[name], (row["cpu_s"], 100 * row["accuracy"]), _PLACES[0], _color(name))
        taken.append(text.get_window_extent())


def _written(
    axes: Axes, title: str, point: tuple[float, float], place: tuple[int, int, str, str], color: str
) -> Annotation:
    right, up, horizontal, vertical = place
    text = axes.annotate(
        title, point, (right, up), textcoords="offset points", ha=horizontal, va=vertical, size=7.5, color=color,
        zorder=5,
    )  # fmt: skip
    text.set_path_effects([withStroke(linewidth=2.2, foreground="white")])
    return text


def _color(name: str) -> str:
    return METHOD_COLORS["biotune"] if name.startswith("biotune") else _COLORS.get(name.partition("@")[0], MUTED)
