"""A comparison as rows in the order of every table: the best tuned score first."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from biotune import wording
from biotune.report.rows import Score, score_of
from biotune.statistics import Interval


@dataclass(frozen=True)
class Result:
    """What a method reached, at its default or tuned.

    Args:
        score: on the set that the table is about; None where every final training diverged.
        difference: reference minus this result in test accuracy; None for the reference and without a test set.
        p_holm: of the signed-rank test against the reference; None where there is none.
        cost: in full fine-tunes, selection included; None where that was not measured.
        trainable_fraction: share of the parameters that were trained.
        step_bytes: memory of one training step.
        diverged: number of final trainings that diverged.
    """

    score: Score | None
    difference: Interval | None
    p_holm: float | None
    cost: float | None
    trainable_fraction: float
    step_bytes: float
    diverged: int

    @property
    def accuracy(self) -> float:
        """The mean accuracy; below every other where there is no score."""
        return -1.0 if self.score is None else self.score.accuracy


@dataclass(frozen=True)
class Contender:
    """One method of a comparison.

    Args:
        key: name in the JSON.
        default: as its authors set it; of a search what it found.
        tuned: with the learning rate and the own option that its sweep chose; None for a search.
    """

    key: str
    default: Result
    tuned: Result | None

    @property
    def name(self) -> str:
        """The name to show."""
        return wording.method_name(self.key)

    @property
    def best(self) -> Result:
        """The result that the order of rows follows: the tuned one; a search stands for itself."""
        return self.tuned or self.default

    def results(self) -> Iterator[tuple[str, Result]]:
        """Yield the result or both, each with a name that says which one it is."""
        name = wording.label(self.name, 40)
        if self.tuned is None:
            yield name, self.default
        else:
            yield f"{name} (tuned)", self.tuned
            yield f"{name} (default)", self.default


def on_test(comparison: Mapping[str, Any]) -> bool:
    """Return whether every data set has a test set; otherwise validation scores are shown throughout."""
    return all(entry["data"]["test"] for entry in comparison["datasets"])


def has_tuned(comparison: Mapping[str, Any]) -> bool:
    """Return whether any method has a tuned row."""
    return any(row["tuned"] for row in comparison["methods"].values())


def contenders(methods: Mapping[str, Any], test: bool) -> list[Contender]:
    """Return the rows of a table, the best tuned score first; equal ones in the order of the JSON.

    Args:
        methods: of a comparison or of one of its data sets.
        test: True for test scores, False for validation scores.

    Returns:
        One row per method.
    """
    part = "test" if test else "validation"
    rows = [
        Contender(key, _result(row, part), _result(row["tuned"], part) if row["tuned"] else None)
        for key, row in methods.items()
    ]
    return sorted(rows, key=lambda row: -row.best.accuracy)


def _result(row: Mapping[str, Any], part: str) -> Result:
    found, tested = row["difference"], row["signed_rank"]
    return Result(
        score=score_of(row[part]) if row[part] else None,
        difference=Interval(found["difference"], found["low"], found["high"]) if found else None,
        p_holm=tested["p_holm"] if tested else None,
        cost=row["cost_in_full_finetunes"],
        trainable_fraction=row["trainable_fraction"],
        step_bytes=row["step_bytes"],
        diverged=row["diverged"],
    )


@dataclass(frozen=True)
class Grid:
    """Methods by data sets, as in the papers' Table I.

    Args:
        setting: ``tuned`` (a search stands for itself) or ``default``.
        rows: of the mean over data sets; their order is that of the grid.
        cells: key -> one score per data set, None where all trainings diverged.
        means: key -> mean accuracy over the data sets, None where one is missing.
        mean_ranks: key -> mean rank, rank 1 is best; empty where not every method has a score.
    """

    setting: str
    rows: Sequence[Contender]
    cells: Mapping[str, Sequence[Score | None]]
    means: Mapping[str, float | None]
    mean_ranks: Mapping[str, float]


def grids(comparison: Mapping[str, Any]) -> list[Grid]:
    """Return the grid of tuned methods, if there is one, then that of the defaults."""
    settings = ["tuned", "default"] if has_tuned(comparison) else ["default"]
    return [_grid(comparison, setting) for setting in settings]


def _grid(comparison: Mapping[str, Any], setting: str) -> Grid:
    test = on_test(comparison)
    rows = contenders(comparison["methods"], test)
    tables = [
        {row.key: _chosen(row, setting).score for row in contenders(entry["methods"], test)}
        for entry in comparison["datasets"]
    ]
    means = {row.key: _chosen(row, setting).score for row in rows}
    ranks = (comparison["ranking"][setting] or {}).get("mean_ranks", {}) if test else {}
    return Grid(
        setting,
        rows,
        {row.key: [table[row.key] for table in tables] for row in rows},
        {key: None if score is None else score.accuracy for key, score in means.items()},
        ranks,
    )


def _chosen(row: Contender, setting: str) -> Result:
    return row.best if setting == "tuned" else row.default


def best_of(values: Sequence[float | None], lowest: bool = False) -> list[bool]:
    """Return which values are best as they are shown: those that round to the best one in per cent with one decimal.

    Args:
        values: fractions, or ranks with ``lowest``.
        lowest: True where the lowest value is best; then two decimals count.

    Returns:
        One answer per value; None is never best.
    """
    shown = [None if value is None else round(-value, 2) if lowest else round(100 * value, 1) for value in values]
    top = max((value for value in shown if value is not None), default=None)
    return [value is not None and value == top for value in shown]
