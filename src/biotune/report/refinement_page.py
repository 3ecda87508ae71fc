"""The page of a refinement: one file that opens offline, and a figure of how its searches went."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from biotune import wording
from biotune.errors import InputError
from biotune.report import figures as draw
from biotune.report.refinement_sentences import words_of
from biotune.report.refinement_tables import objective_cell, rows_of
from biotune.report.run_tables import written_score
from biotune.report.templating import embedded, page_template
from biotune.results import Summary
from biotune.runs.files import make_folder, write_atomic
from biotune.runs.folder import REPORT
from biotune.settings.refine import metric_of


def write_refinement(folder: Path, summary: Summary, changes: NDArray[np.float64] | None = None) -> Path:
    """Write ``report.html`` and ``figures/*.png``, each whole or not at all, and return the path of the page.

    ``changes`` says by how much the exported weights of the first layer differ from the trained ones, one row for each
    of its outputs; without it there is no figure of them.

    Raises InputError: it is the summary of another run, or the disk is full or read-only.
    """
    found = summary.refinement
    if found is None:
        raise InputError(f"the run '{folder}' did not refine weights.")
    drawn = {"refinement": draw_curves(found.curves, metric_of(found.objective).label)}
    if changes is not None:
        drawn["changes"] = draw_changes(changes)
    make_folder(folder / "figures")
    for name, figure in drawn.items():
        write_atomic(folder / "figures" / f"{name}.png", draw.to_png(figure))
    page = folder / REPORT
    text = page_template("refinement.html", summary.data.kind).render(
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
        objective=metric_of(found.objective),
        figures=embedded(drawn),
        captions={
            "refinement": "The best value so far after each round, by the objective; one line a repetition.",
            "changes": "How much each weight of the first refined layer was changed in the exported network.",
        },
    )
    write_atomic(page, text)
    return page


@draw.styled()
def draw_curves(curves: Sequence[Sequence[float]], label: str) -> Figure:
    """Draw the best value so far after each round, one line for each repetition."""
    figure = Figure((draw.WIDTH, 3.4), layout="constrained")
    axes = figure.add_subplot()
    for curve in curves:
        axes.step(range(len(curve)), curve, where="post", color=draw.METHOD_COLORS["biotune"], alpha=0.6, lw=1.2)
    axes.grid(axis="y")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="iteration", ylabel=f"{label} (searched images)")
    axes.margins(x=0.015, y=0.12)
    return figure


@draw.styled()
def draw_changes(changes: NDArray[np.float64]) -> Figure:
    """Draw the absolute changes of weights, shape (outputs, inputs), as a map."""
    figure = Figure((draw.WIDTH, 3.0), layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(np.abs(changes), aspect="auto", interpolation="nearest", cmap="cividis", vmin=0.0)
    figure.colorbar(image, label="absolute change")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="input", ylabel="output")
    return figure
