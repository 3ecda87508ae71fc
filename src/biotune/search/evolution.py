"""The evolution of BioTune: one generation reads like the paper's pseudo-code.

Sources: Colan, Davila, Hasegawa, arXiv 2508.15367, section II-B; Davila, Colan, Hasegawa,
IEEE Access 13 (2025), Fig. 2.
"""

from collections.abc import Generator
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from biotune.errors import InputError
from biotune.options import Options
from biotune.randomness import Stream
from biotune.search import operators
from biotune.search.base import Batch, Kind, Points, Search, SearchSettings

Asking = Generator[Batch, Points, "list[Individual]"]

STAGNATION = 1e-5
"""Smallest change of the best fitness that counts as progress, as in PivotIK."""

STAGNANT_GENERATIONS = 10
"""PivotIK wipes the population out after more than this many generations without progress."""


class EvolutionOptions(Options):
    """Options of ``evolution``; the defaults are those of the ``reference`` preset."""

    rank_law: Annotated[
        Literal["bioik", "code"],
        Field(description="selection by rank: linear (bioik) or as in the authors' code"),
    ] = "bioik"
    same_parents: Annotated[bool, Field(description="whether both parents may be the same individual")] = True
    smallest_pool: Annotated[
        int, Field(ge=1, le=1000, description="below this many parents, a random individual takes a child's place")
    ] = 1
    exploit: Annotated[
        Literal["one_trained", "one_any", "all", "off"],
        Field(description="genes that a probe moves: one that matters here (published), any one, all; off: no probes"),
    ] = "one_trained"
    amplitude: Annotated[float, Field(gt=0, le=1, description="largest step of a probe, in gene units")] = 0.25
    momentum: Annotated[bool, Field(description="add the parents' momentum in crossover")] = True
    mutation: Annotated[bool, Field(description="mutate children")] = True
    adaptation: Annotated[
        Literal["per_gene", "scalar", "off"],
        Field(description="random shares of the adaptation: per gene, one for all (the authors' code), or none"),
    ] = "per_gene"
    survivors: Annotated[
        Literal["generational", "mu+lambda"],
        Field(description="who survives: elites and children, or the best of these and all parents"),
    ] = "generational"
    wipeout: Annotated[
        Literal["off", "pivot", "starke"],
        Field(
            description="draw all but the best again: never, after more than 10 generations without progress, or after"
            " one (which also draws an elite again whose probes failed)"
        ),
    ] = "off"
    infeasible: Annotated[
        Literal["penalise", "repair"],
        Field(description="an infeasible child: leave it to its fitness, or move it to a feasible point"),
    ] = "penalise"
    offspring: Annotated[
        Literal["sequential", "batch"],
        Field(description="children one by one with niching (published), or all at once without (a departure)"),
    ] = "sequential"


@dataclass(frozen=True)
class Individual:
    """A point, its momentum and what is known about it.

    Args:
        genes: (num_genes,).
        momentum: (num_genes,).
        fitness: the value that comparisons of this generation use, higher is better.
        values: every known fitness, by fold.
        extinction: extinction factor in [0, 1], 0 for the best of the population.
    """

    genes: Points
    momentum: Points
    fitness: float
    values: dict[int, float] = field(default_factory=dict)
    extinction: float = 0.0

    def on_fold(self, fold: int, value: float | None = None) -> "Individual":
        """Return the individual with its fitness on that fold: the given value, else a known one, else unchanged."""
        values = self.values if value is None else {**self.values, fold: value}
        return replace(self, fitness=values.get(fold, self.fitness), values=values)


