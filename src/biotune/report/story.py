"""The report's sentences: what was found, what each figure shows and what the numbers cannot say."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from biotune import wording
from biotune.report.rows import MethodRow, method_rows
from biotune.statistics import Interval

_VERDICT_WORDS = {"better": "Better than", "tie": "A tie with", "worse": "Worse than"}
VERDICT_MARKS = {"better": "\N{BLACK UP-POINTING TRIANGLE}", "tie": "=", "worse": "\N{BLACK DOWN-POINTING TRIANGLE}"}

FEW_OF_A_CLASS = 5
"""Images of a class, to learn and to choose from, below which the report says that recipes cannot be told apart."""


@dataclass(frozen=True)
class Headline:
    """The first lines of the report.

    Args:
        title: what the recipe does to the network.
        lead: the score it reaches.
        verdict: ``better``, ``tie``, ``worse`` than full fine-tuning, or ``unknown``.
        claim: the verdict in a few words.
        reason: the numbers behind it and what follows.
    """

    title: str
    lead: str
    verdict: str
    claim: str
    reason: str


def headline(summary: Mapping[str, Any]) -> Headline:
    """Return the report's first lines, honest about a tie or a loss."""
    rows = method_rows(summary)
    winner, full = rows[0], next((row for row in rows if row.key == "full"), None)
    verdict, claim, reason = _verdict(winner, full)
    if (best := _stronger(rows)) is not None and verdict != "unknown":
        verdict, claim, reason = _worse_than(*best)
    return Headline(_title(summary), _lead(summary, winner), verdict, claim, reason)


def _stronger(rows: Sequence[MethodRow]) -> tuple[MethodRow, Interval] | None:
    """Return the rival that is surely ahead, and furthest; None if that is full fine-tuning: it has its own verdict."""
    ahead = [(row, row.difference) for row in rows[1:] if row.difference and row.difference.verdict == "worse"]
    best = min(ahead, key=lambda pair: pair[1].difference, default=None)
    return None if best is None or best[0].key == "full" else best


def _worse_than(row: MethodRow, found: Interval) -> tuple[str, str, str]:
    numbers = f"{wording.points(found.difference)} points, 95 % interval {wording.interval(found.low, found.high)}"
    reason = (
        f"{row.name} reaches {wording.percent(row.score.accuracy)}; the difference is {numbers}, which excludes zero. "
        "On this data it is the better choice."
    )
    return "worse", f"Worse than “{row.name}”", reason


def _title(summary: Mapping[str, Any]) -> str:
    blocks = summary["recipe"]["blocks"]
    frozen = sum(block["multiplier"] == 0 for block in blocks)
    model = wording.label(summary["model"]["name"], 60)
    if not frozen:
        return f"All {len(blocks)} blocks of {model} are trained, each at its own rate"
    stay = "stays" if frozen == 1 else "stay"
    return f"{frozen} of {len(blocks)} blocks of {model} {stay} frozen, the others learn at their own rates"


def _lead(summary: Mapping[str, Any], winner: MethodRow) -> str:
    data, share = summary["data"], wording.share(winner.trainable_fraction)
    if found := summary.get("out_of_fold"):
        return (
            f"Out of fold, {winner.name} reaches {wording.percent(found['accuracy'])} on the "
            f"{wording.count(found['images'])} images of {wording.label(data['name'], 60)}, each left out of one of "
            f"{len(found['per_fold'])} trainings. It trains {share} of the parameters."
        )
    images, kind = (data["test"], "test") if winner.test else (data["validation"], "validation")
    spread = winner.score.standard_error
    seeds = max(1, len(winner.score.per_seed))
    error = f" ± {wording.percent(spread)} (standard error over {seeds} seeds)" if spread is not None else ", one seed"
    return (
        f"{winner.name} reaches {wording.percent(winner.score.accuracy)}{error} on the {wording.count(images)} {kind} "
        f"images of {wording.label(data['name'], 60)}, training {share} of the parameters."
    )


