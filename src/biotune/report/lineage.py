"""Which candidates of a search the chosen recipe was made from."""

from collections.abc import Sequence
from dataclasses import dataclass

from biotune.results.history import Candidate
from biotune.results.summary import RecipeOfRun


@dataclass(frozen=True)
class Lineage:
    """The chosen recipe among the candidates of its search.

    Args:
        chosen: the candidate that had it first.
        steps: from a parent to its child, both as sequence numbers, for each of its ancestors; none where the search
            began with it.
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
    steps: dict[tuple[int, int], None] = {}
    waiting = [min(own)]
    while waiting:
        child = waiting.pop()
        new = [(parent, child) for parent in by_number[child].parents if parent in by_number]
        waiting += [parent for parent, _ in new if all(parent != known for _, known in steps)]
        steps.update(dict.fromkeys(new))
    return Lineage(by_number[min(own)], tuple(sorted(steps)))