class Evolution(Search):
    """BioTune's evolutionary search.

    Every random number is keyed by (seed, purpose, generation, index): the trajectory depends on nothing else. The
    index is a position in the population for ``start`` and ``wipeout``, the rank of an elite for ``exploit``,
    ``exploit_momentum``, ``switch`` and ``reroll``, and the number of a child for ``child``, ``categories``,
    ``repair`` and ``refill``.

    Its number of points follows from population, elites and generations; it ignores a number of evaluations in the
    settings, which is for other searches.
    """

    Options = EvolutionOptions
    options: EvolutionOptions
    rotates_folds: ClassVar[bool] = True

    @classmethod
    def require(cls, settings: SearchSettings) -> None:
        """Refuse sizes that are too small, or a population without children; see ``Search.require``."""
        super().require(settings)
        if not 1 <= settings.elites < settings.population:
            raise InputError(
                "elites must be at least 1 and fewer than the population; "
                f"got {settings.elites} of {settings.population}."
            )

    @classmethod
    def num_evaluations(cls, settings: SearchSettings, options: Any) -> int:
        """Return N_p + G (2 N_e + N_p - N_e), without 2 N_e where nothing is exploited; see ``Search``.

        Re-evaluations and wipeouts are not counted.
        """
        probes = 0 if options.exploit == "off" else 2 * settings.elites
        return settings.population + settings.generations * (probes + settings.population - settings.elites)

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
        """Evaluate survivors on the generation's fold, so that only values of one fold are compared."""
        fold = generation % self.settings.folds
        count = {"population": len(population), "elites": self.settings.elites, "none": 0}[self.settings.reevaluate]
        missing = [index for index in range(count) if fold not in population[index].values]
        reevaluated: dict[int, float] = {}
        if missing:
            values = yield Batch(np.stack([population[index].genes for index in missing]), generation, "reevaluate")
            reevaluated = dict(zip(missing, values.tolist(), strict=True))
        return _ranked([member.on_fold(fold, reevaluated.get(index)) for index, member in enumerate(population)])

    def _exploit(
        self, elites: "list[Individual]", generation: int
    ) -> Generator[Batch, Points, tuple["list[Individual]", list[bool]]]:
        """Probe around each elite, see ``_probes``; keep the better probe if it beats the elite."""
        if self.options.exploit == "off":
            return elites, [False] * len(elites)
        pairs = [self._probes(elite.genes, generation, index) for index, elite in enumerate(elites)]
        origins = tuple((elite.genes,) for elite in elites for _ in range(2))
        values = yield Batch(np.concatenate(pairs), generation, "probe", parents=origins)
        kept, improved = [], []
        for index, (elite, pair) in enumerate(zip(elites, pairs, strict=True)):
            pair_values = values[2 * index : 2 * index + 2]
            winner = int(np.argmax(pair_values))  # the first one in a tie
            improved.append(bool(pair_values[winner] > elite.fitness))
            if improved[-1]:
                stream = Stream(self.seed, "exploit_momentum", generation, index)
                momentum = operators.probe_momentum(elite.momentum, pair[winner] - elite.genes, stream)
                momentum[list(self.categories)] = 0.0
                elite = self._individual(pair[winner], momentum, pair_values[winner], generation)  # noqa: PLW2901
            kept.append(elite)
        if self.options.wipeout == "starke":
            kept = yield from self._reroll_failed(kept, improved, generation)
        return kept, improved

    def _probes(self, genes: Points, generation: int, index: int) -> Points:
        """Return two points around an elite, shape (2, num_genes): a step of a gene in both directions.

        Where categories matter, one of them is switched instead of the step back: that is as large a change as any.
        """
        movable, every = self._movable_genes(genes), self.options.exploit == "all"
        steps = np.array([gene for gene in movable if gene not in self.categories], dtype=np.intp)
        stream = Stream(self.seed, "exploit", generation, index)
        pair = operators.probe_pair(genes, steps, self.options.amplitude, stream, every)
        switches = {gene: count for gene, count in self.categories.items() if gene in movable}
        if switches:
            pair[1] = operators.switched(genes, switches, Stream(self.seed, "switch", generation, index))
        return pair

    def _reproduce(self, population: "list[Individual]", generation: int) -> Asking:
        """Create the children; if one at a time, parents that a child beats leave the mating pool (niching)."""
        count = self.settings.population - self.settings.elites
        pool = list(population)
        if self.options.offspring == "batch":
            born = [self._child(pool, generation, index) for index in range(count)]
            origins = tuple(tuple(parent.genes for parent in parents) for _, _, parents in born)
            values = yield Batch(np.stack([genes for genes, _, _ in born]), generation, "new", parents=origins)
            return [self._individual(b[0], b[1], value, generation) for b, value in zip(born, values, strict=True)]
        children: list[Individual] = []
        for index in range(count):
            genes, momentum, parents = self._child(pool, generation, index)
            origin = tuple(parent.genes for parent in parents)
            value = yield Batch(np.stack([genes]), generation, "new", parents=(origin,))
            child = self._individual(genes, momentum, value[0], generation)
            beaten = [parent for parent in parents if child.fitness > parent.fitness]
            pool = [member for member in pool if not any(member is parent for parent in beaten)]
            children.append(child)
        return children

    def _child(
        self, pool: "list[Individual]", generation: int, index: int
    ) -> tuple[Points, Points, "tuple[Individual, ...]"]:
        """Return genes, momentum and parents of one child; a random one without parents if the pool is too small."""
        if len(pool) < self.options.smallest_pool:
            return self._random_genes("refill", generation, index), np.zeros(self.num_genes), ()
        stream = Stream(self.seed, "child", generation, index)
        first, second, prototype = self._select(pool, stream)
        parents, momenta = (first.genes, second.genes), (first.momentum, second.momentum)
        if not self.options.momentum:
            momenta = (np.zeros(self.num_genes), np.zeros(self.num_genes))
        genes, momentum = operators.crossover(parents, momenta, stream)
        crossed, extinction = genes, 0.5 * (first.extinction + second.extinction)
        if self.options.mutation:
            genes = operators.mutate(genes, extinction, stream)
        if self.options.adaptation != "off":
            scalar = self.options.adaptation == "scalar"
            genes = operators.adapt(genes, parents, prototype.genes, stream, scalar)
        if self.categories:
            rate = operators.mutation_rate(extinction, self.num_genes) if self.options.mutation else 0.0
            draws = Stream(self.seed, "categories", generation, index)
            genes = operators.inherit_categories(genes, parents, rate, self.categories, draws)
        genes = self._repaired(np.clip(genes, 0.0, 1.0), generation, index)
        inherited = operators.child_momentum(momentum, genes - crossed, stream)
        inherited[list(self.categories)] = 0.0
        return genes, inherited, (first, second)

    def _select(self, pool: "list[Individual]", stream: Stream) -> "tuple[Individual, Individual, Individual]":
        """Return two parents and a prototype by rank; three draws."""
        law = operators.rank_probabilities(len(pool), self.options.rank_law)
        first = operators.select_rank(law, stream)
        others = law.copy()
        if not self.options.same_parents and len(pool) > 1:
            others[first] = 0.0
        second = operators.select_rank(others, stream)
        return pool[first], pool[second], pool[operators.select_rank(law, stream)]

    def _survivors(
        self, parents: "list[Individual]", elites: "list[Individual]", children: "list[Individual]"
    ) -> "list[Individual]":
        pool = elites + children
        if self.options.survivors == "mu+lambda":
            pool += [parent for parent in parents if not any(parent is elite for elite in elites)]
        return _ranked(pool)[: self.settings.population]

    def _is_wiped_out(self, stagnant: int, improved: bool) -> bool:
        if self.options.wipeout == "pivot":
            return stagnant > STAGNANT_GENERATIONS
        return self.options.wipeout == "starke" and not improved

    def _restart(self, population: "list[Individual]", generation: int) -> Asking:
        """Keep the best and redraw all others: our reading of Starke's restart "around the best"."""
        count = len(population) - 1
        drawn = [self._random_genes("wipeout", generation, index) for index in range(count)]
        return _ranked([population[0], *(yield from self._evaluate(drawn, generation, "new"))])

    def _reroll_failed(self, elites: "list[Individual]", improved: list[bool], generation: int) -> Asking:
        """Starke: redraw each elite whose exploitation failed; the best one always stays (our rule)."""
        failed = [index for index, success in enumerate(improved) if not success and index > 0]
        if not failed:
            return elites
        drawn = [self._random_genes("reroll", generation, index) for index in failed]
        fresh = yield from self._evaluate(drawn, generation, "new")
        replaced = dict(zip(failed, fresh, strict=True))
        return [replaced.get(index, elite) for index, elite in enumerate(elites)]

    def _evaluate(self, points: list[Points], generation: int, kind: Kind) -> Asking:
        values = yield Batch(np.stack(points), generation, kind)
        at_rest = np.zeros(self.num_genes)
        return [self._individual(p, at_rest, value, generation) for p, value in zip(points, values, strict=True)]

    def _individual(self, genes: Points, momentum: Points, value: float, generation: int) -> Individual:
        return Individual(genes, momentum, float(value), {generation % self.settings.folds: float(value)})

    def _random_genes(self, purpose: str, generation: int, index: int) -> Points:
        return operators.feasible_point(self.space, Stream(self.seed, purpose, generation, index))

    def _movable_genes(self, genes: Points) -> NDArray[np.intp]:
        if self.options.exploit == "one_trained":
            return self.space.movable(genes)
        return np.arange(self.num_genes)

    def _repaired(self, genes: Points, generation: int, index: int) -> Points:
        if self.options.infeasible == "penalise" or self.space.is_feasible(genes):
            return genes
        return self.space.repair(genes, Stream(self.seed, "repair", generation, index))


def _ranked(individuals: "list[Individual]") -> "list[Individual]":
    """Return individuals best first (ties keep their order), with their extinction factors."""
    ordered = sorted(individuals, key=lambda individual: -individual.fitness)
    factors = operators.extinction_factors(np.array([1.0 - individual.fitness for individual in ordered]))
    return [replace(ind, extinction=float(factor)) for ind, factor in zip(ordered, factors, strict=True)]