def _verdict(winner: MethodRow, full: MethodRow | None) -> tuple[str, str, str]:
    if full is None:
        return "unknown", "Not compared with full fine-tuning", "That baseline was not part of this run."
    scores = f"Full fine-tuning reaches {wording.percent(full.score.accuracy)}"
    if full.difference is None or winner.test is None:
        return (
            "unknown",
            "No verdict on full fine-tuning",
            f"{scores} on the validation images. These were used for selection, so do not compare that with scores on "
            "others; there is no test set to decide on.",
        )
    found = full.difference
    numbers = (
        f"{scores}; the difference is {wording.points(found.difference)} points, "
        f"95 % interval {wording.interval(found.low, found.high)}"
    )
    reasons = {
        "better": f"{numbers}, which excludes zero.",
        "tie": f"{numbers}, which includes zero: this test set and these seeds cannot tell the two apart.",
        "worse": f"{numbers}, which excludes zero. On this data full fine-tuning is the better choice.",
    }
    return found.verdict, f"{_VERDICT_WORDS[found.verdict]} full fine-tuning", reasons[found.verdict]


def _finalists_caption(summary: Mapping[str, Any]) -> str:
    if len(summary["final"]["candidates"]) < 2:
        return ""
    return (
        " Below the winner: the other finalists with their validation scores; they are often relatives, so that their "
        "agreement proves little."
    )


def captions(summary: Mapping[str, Any], history: Mapping[str, Any]) -> dict[str, str]:
    """Return, for each figure by name, the sentence below it."""
    has_test = bool(summary.get("test"))
    on = "the test set" if has_test else "the validation set, which was used for selection"
    return {
        "comparison": (
            f"Accuracy of each method on {on}. Diamonds are means with one standard error over seeds, rings are single "
            "seeds, the dotted line marks BioTune's mean. At the right: numbers and share of trained parameters."
        ),
        "learning_rate_map": (
            "Learning-rate multiplier of every block, from the input (left) to the head (right): orange blocks learn "
            f"faster than the base rate, blue ones slower, hatched ones are frozen.{_finalists_caption(summary)}"
        ),
        "convergence": _convergence_caption(history),
        "learning_curves": (
            "Validation accuracy over the epochs of the final trainings (solid) and of the baselines (dashed), one "
            "line per seed; equal ones hide each other. The dot is the best epoch, whose weights are kept."
        ),
        "sample_predictions": _samples_caption(has_test),
    }


def _convergence_caption(history: Mapping[str, Any]) -> str:
    epochs, folds = history["judged_after_epochs"], history["judged_on_folds"]
    judged = (
        f"its best validation score up to epoch {epochs}, and what full fine-tuning had by then (dashed, mean over the "
        "final seeds)"
        if folds == 1
        else f"its best score up to epoch {epochs}, mean over {folds} folds, each held out of one training"
    )
    seen = (
        f"Fitness of every candidate in the order of the search: {judged}. Pale candidates were stopped earlier. The "
        "line is the best so far; bands are generations; crosses at the bottom are candidates that diverged or froze "
        "everything."
    )
    trained = [row for row in history["candidates"] if row["outcome"] == "ok" and row["finished"]]
    if not trained:
        return seen
    best = max(trained, key=lambda row: row["fitness"])
    return f"{seen} The best value came in generation {best['generation']}, with candidate {best['sequence'] + 1}."


def _samples_caption(has_test: bool) -> str:
    return (
        f"Some {'test' if has_test else 'validation'} images with the exported model's prediction and its probability. "
        "A solid frame and a check mark mean right; a dashed frame and a cross mean wrong, with the true class."
    )


def caveats(summary: Mapping[str, Any], history: Mapping[str, Any]) -> list[str]:
    """Return what a reader must know before quoting the numbers, most important first."""
    data, seeds = summary["data"], max(1, len(summary["validation"].get("per_seed") or ()))
    notes = [
        "Validation scores were used for selection: they chose the recipe, the best epochs and the tuned baselines, so "
        "they are optimistic for every method. " + _test_remark(summary),
        _uncertainty(summary, history),
    ]
    if data["smallest_class"] < FEW_OF_A_CLASS:
        notes.append(_too_few(summary, history))
    if seeds < 10:
        notes.append(
            f"{'One seed tells' if seeds == 1 else f'{seeds} seeds tell'} little about the spread between trainings, "
            "and the intervals understate it. Read “better” as evidence for this data set, and “tie” as “not told "
            "apart”, not as “equal”."
        )
    exported = summary.get("exported")
    if exported and exported.get("test") is not None:
        notes.append(
            f"The exported model is the winner's seed with the best validation score ({exported['seed']}); it scores "
            f"{wording.percent(exported['test'])} on the test set (macro {wording.percent(exported['test_macro'])}). "
            "The mean over seeds is the fairer estimate."
        )
    optimistic = (summary.get("final") or {}).get("best_on_test_optimistic")
    if optimistic is not None:
        notes.append(
            f"The papers report the best test accuracy among all finalists, {wording.percent(optimistic)} here. It is "
            "optimistic, since the test set chose it; the figure above is the honest one."
        )
    if count := len(data.get("quarantined", ())):
        files = (
            "One file could not be used as an image and was"
            if count == 1
            else f"{wording.count(count)} files could not be used as images and were"
        )
        notes.append(f"{files} left out.")
    return notes


