"""The six heuristics as opytimizer 2.1.4 computes them, faults included: to explain results made by that library.

They work on the values themselves, not on genes, since some of the faults depend on the size of a value: weights in
[W - b, W + b]. Random numbers are of the same distributions as the library's, not the same. The library's cost, which
it minimises, is minus the fitness here. Written from a description of what the library does, not from its code.

Every class: the start is uniform in the box (W itself is not in it), positions are clipped to the box after each
update, and at the end of each iteration all agents are evaluated, those that have been evaluated within it too.
"""

from abc import ABC, abstractmethod
from collections.abc import Generator
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from biotune.randomness import Stream
from biotune.search.base import Batch, Points
from biotune.space.base import Boxed

LIGHT_SPEED = 3e5
TINY = 1e-32
"""Keeps the roulette's probabilities above 0."""

Indices = NDArray[np.intp]
Steps = Generator[Batch, Points, None]
Evaluation = Generator[Batch, Points, Points]


def normal(stream: Stream, count: int) -> Points:
    """Return standard normal numbers, shape (count,); 2 * count draws. Source: Box and Muller 1958."""
    first, second = stream.uniform(count), stream.uniform(count)
    return np.asarray(np.sqrt(-2.0 * np.log1p(-first)) * np.cos(2.0 * np.pi * second))


class Quirks(ABC):
    """One heuristic of opytimizer 2.1.4.

    Args:
        box: the weights' box.
        genes: the start in the unit box, shape (agents, num_genes).
        iterations: T, at least 0.
        seed: root seed.
    """

    name: ClassVar[str]

    def __init__(self, box: Boxed, genes: Points, iterations: int, seed: int) -> None:
        self.centre = np.asarray(box.centre, dtype=np.float64)
        self.radius = np.broadcast_to(np.asarray(box.radius, dtype=np.float64), self.centre.shape)
        self.iterations, self.seed = iterations, seed
        self.x = self.centre + self.radius * (2.0 * genes - 1.0)
        self.costs = np.full(len(genes), np.inf)
        self.best, self.best_cost = self.x[0].copy(), np.inf

    @classmethod
    def extra(cls, agents: int) -> int:
        """Return the evaluations of an iteration besides the one of all agents at its end."""
        del agents
        return 0

    @classmethod
    def num_evaluations(cls, agents: int, iterations: int) -> int:
        """Return the evaluations of a whole run."""
        return agents + iterations * (cls.extra(agents) + agents)

    @abstractmethod
    def update(self, iteration: int) -> Steps:
        """Move the agents in one iteration, from 0, and evaluate what the library evaluates meanwhile."""

    def run(self) -> Steps:
        """Yield batches, receive the fitness of each, and return at the end; see ``Search``."""
        yield from self.evaluate_all(0, "new")
        for iteration in range(self.iterations):
            yield from self.update(iteration)
            self.x = self.clipped(self.x)
            yield from self.evaluate_all(iteration + 1, "reevaluate" if self.extra(len(self.x)) else "new")

    def evaluate_all(self, generation: int, kind: Literal["new", "reevaluate"]) -> Steps:
        """Evaluate all agents, and keep the best of all times."""
        self.costs = yield from self.evaluate(self.x, generation, kind)
        winner = int(np.argmin(self.costs))
        if self.costs[winner] < self.best_cost:
            self.best, self.best_cost = self.x[winner].copy(), float(self.costs[winner])

    def evaluate(self, values: Points, generation: int, kind: Literal["new", "reevaluate"] = "new") -> Evaluation:
        """Return the costs, shape (count,), of values in the box, shape (count, num_genes)."""
        genes = np.clip(0.5 + (values - self.centre) / (2.0 * self.radius), 0.0, 1.0)
        fitness = yield Batch(genes, generation, kind)
        return -fitness

    def clipped(self, values: Points) -> Points:
        """Return values moved into the box, shape (..., num_genes)."""
        return np.clip(values, self.centre - self.radius, self.centre + self.radius)

    def stream(self, iteration: int, agent: int = 0) -> Stream:
        """Return the random numbers of an agent in an iteration."""
        return Stream(self.seed, f"opytimizer {self.name}", iteration, agent)


