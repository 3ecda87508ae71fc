"""The output of a comparison: tables as files, figures, and one page that opens offline."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from biotune import wording
from biotune.report import figures as draw
from biotune.report.chosen import CHOICES, choices
from biotune.report.comparison_figures import draw_comparison
from biotune.report.comparison_files import grid_cells, to_csv, to_latex, to_markdown
from biotune.report.comparison_story import headline, notes, reference_name
from biotune.report.contenders import contenders, grids, has_tuned, on_test
from biotune.report.pages import embedded, page_template
from biotune.report.story import VERDICT_MARKS
from biotune.runs.files import write_atomic

PAGE = "comparison.html"
_FIGURES = ("forest", "ranks", "cost")


def write_comparison(folder: Path, comparison: Mapping[str, Any]) -> Path:
    """Write ``table.md``, ``table.csv``, ``table.tex``, ``comparison.html`` and ``figures/*.png``.

    Each file appears whole or not at all. A figure that an earlier call drew and this comparison has no data for is
    deleted.

    Args:
        folder: an existing folder.
        comparison: as in ``comparison.json``; docs/compare.md lists every key.

    Returns:
        The path of the page.

    Raises:
        InputError: the disk is full or read-only.
    """
    drawn = draw_comparison(comparison)
    pictures = folder / "figures"
    pictures.mkdir(exist_ok=True)
    for name in _FIGURES:
        if name in drawn:
            write_atomic(pictures / f"{name}.png", draw.to_png(drawn[name]))
        else:
            (pictures / f"{name}.png").unlink(missing_ok=True)
    write_atomic(folder / "table.md", to_markdown(comparison))
    write_atomic(folder / "table.csv", to_csv(comparison))
    write_atomic(folder / "table.tex", to_latex(comparison))
    write_atomic(folder / PAGE, render_comparison(comparison, drawn))
    return folder / PAGE


def render_comparison(comparison: Mapping[str, Any], figures: Mapping[str, Figure]) -> str:
    """Return the page as text.

    Every string is escaped and freed of control characters; the figures are drawn into the page as SVG.

    Args:
        comparison: as in ``comparison.json``.
        figures: those of ``draw_comparison``, or some of them.

    Returns:
        A complete HTML document.
    """
    test = on_test(comparison)
    return page_template(PAGE).render(
        comparison=comparison,
        headline=headline(comparison),
        marks=VERDICT_MARKS,
        reference=comparison["reference"],
        reference_name=reference_name(comparison),
        test=test,
        tuned=has_tuned(comparison),
        rows=contenders(comparison["methods"], test),
        grids=[(grid.setting, *grid_cells(comparison, grid)) for grid in grids(comparison)],
        datasets=[(entry, contenders(entry["methods"], test)) for entry in comparison["datasets"]],
        seeds=_range([len(entry["protocol"]["seeds"]) for entry in comparison["datasets"]]),
        seconds=sum(_seconds(row) for entry in comparison["datasets"] for row in entry["methods"].values()),
        figures=embedded(figures),
        captions=_captions(comparison),
        choices=choices(comparison),
        choices_read=CHOICES,
        notes=notes(comparison),
        interval=wording.interval,
    )


def _range(numbers: list[int]) -> str:
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low} to {high}"


def _seconds(row: Mapping[str, Any]) -> float:
    return float(row["seconds"]) + float(row["tuned"]["seconds"] if row["tuned"] else 0.0)


def _captions(comparison: Mapping[str, Any]) -> dict[str, str]:
    name, several = reference_name(comparison), len(comparison["datasets"]) > 1
    ranking = comparison["ranking"]["tuned" if has_tuned(comparison) else "default"] or {}
    dots = " Small dots are single data sets (tuned), grey arrows those beyond the axis." if several else ""
    bars = (
        "Bars join methods whose mean ranks are closer than Nemenyi's critical distance at 5 %, drawn above the axis: "
        "they are not told apart."
        if ranking.get("nemenyi_critical_distance") is not None
        else "There are too few data sets or methods for a critical distance: the ranks only describe these data sets."
    )
    return {
        "forest": (
            f"{name} minus each method in test accuracy, with 95 % intervals. Right of the blue line {name} is better. "
            f"Grey intervals include zero; an arrow means that the interval goes on beyond the axis.{dots}"
        ),
        "ranks": f"Mean ranks over the data sets; 1 is best. {bars}",
        "cost": (
            "Accuracy against what it cost to get there: selection (search or sweep) and the final trainings of all "
            "seeds. Upper left is best. A thin line joins a method's default with its tuned version."
        ),
    }