def _test_remark(summary: Mapping[str, Any]) -> str:
    if summary.get("test"):
        return "The test set was opened only after the last choice: compare methods by it."
    if not (found := summary.get("out_of_fold")):
        return "There is no test set in this run, so no score on this page is free of it: keep some images aside."
    accuracies, searched = found["per_fold"], summary.get("search")
    diverged = f" {found['diverged']} of these diverged; their folds count as wrong." if found["diverged"] else ""
    in_view = " These images were in view when the recipe was chosen, so it may be a little too high."
    return (
        f"There is no test set in this run. The headline is an estimate instead: trained anew {len(accuracies)} times "
        f"for {wording.plural(found['epochs'], 'epoch')}, each time without one fold of the training "
        f"and validation images, it was right on {wording.percent(min(accuracies))} to "
        f"{wording.percent(max(accuracies))} of the fold, "
        f"±{_margin(found['accuracy'], found['images'])} points over all from the choice of images."
        f"{diverged}{in_view if searched else ''}"
    )


def _uncertainty(summary: Mapping[str, Any], history: Mapping[str, Any]) -> str:
    """Say how far scores can be off from the choice of images alone."""
    data, folds, accuracy = summary["data"], history["judged_on_folds"], summary["validation"]["accuracy"]
    alone = f"With {wording.count(data['validation'])} validation images one score is uncertain by about"
    margin = _margin(accuracy, data["validation"])
    if folds == 1:
        return (
            f"{alone} ±{margin} points from the choice of images alone: recipes closer than that are not told apart by "
            "one training."
        )
    images = data["train"] + data["validation"]
    return (
        f"{alone} ±{margin} points. So recipes that came to the end of the race, and the rates of baselines, were "
        f"judged on all {wording.count(images)} training and validation images instead, in {folds} trainings that each "
        f"left one of {folds} folds out; that leaves ±{_margin(accuracy, images)} points from the choice of images."
    )


def _too_few(summary: Mapping[str, Any], history: Mapping[str, Any]) -> str:
    """Say that recipes cannot be told apart, and how many tie with the best."""
    data = summary["data"]
    judged = data["validation"] + (data["train"] if history["judged_on_folds"] > 1 else 0)
    finished = {
        tuple(row["multipliers"]): row["fitness"]
        for row in history["candidates"]
        if row["outcome"] == "ok" and row["finished"]
    }
    images = data["smallest_class"]
    few = (
        f"The smallest class has only {wording.plural(images, 'image')} to learn and to choose from: so few "
        "cannot tell recipes apart."
    )
    if len(finished) < 2 or not judged:
        return few
    best = max(finished.values())
    tied = sum(fitness >= best - _half_range(best, judged) for fitness in finished.values())
    return (
        f"{few} Of the {len(finished)} recipes that were judged to the end, {tied} (the best among them) lie within "
        f"{100 * _half_range(best, judged):.1f} points of the best: read the recipe as one of these."
    )


def _margin(accuracy: float, images: int) -> str:
    """Half of the 95 % range, in points, of an accuracy measured on so many images."""
    return f"{100 * _half_range(accuracy, images):.1f}" if images and 0 <= accuracy <= 1 else wording.MISSING


def _half_range(accuracy: float, images: int) -> float:
    """Half of Wilson's 95 % interval, which does not close at an accuracy of 1."""
    square = 1.96**2
    return math.sqrt(square * accuracy * (1 - accuracy) / images + (square / images) ** 2 / 4) / (1 + square / images)
