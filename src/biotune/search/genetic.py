"""Two rivals of equal cost from the textbooks: a real-coded genetic algorithm and differential evolution.

Only sums, products and comparisons of uniform draws are used, so the points are the same on every machine.
"""

from collections.abc import Generator
from typing import ClassVar

import numpy as np

from biotune.randomness import Stream
from biotune.search.base import Batch, Points, Search

CROSSOVER_RATE = 0.9
"""Probability that a child of the genetic algorithm is a blend; else it begins as a copy of its first parent."""

BLEND = 0.5
"""How far a blend may leave the interval between its parents, in lengths of that interval (BLX-0.5)."""

DIFFERENCE_WEIGHT = 0.7
"""F of differential evolution."""

GENE_RATE = 0.9
"""CR of differential evolution: probability that a gene comes from the mutant."""


def tournament(fitness: Points, stream: Stream) -> int:
    """Return the index of the better of two individuals drawn with replacement; two draws, ties to the first drawn."""
    first, second = stream.integer(len(fitness)), stream.integer(len(fitness))
    return second if fitness[second] > fitness[first] else first


def blend(first: Points, second: Points, stream: Stream) -> Points:
    """Draw each gene uniformly between its parents' values, and half their distance beyond on either side.

    x_i = lo_i - a d_i + u_i (1 + 2 a) d_i, with lo_i the smaller value, d_i = |A_i - B_i|, a = 0.5, clipped.

    Args:
        first: genes of A, shape (num_genes,).
        second: genes of B.
        stream: num_genes draws.

    Returns:
        (num_genes,), each in [0, 1].

    Source: Eshelman and Schaffer, Foundations of Genetic Algorithms 2 (1993), BLX-alpha.
    """
    low, distance = np.minimum(first, second), np.abs(first - second)
    return np.clip(low - BLEND * distance + stream.uniform(len(first)) * (1.0 + 2.0 * BLEND) * distance, 0.0, 1.0)


def reset(genes: Points, stream: Stream) -> Points:
    """Draw each gene anew, uniform in [0, 1), with probability 1 / num_genes; 2 * num_genes draws: whether, what."""
    chosen = stream.uniform(len(genes)) < 1.0 / len(genes)
    return np.where(chosen, stream.uniform(len(genes)), genes)


def differential_trial(
    target: Points, pool: Points, stream: Stream, weight: float = DIFFERENCE_WEIGHT, rate: float = GENE_RATE
) -> Points:
    """Return the trial point of one individual, after rand/1/bin.

    x_i = a_i + F (b_i - c_i) where u_i < CR or i = R, and the individual's own gene elsewhere; a, b, c are three
    distinct others, R is one gene drawn uniformly. What leaves [0, 1] is drawn anew, uniformly: the original leaves
    this open, and clipping makes the first generations slower.

    Args:
        target: the individual, shape (num_genes,).
        pool: those that a, b, c are drawn from, shape (pool, num_genes), at least 3, without the individual.
        stream: one draw per member of the pool (their random order), 1 for R, num_genes for u, num_genes for what
            left the box.
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
        child = blend(first, second, stream) if stream.uniform() < CROSSOVER_RATE else first
        return reset(child, stream)


class DifferentialEvolution(Search):
    """Differential evolution (rand/1/bin, F = 0.7, CR = 0.9): a trial that is no worse replaces its individual.

    Source: Storn and Price, Journal of Global Optimization 11 (1997), 341-359.
    """

    smallest_population: ClassVar[int] = 4

    def _run(self) -> Generator[Batch, Points, None]:
        points = self._initial_points()
        fitness = yield Batch(points.copy(), 0, "new")
        for generation, count in self._generations():
            streams = [Stream(self.seed, "de", generation, index) for index in range(count)]
            others = [np.delete(points, index, axis=0) for index in range(count)]
            trials = np.stack(list(map(differential_trial, points, others, streams)))
            values = yield Batch(trials.copy(), generation, "new")
            better = np.flatnonzero(values >= fitness[:count])
            points[better], fitness[better] = trials[better], values[better]
