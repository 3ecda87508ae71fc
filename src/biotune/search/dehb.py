"""Differential evolution under Hyperband: decides how far each point is trained, and who its parents are.

Only sums, products and comparisons of uniform draws are used, so the points are the same on every machine.
"""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from biotune.options import Options
from biotune.randomness import Stream
from biotune.search.base import Batch, Points, Search
from biotune.search.genetic import differential_trial

PARENTS = 3
"""Individuals that rand/1 combines."""


class HyperbandOptions(Options):
    """Options of ``dehb``; the defaults are those of the DEHB paper."""

    eta: Annotated[int, Field(ge=2, le=10, description="one in eta is promoted to the next rung")] = 3
    weight: Annotated[float, Field(gt=0, le=2, description="F: factor of the difference of two points")] = 0.5
    crossover: Annotated[float, Field(ge=0, le=1, description="CR: probability that a gene comes from the mutant")] = (
        0.5
    )


def bracket_sizes(population: int, num_rungs: int, eta: int = 3) -> list[list[int]]:
    """Return how many points each bracket of Hyperband trains to each of its rungs.

    The bracket that begins at rung k of K begins with n = ceil(N K / (eta^k (K - k))) points, and has
    max(1, floor(n / eta^j)) of them j rungs later. With N = eta^(K - 1) these are Hyperband's own sizes; another N
    makes all brackets smaller or larger in proportion.

    Args:
        population: N, points of the first bracket, at least 1.
        num_rungs: K, at least 1.
        eta: one in eta points is promoted.

    Returns:
        For k = 0 .. K - 1, the sizes at the rungs k .. K - 1.

    Source: Li et al., JMLR 18 (2018), 1-52, Algorithm 1; there, K - 1 is s_max and K - 1 - k is s.
    """
    begun = [-(-population * num_rungs // (eta**k * (num_rungs - k))) for k in range(num_rungs)]
    return [[max(1, n // eta**j) for j in range(num_rungs - k)] for k, n in enumerate(begun)]


@dataclass(frozen=True)
class BracketRung:
    """One rung of one bracket.

    Args:
        bracket: number of the bracket, from 0, over all rounds.
        rung: number of the rung, from 0.
        size: number of points to be evaluated.
        below: how many individuals of the rung below are parents; 0 at the first rung of a bracket.
    """

    bracket: int
    rung: int
    size: int
    below: int


class Subpopulations:
    """The individuals of every rung, each with its fitness at that rung.

    A rung holds as many as the largest bracket trains there. It starts with the best of the rung below: first those
    that the first bracket promotes, then the next best until it is full. The latter have no fitness at this rung (minus
    infinity), so any offspring replaces them.

    Args:
        points: individuals of the lowest rung, shape (population, num_genes).
        sizes: number of individuals of each rung, descending.
    """

    def __init__(self, points: Points, sizes: list[int]) -> None:
        self.points = [points]
        self.fitness = [np.full(len(points), -np.inf)]
        self._sizes = sizes
        self._turn = [0] * len(sizes)

    def promote(self) -> None:
        """Fill the next rung with the best of the one below."""
        best = np.argsort(-self.fitness[-1], kind="stable")[: self._sizes[len(self.points)]]
        self.points.append(self.points[-1][best])
        self.fitness.append(np.full(len(best), -np.inf))

    def targets(self, rung: int, size: int) -> list[int]:
        """Return the next individuals of a rung to compete with offspring; they take turns, over all brackets."""
        length = len(self.points[rung])
        turns = [(self._turn[rung] + step) % length for step in range(size)]
        self._turn[rung] = (self._turn[rung] + size) % length
        return turns

    def parents(self, rung: int, target: int, below: int, stream: Stream) -> Points:
        """Return the pool that the three parents of an offspring are drawn from.

        Args:
            rung: the rung that the offspring is trained to.
            target: the individual that it may replace.
            below: how many of the best of the rung below form the pool; 0 to take the others of its own rung.
            stream: used if the pool has fewer than three, which random individuals then fill up: one draw for each
                individual of any rung that is neither in the pool nor the target (a promoted point counts per rung).

        Returns:
            Genes, shape (pool, num_genes), at least three.
        """
        if below:
            pool = [(rung - 1, int(index)) for index in np.argsort(-self.fitness[rung - 1], kind="stable")[:below]]
        else:
            pool = [(rung, index) for index in range(len(self.points[rung])) if index != target]
        if len(pool) < PARENTS:
            everyone = [(r, index) for r, points in enumerate(self.points) for index in range(len(points))]
            others = [member for member in everyone if member not in pool and member != (rung, target)]
            order = np.argsort(stream.uniform(len(others)), kind="stable")
            pool += [others[index] for index in order[: PARENTS - len(pool)]]
        return np.stack([self.points[r][index] for r, index in pool])

    def select(self, rung: int, targets: list[int], trials: Points, values: Points) -> None:
        """Replace each target by its trial if that is at least as good at this rung."""
        for target, trial, value in zip(targets, trials, values, strict=True):
            if value >= self.fitness[rung][target]:
                self.points[rung][target], self.fitness[rung][target] = trial, value


class EvolutionaryHyperband(Search):
    """Differential evolution under Hyperband (DEHB): a population per rung, parents from the rung below.

    The first bracket starts with the initial population and promotes the best, which resume their training. Later
    brackets, which start at ever higher rungs and then at the lowest again, train offspring directly to their rung:
    rand/1/bin with F = 0.5 and CR = 0.5. The target is an individual of the offspring's rung. The
    parents are drawn from the best individuals of the rung below, as many as the bracket has offspring; at the first
    rung of a bracket, from the target's own rung. Fitness is compared within a rung only. With a single rung this is
    differential evolution.

    A point that is promoted counts as another evaluation.

    Source: Awad, Mallik, Hutter, IJCAI 2021, arXiv 2105.09821. Departures: the sizes scale with the population (see
    ``bracket_sizes``). Places that the first bracket leaves empty in a higher rung get the next best of the rung below;
    the authors' code has random points there, and keeps promoting in the brackets of the first cycle. Too small a pool
    is filled to three individuals; that code fills it to four.
    """

    Options = HyperbandOptions
    options: HyperbandOptions
    smallest_population: ClassVar[int] = 4

    def _run(self) -> Generator[Batch, Points, None]:
        brackets = bracket_sizes(self.settings.population, self.settings.num_rungs, self.options.eta)
        rungs = Subpopulations(self._initial_points(), [sizes[0] for sizes in brackets])
        for generation, step in enumerate(self._schedule(brackets)):
            promoted = step.bracket == 0 and step.rung > 0
            if promoted:
                rungs.promote()
            if step.bracket == 0:
                targets = list(range(step.size))
                points = rungs.points[step.rung][: step.size].copy()
            else:
                targets = rungs.targets(step.rung, step.size)
                points = np.stack([self._offspring(rungs, generation, step, target) for target in targets])
            values = yield Batch(points.copy(), generation, "reevaluate" if promoted else "new", step.rung)
            rungs.select(step.rung, targets, points, values)

    def _schedule(self, brackets: list[list[int]]) -> Iterator[BracketRung]:
        """Yield the rungs of all brackets, repeating them until all evaluations are planned."""
        left = self.evaluations
        for bracket in count():
            first = bracket % len(brackets)
            for rung, size in enumerate(brackets[first], first):
                if left == 0:
                    return
                yield BracketRung(bracket, rung, min(size, left), size if rung > first else 0)
                left -= min(size, left)

    def _offspring(self, rungs: Subpopulations, generation: int, step: BracketRung, target: int) -> Points:
        stream = Stream(self.seed, "dehb", generation, target)
        pool = rungs.parents(step.rung, target, step.below, stream)
        return differential_trial(
            rungs.points[step.rung][target], pool, stream, self.options.weight, self.options.crossover
        )
