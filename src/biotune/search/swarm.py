"""Textbook particle swarm optimisation.

Only sums, products and comparisons of uniform draws are used, so the points are the same on every machine.
"""

from collections.abc import Generator
from typing import Annotated

import numpy as np
from pydantic import Field

from biotune.options import Options
from biotune.randomness import Stream
from biotune.search.base import Batch, Points, Search


class SwarmOptions(Options):
    """Options of ``pso``; the defaults are common textbook values, the largest step is chosen by hand."""

    inertia: Annotated[float, Field(ge=0, le=1, description="w: share of its velocity that a particle keeps")] = 0.7
    cognitive: Annotated[float, Field(ge=0, le=4, description="c1: pull towards the particle's own best point")] = 1.7
    social: Annotated[float, Field(ge=0, le=4, description="c2: pull towards the swarm's best point")] = 1.7
    largest_step: Annotated[float, Field(gt=0, le=1, description="largest step of a gene, in gene units")] = 0.5


def move(
    position: Points,
    velocity: Points,
    own_best: Points,
    swarm_best: Points,
    stream: Stream,
    options: SwarmOptions,
) -> tuple[Points, Points]:
    """Move one particle.

    v_i <- w v_i + c1 r1_i (p_i - x_i) + c2 r2_i (g_i - x_i), clamped to the largest step either way; x_i <- x_i + v_i,
    clipped to [0, 1]. Clipping does not change the velocity.

    Args:
        position: x, shape (num_genes,).
        velocity: v, same shape.
        own_best: p, the particle's best position so far.
        swarm_best: g, the swarm's best position so far.
        stream: 2 * num_genes draws: all r1, all r2.
        options: w, c1, c2 and the largest step.

    Returns:
        The new position and velocity.

    Source: Kennedy and Eberhart, ICNN 1995; the inertia of Shi and Eberhart, ICEC 1998.
    """
    to_own, to_swarm = stream.uniform(len(position)), stream.uniform(len(position))
    pull = options.cognitive * to_own * (own_best - position) + options.social * to_swarm * (swarm_best - position)
    velocity = np.clip(options.inertia * velocity + pull, -options.largest_step, options.largest_step)
    return np.clip(position + velocity, 0.0, 1.0), velocity


class ParticleSwarm(Search):
    """Particle swarm (w = 0.7, c1 = c2 = 1.7, one neighbourhood); all particles move before the bests are updated.

    The particles start at rest. Sources: Kennedy and Eberhart, ICNN 1995; Shi and Eberhart, ICEC 1998.
    """

    Options = SwarmOptions
    options: SwarmOptions

    def _run(self) -> Generator[Batch, Points, None]:
        positions = self._initial_points()
        velocities = np.zeros_like(positions)
        own_fitness = yield Batch(positions.copy(), 0, "new")
        own_bests = positions.copy()
        for generation, count in self._generations():
            leader = own_bests[np.argmax(own_fitness)].copy()
            for index in range(count):
                stream = Stream(self.seed, "pso", generation, index)
                positions[index], velocities[index] = move(
                    positions[index], velocities[index], own_bests[index], leader, stream, self.options
                )
            values = yield Batch(positions[:count].copy(), generation, "new")
            better = np.flatnonzero(values > own_fitness[:count])
            own_bests[better], own_fitness[better] = positions[better], values[better]
