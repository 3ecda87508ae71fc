"""Greedy forward selection: which parts to train, one after the other, all at one rate."""

from collections.abc import Generator, Iterable

import numpy as np

from biotune.errors import InputError
from biotune.search.base import Batch, Points, Search
from biotune.space.base import Selectable

SMALLEST_GAIN = 0.0
"""A round must gain more fitness than this, or the search ends. 0 is the weakest choice: any gain counts."""


class GreedySelection(Search):
    """Greedy forward selection of blocks (SubTuning): the head alone, then the block that helps most, and so on.

    Every round tries each frozen block in addition to those chosen, at multiplier 1, and keeps the best; ties go to the
    block nearest to the input. It ends when a round gains nothing, when all blocks are trained, or after the last
    evaluation; B blocks take at most 1 + B (B - 1) / 2. It uses neither the seed nor the start: its
    first point is the head alone.

    Source: Kaplun, Gurevich, Swisa, David, Shalev-Shwartz, Malach, arXiv 2302.06354 (2023), greedy selection.
    Departures: the head starts at multiplier 1 like the others; any gain above 0 is enough.
    """

    def _require_space(self) -> None:
        super()._require_space()
        if not isinstance(self.space, Selectable):
            raise InputError("the search greedy chooses blocks, and this space has none; choose another search.")
        self._parts = self.space

    def _run(self) -> Generator[Batch, Points, None]:
        num_blocks, left = self._parts.num_parts, self.evaluations - 1
        chosen = {num_blocks - 1}
        best = float((yield Batch(self._points([chosen]), 0, "new"))[0])
        for generation in range(1, num_blocks):
            frozen = [block for block in range(num_blocks) if block not in chosen][:left]
            if not frozen:
                return
            values = yield Batch(self._points([chosen | {block} for block in frozen]), generation, "new")
            if values.max() - best <= SMALLEST_GAIN:
                return
            chosen, best = chosen | {frozen[int(values.argmax())]}, float(values.max())
            left -= len(frozen)

    def _points(self, selections: Iterable[set[int]]) -> Points:
        """Return the genes of sets of trained blocks, shape (number of sets, num_genes)."""
        return np.stack([self._parts.select(chosen) for chosen in selections])
