"""A run's summary as rows, one per method, for tables, figures and the page alike."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from biotune.statistics import Interval
from biotune.wording import METHOD_NAMES, method_name


@dataclass(frozen=True)
class Score:
    """Accuracies of one method on one set of images, in [0, 1].

    Args:
        accuracy: share of right labels, mean over seeds.
        macro_accuracy: mean per-class recall, mean over seeds, or None.
        standard_error: of ``accuracy`` over seeds; None for a single seed.
        per_seed: accuracy of each seed.
    """

    accuracy: float
    macro_accuracy: float | None
    standard_error: float | None
    per_seed: tuple[float, ...]


@dataclass(frozen=True)
class MethodRow:
    """What one method reached and what it cost.

    Args:
        key: name in the summary; ``biotune`` for what a search found.
        validation: score on the validation set, which was used for selection.
        test: score on the untouched test set; None without one.
        seconds: wall time; for BioTune search and final phase together.
        cost: ``seconds`` in full fine-tunes; None where that was not measured.
        trainable_fraction: share of the parameters that were trained, in [0, 1].
        difference: BioTune minus this method on the test set; None for BioTune itself or without a test set.
    """

    key: str
    validation: Score
    test: Score | None
    seconds: float
    cost: float | None
    trainable_fraction: float
    difference: Interval | None

    @property
    def name(self) -> str:
        """The name to show."""
        return method_name(self.key)

    @property
    def score(self) -> Score:
        """The score on the test set, or on the validation set where there is no test set."""
        return self.test or self.validation


def method_rows(summary: Mapping[str, Any]) -> list[MethodRow]:
    """Return BioTune's row, then those of the baselines that the run has, in the order of ``METHOD_NAMES``."""
    parts = [part for part in (summary["search"], summary["final"]) if part is not None]
    costs = [part["cost_in_full_finetunes"] for part in parts]
    winner = {
        **summary,
        "seconds": sum(part["seconds"] for part in parts),
        "cost_in_full_finetunes": None if None in costs else sum(costs),
        "trainable_fraction": summary["recipe"]["trainable_fraction"],
    }
    baselines = summary.get("baselines") or {}
    known = [key for key in METHOD_NAMES if key in baselines]
    others = [key for key in baselines if key not in METHOD_NAMES]
    return [_row(summary.get("method", "biotune"), winner), *(_row(key, baselines[key]) for key in [*known, *others])]


def _row(key: str, entry: Mapping[str, Any]) -> MethodRow:
    test, difference = entry.get("test"), entry.get("difference")
    return MethodRow(
        key=key,
        validation=score_of(entry["validation"]),
        test=score_of(test) if test else None,
        seconds=entry["seconds"],
        cost=entry["cost_in_full_finetunes"],
        trainable_fraction=entry["trainable_fraction"],
        difference=Interval(difference["difference"], difference["low"], difference["high"]) if difference else None,
    )


def score_of(entry: Mapping[str, Any]) -> Score:
    """Return a score of ``summary.json`` or ``comparison.json``."""
    return Score(
        accuracy=entry["accuracy"],
        macro_accuracy=entry.get("macro_accuracy"),
        standard_error=entry.get("standard_error"),
        per_seed=tuple(entry.get("per_seed") or ()),
    )
