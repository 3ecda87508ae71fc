"""The page of a refinement: one file that opens offline, and a figure of how its searches went."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from biotune import wording
from biotune.errors import InputError
from biotune.metrics import METRICS
from biotune.report import figures as draw
from biotune.report.refinement_sentences import words_of
from biotune.report.refinement_tables import objective_cell, rows_of
from biotune.report.run_tables import written_score
from biotune.report.templating import embedded, page_template
from biotune.results import Summary
from biotune.runs.files import write_atomic
from biotune.runs.folder import REPORT
from biotune.settings.refine import OBJECTIVES


def write_refinement(folder: Path, summary: Summary) -> Path:
    """Write ``report.html`` and ``figures/refinement.png``, each whole or not at all, and return the path of the page.

    Raises InputError: it is the summary of another run, or the disk is full or read-only.
    """
    found = summary.refinement
    if found is None:
        raise InputError(f"the run '{folder}' did not refine weights.")
    drawn = {"refinement": draw_curves(found.curves, METRICS[OBJECTIVES[found.objective]].label)}
    (folder / "figures").mkdir(exist_ok=True)
    write_atomic(folder / "figures" / "refinement.png", draw.to_png(drawn["refinement"]))
    page = folder / REPORT
    text = page_template("refinement.html").render(
        summary=summary,
        found=found,
        words=words_of(summary, found),
        rows=[
            (
                key,
                name,
                objective_cell(found.judged[key].searched, found.objective),
                objective_cell(found.judged[key].held_back, found.objective),
                wording.percent(entry.validation.accuracy) if entry.validation else wording.MISSING,
                written_score(entry.test),
                entry.difference,
            )
            for key, name, entry in rows_of(summary)
        ],
        objective=METRICS[OBJECTIVES[found.objective]],
        figures=embedded(drawn),
        captions={"refinement": "The best value so far after each round, by the objective; one line a repetition."},
    )
    write_atomic(page, text)
    return page


def draw_curves(curves: Sequence[Sequence[float]], label: str) -> Figure:
    """Draw the best value so far after each round, one line for each repetition."""
    with draw.styled():
        figure = Figure((draw.WIDTH, 3.4), layout="constrained")
        axes = figure.add_subplot()
        for curve in curves:
            axes.step(range(len(curve)), curve, where="post", color=draw.METHOD_COLORS["biotune"], alpha=0.6, lw=1.2)
        axes.grid(axis="y")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set(xlabel="iteration", ylabel=f"{label} (searched images)")
        axes.margins(x=0.015, y=0.12)
    return figure
