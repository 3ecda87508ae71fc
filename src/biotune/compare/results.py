"""``comparison.json``: what a comparison found, as documented plain data."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biotune.compare.contest import Contest, Outcome, tuned_key
from biotune.runner.describe import (
    describe_data,
    describe_protocol,
    in_full_finetunes,
    multipliers_of,
    test_scores,
    trainable_fraction,
    validation_scores,
)
from biotune.runner.session import Session
from biotune.runner.setup import versions
from biotune.significance import ranking, signed_rank_tests
from biotune.statistics import paired_interval, pooled_interval
from biotune.version import __version__

SCHEMA_VERSION = 1

Answered = Mapping[str, Mapping[int, NDArray[np.bool_]]]
"""Row -> seed -> where the answer on the test set was right, shape (num_images,); diverged seeds are missing."""


@dataclass(frozen=True)
class DataSetResult:
    """The results on one data set.

    Args:
        entry: its part of ``comparison.json``.
        answered: right answers of every row, the tuned ones as ``KEY (tuned)``.
    """

    entry: dict[str, Any]
    answered: Answered


def data_set_result(session: Session, contest: Contest) -> DataSetResult:
    """Return the results on one data set, statistics over several data sets left out.

    Args:
        session: of the data set.
        contest: what was found.

    Returns:
        Its part of the JSON, and the answers that statistics need.
    """
    answered = {key: _answered(outcome) for key, outcome in contest.outcomes.items()}
    methods = {key: _row(session, outcome, contest.unit_s) for key, outcome in contest.default.items()}
    for key, outcome in contest.tuned.items():
        methods[key]["tuned"] = _row(session, outcome, contest.unit_s)
    entry = {
        "name": session.data.name,
        "data": describe_data(session),
        "full_finetune_seconds": contest.unit_s,
        "protocol": describe_protocol(session),
        "methods": methods,
    }
    return DataSetResult(entry, answered)


def build_comparison(
    command: str, model: dict[str, Any], reference: str, results: Sequence[DataSetResult]
) -> dict[str, Any]:
    """Return the content of ``comparison.json``.

    Args:
        command: as typed.
        model: see ``describe_model``.
        reference: the entry that all others are compared with.
        results: one per data set.

    Returns:
        JSON-able data; docs/compare.md lists every key.
    """
    for result in results:
        _add_statistics(result.entry["methods"], reference, [result.answered])
    first = results[0].entry["methods"]
    methods = first if len(results) == 1 else _pooled(results, reference)
    return {
        "schema_version": SCHEMA_VERSION,
        "status": "finished",
        "command": command,
        "biotune_version": __version__,
        "versions": versions(),
        "created": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "model": model,
        "reference": reference,
        "methods": methods,
        "datasets": [result.entry for result in results],
        "ranking": {
            "default": _ranking([{key: row["test"] for key, row in r.entry["methods"].items()} for r in results]),
            "tuned": _ranking([_tuned_scores(r.entry["methods"]) for r in results]),
        },
    }


def _row(session: Session, outcome: Outcome, unit_s: float) -> dict[str, Any]:
    entrant = outcome.entrant
    seconds = outcome.selection_s + sum(result.seconds for result in entrant.results)
    task = entrant.tasks[0]
    sweep = None
    if outcome.swept is not None:
        sweep = [
            {"method": choice.method, "multipliers": multipliers_of(choice.recipe), "fitness": list(values)}
            for choice, values in outcome.swept.trials
        ]
    return {
        "method": task.method,
        "multipliers": multipliers_of(task.recipe),
        "test": test_scores(outcome.answers),
        "validation": validation_scores(entrant.results),
        "diverged": sum(result.outcome != "ok" for result in entrant.results),
        "seconds": seconds,
        "selection_seconds": outcome.selection_s,
        "cost_in_full_finetunes": in_full_finetunes(seconds, unit_s),
        "trainable_fraction": trainable_fraction(entrant, session),
        "step_bytes": outcome.memory,
        "evaluations": len(outcome.candidates) or None,
        "best_on_test_optimistic": outcome.optimistic,
        "sweep": sweep,
        "difference": None,
        "signed_rank": None,
        "tuned": None,
    }


def _answered(outcome: Outcome) -> dict[int, NDArray[np.bool_]]:
    if outcome.answers is None:
        return {}
    trained = zip(outcome.entrant.tasks, outcome.entrant.results, strict=True)
    seeds = [task.seed for task, result in trained if result.outcome == "ok"]
    return dict(zip(seeds, outcome.answers.correct, strict=True))


def _add_statistics(methods: dict[str, Any], reference: str, answered: Sequence[Answered]) -> None:
    """Fill in every row's paired difference to the reference and its signed-rank test, in place."""
    rows = methods | {tuned_key(key): row["tuned"] for key, row in methods.items() if row["tuned"] is not None}
    scores = _paired_scores(rows, answered)
    tests = (signed_rank_tests(scores, reference) or {}) if reference in scores else {}
    for key, row in rows.items():
        if key == reference:
            continue
        pairs = [_common(part.get(reference, {}), part.get(key, {})) for part in answered]
        if all(len(ours) for ours, _ in pairs):
            interval = paired_interval(*pairs[0]) if len(pairs) == 1 else pooled_interval(pairs)
            row["difference"] = interval.to_json()
        if key in tests:
            row["signed_rank"] = vars(tests[key]).copy()


