"""Pools the repetitions of searches: means, paired differences, ranks, cost, and bands of curves."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from benchmarks.search.incumbents import band, work_to_reach
from benchmarks.search.repetitions import Repetition, Searched
from biotune.comparison.entries import BIOTUNE
from biotune.significance import ranking, signed_rank_tests
from biotune.statistics import mean_and_standard_error, mean_gain_interval

Row = dict[str, Any]


def search_rows(repetitions: Sequence[Repetition]) -> dict[str, Row]:
    """Return what each search reached over data sets and seeds; every data set counts the same.

    Args:
        repetitions: on one data set or on several.

    Returns:
        Search -> its row; docs/performance.md says what its keys mean.
    """
    names = list(repetitions[0].searches)
    complete = [each for each in repetitions if all(found.test for found in each.searches.values())]
    scores = {name: [_accuracy(each, name) for each in complete] for name in names}
    ranks = ranking(scores).mean_ranks if complete else {}
    means = {
        name: [float(np.mean([_accuracy(each, name) for each in part])) for part in _by_data_set(complete)]
        for name in names
    }  # repetitions on one data set are not independent
    tests = (signed_rank_tests(means, BIOTUNE) or {}) if complete else {}
    rows = {}
    for name in names:
        parts = [[each.searches[name] for each in part] for part in _by_data_set(repetitions)]
        row = {
            "test": _mean_test(parts),
            "validation": _mean([[found.validation for found in part] for part in parts]),
            "search_cost": _mean([[found.search_cost for found in part] for part in parts]),
            "total_cost": _mean([[found.total_cost for found in part] for part in parts]),
            "work": _mean([[found.work for found in part] for part in parts]),
            "candidates": _mean([[found.candidates for found in part] for part in parts]),
            "trainings": _mean([[found.trainings for found in part] for part in parts]),
            "seconds": _mean([[found.seconds for found in part] for part in parts]),
            "without_test": sum(not found.test for part in parts for found in part),
            "mean_rank": ranks.get(name),
            "difference": None,
            "signed_rank": asdict(tests[name]) if name in tests else None,
            "reached": None,
        }
        if name != BIOTUNE:
            row |= {"difference": _difference(repetitions, name), "reached": _reached(repetitions, name)}
        rows[name] = row
    return rows


def search_bands(repetitions: Sequence[Repetition]) -> dict[str, Any]:
    """Return the bands over seeds of the curves on one data set.

    Args:
        repetitions: on this data set.

    Returns:
        Search -> ``work``, ``low``, ``median``, ``high``, each a list; None where a search chose nothing in some
        repetition.
    """
    bands: dict[str, Any] = {}
    for name in repetitions[0].searches:
        found = [each.searches[name] for each in repetitions]
        end = float(np.mean([each.work for each in found]))
        drawn = band([each.curve for each in found], end)
        bands[name] = None if drawn is None else {key: list(values) for key, values in asdict(drawn).items()}
    return bands


def by_data_set(repetitions: Sequence[Repetition]) -> dict[str, list[Repetition]]:
    """Return the repetitions of each data set, in order."""
    found: dict[str, list[Repetition]] = {}
    for each in repetitions:
        found.setdefault(each.data_set, []).append(each)
    return found


def _by_data_set(repetitions: Sequence[Repetition]) -> list[list[Repetition]]:
    return list(by_data_set(repetitions).values())


def _accuracy(repetition: Repetition, name: str) -> float:
    return float(np.mean(repetition.searches[name].test))


def _mean(parts: Sequence[Sequence[float | None]]) -> float | None:
    """Return the mean over data sets of the means over seeds, None where a value is missing."""
    if any(value is None for part in parts for value in part):
        return None
    return float(np.mean([np.mean(np.array(part, dtype=float)) for part in parts]))


def _mean_test(parts: Sequence[Sequence[Searched]]) -> Row | None:
    """Return the mean test accuracy, and its standard error over seeds as for a mean of independent means."""
    means, errors = [], []
    for part in parts:
        known = [found.accuracy for found in part if found.accuracy is not None]
        if not known:
            return None
        mean, error = mean_and_standard_error(known)
        means.append(mean)
        errors.append(error)
    known_errors = [error for error in errors if error is not None]
    pooled = math.hypot(*known_errors) / len(errors) if len(known_errors) == len(errors) else None
    return {"accuracy": float(np.mean(means)), "standard_error": pooled}


def _difference(repetitions: Sequence[Repetition], name: str) -> Row | None:
    """Return BioTune minus another search in test accuracy; each repetition counts once, with all final trainings."""
    gains = []
    for part in _by_data_set(repetitions):
        pairs = [(each.searches[BIOTUNE].correct, each.searches[name].correct) for each in part]
        known = [ours - theirs for ours, theirs in pairs if ours is not None and theirs is not None]
        if not known:
            return None
        gains.append(np.array(known))
    return mean_gain_interval(gains).to_json()


def _reached(repetitions: Sequence[Repetition], name: str) -> Row | None:
    """Return the share of another search's work after which BioTune's incumbent was as good as the other's last one.

    Quantiles are values that occurred, the higher of two; a quantile that falls on a repetition that never got there is
    None.
    """
    shares = []
    for each in repetitions:
        other = each.searches[name]
        if other.validation is None:
            continue
        work = work_to_reach(each.searches[BIOTUNE].curve, other.validation)
        shares.append(math.inf if work is None else work / other.work)
    if not shares:
        return None
    low, median, high = (_finite(float(np.quantile(shares, q, method="higher"))) for q in (0.25, 0.5, 0.75))
    reached = sum(map(math.isfinite, shares))
    return {"median": median, "low": low, "high": high, "reached": reached, "repetitions": len(shares)}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
