"""Particle swarm optimisation: a rival of equal cost from the textbooks.

Only sums, products and comparisons of uniform draws are used, so the points are the same on every machine.
"""

from collections.abc import Generator

import numpy as np

from biotune.randomness import Stream
from biotune.search.base import Batch, Points, Search

INERTIA = 0.7
"""w: share of its velocity that a particle keeps."""

PULL = 1.7
"""c1 = c2: strength of the pull towards the particle's own best and towards the swarm's."""

LARGEST_STEP = 0.5
"""Largest component of a velocity, in gene units."""


def move(
    position: Points, velocity: Points, own_best: Points, swarm_best: Points, stream: Stream
) -> tuple[Points, Points]:
    """Move one particle.

    v_i <- w v_i + c1 r1_i (p_i - x_i) + c2 r2_i (g_i - x_i), clamped to [-0.5, 0.5]; x_i <- x_i + v_i, clipped to
    [0, 1]. The velocity is not changed at the walls.

    Args:
        position: x, shape (num_genes,).
        velocity: v.
        own_best: p.
        swarm_best: g.
        stream: 2 * num_genes draws: all r1, all r2.

    Returns:
        The new position and velocity.

    Source: Kennedy and Eberhart, ICNN 1995; the inertia of Shi and Eberhart, ICEC 1998.
    """
    to_own, to_swarm = stream.uniform(len(position)), stream.uniform(len(position))
    pull = PULL * to_own * (own_best - position) + PULL * to_swarm * (swarm_best - position)
    velocity = np.clip(INERTIA * velocity + pull, -LARGEST_STEP, LARGEST_STEP)
    return np.clip(position + velocity, 0.0, 1.0), velocity


class ParticleSwarm(Search):
    """Particle swarm (w = 0.7, c1 = c2 = 1.7, one neighbourhood); all particles move before the bests are updated.

    The particles start at rest. Sources: Kennedy and Eberhart, ICNN 1995; Shi and Eberhart, ICEC 1998.
    """

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
                    positions[index], velocities[index], own_bests[index], leader, stream
                )
            values = yield Batch(positions[:count].copy(), generation, "new")
            better = np.flatnonzero(values > own_fitness[:count])
            own_bests[better], own_fitness[better] = positions[better], values[better]
