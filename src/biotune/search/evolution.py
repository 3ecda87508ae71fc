"""The evolution of BioTune: one generation reads as the paper's pseudo-code.

Sources: Colan, Davila, Hasegawa, arXiv 2508.15367, section II-B; Davila, Colan, Hasegawa,
IEEE Access 13 (2025), Fig. 2.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import ClassVar, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from biotune.errors import InputError
from biotune.genotype import Genotype
from biotune.randomness import Stream
from biotune.search import operators
from biotune.search.base import Batch, Kind, Points, Search

Asking = Generator[Batch, Points, "list[Individual]"]

STAGNATION = 1e-5
STAGNANT_GENERATIONS = 10
"""PivotIK's wipeout: more than this many generations in which the best moves by less than ``STAGNATION``."""


@dataclass(frozen=True)
class EvolutionSettings:
    """Sizes and options of the evolution; the defaults are the ``reference`` preset with the papers' sizes.

    Args:
        population: number of individuals.
        elites: number of best individuals that are exploited and survive.
        generations: number of generations after the start.
        folds: number of training folds; generation g uses fold g mod folds.
        reevaluate: who gets a fitness on a new fold before it is compared there: ``population``, ``elites``, or
            ``none``. Whoever gets none is compared by its last value, of another fold (the papers: everybody).
        rank_law: ``bioik`` or ``code`` (the authors' code).
        same_parents: whether both parents may be the same individual.
        smallest_pool: below this many individuals in the mating pool, at least 1, a random individual is drawn.
        exploit: which genes a probe may move: ``one_trained`` (published), ``one_any`` (threshold included) or ``all``;
            ``off`` leaves the elites as they are.
        amplitude: largest probe step, in gene units, in (0, 1].
        momentum: False leaves the momentum out of crossover.
        mutation: False switches mutation off.
        adaptation: ``per_gene``, ``scalar`` (the authors' code) or ``off``.
        survivors: ``generational`` or ``mu+lambda`` (best of parents, elites and offspring).
        wipeout: when all but the best are drawn anew: never (``off``, BioTune), after more than 10 generations in which
            the best stood still (``pivot``), or after one in which no elite and not the best improved (``starke``,
            which also draws an elite anew if its probes failed).
        infeasible: what becomes of a child that freezes every block: ``penalise`` leaves it to its fitness, ``repair``
            redraws its threshold below its largest gene (of no help where all its block genes are 0, or the threshold
            is fixed).
        offspring: ``sequential`` with niching (published), or ``batch``: all from the full pool, without niching, so
            that they can be evaluated in parallel (a departure).
        num_rungs: where a training may stop; only ``dehb`` asks for it.
    """

    population: int = 10
    elites: int = 3
    generations: int = 10
    folds: int = 2
    reevaluate: Literal["population", "elites", "none"] = "population"
    rank_law: Literal["bioik", "code"] = "bioik"
    same_parents: bool = True
    smallest_pool: int = 1
    exploit: Literal["one_trained", "one_any", "all", "off"] = "one_trained"
    amplitude: float = 0.25
    momentum: bool = True
    mutation: bool = True
    adaptation: Literal["per_gene", "scalar", "off"] = "per_gene"
    survivors: Literal["generational", "mu+lambda"] = "generational"
    wipeout: Literal["off", "pivot", "starke"] = "off"
    infeasible: Literal["penalise", "repair"] = "penalise"
    offspring: Literal["sequential", "batch"] = "sequential"
    num_rungs: int = 1

    def __post_init__(self) -> None:
        for option in fields(self):
            value, choices = getattr(self, option.name), get_args(option.type)
            if choices and value not in choices:
                raise InputError(f"{option.name}='{value}' is unknown; choose one of {', '.join(choices)}.")
        if not 1 <= self.elites < self.population:
            raise InputError(
                f"elites must be at least 1 and fewer than the population; got {self.elites} of {self.population}."
            )
        if self.generations < 0 or self.folds < 1:
            raise InputError(
                f"generations must be >= 0 and folds >= 1; got {self.generations} generations, {self.folds} folds."
            )
        if self.smallest_pool < 1:
            raise InputError(f"smallest_pool must be at least 1; got {self.smallest_pool}.")
        if not 0.0 < self.amplitude <= 1.0:
            raise InputError(f"amplitude must lie in (0, 1]; got {self.amplitude}.")

    @property
    def evaluations(self) -> int:
        """Evaluations of a whole search, re-evaluations and wipeouts left out: N_p + G (2 N_e + N_p - N_e).

        Without exploitation, there are no 2 N_e probes.
        """
        probes = 0 if self.exploit == "off" else 2 * self.elites
        return self.population + self.generations * (probes + self.population - self.elites)


@dataclass(frozen=True)
class Individual:
    """A point, its momentum and what is known of it.

    Args:
        genes: (num_genes,).
        momentum: (num_genes,).
        fitness: the value that comparisons of this generation use, higher is better.
        values: every known value, by fold.
        extinction: in [0, 1], 0 for the best of the population.
    """

    genes: Points
    momentum: Points
    fitness: float
    values: dict[int, float] = field(default_factory=dict)
    extinction: float = 0.0

    def on_fold(self, fold: int, value: float | None = None) -> "Individual":
        """Return the individual with its value on that fold, old or just found, as its fitness, if there is one."""
        values = self.values if value is None else {**self.values, fold: value}
        return replace(self, fitness=values.get(fold, self.fitness), values=values)


