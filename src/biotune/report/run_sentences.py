"""What the report of a run says: the facts behind ``templates/run.txt``, which holds the words."""

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from biotune import wording
from biotune.metrics import calibration_error_of
from biotune.report.answered import Answered
from biotune.report.lineage import lineage_of
from biotune.report.templating import Sentences
from biotune.results import Entry, History, Summary
from biotune.results.history import Candidate
from biotune.results.refinement import REFINED
from biotune.results.scores import ClassScores
from biotune.results.summary import Companion
from biotune.statistics import accuracy_interval, wilson_half

FEW_OF_A_CLASS = 5
"""With fewer images of a class, to learn and to choose from, the report says that they cannot rank recipes."""

FEW_FOR_A_THRESHOLD = 20
"""With fewer held-out images of a class, one more that is found moves the sensitivity by more than 5 points."""

FEW_GROUPS = 10
"""With fewer groups of test images, the report says that they say little about others."""

FEW_PLACES = 7
"""A map of fewer places in a row than most networks have at 224 pixels says little about where they look."""

OWN_MASK, FULL = "mask_one_rate", ("full", "full_tuned")
"""The baseline that is a part of BioTune's recipe, and those that train every block at one rate."""

_MUCH_CHEAPER = 3.0
"""A simple way that does as well is recommended where it costs less than the search by this factor."""

UNEQUAL = 3.0
"""The classes are called unequal where the largest has more than so many times the images of the smallest."""


@dataclass(frozen=True)
class Headline:
    """The first lines of a report.

    Args:
        title: what it is about.
        lead: the score that was reached.
        verdict: ``better``, ``tie``, ``worse`` than the strongest of the simple ways, or ``unknown``.
        claim: the verdict in a few words.
        reason: the numbers behind it and what follows.
    """

    title: str
    lead: str
    verdict: str
    claim: str
    reason: str


def headline(summary: Summary) -> Headline:
    """Return the first lines of a run's report, honest about a tie or a loss."""
    key, winner = next(iter(summary.entries.items()))
    case, other_key, other = _case(summary, winner)
    on = "test" if winner.test else "validation"
    metric = summary.protocol.metric
    words = Sentences(
        "run.txt",
        summary=summary,
        metric=metric,
        blocks=len(summary.recipe.blocks),
        frozen=sum(block.multiplier == 0 for block in summary.recipe.blocks),
        name=wording.method_name(key),
        winner=winner,
        used_low_high=_interval_of(summary),
        means={name: score.mean for name, score in winner.shown.metrics.items()},
        on=on,
        seeds=max(1, len(winner.shown.per_seed)),
        case=case,
        cheap=_cheapest_equal(summary, winner),
        rates=sorted({block.multiplier for block in summary.recipe.blocks if block.multiplier}),
        simple=sum(name not in (OWN_MASK, REFINED) for name in summary.baselines),
        other=other,
        other_key=other_key,
        other_name=wording.method_name(other_key),
        other_is_useless=other is not None and _is_no_better(summary, other.shown.accuracy),
        common=_always(summary)[0],
        differs_in_values=bool(summary.recipe.values)
        and other_key in FULL
        and summary.method == "biotune"
        and has_rates_of(summary, other_key),
    )
    verdict = {"none": "unknown", "no test": "unknown", "identical": "tie"}.get(case, case)
    return Headline(words("title"), words("lead"), verdict, words("claim"), words("reason"))


def brief(summary: Summary) -> str:
    """Return the score of a run with its interval, in a few words."""
    winner = summary.entries[summary.method]
    words = Sentences(
        "run.txt",
        summary=summary,
        winner=winner,
        accuracy=summary.vote.accuracy if summary.vote else winner.shown.accuracy,
        used_low_high=_interval_of(summary),
        on="test" if winner.test else "validation",
    )
    return words("brief")


def _interval_of(summary: Summary) -> tuple[float, float] | None:
    """Return the 95 % interval of the headline's accuracy, from images and seeds; None without a test set."""
    if summary.test is None or not summary.data.test:
        return None
    groups = summary.used.groups
    images = groups.effective_images if groups else summary.data.test
    if summary.vote is not None and summary.vote.accuracy is not None:
        return accuracy_interval(summary.vote.accuracy, images)
    return accuracy_interval(summary.test.accuracy, images, summary.test.standard_error)