def _common(
    ours: Mapping[int, NDArray[np.bool_]], theirs: Mapping[int, NDArray[np.bool_]]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return the answers of the seeds that both have, shape (num_seeds, num_images) each."""
    seeds = [seed for seed in ours if seed in theirs]
    return np.array([ours[seed] for seed in seeds]), np.array([theirs[seed] for seed in seeds])


def _paired_scores(rows: Mapping[str, Any], answered: Sequence[Answered]) -> dict[str, list[float]]:
    """Return one test accuracy per (data set, seed), of the rows that have all of them."""
    wanted = [(part, seed) for part in answered for seed in _all_seeds(part)]
    scores = {
        key: [float(part[key][seed].mean()) for part, seed in wanted if seed in part.get(key, {})] for key in rows
    }
    return {key: values for key, values in scores.items() if len(values) == len(wanted) > 0}


def _all_seeds(part: Answered) -> list[int]:
    return list(dict.fromkeys(seed for found in part.values() for seed in found))


def _pooled(results: Sequence[DataSetResult], reference: str) -> dict[str, Any]:
    """Return each method's means over the data sets, with its pooled difference to the reference."""
    tables = [result.entry["methods"] for result in results]
    methods: dict[str, Any] = {}
    for key in tables[0]:
        row = _mean_row([table[key] for table in tables])
        tuned = [table[key]["tuned"] for table in tables]
        row["tuned"] = _mean_row(tuned) if all(tuned) else None
        methods[key] = row
    _add_statistics(methods, reference, [result.answered for result in results])
    return methods


def _mean_row(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    numbers = ("cost_in_full_finetunes", "trainable_fraction", "step_bytes")
    return {
        "method": rows[0]["method"] if len({row["method"] for row in rows}) == 1 else None,
        "multipliers": None,
        "test": _mean_scores([row["test"] for row in rows]),
        "validation": _mean_scores([row["validation"] for row in rows]),
        "diverged": sum(row["diverged"] for row in rows),
        "seconds": sum(row["seconds"] for row in rows),
        "selection_seconds": sum(row["selection_seconds"] for row in rows),
        **{name: float(np.mean([row[name] for row in rows])) for name in numbers},
        "evaluations": None,
        "best_on_test_optimistic": None,
        "sweep": None,
        "difference": None,
        "signed_rank": None,
        "tuned": None,
    }


def _mean_scores(scores: Sequence[Mapping[str, Any] | None]) -> dict[str, Any] | None:
    """Return means over data sets; the standard error is that of a mean of independent means."""
    known = [score for score in scores if score is not None]
    if len(known) < len(scores):
        return None
    errors = [score["standard_error"] for score in known]
    counts = {len(score["per_seed"]) for score in known}
    return {
        "accuracy": float(np.mean([score["accuracy"] for score in known])),
        "macro_accuracy": float(np.mean([score["macro_accuracy"] for score in known])),
        "standard_error": None if None in errors else float(np.sqrt(np.sum(np.square(errors))) / len(errors)),
        "per_seed": np.mean([score["per_seed"] for score in known], axis=0).tolist() if len(counts) == 1 else [],
    }


def _tuned_scores(methods: Mapping[str, Any]) -> dict[str, Any]:
    """Return the test scores of tuned rows; a search stands for itself."""
    return {key: (row["tuned"] or row)["test"] for key, row in methods.items()}


def _ranking(tables: Sequence[Mapping[str, Any]]) -> dict[str, object] | None:
    """Return ranks by mean test accuracy over data sets; None without a test set."""
    if any(score is None for table in tables for score in table.values()):
        return None
    keys = list(tables[0])
    return ranking({key: [table[key]["accuracy"] for table in tables] for key in keys}).to_json()
