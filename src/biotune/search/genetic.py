"""Two textbook searches: a real-coded genetic algorithm and differential evolution.

Only sums, products and comparisons of uniform draws are used, so the points are the same on every machine. Individuals
are made one by one: the weights of one fit into the processor's cache, those of all do not.
"""

from collections.abc import Generator, Sequence
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from biotune.randomness import Stream
from biotune.search.base import Batch, Points
from biotune.search.heuristic import Heuristic, HeuristicOptions
from biotune.search.opytimizer import DifferentialQuirks, GeneticQuirks, Quirks

Share = Annotated[float, Field(ge=0, le=1)]


class GeneticOptions(HeuristicOptions):
    """Options of ``ga``; the defaults are common textbook values."""

    crossover: Annotated[
        Share, Field(description="probability that a child is a blend; else it is a copy of its first parent")
    ] = 0.9
    blend: Annotated[
        Share, Field(description="how far a blend leaves its parents' interval, in lengths of it (BLX-alpha)")
    ] = 0.5


class DifferentialOptions(HeuristicOptions):
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


def differential_trial(
    target: Points, pool: Points | Sequence[Points], stream: Stream, weight: float = 0.7, rate: float = 0.9
) -> Points:
    """Return the trial point of one individual, after rand/1/bin.

    x_i = a_i + F (b_i - c_i) where u_i < CR or i = R, and the individual's own gene elsewhere; a, b, c are three
    distinct others, R is one gene drawn uniformly. Values outside [0, 1] are redrawn uniformly: the original
    leaves this open, and clipping slows the first generations down.

    Args:
        target: the individual, shape (num_genes,).
        pool: individuals that a, b, c are drawn from, each (num_genes,), at least 3, without the individual.
        stream: one draw per member of the pool (their random order), 1 for R, num_genes for u, num_genes for
            values outside the box.
        weight: F.
        rate: CR, in [0, 1].

    Returns:
        (num_genes,), each in [0, 1].

    Source: Storn and Price, Journal of Global Optimization 11 (1997), 341-359.
    """
    num_genes = len(target)
    a, b, c = (pool[index] for index in np.argsort(stream.uniform(len(pool)), kind="stable")[:3])
    forced = stream.integer(num_genes)
    crossed = stream.uniform(num_genes) < rate
    crossed[forced] = True
    mutant, redrawn = a + weight * (b - c), stream.uniform(num_genes)
    mutant = np.where((mutant < 0.0) | (mutant > 1.0), redrawn, mutant)
    return np.asarray(np.where(crossed, mutant, target))


def survivors(points: Points, fitness: Points, children: Points, values: Points) -> tuple[Points, Points]:
    """Return the best of points and children, as many as there are points, best first, and their fitness.

    Args:
        points: shape (population, num_genes).
        fitness: of the points, shape (population,).
        children: shape (count, num_genes).
        values: fitness of the children, shape (count,); equal ones come after the points.

    Returns:
        Shapes (population, num_genes) and (population,).
    """
    size, scores = len(points), np.concatenate([fitness, values])
    best = np.argsort(-scores, kind="stable")[:size]
    kept = np.empty_like(points)
    for place, index in enumerate(best):
        kept[place] = points[index] if index < size else children[index - size]
    return kept, scores[best]


class GeneticAlgorithm(Heuristic):
    """Genetic algorithm: binary tournaments, blend crossover, uniform mutation; the best of old and new survive.

    Sources: Eiben and Smith, Introduction to Evolutionary Computing (2015), chapters 4 and 5; Eshelman and Schaffer
    (1993) for the crossover.
    """

    Options = GeneticOptions
    options: GeneticOptions
    quirks: ClassVar[type[Quirks]] = GeneticQuirks
    smallest_population: ClassVar[int] = 2

    def _textbook(self) -> Generator[Batch, Points, None]:
        points = self._initial_points()
        fitness = yield Batch(points.copy(), 0, "new")
        for generation, count in self._generations():
            children = np.empty((count, self.num_genes))
            for index in range(count):
                children[index] = self._child(points, fitness, generation, index)
            values = yield Batch(children.copy(), generation, "new")
            points, fitness = survivors(points, fitness, children, values)

    def _child(self, points: Points, fitness: Points, generation: int, index: int) -> Points:
        stream = Stream(self.seed, "ga", generation, index)
        first, second = points[tournament(fitness, stream)], points[tournament(fitness, stream)]
        crossed = stream.uniform() < self.options.crossover
        child = blend(first, second, stream, self.options.blend) if crossed else first
        return reset(child, stream)


class DifferentialEvolution(Heuristic):
    """Differential evolution (rand/1/bin, F = 0.7, CR = 0.9): a trial that is at least as good replaces its parent.

    Source: Storn and Price, Journal of Global Optimization 11 (1997), 341-359.
    """

    Options = DifferentialOptions
    options: DifferentialOptions
    quirks: ClassVar[type[Quirks]] = DifferentialQuirks
    smallest_population: ClassVar[int] = 4

    def _textbook(self) -> Generator[Batch, Points, None]:
        points = self._initial_points()
        fitness = yield Batch(points.copy(), 0, "new")
        for generation, count in self._generations():
            trials = np.empty((count, self.num_genes))
            for index in range(count):
                trials[index] = self._trial(points, generation, index)
            values = yield Batch(trials.copy(), generation, "new")
            better = np.flatnonzero(values >= fitness[:count])
            points[better], fitness[better] = trials[better], values[better]

    def _trial(self, points: Points, generation: int, index: int) -> Points:
        stream = Stream(self.seed, "de", generation, index)
        others = [*points[:index], *points[index + 1 :]]  # views: a copy of all weights per trial takes much longer
        return differential_trial(points[index], others, stream, self.options.weight, self.options.crossover)
