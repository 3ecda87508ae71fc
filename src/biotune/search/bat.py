"""The textbook bat algorithm.

Bats are moved one by one: the weights of one fit into the processor's cache, those of all do not.
"""

import math
from collections.abc import Generator
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from biotune.randomness import Stream
from biotune.search.base import Batch, Points
from biotune.search.heuristic import Heuristic, HeuristicOptions
from biotune.search.opytimizer import BatQuirks, Quirks


class BatOptions(HeuristicOptions):
    """Options of ``bat``; the defaults are those of Yang's book but for the local step."""

    frequency: Annotated[
        float, Field(gt=0, le=4, description="f_max: largest pull towards the best point; the smallest is 0")
    ] = 2.0
    loudness: Annotated[
        float, Field(gt=0, le=1, description="A at the start: probability that a bat takes a better point")
    ] = 1.0
    fading: Annotated[
        float, Field(gt=0, le=1, description="alpha: factor of a bat's loudness whenever it takes a point")
    ] = 0.9
    pulse: Annotated[float, Field(ge=0, le=1, description="r at the start, and its limit: share of flights")] = 0.5
    pulse_growth: Annotated[
        float, Field(gt=0, le=10, description="gamma: how fast the pulse rate of a bat that takes points grows to r")
    ] = 0.9
    local_step: Annotated[
        float, Field(gt=0, le=1, description="largest step from the best point at loudness 1, in gene units")
    ] = 0.1


def fly(position: Points, velocity: Points, best: Points, stream: Stream, frequency: float) -> tuple[Points, Points]:
    """Move one bat towards the best point.

    v_i <- v_i + f_i (g_i - x_i) with f_i = f_max u_i, clamped to [-1, 1]; x_i <- x_i + v_i, clipped to [0, 1].

    Args:
        position: x, shape (num_genes,).
        velocity: v, same shape.
        best: g, the best point so far.
        stream: num_genes draws: all u.
        frequency: f_max; f_min is 0.

    Returns:
        The new position and velocity.

    Source: Yang, NICSO 2010 (arXiv 1004.4170), eqs. 2 to 4. Departures: the sign of g - x, which the paper has the
    other way, away from g; the clamp, without which the velocity of a bat that stays where it is grows without bound.
    """
    velocity = np.clip(velocity + frequency * stream.uniform(len(position)) * (best - position), -1.0, 1.0)
    return np.clip(position + velocity, 0.0, 1.0), velocity


def near(best: Points, reach: float, stream: Stream) -> Points:
    """Return a point around the best one, x_i = g_i + reach e_i with e_i uniform in [-1, 1), clipped to [0, 1].

    ``reach`` is the local step times the bats' mean loudness; num_genes draws.

    Source: Yang 2010, eq. 5, whose step is the mean loudness itself, in the unit of the problem.
    """
    return np.clip(best + reach * stream.signed(len(best)), 0.0, 1.0)


class BatAlgorithm(Heuristic):
    """Bat algorithm: flights to the best point, and steps around it that become rarer and shorter with success.

    With a probability of 1 - r_i, a bat's trial point is ``near`` the best point so far, else it is where it would
    ``fly``. It takes the trial if that is at least as good as where it is, and u < A_i; then A_i <- alpha A_i and
    r_i <- r (1 - exp(-gamma t)), with t the generation. A trial that is better than the best point becomes it, taken or
    not.

    Source: Yang, NICSO 2010 (arXiv 1004.4170). Departures: see ``fly`` and ``near``; a bat compares with its own point,
    as in the author's code (the paper's pseudo-code: with the best one), and all start with the same A and r.
    """

    Options = BatOptions
    options: BatOptions
    quirks: ClassVar[type[Quirks]] = BatQuirks

    def _textbook(self) -> Generator[Batch, Points, None]:
        own, positions = self.options, self._initial_points()
        velocities = np.zeros_like(positions)
        loudness, pulse = np.full(len(positions), own.loudness), np.full(len(positions), own.pulse)
        fitness = yield Batch(positions.copy(), 0, "new")
        best, top = positions[np.argmax(fitness)].copy(), float(fitness.max())
        for generation, count in self._generations():
            reach, trials = own.local_step * float(loudness.mean()), np.empty((count, self.num_genes))
            chances = Stream(self.seed, "bat chances", generation).uniform(2 * len(positions)).reshape(2, -1)
            for index in range(count):
                stream = Stream(self.seed, "bat", generation, index)
                trials[index], velocities[index] = fly(positions[index], velocities[index], best, stream, own.frequency)
                if chances[0, index] >= pulse[index]:
                    trials[index] = near(best, reach, stream)
            values = yield Batch(trials.copy(), generation, "new")
            taken = np.flatnonzero((values >= fitness[:count]) & (chances[1, :count] < loudness[:count]))
            positions[taken], fitness[taken] = trials[taken], values[taken]
            loudness[taken] *= own.fading
            pulse[taken] = own.pulse * (1.0 - math.exp(-own.pulse_growth * generation))
            if values.max() > top:
                best, top = trials[np.argmax(values)].copy(), float(values.max())
