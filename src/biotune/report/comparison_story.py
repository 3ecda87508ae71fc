"""A comparison in sentences: who is better, what the numbers stand on, and what they cannot say."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from biotune import wording
from biotune.report.contenders import Contender, Result, contenders, has_tuned, on_test
from biotune.report.story import Headline
from biotune.significance import ALPHA, SMALLEST_BLOCKS, pairs_needed

_FEW_SEEDS = 10


SAME = 1e-9
"""Means closer than this are equal."""


def reference_name(comparison: Mapping[str, Any]) -> str:
    """Return the display name of what all others are compared with."""
    return wording.label(wording.method_name(comparison["reference"]), 40)


def headline(comparison: Mapping[str, Any]) -> Headline:
    """Return the first lines: the order at the top, and plainly where the reference is not the best.

    Args:
        comparison: as in ``comparison.json``.

    Returns:
        Title, lead, verdict and the numbers behind it.
    """
    rows = contenders(comparison["methods"], on_test(comparison))
    name = reference_name(comparison)
    verdict, claim, reason = _verdict(rows, comparison["reference"], name)
    return Headline(_title(comparison, rows), _lead(comparison, rows, name), verdict, claim, reason)


def _title(comparison: Mapping[str, Any], rows: Sequence[Contender]) -> str:
    sets = comparison["datasets"]
    where = wording.label(sets[0]["name"], 60) if len(sets) == 1 else f"{len(sets)} data sets"
    model = wording.label(comparison["model"]["name"], 60)
    return f"{wording.plural(len(rows), 'method')} compared on {where} with {model}"


def _lead(comparison: Mapping[str, Any], rows: Sequence[Contender], name: str) -> str:
    own = next(row for row in rows if row.key == comparison["reference"]).default.score
    on = "test" if on_test(comparison) else "validation"
    over = "" if len(comparison["datasets"]) == 1 else f", mean over {len(comparison['datasets'])} data sets"
    if own is None:
        return f"All final trainings of {name} diverged: it has no score."
    spread = "" if own.standard_error is None else f" ± {wording.percent(own.standard_error)}"
    return f"{name} reaches {wording.percent(own.accuracy)}{spread} accuracy on the {on} images{over}."


def _verdict(rows: Sequence[Contender], reference: str, name: str) -> tuple[str, str, str]:
    rivals = [pair for row in rows if row.key != reference for pair in row.results()]
    judged = [(label, result) for label, result in rivals if result.difference is not None]
    if not judged:
        return "unknown", "No verdict", _why_none(rows, reference, name)
    groups = {
        verdict: [pair for pair in judged if pair[1].difference and pair[1].difference.verdict == verdict]
        for verdict in ("better", "tie", "worse")
    }
    missing = len(rivals) - len(judged)
    without = (
        f" {wording.plural(missing, 'result')} without a score {'is' if missing == 1 else 'are'} left out."
        if missing
        else ""
    )
    if groups["worse"]:
        claim = f"{name} is not the best here"
        first, *others = sorted(groups["worse"], key=_gain, reverse=True)
        more = (
            f" So {'is' if len(others) == 1 else 'are'} {wording.listed([label for label, _ in others])}."
            if others
            else ""
        )
        beaten = f" {name} is better than {len(groups['better'])} of {wording.plural(len(judged), 'other result')}."
        return "worse", claim, f"{first[0]} is better by {_ahead(first[1])}.{more}{beaten}{without}"
    if not groups["tie"]:
        closest = max(judged, key=_gain)
        return (
            "better",
            f"{name} is better than {_all_of(len(judged))}",
            f"The closest is {closest[0]}: {name} is ahead of it by {_behind(closest[1])}.{without}",
        )
    ahead = f"{name} is better than {len(groups['better'])} of {wording.plural(len(judged), 'other result')}. "
    top = max(groups["tie"], key=_gain)
    if _gain(top) >= SAME:
        reason = f"{top[0]} has the higher mean, by {_ahead(top[1])}; that interval includes zero. {ahead}"
        return "tie", f"{name} is not told apart from the best", reason.strip() + without
    tied = wording.listed([label for label, _ in sorted(groups["tie"], key=_gain, reverse=True)])
    reason = f"{ahead}It is not told apart from {tied}."
    if abs(_gain(top)) < SAME:
        alike = [label for label, result in groups["tie"] if abs(_gain((label, result))) < SAME]
        equals = f"{name} and {alike[0]}" if len(alike) == 1 else f"{name} and {len(alike)} others"
        return "tie", f"{equals} have the same, highest mean", reason + without
    return "tie", f"{name} has the highest mean, but not by enough to be sure", reason + without


def _why_none(rows: Sequence[Contender], reference: str, name: str) -> str:
    if len(rows) == 1:
        return "There is no other method to compare with."
    own = next(row for row in rows if row.key == reference).default
    if own.score is None:
        return f"All final trainings of {name} diverged."
    return "There is no test set; the validation scores were used for selection and decide nothing."


def _gain(pair: tuple[str, Result]) -> float:
    """How far a rival is ahead of the reference."""
    found = pair[1].difference
    return 0.0 if found is None else -found.difference


def _ahead(result: Result) -> str:
    """Write the difference as a lead of the rival."""
    found = result.difference
    if found is None:
        return wording.MISSING
    return f"{abs(100 * found.difference):.1f} points, 95 % interval {wording.interval(-found.high, -found.low)}"


def _behind(result: Result) -> str:
    found = result.difference
    if found is None:
        return wording.MISSING
    return f"{abs(100 * found.difference):.1f} points, 95 % interval {wording.interval(found.low, found.high)}"


def _all_of(results: int) -> str:
    return {1: "the other result", 2: "both other results"}.get(results) or f"all {results} other results"


def notes(comparison: Mapping[str, Any]) -> list[str]:
    """Return what a reader must know before quoting the numbers.

    Args:
        comparison: as in ``comparison.json``.

    Returns:
        Sentences: intervals, tuning, tests and why some are missing, ranks, divergence, the papers' figure, cost.
    """
    return [
        *_on_differences(comparison),
        *_on_tuning(comparison),
        *_on_signed_ranks(comparison),
        *_on_ranks(comparison),
        *_on_seeds(comparison),
        *_on_divergence(comparison),
        *_on_optimism(comparison),
        "Cost is in full fine-tunes and counts selection (search or sweep) and the final trainings of all seeds. Share "
        "is the part of the parameters that is trained; memory is that of one training step, in GiB.",
    ]


def _on_differences(comparison: Mapping[str, Any]) -> Iterator[str]:
    name, sets = reference_name(comparison), comparison["datasets"]
    if not on_test(comparison):
        lacking = [wording.label(entry["name"], 40) for entry in sets if not entry["data"]["test"]]
        some = "There is no test set" if len(lacking) == len(sets) else f"{wording.listed(lacking)} has no test set"
        yield (
            f"{some}, so validation scores are shown. They were used for selection and are optimistic for every "
            "method; keep some images aside to compare methods."
        )
        return
    pooled = " Every data set counts the same; the interval speaks of these data sets alone." if len(sets) > 1 else ""
    yield (
        f"The reference is {name}: a difference is {name} minus the method in test accuracy, in percentage points, so "
        f"positive means that {name} is better. Intervals hold 95 % of a paired bootstrap over seeds and test images; "
        f"“better” and “worse” exclude zero, “tie” means “not told apart”, not “equal”.{pooled}"
    )


def _on_tuning(comparison: Mapping[str, Any]) -> Iterator[str]:
    searched = comparison["reference"] == "biotune"
    much = "the search of BioTune did" if searched else "four full fine-tunes without an early stop"
    if has_tuned(comparison):
        yield (
            "“Tuned”: the learning rate, and the method's own option, chosen on the validation set with as much work "
            f"as {much}. A search tunes by itself and has one row."
        )
    else:
        yield (
            "No method was tuned: all stand at their defaults. Someone careful would tune the learning rate at least, "
            "and a search has an advantage over methods that nobody tuned."
        )


def _on_signed_ranks(comparison: Mapping[str, Any]) -> Iterator[str]:
    if not on_test(comparison):
        return
    rows = contenders(comparison["methods"], test=True)
    own = next(row.default for row in rows if row.key == comparison["reference"])
    rivals = [pair for row in rows if row.key != comparison["reference"] for pair in row.results()]
    tested = [(label, result.p_holm) for label, result in rivals if result.p_holm is not None]
    complete = sum(not result.diverged for _, result in rivals)
    pairs = sum(len(entry["protocol"]["seeds"]) for entry in comparison["datasets"])
    what = f"{wording.plural(pairs, 'pair')} of seeds{' over all data sets' if len(comparison['datasets']) > 1 else ''}"
    if not tested:
        if own.diverged or not complete:
            missing = f"it needs a score of {reference_name(comparison)} and of another method for every seed."
        else:
            missing = (
                f"{what} cannot carry it. With Holm's correction for {wording.plural(complete, 'comparison')}, "
                f"{pairs_needed(complete)} pairs are the least that can be significant."
            )
        yield f"No Wilcoxon signed-rank test: {missing}"
        return
    left_out = len(rivals) - len(tested)
    without = (
        f" {wording.plural(left_out, 'result')} without a score for every seed cannot be tested." if left_out else ""
    )
    yield (
        f"Wilcoxon's signed-rank test on {what}, at 5 % after Holm's correction for "
        f"{wording.plural(len(tested), 'comparison')}: {_significant(tested, reference_name(comparison))}.{without}"
    )


def _significant(tested: Sequence[tuple[str, float]], name: str) -> str:
    """Say which rows differ, naming the smaller part with its p values."""
    found = [pair for pair in tested if pair[1] < ALPHA]
    rest = [pair for pair in tested if pair[1] >= ALPHA]
    if not found:
        return f"no result differs from {name} (the smallest p is {_p(min(p for _, p in tested))})"
    share = (
        f"{len(found)} of {wording.plural(len(tested), 'result')} differ{'s' if len(found) == 1 else ''} from {name}"
    )
    if not rest:
        return f"{share} (the largest p is {_p(max(p for _, p in tested))})"
    named, word = (found, "namely") if len(found) <= len(rest) else (rest, "all but")
    return f"{share}, {word} {wording.listed([f'{label}, p = {_p(p)}' for label, p in named])}"


def _on_ranks(comparison: Mapping[str, Any]) -> Iterator[str]:
    sets = comparison["datasets"]
    if len(sets) == 1:
        yield "One data set says nothing about others: ranks over data sets need two, and their tests five."
        return
    found = comparison["ranking"]["tuned" if has_tuned(comparison) else "default"] if on_test(comparison) else None
    if found is None:
        yield "No mean ranks: they need a test score of every method on every data set."
        return
    of = "tuned methods (a search stands for itself)" if has_tuned(comparison) else "methods at their defaults"
    if found["friedman_p"] is None:
        yield (
            f"Mean ranks are of {of} over {len(sets)} data sets. Friedman's test and Nemenyi's critical distance are "
            f"left out: they need at least {SMALLEST_BLOCKS} data sets and 3 methods."
        )
        return
    if found["friedman_p"] < ALPHA:
        meaning = "By Nemenyi's test, mean ranks differ where they are further apart than"
    else:
        meaning = "The test finds no difference, so the ranks only describe; Nemenyi's critical distance would be"
    yield (
        f"Mean ranks are of {of} over {len(sets)} data sets: Friedman's p = {_p(found['friedman_p'])}. {meaning} "
        f"{found['nemenyi_critical_distance']:.2f} (5 %)."
    )


def _on_seeds(comparison: Mapping[str, Any]) -> Iterator[str]:
    seeds = min(len(entry["protocol"]["seeds"]) for entry in comparison["datasets"])
    if seeds == 1:
        yield (
            "One seed: there is no standard error, and the intervals see the choice of test images alone, not the "
            "spread between trainings."
        )
    elif seeds < _FEW_SEEDS:
        yield f"{seeds} seeds tell little about the spread between trainings, and the intervals understate it."


def _on_divergence(comparison: Mapping[str, Any]) -> Iterator[str]:
    rows = contenders(comparison["methods"], test=True)
    found = [(label, result.diverged) for row in rows for label, result in row.results() if result.diverged]
    if found:
        total = sum(count for _, count in found)
        which = wording.listed([f"{label} ({count})" for label, count in found], 60)
        verb = "final training" if total == 1 else "final trainings"
        yield (
            f"{total} {verb} diverged: {which}. They have no test score; on validation their best epoch counts, 0 if "
            "there is none."
        )


def _on_optimism(comparison: Mapping[str, Any]) -> Iterator[str]:
    for entry in comparison["datasets"]:
        for key, row in entry["methods"].items():
            if row["best_on_test_optimistic"] is not None and row["test"] is not None:
                yield (
                    f"{wording.label(wording.method_name(key), 40)} on {wording.label(entry['name'], 40)}: the papers' "
                    f"figure, the best of all finalists on the test set (optimistic), is "
                    f"{wording.percent(row['best_on_test_optimistic'])}; the honest figure, of the finalist that "
                    f"validation chose, is {wording.percent(row['test']['accuracy'])}."
                )


def _p(value: float) -> str:
    return f"{value:.1g}" if value < 0.001 else f"{value:.3f}"
