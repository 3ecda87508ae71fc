"""Uniform random points: every search must beat them at equal cost."""

from collections.abc import Generator

import numpy as np

from biotune.randomness import Stream
from biotune.search import operators
from biotune.search.base import Batch, Points, Search


class RandomSearch(Search):
    """Feasible points, uniform in the unit box, after as much of the start as a population has room for, like all.

    They depend on no fitness, yet come in batches of the population: a work budget may end a search between two
    batches, and in a batch that is cut short no candidate would finish its race.
    """

    def _run(self) -> Generator[Batch, Points, None]:
        size = self.settings.population
        known = min(len(self.start), size)
        for begin in range(0, self.evaluations, size):
            places = range(begin, min(begin + size, self.evaluations))
            points = [self.start[place] if place < known else self._drawn(place - known) for place in places]
            yield Batch(np.stack(points), 0, "new")

    def _drawn(self, index: int) -> Points:
        return operators.feasible_point(self.space, Stream(self.seed, "random", index))
