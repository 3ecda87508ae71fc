"""The page that follows a run or a comparison while it works: small, without figures, so that it costs nothing."""

from collections.abc import Sequence
from pathlib import Path

from biotune import wording
from biotune.report.templating import page_template
from biotune.runs import folder as files
from biotune.runs.comparisons import PAGE, comparison_status, is_comparison
from biotune.runs.manifest import read_result
from biotune.runs.so_far import Step, so_far

SECONDS = 10
"""The page asks to be loaded again after so many seconds: a training of a small network takes about as long."""

SHOWN = 24
"""Recipes on the page, at most."""

_PHASES = {  # in their order; baselines follow
    "probe": "A first model, logistic regression",
    "search": "Search: which blocks to train, and how fast",
    "sweep": "Rates of full fine-tuning, to compare with",
    "final": "Final trainings of the chosen recipe",
    "estimate": "Estimate without test images",
}


def live_page(folder: Path) -> str:
    """Return the report of a finished run or comparison, else a page that says how far it has come.

    Raises InputError: the folder holds neither; DamagedStateError: a file of it cannot be trusted.
    """
    if is_comparison(folder):
        compared = comparison_status(folder)
        if compared.status == "finished":
            return read_result(folder, PAGE).decode("utf-8")
        return page_template("live.html").render(
            seconds=SECONDS, status=compared, sentence=_words(compared.sentence(), folder), compared=compared.data_sets
        )
    found = so_far(folder)
    if found.status.status == "finished":
        return read_result(folder, files.REPORT).decode("utf-8")
    return page_template("live.html").render(
        seconds=SECONDS,
        status=found.status,
        sentence=_words(found.status.sentence(), folder),
        steps=[(_PHASES.get(step.phase) or wording.method_name(step.phase), step) for step in _ordered(found.steps)],
        tried=found.tried[:SHOWN],
        more=max(0, len(found.tried) - SHOWN),
    )


def _words(sentence: str, folder: Path) -> str:
    """Return the sentence of a status without the folder, which is the title of the page."""
    words = sentence.removeprefix(f"{folder}: ")
    return words[:1].upper() + words[1:]


def _ordered(steps: Sequence[Step]) -> list[Step]:
    order = [*_PHASES, *wording.METHOD_NAMES]
    return sorted(steps, key=lambda step: order.index(step.phase) if step.phase in order else len(order))


def waiting_page(reason: str) -> str:
    """Return a page that says why there is nothing to show yet, and asks again."""
    nothing = {"folder": "Nothing to show yet"}
    return page_template("live.html").render(seconds=SECONDS, status=nothing, sentence=reason, steps=(), tried=())
