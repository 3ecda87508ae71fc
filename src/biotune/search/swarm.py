"""Textbook particle swarm optimisation, and its relativistic variant.

Only sums, products, quotients, roots and comparisons of uniform draws are used, so the points are the same on every
machine. Particles are moved one by one: the weights of one fit into the processor's cache, those of all do not.
"""

from abc import abstractmethod
from collections.abc import Generator
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from biotune.randomness import Stream
from biotune.search.base import Batch, Points
from biotune.search.heuristic import Heuristic, HeuristicOptions
from biotune.search.opytimizer import ParticleSwarmQuirks, Quirks, RelativisticSwarmQuirks

Factor = Annotated[float, Field(ge=0, le=4)]


class PullOptions(HeuristicOptions):
    """What both swarms have in common; the defaults are common textbook values, the largest step is chosen by hand."""

    cognitive: Annotated[Factor, Field(description="c1: pull towards the particle's own best point")] = 1.7
    social: Annotated[Factor, Field(description="c2: pull towards the swarm's best point")] = 1.7
    largest_step: Annotated[float, Field(gt=0, le=1, description="largest step of a gene, in gene units")] = 0.5


class SwarmOptions(PullOptions):
    """Options of ``pso``."""

    inertia: Annotated[float, Field(ge=0, le=1, description="w: share of its velocity that a particle keeps")] = 0.7


class RelativisticOptions(PullOptions):
    """Options of ``rpso``."""

    light_speed: Annotated[
        float, Field(ge=2, le=3e5, description="c: what a velocity is compared with, in gene units per iteration")
    ] = 3e5


def move(
    position: Points, kept: Points, own_best: Points, swarm_best: Points, stream: Stream, options: PullOptions
) -> tuple[Points, Points]:
    """Move one particle.

    v_i <- kept_i + c1 r1_i (p_i - x_i) + c2 r2_i (g_i - x_i), clamped to the largest step either way; x_i <- x_i + v_i,
    clipped to [0, 1]. Clipping does not change the velocity.

    Args:
        position: x, shape (num_genes,).
        kept: what is left of the last velocity: w v in ``pso``, mass gamma v in ``rpso``; same shape.
        own_best: p, the particle's best position so far.
        swarm_best: g, the swarm's best position so far.
        stream: 2 * num_genes draws: all r1, all r2.
        options: c1, c2 and the largest step.

    Returns:
        The new position and velocity.

    Source: Kennedy and Eberhart, ICNN 1995; the inertia of Shi and Eberhart, ICEC 1998.
    """
    to_own, to_swarm = stream.uniform(len(position)), stream.uniform(len(position))
    pull = options.cognitive * to_own * (own_best - position) + options.social * to_swarm * (swarm_best - position)
    velocity = np.clip(kept + pull, -options.largest_step, options.largest_step)
    return np.clip(position + velocity, 0.0, 1.0), velocity


def dilation(velocities: Points, light_speed: float) -> float:
    """Return gamma = 1 / sqrt(1 - v_max^2 / c^2), with v_max the largest speed of a gene in the swarm; v_max < c.

    Source: Roder, de Rosa, Passos, Papa and Rossi, CEC 2020 (RPSO).
    """
    largest = max(float(velocities.max()), -float(velocities.min()))
    return float(1.0 / np.sqrt(1.0 - (largest / light_speed) ** 2))


class Swarm(Heuristic):
    """The loop of both swarms; all particles move before the bests are updated, and they start at rest."""

    options: PullOptions
    purpose: ClassVar[str]
    """Names the random numbers."""

    @abstractmethod
    def _masses(self, shape: tuple[int, int]) -> Points:
        """Return what the velocity of each gene is multiplied by: of this shape, or (population, 1)."""

    @abstractmethod
    def _factor(self, velocities: Points) -> float:
        """Return what all velocities of the next generation are multiplied by besides."""

    def _textbook(self) -> Generator[Batch, Points, None]:
        positions = self._initial_points()
        velocities, masses = np.zeros_like(positions), self._masses((len(positions), self.num_genes))
        own_fitness = yield Batch(positions.copy(), 0, "new")
        own_bests = positions.copy()
        for generation, count in self._generations():
            leader, factor = own_bests[np.argmax(own_fitness)].copy(), self._factor(velocities)
            for index in range(count):
                stream = Stream(self.seed, self.purpose, generation, index)
                kept = factor * masses[index] * velocities[index]
                positions[index], velocities[index] = move(
                    positions[index], kept, own_bests[index], leader, stream, self.options
                )
            values = yield Batch(positions[:count].copy(), generation, "new")
            better = np.flatnonzero(values > own_fitness[:count])
            own_bests[better], own_fitness[better] = positions[better], values[better]


class ParticleSwarm(Swarm):
    """Particle swarm (w = 0.7, c1 = c2 = 1.7, one neighbourhood); all particles move before the bests are updated.

    The particles start at rest. Sources: Kennedy and Eberhart, ICNN 1995; Shi and Eberhart, ICEC 1998. Update: ``move``
    with kept = w v.
    """

    Options = SwarmOptions
    options: SwarmOptions
    quirks: ClassVar[type[Quirks]] = ParticleSwarmQuirks
    purpose: ClassVar[str] = "pso"

    def _masses(self, shape: tuple[int, int]) -> Points:
        return np.ones((shape[0], 1))

    def _factor(self, velocities: Points) -> float:
        del velocities
        return self.options.inertia


class RelativisticSwarm(Swarm):
    """Relativistic particle swarm: instead of one inertia, each gene of a particle has a random mass in [0, 1).

    Update: ``move`` with kept = m gamma v, where m is drawn once per particle and gene, and gamma = ``dilation``. The
    particles start at rest.

    Source: Roder, de Rosa, Passos, Papa and Rossi, CEC 2020. Departures: r1 and r2 are drawn per gene, steps are
    clamped as in ``pso``, and velocities start at 0. In a box of unit width, gamma is 1 but for rounding unless
    ``light_speed`` is made small.
    """

    Options = RelativisticOptions
    options: RelativisticOptions
    quirks: ClassVar[type[Quirks]] = RelativisticSwarmQuirks
    purpose: ClassVar[str] = "rpso"

    def _masses(self, shape: tuple[int, int]) -> Points:
        size, num_genes = shape
        return np.stack([Stream(self.seed, "rpso mass", index).uniform(num_genes) for index in range(size)])

    def _factor(self, velocities: Points) -> float:
        return dilation(velocities, self.options.light_speed)
