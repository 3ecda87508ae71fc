"""A comparison as rows in the order of every table, the best tuned score first, and what its entries chose."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from biotune import wording
from biotune.results import ComparedEntry, Comparison, Score, Scores
from biotune.results.comparison import SETTINGS, On, Setting


@dataclass(frozen=True)
class Row:
    """One row: an entry at its default and, below or beside it, tuned.

    Args:
        key: name in the JSON.
        default: the method at its default options, or what the search found.
        on: the images whose scores are shown.
    """

    key: str
    default: ComparedEntry
    on: On

    @property
    def name(self) -> str:
        """The name to show."""
        return wording.method_name(self.key)

    @property
    def tuned(self) -> ComparedEntry | None:
        """With the learning rate and the own option that its sweep chose; None for a search."""
        return self.default.tuned

    @property
    def best(self) -> ComparedEntry:
        """The entry that the order of rows follows: the tuned one, or a search as it is."""
        return self.default.best

    @property
    def accuracy(self) -> float:
        """The accuracy that the order follows; below every other where there is none."""
        scores = self.best.scores(self.on)
        return -1.0 if scores is None else scores.accuracy

    def entries(self) -> Iterator[tuple[str, ComparedEntry]]:
        """Yield the entry or both, each with a name that says which one it is."""
        name = wording.label(self.name, 40)
        if self.tuned is None:
            yield name, self.default
        else:
            yield f"{name} (tuned)", self.tuned
            yield f"{name} (default)", self.default


def rows_of(methods: Mapping[str, ComparedEntry], on: On) -> list[Row]:
    """Return the rows of a table, the best tuned score first; equal ones in the order of the JSON.

    Args:
        methods: entries of a comparison, or of one of its data sets, by key.
        on: the images whose scores are shown.

    Returns:
        One row per method.
    """
    return sorted((Row(key, entry, on) for key, entry in methods.items()), key=lambda row: -row.accuracy)


def reference_name(comparison: Comparison) -> str:
    """Return the display name of what all others are compared with."""
    return wording.label(wording.method_name(comparison.reference), 40)


@dataclass(frozen=True)
class Grid:
    """Methods by data sets, as in the papers' Table I.

    Args:
        setting: ``tuned`` (a search is shown as it is) or ``default``.
        rows: means over the data sets, in the order of the grid.
        cells: key -> accuracy on every data set, None where all trainings diverged.
        means: key -> mean accuracy over the data sets, None where one is missing.
        mean_ranks: key -> mean rank, rank 1 is best; empty where not every method has a score.
    """

    setting: Setting
    rows: Sequence[Row]
    cells: Mapping[str, Sequence[Score | None]]
    means: Mapping[str, float | None]
    mean_ranks: Mapping[str, float]


def grids(comparison: Comparison) -> list[Grid]:
    """Return the grid of tuned methods, if there is one, then that of the defaults."""
    return [_grid(comparison, setting) for setting in reversed(SETTINGS[: 1 + comparison.has_tuned])]


def _grid(comparison: Comparison, setting: Setting) -> Grid:
    on = comparison.on
    rows = rows_of(comparison.methods, on)
    ranking = comparison.ranking.at(setting) if on == "test" else None
    means = {row.key: _accuracy(row.default.at(setting).scores(on)) for row in rows}
    return Grid(
        setting,
        rows,
        {
            row.key: [_accuracy(part.methods[row.key].at(setting).scores(on)) for part in comparison.datasets]
            for row in rows
        },
        {key: None if score is None else score.mean for key, score in means.items()},
        {} if ranking is None else ranking.mean_ranks,
    )


def _accuracy(scores: Scores | None) -> Score | None:
    return None if scores is None else scores.get("accuracy")


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


def choices(comparison: Comparison) -> tuple[list[str], list[list[str]]]:
    """Return what was chosen for every search and every tuned method, by data set.

    The head is ``Method`` and the names of the data sets; then there is one row per method, in the order of all tables.
    No rows where nothing was chosen.
    """
    parts = comparison.datasets
    head = ["Method", *(wording.label(part.name, 28) for part in parts)]
    table = [
        [wording.label(row.name, 40), *(_choice(part.methods[row.key]) for part in parts)]
        for row in rows_of(comparison.methods, comparison.on)
        if all(_has_choice(part.methods[row.key]) for part in parts)
    ]
    return head, table


def _has_choice(entry: ComparedEntry) -> bool:
    return entry.tuned is not None or entry.evaluations is not None


def _choice(entry: ComparedEntry) -> str:
    tuned = entry.tuned
    if tuned is None:
        values = [_option(name, str(value)) for name, value in entry.values.items()]
        return ", ".join((written_multipliers(entry.multipliers or ()), *values)) + own_of(entry, " ({})")
    if tuned.multipliers:  # a mask, whose multipliers are one rate and zeros
        return _option("rate", f"{max(tuned.multipliers):g}")
    default, found = _options(entry.method or ""), _options(tuned.method or "")
    changed = [_option(name, value) for name, value in found.items() if default.get(name) != value]
    return ", ".join(changed) or "as by default"


def own_of(entry: ComparedEntry, form: str = "{}") -> str:
    """Write how many of a search's own candidates finished, ``2 of 7 own``, in a form; nothing where it is unknown."""
    if entry.own_candidates is None or entry.own_finished is None:
        return ""
    return form.format(f"{entry.own_finished:,} of {entry.own_candidates:,} own")


def written_multipliers(multipliers: Sequence[float]) -> str:
    """Write the multipliers of a recipe by the numbers of its blocks, the head last: for example ``1-7 frozen``."""
    parts, first = [], 1
    for value, run in groupby(wording.multiplier(multiplier) for multiplier in multipliers):
        last = first + len(list(run)) - 1
        blocks = str(first) if first == last else f"{first}-{last}"
        parts.append(f"{blocks}\N{NO-BREAK SPACE}{value}")
        first = last + 1
    return ", ".join(parts)


def _options(method: str) -> dict[str, str]:
    """Return the options of ``name:option=value,option=value``."""
    pairs = (pair.partition("=") for pair in method.partition(":")[2].split(",") if pair)
    return {name: value for name, _, value in pairs}


def _option(name: str, value: str) -> str:
    return f"rate \N{MULTIPLICATION SIGN}{value}" if name == "rate" else f"{name} {value}"