def _case(summary: Summary, winner: Entry) -> tuple[str, str, Entry | None]:
    """Return what the verdict is, and the baseline that it is about: the hardest to beat of the simple ways.

    ``none`` and ``no test`` allow no verdict. ``identical``: the search chose what that baseline does. Another baseline
    takes its place where it is surely better than the winner.
    """
    others = {
        key: row for key, row in summary.baselines.items() if key != REFINED
    }  # the winner itself, changed a little
    if not others:
        return "none", "", None
    gains = {key: row.difference for key, row in others.items() if row.difference and winner.test}
    simple = [key for key in gains if key != OWN_MASK] or list(gains)
    if not simple:
        return "no test", "", None
    worse = [key for key, gain in gains.items() if gain.verdict == "worse"]
    hardest = min(worse or simple, key=lambda key: gains[key].difference)
    verdict = "identical" if is_identical(summary, hardest) else gains[hardest].verdict
    return verdict, hardest, summary.baselines[hardest]


def _cheapest_equal(summary: Summary, winner: Entry) -> tuple[str, Entry] | None:
    """Return the cheapest simple way that is no worse on the test, if it costs a third of the winner or less.

    By its name, with what it reached; None without any.
    """
    costs = {
        key: row.cost_in_full_finetunes
        for key, row in summary.baselines.items()
        if row.difference and row.difference.verdict != "better" and row.cost_in_full_finetunes is not None
    }
    if not costs or winner.cost_in_full_finetunes is None:
        return None
    key = min(costs, key=lambda name: costs[name])
    return (key, summary.baselines[key]) if costs[key] <= winner.cost_in_full_finetunes / _MUCH_CHEAPER else None


def is_identical(summary: Summary, key: str) -> bool:
    """Whether the recipe that the search chose is what a baseline does."""
    values = summary.recipe.values
    if summary.method != "biotune" or not has_rates_of(summary, key):
        return False
    return values == {"head_start": "fitted"} if key == "probe" else key == OWN_MASK or not values


def has_rates_of(summary: Summary, key: str) -> bool:
    """Whether the chosen recipe trains what a baseline does, as fast, whatever its named values."""
    *body, head = (block.multiplier for block in summary.recipe.blocks)
    rates = {*body, head}
    if key in FULL:
        return rates == {summary.baselines[key].learning_rate_multiplier}
    if key == OWN_MASK:
        return rates <= {0.0, 1.0}
    return {"linear_probe": (set(body) <= {0.0} and head == 1.0), "probe": rates == {0.0}}.get(key, False)


def alarms(summary: Summary) -> list[str]:
    """Return what forbids to use the model or its scores without a further look; nothing where all is well."""
    rows, leaks = summary.used.per_class, [leak for leak in summary.data.leaks if "test" in leak.splits]
    common, always = _always(summary)
    accuracy = summary.used.metrics.get("accuracy")
    words = Sentences(
        "run.txt",
        summary=summary,
        accuracy=accuracy,
        is_useless=_is_no_better(summary, accuracy),
        common=common,
        always=always,
        missed=[row for row in rows if row.recall is not None and row.recall < 0.5] if summary.test else [],
        leaked=sum(leak.splits.count("test") for leak in leaks if set(leak.splits) != {"test"}),
    )
    return words.paragraphs("alarms")


def _always(summary: Summary) -> tuple[ClassScores | None, float]:
    """Return the class of the most training images, and the share of the test images that are of it."""
    rows = summary.used.per_class
    tested = sum(row.test for row in rows) if summary.test else 0
    common = max(rows, key=lambda row: (row.train or 0, row.test), default=None)
    return common, common.test / tested if tested and common else 0.0


def _is_no_better(summary: Summary, accuracy: float | None) -> bool:
    """Whether an accuracy on the test set is not clearly better than answering one class for all images."""
    common, always = _always(summary)
    tested = sum(row.test for row in summary.used.per_class) if summary.test else 0
    if not tested or accuracy is None or common is None:
        return False
    groups = summary.used.groups
    return accuracy_interval(accuracy, groups.effective_images if groups else tested)[0] <= always


def captions(summary: Summary, history: History, answered: Answered | None = None) -> dict[str, str]:
    """Return, for each figure by name, the sentence below it."""
    trained = [row for row in history.candidates if row.outcome == "ok" and row.finished]
    best = max(trained, key=lambda row: row.fitness, default=None)
    has_full = full_when_judged(summary, history) is not None
    tested = answered if answered is not None and len(answered.labels) else None
    lineage = lineage_of(history.candidates, summary.recipe)
    words = Sentences(
        "run.txt",
        summary=summary,
        history=history,
        best_candidate=best,
        lineage=lineage,
        ancestors=[str(number + 1) for number in lineage.chosen.parents] if lineage else [],
        has_full=has_full,
        calibration_error=calibration_error_of(tested.probability, tested.correct) if tested else None,
        sure=float(tested.probability.mean()) if tested else None,
        right=float(tested.correct.mean()) if tested else None,
        places=tested.places if tested else 0,
        few_places=FEW_PLACES,
    )
    names = (
        "comparison", "learning_rate_map", "convergence", "learning_curves", "sample_predictions", "mistakes",
        "confusion_matrix", "reliability", "two_classes", "explained", "shares",
    )  # fmt: skip
    return {name: words(name) for name in names}