class Evolution(Search):
    """BioTune's evolutionary search.

    Every random number is keyed by (seed, purpose, generation, index): the trajectory depends on nothing else. The
    index is a position in the population for ``start`` and ``wipeout``, the rank of an elite for ``exploit``,
    ``exploit_momentum`` and ``reroll``, and the number of a child for ``child``, ``repair`` and ``refill``.

    Args:
        num_genes: number of blocks plus one, for the threshold.
        seed: root seed.
        settings: sizes and options.
        genotype: says which points are feasible and which genes are trained; by default each block is free.
        start: points, each of shape (num_genes,), that the initial population begins with, best known first: as many as
            have room are used, the rest of the population is random.

    Raises:
        InputError: as every search.
    """

    settings: EvolutionSettings
    rotates_folds: ClassVar[bool] = True

    def __init__(
        self,
        num_genes: int,
        seed: int = 0,
        settings: EvolutionSettings | None = None,
        genotype: Genotype | None = None,
        start: Sequence[Points] = (),
    ) -> None:
        super().__init__(num_genes, seed, settings or EvolutionSettings(), genotype, start)

    def _run(self) -> Generator[Batch, Points, None]:
        population = yield from self._initial_population()
        stagnant = 0
        for generation in range(self.settings.generations):
            population = yield from self._bring_to_fold(population, generation)
            best = population[0].fitness
            elites, improved = yield from self._exploit(population[: self.settings.elites], generation)
            children = yield from self._reproduce(population, generation)
            population = self._survivors(population, elites, children)
            stagnant = stagnant + 1 if abs(population[0].fitness - best) < STAGNATION else 0
            if self._is_wiped_out(stagnant, any(improved) or population[0].fitness > best):
                population = yield from self._restart(population, generation)
                stagnant = 0

    def _initial_population(self) -> Asking:
        individuals = yield from self._evaluate(list(self._initial_points()), 0, "new")
        return _ranked(individuals)

    def _bring_to_fold(self, population: "list[Individual]", generation: int) -> Asking:
        """Give survivors a value on the generation's fold, so that like is compared with like."""
        fold = generation % self.settings.folds
        count = {"population": len(population), "elites": self.settings.elites, "none": 0}[self.settings.reevaluate]
        missing = [index for index in range(count) if fold not in population[index].values]
        found: dict[int, float] = {}
        if missing:
            values = yield Batch(np.stack([population[index].genes for index in missing]), generation, "reevaluate")
            found = dict(zip(missing, values.tolist(), strict=True))
        return _ranked([member.on_fold(fold, found.get(index)) for index, member in enumerate(population)])

    def _exploit(
        self, elites: "list[Individual]", generation: int
    ) -> Generator[Batch, Points, tuple["list[Individual]", list[bool]]]:
        """Probe around each elite, forth and back; keep the better probe if it beats the elite."""
        if self.settings.exploit == "off":
            return elites, [False] * len(elites)
        pairs = []
        for index, elite in enumerate(elites):
            stream = Stream(self.seed, "exploit", generation, index)
            movable, every = self._movable_genes(elite.genes), self.settings.exploit == "all"
            pairs.append(operators.probe_pair(elite.genes, movable, self.settings.amplitude, stream, every))
        values = yield Batch(np.concatenate(pairs), generation, "probe")
        kept, improved = [], []
        for index, (elite, pair) in enumerate(zip(elites, pairs, strict=True)):
            pair_values = values[2 * index : 2 * index + 2]
            winner = int(np.argmax(pair_values))  # the first one of a tie
            improved.append(bool(pair_values[winner] > elite.fitness))
            if improved[-1]:
                stream = Stream(self.seed, "exploit_momentum", generation, index)
                momentum = operators.probe_momentum(elite.momentum, pair[winner] - elite.genes, stream)
                elite = self._individual(pair[winner], momentum, pair_values[winner], generation)  # noqa: PLW2901
            kept.append(elite)
        if self.settings.wipeout == "starke":
            kept = yield from self._reroll_failed(kept, improved, generation)
        return kept, improved

    def _reproduce(self, population: "list[Individual]", generation: int) -> Asking:
        """Fill the next generation; beaten parents leave the mating pool (niching) when children come one by one."""
        count = self.settings.population - self.settings.elites
        pool = list(population)
        if self.settings.offspring == "batch":
            born = [self._child(pool, generation, index) for index in range(count)]
            values = yield Batch(np.stack([genes for genes, _, _ in born]), generation, "new")
            return [self._individual(b[0], b[1], value, generation) for b, value in zip(born, values, strict=True)]
        children: list[Individual] = []
        for index in range(count):
            genes, momentum, parents = self._child(pool, generation, index)
            value = yield Batch(np.stack([genes]), generation, "new")
            child = self._individual(genes, momentum, value[0], generation)
            beaten = [parent for parent in parents if child.fitness > parent.fitness]
            pool = [member for member in pool if not any(member is parent for parent in beaten)]
            children.append(child)
        return children

    def _child(
        self, pool: "list[Individual]", generation: int, index: int
    ) -> tuple[Points, Points, "tuple[Individual, ...]"]:
        """Return genes, momentum and parents of one child; a random individual without parents if the pool is small."""
        if len(pool) < self.settings.smallest_pool:
            return self._random_genes("refill", generation, index), np.zeros(self.num_genes), ()
        stream = Stream(self.seed, "child", generation, index)
        first, second, prototype = self._select(pool, stream)
        parents, momenta = (first.genes, second.genes), (first.momentum, second.momentum)
        if not self.settings.momentum:
            momenta = (np.zeros(self.num_genes), np.zeros(self.num_genes))
        genes, momentum = operators.crossover(parents, momenta, stream)
        crossed = genes
        if self.settings.mutation:
            genes = operators.mutate(genes, 0.5 * (first.extinction + second.extinction), stream)
        if self.settings.adaptation != "off":
            scalar = self.settings.adaptation == "scalar"
            genes = operators.adapt(genes, parents, prototype.genes, stream, scalar)
        genes = self._repaired(np.clip(genes, 0.0, 1.0), generation, index)
        return genes, operators.child_momentum(momentum, genes - crossed, stream), (first, second)

    def _select(self, pool: "list[Individual]", stream: Stream) -> "tuple[Individual, Individual, Individual]":
        """Return two parents and a prototype by rank; three draws."""
        law = operators.rank_probabilities(len(pool), self.settings.rank_law)
        first = operators.select_rank(law, stream)
        others = law.copy()
        if not self.settings.same_parents and len(pool) > 1:
            others[first] = 0.0
        second = operators.select_rank(others, stream)
        return pool[first], pool[second], pool[operators.select_rank(law, stream)]

    def _survivors(
        self, parents: "list[Individual]", elites: "list[Individual]", children: "list[Individual]"
    ) -> "list[Individual]":
        pool = elites + children
        if self.settings.survivors == "mu+lambda":
            pool += [parent for parent in parents if not any(parent is elite for elite in elites)]
        return _ranked(pool)[: self.settings.population]

    def _is_wiped_out(self, stagnant: int, improved: bool) -> bool:
        if self.settings.wipeout == "pivot":
            return stagnant > STAGNANT_GENERATIONS
        return self.settings.wipeout == "starke" and not improved

    def _restart(self, population: "list[Individual]", generation: int) -> Asking:
        """Keep the best and draw all others anew: our reading of Starke's start "around the best"."""
        count = len(population) - 1
        drawn = [self._random_genes("wipeout", generation, index) for index in range(count)]
        return _ranked([population[0], *(yield from self._evaluate(drawn, generation, "new"))])

    def _reroll_failed(self, elites: "list[Individual]", improved: list[bool], generation: int) -> Asking:
        """Starke: draw an elite anew if its exploitation failed; the best one stays (our rule, so that it is kept)."""
        failed = [index for index, success in enumerate(improved) if not success and index > 0]
        if not failed:
            return elites
        drawn = [self._random_genes("reroll", generation, index) for index in failed]
        fresh = yield from self._evaluate(drawn, generation, "new")
        replaced = dict(zip(failed, fresh, strict=True))
        return [replaced.get(index, elite) for index, elite in enumerate(elites)]

    def _evaluate(self, points: list[Points], generation: int, kind: Kind) -> Asking:
        values = yield Batch(np.stack(points), generation, kind)
        still = np.zeros(self.num_genes)
        return [self._individual(p, still, value, generation) for p, value in zip(points, values, strict=True)]

    def _individual(self, genes: Points, momentum: Points, value: float, generation: int) -> Individual:
        return Individual(genes, momentum, float(value), {generation % self.settings.folds: float(value)})

    def _random_genes(self, purpose: str, generation: int, index: int) -> Points:
        return operators.feasible_point(self.genotype, Stream(self.seed, purpose, generation, index))

    def _movable_genes(self, genes: Points) -> NDArray[np.intp]:
        if self.settings.exploit == "one_trained":
            return np.flatnonzero(self.genotype.trained(genes))
        return np.arange(self.num_genes)

    def _repaired(self, genes: Points, generation: int, index: int) -> Points:
        if self.settings.infeasible == "penalise" or self.genotype.is_feasible(genes):
            return genes
        genes = genes.copy()
        genes[-1] = Stream(self.seed, "repair", generation, index).uniform() * genes[:-1].max()
        return genes


def _ranked(individuals: "list[Individual]") -> "list[Individual]":
    """Return individuals best first (ties keep their order), with their extinction factors."""
    ordered = sorted(individuals, key=lambda individual: -individual.fitness)
    factors = operators.extinction_factors(np.array([1.0 - individual.fitness for individual in ordered]))
    return [replace(ind, extinction=float(factor)) for ind, factor in zip(ordered, factors, strict=True)]
