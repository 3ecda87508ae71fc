"""Which candidates of a search were made from which, as far as the search says."""

from biotune.runs.store import RunStore
from biotune.search import Batch


class Lineage:
    """The parents of each candidate, in the order of asking: ``parents`` holds sequence numbers."""

    def __init__(self) -> None:
        self.parents = list[list[int]]()
        self._numbers = dict[bytes, int]()

    def add(self, batch: Batch, count: int) -> None:
        """Note the first ``count`` points of a batch, which are evaluated; what comes again keeps its number."""
        origins = batch.parents or ((),) * count
        for genes, parents in zip(batch.points[:count], origins[:count], strict=True):
            known = dict.fromkeys(self._numbers.get(parent.tobytes(), -1) for parent in parents)
            self._numbers.setdefault(genes.tobytes(), len(self.parents))
            self.parents.append([number for number in known if number >= 0])

    def store(self, store: RunStore, search: str) -> None:
        """Keep it; a call that continues the search finds the same again."""
        store.set_fact(_name(search), self.parents)


def stored_parents(store: RunStore, search: str, sequence: int) -> list[int]:
    """Return the parents of a candidate; none where it has none, or an older version did not note them."""
    found = store.fact(_name(search)) or []
    return list(found[sequence]) if sequence < len(found) else []


def _name(search: str) -> str:
    return f"lineage of {search}"
