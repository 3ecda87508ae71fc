"""The recipes of a search as rows of a table, and what is known of each block from comparing them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from biotune.results.history import Candidate
from biotune.results.part import NamedValues
from biotune.results.summary import RecipeOfRun

_LEAST = 3
"""Recipes that train a block, and that freeze it, from which on their mean fitness is compared."""


@dataclass(frozen=True)
class RecipeRow:
    """A recipe that a search evaluated.

    Args:
        multipliers: one per block.
        values: named values.
        fitness: of its best evaluation; higher is better.
        finished: whether it came to the end of the race.
        outcome: of that evaluation, as in ``Candidate``.
        is_chosen: whether it is the winner.
    """

    multipliers: tuple[float, ...]
    values: NamedValues
    fitness: float
    finished: bool
    outcome: str
    is_chosen: bool


def recipe_rows(candidates: Sequence[Candidate], chosen: RecipeOfRun) -> list[RecipeRow]:
    """Return the recipes of a search, each once: those that came to the end of the race first, then the best.

    Points that freeze everything and fit nothing are left out. Fewer than two recipes are not worth a table: none then.
    """
    best: dict[tuple[object, ...], Candidate] = {}
    for one in candidates:
        key = (one.multipliers, tuple(sorted(one.values.items())))
        if one.outcome != "infeasible" and (key not in best or _place(one) > _place(best[key])):
            best[key] = one
    winner = tuple(block.multiplier for block in chosen.blocks)
    rows = [
        RecipeRow(
            multipliers=one.multipliers,
            values=one.values,
            fitness=one.fitness,
            finished=one.finished,
            outcome=one.outcome,
            is_chosen=one.multipliers == winner and one.values == chosen.values,
        )
        for one in sorted(best.values(), key=_place, reverse=True)
    ]
    return rows if len(rows) > 1 else []


def _place(candidate: Candidate) -> tuple[bool, bool, float]:
    """Return what recipes are sorted by, the best highest."""
    return candidate.outcome == "ok", candidate.finished, candidate.fitness


def block_gains(rows: Sequence[RecipeRow]) -> list[float | None]:
    """Return, for each block, the mean fitness of the recipes that train it minus that of those that freeze it.

    Over the recipes that came to the end of the race; None where fewer than three are on either side.
    """
    ended = [row for row in rows if row.finished and row.outcome == "ok"]
    if not ended:
        return []
    fitness = np.array([row.fitness for row in ended])
    trained = np.array([row.multipliers for row in ended]) > 0
    return [
        float(fitness[on].mean() - fitness[~on].mean()) if min(on.sum(), (~on).sum()) >= _LEAST else None
        for on in trained.T
    ]
