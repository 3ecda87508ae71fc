"""Which candidates of a search the chosen recipe was made from."""

from collections.abc import Sequence
from dataclasses import dataclass

from biotune.results.history import Candidate
from biotune.results.summary import RecipeOfRun

_MOST_BACK = 3
"""Steps back to ancestors: of more, nobody could follow the lines."""


@dataclass(frozen=True)
class Lineage:
    """The chosen recipe among the candidates of its search.

    Args:
        chosen: the candidate that had it first.
        steps: from a parent to its child, both as sequence numbers, for its ancestors of the last three steps; none
            where the search began with it.
    """

    chosen: Candidate
    steps: tuple[tuple[int, int], ...]


def lineage_of(candidates: Sequence[Candidate], recipe: RecipeOfRun) -> Lineage | None:
    """Return where the chosen recipe came from; None where no candidate has it, or none was made from others."""
    by_number = {one.sequence: one for one in candidates}
    rates = tuple(block.multiplier for block in recipe.blocks)
    own = [number for number, one in by_number.items() if one.multipliers == rates and one.values == recipe.values]
    if not own or not any(one.parents for one in candidates):
        return None
    steps, children = set[tuple[int, int]](), {min(own)}
    for _ in range(_MOST_BACK):
        new = {(parent, child) for child in children for parent in by_number[child].parents if parent in by_number}
        steps |= new
        children = {parent for parent, _ in new}
    return Lineage(by_number[min(own)], tuple(sorted(steps)))
