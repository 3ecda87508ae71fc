"""Uniform random points: what every search must beat at equal cost."""

from collections.abc import Generator

import numpy as np

from biotune.randomness import Stream
from biotune.search import operators
from biotune.search.base import Batch, Points, Search


class RandomSearch(Search):
    """Feasible points, uniform in the unit box, after those of the start.

    They depend on nothing that is told, yet come in batches of the population: an allowance of work may end a search
    between two batches, and of a batch that is cut short no candidate has finished its race.
    """

    def _run(self) -> Generator[Batch, Points, None]:
        given = list(self.start[: self.evaluations])
        streams = [Stream(self.seed, "random", index) for index in range(self.evaluations - len(given))]
        points = np.stack(given + [operators.feasible_point(self.space, stream) for stream in streams])
        for begin in range(0, len(points), self.settings.population):
            yield Batch(points[begin : begin + self.settings.population], 0, "new")
