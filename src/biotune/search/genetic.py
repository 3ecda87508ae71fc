"""Two textbook searches: a real-coded genetic algorithm and differential evolution.

Only sums, products and comparisons of uniform draws are used, so the points are the same on every machine.
"""

from collections.abc import Generator
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from biotune.options import Options
from biotune.randomness import Stream
from biotune.search.base import Batch, Points, Search

Share = Annotated[float, Field(ge=0, le=1)]


class GeneticOptions(Options):
    """Options of ``ga``; the defaults are common textbook values."""

    crossover: Annotated[
        Share, Field(description="probability that a child is a blend; else it is a copy of its first parent")
    ] = 0.9
    blend: Annotated[
        Share, Field(description="how far a blend leaves its parents' interval, in lengths of it (BLX-alpha)")
    ] = 0.5


class DifferentialOptions(Options):
    """Options of ``de``; the defaults are common textbook values."""

    weight: Annotated[float, Field(gt=0, le=2, description="F: factor of the difference of two points")] = 0.7
    crossover: Annotated[Share, Field(description="CR: probability that a gene comes from the mutant")] = 0.9


def tournament(fitness: Points, stream: Stream) -> int:
    """Return the index of the better of two individuals drawn with replacement, the first in a tie; two draws."""
    first, second = stream.integer(len(fitness)), stream.integer(len(fitness))
    return second if fitness[second] > fitness[first] else first


def blend(first: Points, second: Points, stream: Stream, alpha: float = 0.5) -> Points:
    """Draw each gene uniformly from the interval between its parents' values, extended on both sides.

    x_i = lo_i - a d_i + u_i (1 + 2 a) d_i, with lo_i the smaller value and d_i = |A_i - B_i|, clipped.

    Args:
        first: genes of A, shape (num_genes,).
        second: genes of B.
        stream: num_genes draws.
        alpha: a, how far the interval is extended, in units of its length.

    Returns:
        (num_genes,), each in [0, 1].

    Source: Eshelman and Schaffer, Foundations of Genetic Algorithms 2 (1993), BLX-alpha.
    """
    low, distance = np.minimum(first, second), np.abs(first - second)
    return np.clip(low - alpha * distance + stream.uniform(len(first)) * (1.0 + 2.0 * alpha) * distance, 0.0, 1.0)


def reset(genes: Points, stream: Stream) -> Points:
    """Redraw each gene, uniform in [0, 1), with probability 1 / num_genes; 2 * num_genes draws: whether, what."""
    chosen = stream.uniform(len(genes)) < 1.0 / len(genes)
    return np.where(chosen, stream.uniform(len(genes)), genes)


def differential_trial(target: Points, pool: Points, stream: Stream, weight: float = 0.7, rate: float = 0.9) -> Points:
    """Return the trial point of one individual, after rand/1/bin.

    x_i = a_i + F (b_i - c_i) where u_i < CR or i = R, and the individual's own gene elsewhere; a, b, c are three
    distinct others, R is one gene drawn uniformly. Values outside [0, 1] are redrawn uniformly: the original
    leaves this open, and clipping slows the first generations down.

    Args:
        target: the individual, shape (num_genes,).
        pool: individuals that a, b, c are drawn from, shape (pool, num_genes), at least 3, without the individual.
        stream: one draw per member of the pool (their random order), 1 for R, num_genes for u, num_genes for
            values outside the box.
        weight: F.
        rate: CR, in [0, 1].

    Returns:
        (num_genes,), each in [0, 1].

    Source: Storn and Price, Journal of Global Optimization 11 (1997), 341-359.
    """
    size, num_genes = pool.shape
    a, b, c = pool[np.argsort(stream.uniform(size), kind="stable")[:3]]
    forced = stream.integer(num_genes)
    crossed = stream.uniform(num_genes) < rate
    crossed[forced] = True
    mutant, redrawn = a + weight * (b - c), stream.uniform(num_genes)
    mutant = np.where((mutant < 0.0) | (mutant > 1.0), redrawn, mutant)
    return np.asarray(np.where(crossed, mutant, target))


class GeneticAlgorithm(Search):
    """Genetic algorithm: binary tournaments, blend crossover, uniform mutation; the best of old and new survive.

    Sources: Eiben and Smith, Introduction to Evolutionary Computing (2015), chapters 4 and 5; Eshelman and Schaffer
    (1993) for the crossover.
    """

    Options = GeneticOptions
    options: GeneticOptions
    smallest_population: ClassVar[int] = 2

    def _run(self) -> Generator[Batch, Points, None]:
        points = self._initial_points()
        fitness = yield Batch(points.copy(), 0, "new")
        for generation, count in self._generations():
            children = np.stack([self._child(points, fitness, generation, index) for index in range(count)])
            values = yield Batch(children.copy(), generation, "new")
            pool, scores = np.concatenate([points, children]), np.concatenate([fitness, values])
            best = np.argsort(-scores, kind="stable")[: self.settings.population]
            points, fitness = pool[best], scores[best]

    def _child(self, points: Points, fitness: Points, generation: int, index: int) -> Points:
        stream = Stream(self.seed, "ga", generation, index)
        first, second = points[tournament(fitness, stream)], points[tournament(fitness, stream)]
        crossed = stream.uniform() < self.options.crossover
        child = blend(first, second, stream, self.options.blend) if crossed else first
        return reset(child, stream)


class DifferentialEvolution(Search):
    """Differential evolution (rand/1/bin, F = 0.7, CR = 0.9): a trial that is at least as good replaces its parent.

    Source: Storn and Price, Journal of Global Optimization 11 (1997), 341-359.
    """

    Options = DifferentialOptions
    options: DifferentialOptions
    smallest_population: ClassVar[int] = 4

    def _run(self) -> Generator[Batch, Points, None]:
        points = self._initial_points()
        fitness = yield Batch(points.copy(), 0, "new")
        for generation, count in self._generations():
            trials = np.stack([self._trial(points, generation, index) for index in range(count)])
            values = yield Batch(trials.copy(), generation, "new")
            better = np.flatnonzero(values >= fitness[:count])
            points[better], fitness[better] = trials[better], values[better]

    def _trial(self, points: Points, generation: int, index: int) -> Points:
        others, stream = np.delete(points, index, axis=0), Stream(self.seed, "de", generation, index)
        return differential_trial(points[index], others, stream, self.options.weight, self.options.crossover)
