"""A run in a notebook: its verdict, its score, a little picture of its recipe, and where its report lies.

And a comparison: its verdict, and what each entry reached.
"""

import math
from pathlib import Path

from biotune.report.comparison_rows import rows_of
from biotune.report.comparison_sentences import headline as comparison_headline
from biotune.report.refinement_sentences import words_of
from biotune.report.run_sentences import alarms, brief, headline
from biotune.report.templating import page_template
from biotune.results import Comparison, Summary
from biotune.runs.comparisons import PAGE
from biotune.runs.folder import REPORT

_TALLEST = 44
_SPAN = 2.0
"""Powers of ten above and below the base rate that the picture tells apart."""


def card(summary: Summary, folder: Path) -> str:
    """Return a run as a piece of HTML for a notebook; every text of the run is escaped.

    Args:
        summary: what the run found.
        folder: the run folder, to which it links where that lies below the current folder.

    Returns:
        One ``div`` that takes colours and fonts from the page around it.
    """
    words = words_of(summary, summary.refinement) if summary.refinement else headline(summary)
    return page_template("card.html", summary.data.kind).render(
        summary=summary,
        words=words,
        brief=brief(summary),
        alarms=alarms(summary),
        blocks=[(block, _height(block.multiplier)) for block in summary.recipe.blocks],
        report=folder / REPORT,
        link=_link(folder / REPORT),
    )


def comparison_card(comparison: Comparison, folder: Path) -> str:
    """Return a comparison as a piece of HTML for a notebook, as ``card`` does."""
    words = comparison_headline(comparison)
    entries = [pair for row in rows_of(comparison.methods, comparison.on) for pair in row.entries()]
    rows = [(name, entry.scores(comparison.on)) for name, entry in entries]
    return page_template("comparison_card.html").render(
        words=words, rows=rows, on=comparison.on, report=folder / PAGE, link=_link(folder / PAGE)
    )


def _height(multiplier: float) -> int:
    """Return the height of a block's bar in pixels: half of the tallest at the base rate, least where it is frozen."""
    if multiplier == 0:
        return 4
    share = 0.5 + math.log10(multiplier) / (2 * _SPAN)
    return round(_TALLEST * min(1.0, max(0.2, share)))


def _link(report: Path) -> str:
    """Return the address of a report as a notebook in the current folder opens it; empty where it cannot."""
    path, here = report.resolve(), Path.cwd()
    return path.relative_to(here).as_posix() if path.is_relative_to(here) else ""
