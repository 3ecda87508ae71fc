"""Uniform random points: what every search must beat at equal cost."""

from collections.abc import Generator

import numpy as np

from biotune.errors import InputError
from biotune.genotype import Genotype
from biotune.randomness import Stream
from biotune.search import operators
from biotune.search.base import Batch, Points, Search, matching_genotype


class RandomSearch(Search):
    """Feasible points, uniform in the unit box, in one batch.

    Args:
        num_genes: number of blocks plus one.
        seed: root seed.
        num_points: number of points, at least 1.
        genotype: says which points are feasible; by default each block is free.
    """

    def __init__(self, num_genes: int, seed: int = 0, num_points: int = 10, genotype: Genotype | None = None) -> None:
        super().__init__(num_genes)
        if num_points < 1:
            raise InputError(f"a random search needs at least one point, not {num_points}.")
        self.seed = seed
        self.num_points = num_points
        self.genotype = matching_genotype(genotype, num_genes)

    def _run(self) -> Generator[Batch, Points, None]:
        streams = [Stream(self.seed, "random", index) for index in range(self.num_points)]
        yield Batch(np.stack([operators.feasible_point(self.genotype, stream) for stream in streams]), 0, "new")
