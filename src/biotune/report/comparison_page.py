"""The output of a comparison: tables as files, figures, and one page that opens offline."""

from collections.abc import Mapping
from pathlib import Path

from matplotlib.figure import Figure

from biotune.metrics import METRICS, reported
from biotune.report import figures as draw
from biotune.report.comparison_figures import draw_comparison
from biotune.report.comparison_files import grid_cells, to_csv, to_latex, to_markdown
from biotune.report.comparison_rows import choices, grids, reference_name, rows_of
from biotune.report.comparison_sentences import captions, headline, notes, read_choices
from biotune.report.templating import embedded, page_template
from biotune.results import Comparison
from biotune.runs.comparisons import PAGE, TABLES
from biotune.runs.files import make_folder, remove, write_atomic

_FIGURES = ("forest", "ranks", "cost")


def write_comparison(folder: Path, comparison: Comparison) -> Path:
    """Write ``table.md``, ``table.csv``, ``table.tex``, ``comparison.html`` and ``figures/*.png``; return the page.

    Each file appears whole or not at all. A figure that an earlier call drew and this comparison has no data for is
    deleted. Raises InputError: the disk is full or read-only.
    """
    drawn = draw_comparison(comparison)
    pictures = folder / "figures"
    make_folder(pictures)
    for name in _FIGURES:
        if name in drawn:
            write_atomic(pictures / f"{name}.png", draw.to_png(drawn[name]))
        else:
            remove(pictures / f"{name}.png")
    for name, write in zip(TABLES, (to_markdown, to_csv, to_latex), strict=True):
        write_atomic(folder / name, write(comparison))
    write_atomic(folder / PAGE, render_comparison(comparison, drawn))
    return folder / PAGE


def render_comparison(comparison: Comparison, figures: Mapping[str, Figure]) -> str:
    """Return the page as text, a complete HTML document.

    Every string is escaped and freed of control characters; the figures, from ``draw_comparison``, are drawn into the
    page as SVG.
    """
    parts, on = comparison.datasets, comparison.on
    return page_template(PAGE).render(
        comparison=comparison,
        headline=headline(comparison),
        reference=comparison.reference,
        reference_name=reference_name(comparison),
        on=on,
        test=on == "test",
        tuned=comparison.has_tuned,
        shown_metrics=[(name, METRICS[name].label) for name in reported(comparison.metric)[1:]],
        rows=rows_of(comparison.methods, on),
        grids=[(grid.setting, *grid_cells(comparison, grid)) for grid in grids(comparison)],
        datasets=[(part, rows_of(part.methods, on)) for part in parts],
        seeds=_range([len(part.protocol.seeds) for part in parts]),
        seconds=sum(
            (one.cpu_seconds or 0.0) if comparison.in_cpu_time else one.seconds
            for part in parts
            for one in part.entries
        ),
        figures=embedded(figures),
        captions=captions(comparison),
        choices=choices(comparison),
        choices_read=read_choices(),
        notes=notes(comparison),
    )


def _range(numbers: list[int]) -> str:
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low} to {high}"
