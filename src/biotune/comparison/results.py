"""``comparison.json``: the results of a comparison on every data set, with their statistics."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from biotune.comparison.data_set import DataSetEntries, FinishedEntry, tuned_key
from biotune.results import ComparedEntry, Comparison, Score, Scores
from biotune.results.comparison import DataSet, Rankings, Setting
from biotune.results.summary import Model
from biotune.runner.members import vote_scores
from biotune.runner.session import Session
from biotune.runner.setup import versions
from biotune.runner.summary import (
    describe_data,
    describe_protocol,
    failures,
    in_full_finetunes,
    multipliers_of,
    test_scores,
    trainable_fraction,
    validation_scores,
)
from biotune.runner.testing import by_seed, common
from biotune.runner.unit import Unit
from biotune.significance import Ranking, ranking, signed_rank_tests
from biotune.statistics import paired_interval, pooled_interval, sum_of_known
from biotune.version import __version__

Answered = Mapping[str, Mapping[int, NDArray[np.bool_]]]
"""Entry -> seed -> where the answer on the test set was right, shape (num_images,); diverged seeds are missing."""

Entries = Mapping[str, ComparedEntry]
"""Entries by their keys."""


@dataclass(frozen=True)
class DataSetResult:
    """The results on one data set.

    Args:
        found: the data set's part of the comparison, without statistics.
        answered: where each entry was right, the tuned ones as ``KEY (tuned)``.
        groups: name of the group of each test image; None where they come in none.
    """

    found: DataSet
    answered: Answered
    groups: tuple[str, ...] | None = None


def data_set_result(session: Session, entries: DataSetEntries) -> DataSetResult:
    """Return the results on one data set, without statistics.

    Args:
        session: the open run on this data set.
        entries: what every entry reached.

    Returns:
        The data set's part of the comparison, and the answers that statistics need.
    """
    tuned = {key: _entry(session, finished, entries.unit) for key, finished in entries.tuned.items()}
    methods = {
        key: _entry(session, finished, entries.unit).model_copy(update={"tuned": tuned.get(key)})
        for key, finished in entries.default.items()
    }
    found = DataSet(
        name=session.data.name,
        data=describe_data(session.data),
        full_finetune_seconds=entries.unit.seconds,
        full_finetune_cpu_seconds=entries.unit.cpu_seconds,
        protocol=describe_protocol(session),
        methods=methods,
    )
    by_key = entries.by_key
    return DataSetResult(
        found,
        {key: by_seed(finished.trained, finished.answers) for key, finished in by_key.items()},
        next((finished.answers.groups for finished in by_key.values() if finished.answers is not None), None),
    )


def build_comparison(command: str, model: Model, reference: str, results: Sequence[DataSetResult]) -> Comparison:
    """Return the results of a comparison, with all statistics.

    Args:
        command: as typed.
        model: the network.
        reference: the entry that all others are compared with.
        results: one per data set.

    Returns:
        The content of ``comparison.json``.
    """
    parts = tuple(
        result.found.model_copy(update={"methods": _with_statistics(result.found.methods, reference, [result])})
        for result in results
    )
    pooled = _pooled([part.methods for part in parts])
    return Comparison(
        command=command,
        biotune_version=__version__,
        versions=versions(),
        created=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        model=model,
        reference=reference,
        methods=parts[0].methods if len(parts) == 1 else _with_statistics(pooled, reference, results),
        datasets=parts,
        ranking=Rankings(default=_ranking(parts, "default"), tuned=_ranking(parts, "tuned")),
    )


def _entry(session: Session, finished: FinishedEntry, unit: Unit) -> ComparedEntry:
    trained, swept = finished.trained, finished.swept
    cost = finished.selection + trained.cost
    task = trained.tasks[0]
    return ComparedEntry(
        method=task.method,
        multipliers=multipliers_of(task.recipe),
        values=dict(task.recipe.values if task.recipe else ()),
        test=test_scores(finished.answers),
        validation=validation_scores(session, trained.results),
        **failures(trained),
        vote=vote_scores(trained, finished.answers),
        seconds=cost.seconds,
        cpu_seconds=cost.cpu_seconds,
        selection_seconds=finished.selection.seconds,
        cost_in_full_finetunes=in_full_finetunes(cost, unit.epochs),
        trainable_fraction=trainable_fraction(session, trained),
        step_bytes=finished.memory,
        evaluations=len(finished.candidates) or None,
        own_candidates=None if finished.own is None else finished.own.tried,
        own_finished=None if finished.own is None else finished.own.finished,
        best_on_test_optimistic=finished.optimistic,
        sweep=None if swept is None else swept.rows,
        difference=None,
        signed_rank=None,
        tuned=None,
    )


def _with_statistics(methods: Entries, reference: str, results: Sequence[DataSetResult]) -> dict[str, ComparedEntry]:
    """Return the entries with their paired differences to the reference and their signed-rank tests."""
    answered, groups = [result.answered for result in results], [result.groups for result in results]
    keys = [*methods, *(tuned_key(key) for key, entry in methods.items() if entry.tuned is not None)]
    scores = _paired_scores(keys, answered)
    tests = (signed_rank_tests(scores, reference) or {}) if reference in scores else {}

    def compared(key: str, entry: ComparedEntry) -> ComparedEntry:
        pairs = [common(part.get(reference, {}), part.get(key, {})) for part in answered]
        if key == reference:
            return entry
        difference = None
        if all(len(ours) for ours, _ in pairs):
            one_set = len(pairs) == 1
            difference = (
                paired_interval(*pairs[0], groups=groups[0]) if one_set else pooled_interval(pairs, groups=groups)
            )
        return entry.model_copy(update={"difference": difference, "signed_rank": tests.get(key)})

    return {
        key: compared(key, entry).model_copy(
            update={"tuned": None if entry.tuned is None else compared(tuned_key(key), entry.tuned)}
        )
        for key, entry in methods.items()
    }


def _paired_scores(keys: Sequence[str], answered: Sequence[Answered]) -> dict[str, list[float]]:
    """Return one mean test accuracy per data set, of the entries that have every seed of each.

    Seeds are averaged, since those of one data set are not independent.
    """
    wanted = [(part, _all_seeds(part)) for part in answered]
    return {
        key: [float(np.mean([part[key][seed].mean() for seed in seeds])) for part, seeds in wanted]
        for key in keys
        if all(seeds and all(seed in part.get(key, {}) for seed in seeds) for part, seeds in wanted)
    }


def _all_seeds(part: Answered) -> list[int]:
    return list(dict.fromkeys(seed for found in part.values() for seed in found))


def _pooled(tables: Sequence[Entries]) -> dict[str, ComparedEntry]:
    """Return each entry's means over the data sets, without statistics."""
    pooled: dict[str, ComparedEntry] = {}
    for key in tables[0]:
        tuned = [table[key].tuned for table in tables]
        known = [entry for entry in tuned if entry is not None]
        mean_tuned = _mean_entry(known) if len(known) == len(tables) else None
        pooled[key] = _mean_entry([table[key] for table in tables]).model_copy(update={"tuned": mean_tuned})
    return pooled


