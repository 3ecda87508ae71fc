"""The page of a run: one file that opens offline, runs no script and loads nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from biotune import wording
from biotune.metrics import METRICS, reported
from biotune.report import answer_figures as draw_answers
from biotune.report import figures as draw
from biotune.report import run_sentences as sentences
from biotune.report.answered import Answered, reliability
from biotune.report.lineage import lineage_of
from biotune.report.run_tables import one_full_finetune
from biotune.report.search_figures import reached, shares
from biotune.report.search_tables import block_gains, recipe_rows
from biotune.report.templating import embedded, page_template
from biotune.report.training_figures import learning_curves, panels_of
from biotune.results import Entry, History, Summary
from biotune.results.operating_point import DEFAULT, OperatingPoint
from biotune.results.summary import Block, Final, Search
from biotune.runs.files import make_folder, write_atomic

_MAX_CLASSES = 60
"""Classes that a page lists: more would make it long and say little; all are in summary.json."""
_LARGEST_MATRIX = 12
"""Classes of the largest confusion matrix that fits the width of a page as a table."""
_LARGEST_DRAWN = 100
"""Classes of the largest confusion matrix that is drawn: more names cannot be read."""
_SHOWN_MISTAKES, _SHOWN_SAMPLE = 18, 12
"""Images that a page shows: the surest mistakes, and a sample of all."""
_SHOWN_RECIPES, _MOST_RECIPES = 10, 200
"""Recipes of the search that a page shows at once, and those that it holds at all."""
_MOST_CONFUSED = 20
"""Pairs of confused classes that a page lists where a matrix would be too wide."""


def write_report(folder: Path, summary: Summary, history: History, answered: Answered | None) -> Path:
    """Write ``report.html`` and ``figures/*.png``, each whole or not at all, and return the path of the page.

    ``answered`` are the test images with their answers. Raises InputError: the disk is full or read-only.
    """
    drawn = draw_figures(summary, history, answered)
    make_folder(folder / "figures")
    for name, figure in drawn.items():
        write_atomic(folder / "figures" / f"{name}.png", draw.to_png(figure))
    page = folder / "report.html"
    write_atomic(page, render(summary, history, drawn, answered))
    return page


def draw_figures(summary: Summary, history: History, answered: Answered | None) -> dict[str, Figure]:
    """Draw every figure that the run has data for, by name; the arguments are those of ``write_report``."""
    drawn = {}
    if summary.baselines:
        drawn["comparison"] = draw.comparison(summary.entries)
    others = _other_finalists(summary)
    if others and not sentences.is_fitted_at_once(summary):
        drawn["learning_rate_map"] = draw.learning_rate_map(summary.recipe.blocks, others)
    if history.candidates:
        lineage = lineage_of(history.candidates, summary.recipe)
        full = sentences.full_when_judged(summary, history)
        drawn["convergence"] = draw.convergence(history.candidates, full, lineage.steps if lineage else ())
    if panels := panels_of(history.curves, history.judged_curves):
        drawn["learning_curves"] = learning_curves(panels)
    blocks, values = summary.recipe.blocks, summary.recipe.values
    if recipes := reached(history.candidates, blocks, values):
        drawn["shares"] = shares(recipes)
    if answered is not None and len(answered.labels):
        drawn |= _answer_figures(answered, summary.operating_point)
    return drawn


def _answer_figures(answered: Answered, point: OperatingPoint | None) -> dict[str, Figure]:
    """Draw what the answers on the test images are like."""
    drawn = {"reliability": draw_answers.reliability(reliability(answered.probability, answered.correct))}
    if sample := answered.sample(_SHOWN_SAMPLE):
        drawn["sample_predictions"] = draw_answers.gallery(sample)
    if mistakes := answered.surest_mistakes(_SHOWN_MISTAKES):
        drawn["mistakes"] = draw_answers.gallery(mistakes)
    if answered.explained:
        drawn["explained"] = draw_answers.gallery(answered.explained, columns=3)
    if _LARGEST_MATRIX < len(answered.classes) <= _LARGEST_DRAWN:
        drawn["confusion_matrix"] = draw_answers.confusion_matrix(answered.confusion, answered.classes)
    if answered.probabilities is not None and len(answered.classes) == 2 and len(set(answered.labels.tolist())) == 2:
        rare = int(answered.labels.mean() <= 0.5) if point is None else answered.classes.index(point.class_name)
        drawn["two_classes"] = draw_answers.two_classes(
            answered.probabilities[:, rare],
            answered.labels == rare,
            answered.classes[rare],
            tuple(dict.fromkeys((DEFAULT, DEFAULT if point is None else point.threshold))),
        )
    return drawn


def render(summary: Summary, history: History, figures: Mapping[str, Figure], answered: Answered | None = None) -> str:
    """Return the page as text, a complete HTML document.

    Every string of the run is escaped and freed of control characters; the figures, from ``draw_figures``, are drawn
    into the page as SVG.
    """
    entries, num_classes, groups = summary.entries, len(summary.data.classes), summary.used.groups
    metric = summary.protocol.metric
    recipes = recipe_rows(history.candidates, summary.recipe)
    return page_template("page.html", summary.data.kind).render(
        summary=summary,
        headline=sentences.headline(summary),
        alarms=sentences.alarms(summary),
        entries=[(wording.method_name(key), entry) for key, entry in entries.items()],
        shown_metrics=[(name, METRICS[name].label) for name in reported(metric)[1:]],
        blocks=[] if sentences.is_fitted_at_once(summary) else _block_rows(summary),
        costs=_cost_rows(summary),
        classes=summary.data.classes[:_MAX_CLASSES],
        class_rows=sentences.smallest_first(summary)[:_MAX_CLASSES],
        on_classes=sentences.unequal_classes(summary),
        matrix=_matrix(summary) if num_classes <= _LARGEST_MATRIX else None,
        confusions=summary.used.confusions[:_MOST_CONFUSED],
        mistakes=answered.surest_mistakes(_SHOWN_MISTAKES) if answered else [],
        figures=embedded(figures),
        identical=[wording.method_name(key) for key in summary.baselines if sentences.is_identical(summary, key)],
        recipes=recipes,
        gains=block_gains(recipes),
        shown_recipes=_SHOWN_RECIPES,
        most_recipes=_MOST_RECIPES,
        on_threshold=sentences.on_threshold(summary),
        on_groups=sentences.on_groups(summary),
        wrong_in=answered.mistakes_of([group.name for group in groups.worst]) if answered and groups else {},
        captions=sentences.captions(summary, history, answered),
        caveats=sentences.caveats(summary, history),
        one_full_finetune=one_full_finetune(summary),
    )


def _other_finalists(summary: Summary) -> list[tuple[str, Sequence[float]]]:
    """The other recipes that reached the final phase, with their validation scores."""
    winner = (tuple(block.multiplier for block in summary.recipe.blocks), summary.recipe.values)
    others = [one for one in summary.final.candidates if (one.multipliers, one.values) != winner]
    return [
        (f"Finalist {number}, {wording.percent(finalist.validation)}", finalist.multipliers)
        for number, finalist in enumerate(others, start=2)
    ]


@dataclass(frozen=True)
class BlockRow:
    """A block of the recipe with its bar around the middle of a log scale.

    Args:
        block: the block.
        share: its share of the network's parameters, in [0, 1].
        rate: its learning rate.
        start: where the bar starts, in per cent of the scale's width.
        width: width of the bar, in per cent.
        slower: whether it learns slower than the base rate.
    """

    block: Block
    share: float
    rate: float
    start: float
    width: float
    slower: bool


def _block_rows(summary: Summary) -> list[BlockRow]:
    recipe = summary.recipe
    exponents = [float(np.log10(block.multiplier)) if block.multiplier else 0.0 for block in recipe.blocks]
    span = max([1.0, *map(abs, exponents)])
    total = sum(block.parameters for block in recipe.blocks) or 1
    return [
        BlockRow(
            block,
            share=block.parameters / total,
            rate=block.multiplier * recipe.base_learning_rate,
            start=50 + min(0.0, 50 * exponent / span),
            width=max(1.0, 50 * abs(exponent) / span),
            slower=exponent < 0,
        )
        for block, exponent in zip(recipe.blocks, exponents, strict=True)
    ]


@dataclass(frozen=True)
class CostRow:
    """What a part of the run cost.

    Args:
        name: display name of the part.
        cost: its work in full fine-tunes, None where that is not known.
        seconds: CPU time, or wall time; see ``Summary.shown_seconds``.
        kind: ``part`` of BioTune, their ``sum``, or ``other``.
        width: width of the bar, in per cent of the longest; of the cost, or of the time where one has no cost.
    """

    name: str
    cost: float | None
    seconds: float
    kind: str
    width: float


def _cost_rows(summary: Summary) -> list[CostRow]:
    search, final = summary.search, summary.final
    (_, chosen), *others = summary.entries.items()
    parts: list[tuple[str, Entry | Search | Final, str]] = [
        *([("Search", search, "part")] if search else []),
        ("Final trainings", final, "part"),
        ("BioTune, together", chosen, "sum"),
        *((wording.method_name(key), row, "other") for key, row in others),
    ]
    costs = [part.cost_in_full_finetunes for _, part, _ in parts]
    seconds = [summary.shown_seconds(part) for _, part, _ in parts]
    known = [cost for cost in costs if cost is not None]
    bars = known if len(known) == len(parts) else seconds
    longest = max(bars) or 1.0
    return [
        CostRow(name, cost, time, kind, 100 * bar / longest)
        for (name, _, kind), cost, time, bar in zip(parts, costs, seconds, bars, strict=True)
    ]


def _matrix(summary: Summary) -> list[list[int]] | None:
    """Return how many test images of each class (rows) were taken for each class (columns); None without any."""
    rows = summary.used.per_class
    if not any(row.test for row in rows) or any(row.precision is None and row.f1 is None for row in rows if row.test):
        return None
    counts = {(pair.truth, pair.predicted): pair.images for pair in summary.used.confusions}
    return [
        [round((row.recall or 0) * row.test) if row.name == other.name else counts.get((row.name, other.name), 0)
         for other in rows]
        for row in rows
    ]  # fmt: skip