class ParticleSwarmQuirks(Quirks):
    """PSO: v <- w v + c1 r1 (p - x) + c2 r2 (g - x), x <- x + v, w = 0.7, c1 = c2 = 1.7, v = 0 at the start.

    Departures from the textbook: r1 and r2 are one number each per particle and iteration, and no step is clamped.
    """

    name = "pso"

    def __init__(self, box: Boxed, genes: Points, iterations: int, seed: int) -> None:
        super().__init__(box, genes, iterations, seed)
        self.own, self.own_costs = self.x.copy(), np.full(len(genes), np.inf)
        self.v = np.zeros_like(self.x)

    def kept(self) -> Points:
        """Return what is left of the velocities."""
        return 0.7 * self.v

    def update(self, iteration: int) -> Steps:
        """Move all particles."""
        kept = self.kept()
        for agent in range(len(self.x)):
            to_own, to_best = self.stream(iteration, agent).uniform(2)
            x = self.x[agent]
            self.v[agent] = kept[agent] + 1.7 * to_own * (self.own[agent] - x) + 1.7 * to_best * (self.best - x)
            self.x[agent] = x + self.v[agent]
        yield from ()

    def evaluate_all(self, generation: int, kind: Literal["new", "reevaluate"]) -> Steps:
        """Evaluate all particles, and keep the best of each."""
        yield from super().evaluate_all(generation, kind)
        better = np.flatnonzero(self.costs < self.own_costs)
        self.own[better], self.own_costs[better] = self.x[better], self.costs[better]


class RelativisticSwarmQuirks(ParticleSwarmQuirks):
    """RPSO: as PSO with m gamma v in place of w v, m uniform in [0, 1) per agent and gene, and v = 1 at the start.

    gamma = 1 / sqrt(1 - v_max^2 / c^2) with c = 300,000 is 1 but for rounding. In a box of weights, v = 1 throws almost
    every weight to its upper bound in the first iteration.
    """

    name = "rpso"

    def __init__(self, box: Boxed, genes: Points, iterations: int, seed: int) -> None:
        super().__init__(box, genes, iterations, seed)
        self.v = np.ones_like(self.x)
        masses = [Stream(seed, "opytimizer rpso mass", agent).uniform(len(self.centre)) for agent in range(len(genes))]
        self.mass = np.stack(masses)

    def kept(self) -> Points:
        """Return what is left of the velocities."""
        gamma = 1.0 / np.sqrt(1.0 - float(self.v.max()) ** 2 / LIGHT_SPEED**2)
        return np.asarray(self.mass * self.v * gamma)


class BatQuirks(Quirks):
    """BA with f in [-2, 0], A at most 0.5, r at most 0.5: v <- v + (x - g) f, x <- x + v.

    f = -2 u is negative and x - g is the wrong way round, so bats fly towards g. With a random p above a bat's pulse
    rate, x = g + 0.001 n mean(A) instead, n one normal number for all weights. Where the bat is evaluated, better than
    g, and p is below its loudness, its pulse rate becomes 0.5 (1 - exp(-0.9 t)), t from 0, its loudness 0.45 for good,
    and the bats after it fly to it. A bat stays where it flew, better or not.
    """

    name = "bat"

    def __init__(self, box: Boxed, genes: Points, iterations: int, seed: int) -> None:
        super().__init__(box, genes, iterations, seed)
        self.v = np.zeros_like(self.x)
        first = Stream(seed, "opytimizer bat start").uniform(2 * len(genes)).reshape(2, -1)
        self.loudness, self.pulse = 0.5 * first[0], 0.5 * first[1]

    @classmethod
    def extra(cls, agents: int) -> int:
        """Each bat is evaluated after its flight."""
        return agents

    def update(self, iteration: int) -> Steps:
        """Move and evaluate the bats one after the other."""
        best, best_cost = self.best, self.best_cost
        for agent in range(len(self.x)):
            stream = self.stream(iteration, agent)
            frequency, chance, noise = -2.0 * stream.uniform(), stream.uniform(), normal(stream, 1)[0]
            self.v[agent] += (self.x[agent] - best) * frequency
            x = self.x[agent] + self.v[agent]
            if chance > self.pulse[agent]:
                x = best + 0.001 * noise * self.loudness.mean()
            self.x[agent] = self.clipped(x)
            cost = (yield from self.evaluate(self.x[agent : agent + 1], iteration + 1))[0]
            if chance < self.loudness[agent] and cost < best_cost:
                best, best_cost = self.x[agent].copy(), float(cost)
                self.pulse[agent] = 0.5 * (1.0 - np.exp(-0.9 * iteration))
                self.loudness[agent] = 0.5 * 0.9