def _mean_entry(entries: Sequence[ComparedEntry]) -> ComparedEntry:
    costs = [entry.cost_in_full_finetunes for entry in entries if entry.cost_in_full_finetunes is not None]
    return ComparedEntry(
        method=entries[0].method if len({entry.method for entry in entries}) == 1 else None,
        multipliers=None,
        test=_mean_scores([entry.test for entry in entries]),
        validation=_mean_scores([entry.validation for entry in entries]) or entries[0].validation,
        diverged=sum(entry.diverged for entry in entries),
        out_of_memory=sum(entry.out_of_memory for entry in entries),
        seconds=sum(entry.seconds for entry in entries),
        cpu_seconds=sum_of_known([entry.cpu_seconds for entry in entries]),
        selection_seconds=sum(entry.selection_seconds for entry in entries),
        cost_in_full_finetunes=float(np.mean(costs)) if costs else None,
        trainable_fraction=float(np.mean([entry.trainable_fraction for entry in entries])),
        step_bytes=float(np.mean([entry.step_bytes for entry in entries])),
        evaluations=None,
        own_candidates=sum_of_known([entry.own_candidates for entry in entries]),
        own_finished=sum_of_known([entry.own_finished for entry in entries]),
        best_on_test_optimistic=None,
        sweep=None,
        difference=None,
        signed_rank=None,
        tuned=None,
    )


def _mean_scores(scores: Sequence[Scores | None]) -> Scores | None:
    """Return means over data sets in every metric that all of them have."""
    known = [score for score in scores if score is not None]
    if len(known) < len(scores):
        return None
    names = [name for name in known[0].metrics if all(name in score.metrics for score in known)]
    return Scores(metrics={name: _mean_score([score.metrics[name] for score in known]) for name in names})


def _mean_score(scores: Sequence[Score]) -> Score:
    """Return the mean over data sets; the standard error is that of a mean of independent means."""
    means = [score.mean for score in scores if score.mean is not None]
    errors = [score.standard_error for score in scores if score.standard_error is not None]
    rows = [score.per_seed for score in scores]
    even = len({len(row) for row in rows}) == 1 and not any(None in row for row in rows)
    return Score(
        mean=float(np.mean(means)) if len(means) == len(scores) else None,
        standard_error=float(np.sqrt(np.sum(np.square(errors))) / len(errors)) if len(errors) == len(scores) else None,
        per_seed=tuple(np.mean(np.array(rows, dtype=np.float64), axis=0).tolist()) if even else (),
    )


def _ranking(parts: Sequence[DataSet], setting: Setting) -> Ranking | None:
    """Return ranks by mean test accuracy over data sets; None where an entry has no test score."""
    scores = {key: [part.methods[key].at(setting).test for part in parts] for key in parts[0].methods}
    known = {key: [score.accuracy for score in row if score is not None] for key, row in scores.items()}
    return ranking(known) if all(len(row) == len(parts) for row in known.values()) else None
