"""Uniform random points: every search must beat them at equal cost."""

from collections.abc import Generator

import numpy as np

from biotune.randomness import Stream
from biotune.search import operators
from biotune.search.base import Batch, Points, Search


class RandomSearch(Search):
    """Feasible points, uniform in the unit box, after those of the start.

    They depend on no fitness, yet come in batches of the population: a work budget may end a search between two
    batches, and in a batch that is cut short no candidate would finish its race.
    """

    def _run(self) -> Generator[Batch, Points, None]:
        start = list(self.start[: self.evaluations])
        streams = [Stream(self.seed, "random", index) for index in range(self.evaluations - len(start))]
        points = np.stack(start + [operators.feasible_point(self.space, stream) for stream in streams])
        for begin in range(0, len(points), self.settings.population):
            yield Batch(points[begin : begin + self.settings.population], 0, "new")