class FireflyQuirks(Quirks):
    """FA: x_i <- beta exp(-gamma d^2) (x_j + x_i) + alpha (u - 1/2) for each j of lower cost.

    beta = 0.2, gamma = 1, d^2 the sum over weights, u one number for all weights. The plus sign is the fault: with
    (x_j - x_i) and a first term x_i this is the textbook's move. As it is, most weights end at a bound of their box.
    alpha starts at 0.5 and is multiplied by (0.001 / 0.9)^(1 / T) before each iteration. x_j and costs are those of the
    iteration's begin.
    """

    name = "firefly"

    def update(self, iteration: int) -> Steps:
        """Move all fireflies, each through all brighter ones."""
        alpha = 0.5 * (10e-4 / 0.9) ** ((iteration + 1) / self.iterations)
        before = self.x.copy()
        for agent in range(len(self.x)):
            brighter = np.flatnonzero(self.costs < self.costs[agent])
            draws, x = self.stream(iteration, agent).uniform(len(brighter)), self.x[agent]
            for other, draw in zip(brighter, draws, strict=True):
                beta = 0.2 * np.exp(-np.square(x - before[other]).sum())
                x = beta * (before[other] + x) + alpha * (draw - 0.5)
            self.x[agent] = x
        yield from ()


class GeneticQuirks(Quirks):
    """GA: parents by roulette, arithmetic crossover with probability 0.5, each gene mutated with probability 0.25.

    Of N agents int(0.75 N), made even, are drawn without replacement, with chances proportional to max(cost) - cost
    + 1e-32. Pairs of them have two children: r A + (1 - r) B and r B + (1 - r) A with one r, or copies. A mutated gene
    is the weight itself times a normal number. The best N of agents and children survive.
    """

    name = "ga"

    @classmethod
    def extra(cls, agents: int) -> int:
        """The children; for ten agents, eight."""
        parents = int(0.75 * agents)
        return parents + parents % 2

    def update(self, iteration: int) -> Steps:
        """Make and evaluate the children, and select."""
        stream = self.stream(iteration)
        parents = self.x[self.drawn(stream)]
        children = parents.copy()
        for pair in range(0, len(parents), 2):
            if stream.uniform() < 0.5:
                share = stream.uniform()
                children[pair] = share * parents[pair] + (1.0 - share) * parents[pair + 1]
                children[pair + 1] = share * parents[pair + 1] + (1.0 - share) * parents[pair]
            genes = children[pair : pair + 2].T  # a view: gene by gene, as the library draws
            mutated = stream.uniform(genes.size).reshape(genes.shape) < 0.25
            genes[mutated] *= normal(stream, int(mutated.sum()))
        children = self.clipped(children)
        costs = yield from self.evaluate(children, iteration + 1)
        best = np.argsort(np.concatenate([self.costs, costs]), kind="stable")[: len(self.x)]
        self.x = np.concatenate([self.x, children])[best]

    def drawn(self, stream: Stream) -> Indices:
        """Return the indices of the parents, in the order in which they were drawn; one draw for each."""
        left, weights = list(range(len(self.x))), self.costs.max() - self.costs + TINY
        chosen: list[int] = []
        for draw in stream.uniform(self.extra(len(self.x))):
            cumulative = np.cumsum(weights[left])
            place = int(np.searchsorted(cumulative, draw * cumulative[-1], side="right"))
            chosen.append(left.pop(min(place, len(left) - 1)))
        return np.array(chosen, dtype=np.intp)


class DifferentialQuirks(Quirks):
    """DE, rand/1/bin, F = 0.7, CR = 0.9: the trial of an agent replaces it at once if its cost is lower.

    The trials of later agents are made from earlier ones' new places, trials are clipped to the box, and every
    iteration evaluates all agents again.
    """

    name = "de"

    @classmethod
    def extra(cls, agents: int) -> int:
        """Each agent's trial."""
        return agents

    def update(self, iteration: int) -> Steps:
        """Make and evaluate the trials one after the other."""
        for agent, x in enumerate(self.x):
            stream = self.stream(iteration, agent)
            a, b, c = self.x[self.others(stream, agent)]
            forced = stream.integer(len(x))
            crossed = stream.uniform(len(x)) < 0.9
            crossed[forced] = True
            trial = self.clipped(np.where(crossed, a + 0.7 * (b - c), x))
            cost = (yield from self.evaluate(trial[None], iteration + 1))[0]
            if cost < self.costs[agent]:
                self.x[agent], self.costs[agent] = trial, cost

    def others(self, stream: Stream, agent: int) -> Indices:
        """Return the indices of three distinct other agents, in random order; one draw per other agent."""
        indices = np.delete(np.arange(len(self.x)), agent)
        return indices[np.argsort(stream.uniform(len(indices)), kind="stable")[:3]]