def full_when_judged(summary: Summary, history: History) -> float | None:
    """What full fine-tuning had reached where the search compared its candidates, mean over seeds; None if unknown."""
    if history.judged_on_folds > 1:  # its final trainings are judged on other images
        return None
    if summary.protocol.fitness == "loss":  # its epochs are stored with their scores only
        return None
    counts = max if summary.protocol.stopping == "early" else operator.itemgetter(-1)
    curves = [row.validation_score[: history.judged_after_epochs] for row in history.curves if row.method == "full"]
    reached = [counts(curve) for curve in curves if curve]
    return sum(reached) / len(reached) if reached else None


def is_fitted_at_once(summary: Summary) -> bool:
    """Whether a classifier was fitted to features and no block was trained, so that there are no rates to show."""
    return summary.method.partition(":")[0] == "probe"


def unequal_classes(summary: Summary) -> str:
    """Return what unequal classes mean for the scores and what was done about them; nothing where they are alike."""
    trained = [row.train or 0 for row in summary.used.per_class]
    if not trained or max(trained) <= UNEQUAL * min(trained):
        return ""
    facts: dict[str, Any] = {"largest_class": max(trained), "smallest_class": min(trained)}
    return Sentences("run.txt", summary=summary, metric=summary.protocol.metric, **facts)("unequal")


def on_groups(summary: Summary) -> str:
    """Return what the groups of the test images mean; nothing without any."""
    if summary.used.groups is None:
        return ""
    return Sentences("run.txt", summary=summary, few=FEW_GROUPS)("groups")


def on_threshold(summary: Summary) -> list[str]:
    """Return how the operating point was chosen and how it is used; nothing without one."""
    if summary.operating_point is None:
        return []
    words = Sentences("run.txt", summary=summary, point=summary.operating_point, few=FEW_FOR_A_THRESHOLD)
    return words.paragraphs("threshold")


def smallest_first(summary: Summary) -> list[ClassScores]:
    """Return the rows of all classes, that of the fewest training images first."""
    return sorted(summary.used.per_class, key=lambda row: row.train or 0)


def caveats(summary: Summary, history: History) -> list[str]:
    """Return what a reader must know before quoting the numbers, most important first."""
    data = summary.data
    judged = history.judged_images or data.validation + (data.train if history.judged_on_folds > 1 else 0)
    finished, tied, margin = _tied(history.candidates, judged)
    if summary.protocol.fitness == "loss":
        tied = history.tied_recipes or 0
        tied = tied if tied > 1 else 0
    scores = summary.validation or summary.entries[summary.method].shown
    words = Sentences(
        "run.txt",
        summary=summary,
        history=history,
        metric=summary.protocol.metric,
        seeds=max(1, len(scores.per_seed)),
        accuracy=scores.accuracy,
        few=FEW_OF_A_CLASS,
        failed=failures(summary),
        finished=finished,
        tied=tied,
        tie_margin=margin,
        judged=judged,
        margin=_margin,
        companions=list(map(_in_words, summary.final.companions)),
    )
    return words.paragraphs("caveats")


def failures(summary: Summary) -> str:
    """Return which final trainings have no test score, and why; nothing where all have one."""
    return wording.failures(
        [(wording.method_name(key), row.diverged, row.out_of_memory) for key, row in summary.entries.items()]
    )


def _in_words(companion: Companion) -> str:
    """Return what a recipe trains, how fast and with which named values."""
    rates = [value for value in companion.multipliers if value]
    low, high = (f"{limit(rates, default=0.0):g}" for limit in (min, max))
    at = f" at {low}" if low == high else f" at {low} to {high}"
    named = [f"{name} = {value}" for name, value in companion.values.items()]
    return ", ".join([f"{len(rates)} of {len(companion.multipliers)} blocks{at if rates else ''}", *named])


def _tied(candidates: Sequence[Candidate], judged: int) -> tuple[int, int, str]:
    """Return how many recipes were judged to the end, how many tie with the best, and within how many points."""
    fitness = {
        (row.multipliers, tuple(sorted(row.values.items()))): row.fitness
        for row in candidates
        if row.outcome == "ok" and row.finished
    }
    if len(fitness) < 2 or not judged:
        return len(fitness), 0, ""
    best = max(fitness.values())
    half = wilson_half(best, judged)
    return len(fitness), sum(value >= best - half for value in fitness.values()), f"{100 * half:.1f}"


def _margin(accuracy: float, images: int) -> str:
    """Half of the 95 % range, in points, of an accuracy measured on so many images."""
    return f"{100 * wilson_half(accuracy, images):.1f}" if images and 0 <= accuracy <= 1 else wording.MISSING
