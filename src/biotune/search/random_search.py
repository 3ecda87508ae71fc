"""Uniform random points: what every search must beat at equal cost."""

from collections.abc import Generator

import numpy as np

from biotune.randomness import Stream
from biotune.search import operators
from biotune.search.base import Batch, Points, Search


class RandomSearch(Search):
    """Feasible points, uniform in the unit box, after those of the start; all in one batch."""

    def _run(self) -> Generator[Batch, Points, None]:
        given = list(self.start[: self.settings.evaluations])
        streams = [Stream(self.seed, "random", index) for index in range(self.settings.evaluations - len(given))]
        yield Batch(np.stack(given + [operators.feasible_point(self.genotype, stream) for stream in streams]), 0, "new")
