"""The tables and the figure as files."""

from collections.abc import Iterable
from pathlib import Path

from matplotlib.figure import Figure

from benchmarks.paper.tables import Found, by_protocol, entry_of, tables, to_latex, to_markdown
from biotune.comparison.entries import BIOTUNE
from biotune.report.figures import recipe_map, to_png
from biotune.runs.files import write_atomic


def write(names: Iterable[str], found: Found, folder: Path) -> list[Path]:
    """Write each table as Markdown and LaTeX, and figure 2 as PNG; nothing where no comparison is finished.

    Args:
        names: the tables, in ``plan.PARTS``.
        found: the finished comparisons.
        folder: where the files go; it exists.

    Returns:
        The paths of what was written.
    """
    written: list[Path] = []
    for name in names:
        made = tables(name, found)
        texts = {f"{name}.md": to_markdown(made), f"{name}.tex": to_latex(made)} if made else {}
        for file, text in texts.items():
            write_atomic(folder / file, text)
            written.append(folder / file)
        if made and name == "fig2":
            picture = folder / f"{name}.png"
            picture.write_bytes(to_png(draw_recipes(found)))
            written.append(picture)
    return written


def draw_recipes(found: Found) -> Figure:
    """Draw figure 2: BioTune's recipe for each data set and protocol, a row each."""
    rows = [
        (f"{data}, {protocol}", entry.multipliers)
        for protocol, of_data in by_protocol(found)
        for data, comparison in of_data.items()
        if (entry := entry_of(comparison, BIOTUNE)) is not None and entry.multipliers
    ]
    count = len(rows[0][1])
    return recipe_map([*map(str, range(1, count)), "head"], rows)
