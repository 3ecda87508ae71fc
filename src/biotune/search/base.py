"""The ask/tell contract of every search."""

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from biotune.errors import InputError
from biotune.genotype import Genotype
from biotune.randomness import Stream
from biotune.search import operators

Points = NDArray[np.float64]
Kind = Literal["new", "probe", "reevaluate"]


@dataclass(frozen=True)
class Batch:
    """Points to be evaluated, in this order.

    Args:
        points: shape (batch_size, num_genes), each gene in [0, 1].
        generation: 0 for the start and the first generation; decides the training fold.
        kind: ``new`` individuals, ``probe`` around an elite, or ``reevaluate`` on another fold or at a higher rung.
        rung: where all of them stop, from 0, and the search is told what they reach there; None lets them race.
    """

    points: Points
    generation: int
    kind: Kind
    rung: int | None = None


class Sizes(Protocol):
    """What the settings of every search say."""

    @property
    def population(self) -> int:
        """Points of the start, and of a generation."""

    @property
    def evaluations(self) -> int:
        """Points of the whole search."""

    @property
    def num_rungs(self) -> int:
        """Where a training may stop, its last stop included."""


@dataclass(frozen=True)
class SearchSettings:
    """Sizes of a search that has no other settings.

    Args:
        evaluations: points of the whole search, at least 1.
        population: points of the start and of a generation.
        num_rungs: where a training may stop, its last stop included; at least 1.
    """

    evaluations: int = 140
    population: int = 10
    num_rungs: int = 1


class Search(ABC):
    """A search over the unit box; fitness is maximised.

    The algorithm is a generator that yields batches and receives their fitness, so it reads from top to bottom and
    nothing of it is ever saved: to resume, build it again with the same arguments and tell it what is known.

    All searches are built alike, and all but those that say otherwise begin with the same points.

    Args:
        num_genes: number of blocks plus one, for the threshold.
        seed: root seed.
        settings: sizes, and the options of searches that have some.
        genotype: says which points are feasible; by default each block is free.
        start: points, each of shape (num_genes,), that the search begins with, best known first: as many as have room
            are used, the rest of the initial population is random.

    Raises:
        InputError: sizes that the search cannot have, a library that it lacks, a genotype with another number of genes,
            or a start point that is no point or freezes every block.
    """

    smallest_population: ClassVar[int] = 1
    rotates_folds: ClassVar[bool] = False
    """Whether it knows that values of different folds cannot be compared. All others are evaluated on one fold."""

    def __init__(
        self,
        num_genes: int,
        seed: int = 0,
        settings: Sizes | None = None,
        genotype: Genotype | None = None,
        start: Sequence[Points] = (),
    ) -> None:
        if num_genes < 1:
            raise InputError(f"a search needs at least one gene, not {num_genes}.")
        self.num_genes = num_genes
        self.seed = seed
        self.settings = settings or SearchSettings()
        self.require(self.settings)
        self.genotype = matching_genotype(genotype, num_genes)
        self.start = tuple(np.array(point, dtype=np.float64) for point in start)
        for point in self.start:
            if not any(self.genotype.decode(point)):
                raise InputError(f"the start point {point.tolist()} freezes every block; at least one must be trained.")
        self._steps = self._run()
        self._asked: Batch | None = None
        self._answer: Points | None = None

    @classmethod
    def require(cls, settings: Sizes) -> None:
        """Refuse what the search cannot work with, before anything else is done.

        Args:
            settings: sizes and options.

        Raises:
            InputError: too few evaluations, a population that is too small, or a library that is missing.
        """
        if settings.evaluations < 1:
            raise InputError(f"a search needs at least one evaluation, not {settings.evaluations}.")
        if settings.population < cls.smallest_population:
            raise InputError(
                f"this search ({cls.__name__}) needs a population of at least {cls.smallest_population}, "
                f"not {settings.population}; raise --population."
            )

    def ask(self) -> Batch | None:
        """Move on to the next batch.

        Returns:
            The batch, or None when the search is over.

        Raises:
            InputError: the previous batch has not been told.
        """
        if self._asked is not None:
            raise InputError("ask() was called twice; call tell() with the fitness of the last batch first.")
        try:
            self._asked = next(self._steps) if self._answer is None else self._steps.send(self._answer)
        except StopIteration:
            return None
        return self._asked

    def tell(self, fitness: Sequence[float] | Points) -> None:
        """Give the fitness of every point of the last batch.

        Args:
            fitness: shape (batch_size,), finite, higher is better.

        Raises:
            InputError: nothing was asked, or the values are not finite or not as many as the points.
        """
        if self._asked is None:
            raise InputError("tell() was called, but no batch waits for its fitness; call ask() first.")
        values = np.array(fitness, dtype=np.float64)
        expected = len(self._asked.points)
        if values.shape != (expected,):
            raise InputError(
                f"tell() expects {expected} fitness values, one per asked point; got shape {values.shape}."
            )
        if not np.isfinite(values).all():
            raise InputError(f"fitness must be finite, got {values.tolist()}; give a failed point the worst value.")
        self._answer, self._asked = values, None

    @abstractmethod
    def _run(self) -> Generator[Batch, Points, None]:
        """Yield batches, receive the fitness of each, and return when done."""

    def _initial_points(self) -> Points:
        """Return the given start, filled up with random feasible points: (count, num_genes), alike in every search."""
        count = min(self.settings.population, self.settings.evaluations)
        given = list(self.start[:count])
        streams = [Stream(self.seed, "start", 0, index) for index in range(len(given), count)]
        return np.stack(given + [operators.feasible_point(self.genotype, stream) for stream in streams])

    def _generations(self) -> Iterator[tuple[int, int]]:
        """Yield number and size of every generation after the initial population; the last may be cut short."""
        size, evaluations = self.settings.population, self.settings.evaluations
        for generation, done in enumerate(range(size, evaluations, size), start=1):
            yield generation, min(size, evaluations - done)


def matching_genotype(genotype: Genotype | None, num_genes: int) -> Genotype:
    """Return the genotype, by default one in which each block is free; refuse one with another number of genes."""
    genotype = genotype or Genotype(num_genes - 1)
    if genotype.num_genes != num_genes:
        raise InputError(
            f"the genotype has {genotype.num_genes} genes and the search {num_genes}; give both the same number."
        )
    return genotype
