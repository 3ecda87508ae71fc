"""The ask/tell interface of every search."""

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from biotune.errors import InputError
from biotune.options import Options, checked
from biotune.randomness import Stream
from biotune.search import operators
from biotune.space.base import MaskSpace, SearchSpace, brief, categories_of

Points = NDArray[np.float64]
Kind = Literal["new", "probe", "reevaluate"]


@dataclass(frozen=True)
class Batch:
    """Points to be evaluated, in this order.

    Args:
        points: shape (batch_size, num_genes), each gene in [0, 1].
        generation: 0 for the start and the first generation; decides the training fold.
        kind: ``new`` individuals, ``probe`` around an elite, or ``reevaluate``: on another fold, at a higher rung, or
            because opytimizer 2.1.4 does so.
        rung: the rung, from 0, at which all of them stop and get their fitness; None lets them race.
        parents: for each point, those that it was made from; empty where they were made from none, or the search does
            not say.
    """

    points: Points
    generation: int
    kind: Kind
    rung: int | None = None
    parents: tuple[tuple[Points, ...], ...] = ()


Reevaluate = Literal["population", "elites", "none"]


@dataclass(frozen=True)
class SearchSettings:
    """What a run decides for every search: how large it is, and on which folds points are evaluated.

    Args:
        evaluations: points of the whole search, at least 1; None for as many as the evolution needs, see
            ``Search.num_evaluations``.
        population: points of the initial population and of a generation.
        elites: number of best individuals that the evolution exploits and lets survive.
        generations: number of generations after the start.
        folds: number of training folds; a search that rotates folds uses fold g mod folds in generation g.
        reevaluate: which individuals are evaluated on a new fold before comparisons there: ``population``, ``elites``
            or ``none``. The others are compared by their last value, from another fold (in the papers: all).
        num_rungs: number of epochs at which a training may stop, the last one included; at least 1.
    """

    evaluations: int | None = None
    population: int = 10
    elites: int = 3
    generations: int = 10
    folds: int = 2
    reevaluate: Reevaluate = "population"
    num_rungs: int = 1

    def __post_init__(self) -> None:
        if self.generations < 0 or self.folds < 1:
            raise InputError(
                f"generations must be >= 0 and folds >= 1; got {self.generations} generations, {self.folds} folds."
            )
        if self.reevaluate not in get_args(Reevaluate):
            raise InputError(
                f"reevaluate='{self.reevaluate}' is unknown; choose one of {', '.join(get_args(Reevaluate))}."
            )

    @property
    def planned(self) -> int:
        """Points of the whole search: unless given, those of the evolution with probes, N_p + G (N_p + N_e)."""
        if self.evaluations is not None:
            return self.evaluations
        return self.population + self.generations * (self.population + self.elites)


class Search(ABC):
    """A search over the unit box; fitness is maximised.

    The algorithm is a generator that yields batches and receives their fitness, so it reads from top to bottom. Its
    state is never saved: to resume, build it again with the same arguments and tell it the known fitness values.

    All searches take the same arguments, and begin with the same points unless they say otherwise.

    Args:
        num_genes: dimension of the box.
        seed: root seed.
        settings: sizes, and the folds.
        space: what points mean; by default an importance for each of ``num_genes - 1`` blocks and a threshold.
        start: points, each of shape (num_genes,), that the search begins with, best known first. They are used as far
            as the population has room; the rest of the initial population is random.
        options: option -> value; see the ``Options`` of the search.

    Raises:
        InputError: sizes or options are out of range, a library is missing, the space has another number of genes or is
            of a kind that the search cannot use, or a start point is not feasible.
    """

    Options: ClassVar[type[Options]] = Options
    options: Any
    """The checked options, an instance of ``Options``."""

    smallest_population: ClassVar[int] = 1
    most_genes: ClassVar[int | None] = None
    """Dimension of the largest box that the search can work in, None if any."""
    rotates_folds: ClassVar[bool] = False
    """Whether it accounts for values of different folds not being comparable. All others are evaluated on one fold."""

    def __init__(
        self,
        num_genes: int,
        seed: int = 0,
        settings: SearchSettings | None = None,
        space: SearchSpace[Any] | None = None,
        start: Sequence[Points] = (),
        options: Mapping[str, Any] | None = None,
    ) -> None:
        if num_genes < 1:
            raise InputError(f"a search needs at least one gene, not {num_genes}.")
        self.num_genes = num_genes
        self.seed = seed
        self.settings = settings or SearchSettings()
        self.options = checked(self.Options, options or {}, f"search {type(self).__name__}")
        self.require(self.settings)
        self.space: SearchSpace[Any] = space or MaskSpace(num_genes - 1)
        self._require_space()
        self.categories = categories_of(self.space)
        self.start = tuple(np.array(point, dtype=np.float64) for point in start)
        for point in self.start:
            self.space.decode(point)  # raises for anything that is not a point of the box
            if not self.space.is_feasible(point):
                raise InputError(f"the start point {brief(point)} is not feasible: nothing would be trained.")
        self.evaluations = self.num_evaluations(self.settings, self.options)
        self._steps = self._run()
        self._asked: Batch | None = None
        self._answer: Points | None = None

    @classmethod
    def require(cls, settings: SearchSettings) -> None:
        """Refuse settings that the search cannot work with, before anything else is done.

        Raises InputError: too few evaluations, a population that is too small, or a library that is missing.
        """
        if settings.planned < 1:
            raise InputError(f"a search needs at least one evaluation, not {settings.planned}.")
        if settings.population < cls.smallest_population:
            raise InputError(
                f"this search ({cls.__name__}) needs a population of at least {cls.smallest_population}, "
                f"not {settings.population}; raise --population."
            )

    @classmethod
    def num_evaluations(cls, settings: SearchSettings, options: Any) -> int:
        """Return how many points the search will ask for at most, without re-evaluations on other folds."""
        del options
        return settings.planned

    @classmethod
    def needs_box(cls, options: Any) -> bool:
        """Return whether the search, with these options, works only in a box of values such as weights."""
        del options
        return False

    def _require_space(self) -> None:
        """Refuse a space that the search cannot work in."""
        if self.space.num_genes != self.num_genes:
            raise InputError(
                f"the space has {self.space.num_genes} genes and the search {self.num_genes}; give both the same."
            )
        most = self._most_genes()
        if most is not None and self.num_genes > most:
            raise InputError(
                f"this search ({type(self).__name__}) takes at most {most} genes, not {self.num_genes}; "
                "choose a search such as pso, de or ga."
            )

    def _most_genes(self) -> int | None:
        """Return the dimension of the largest box that the search can work in with its options, None if any."""
        return self.most_genes

    def ask(self) -> Batch | None:
        """Move on to the next batch and return it, or None when the search is over.

        Raises InputError: the previous batch has not been told.
        """
        if self._asked is not None:
            raise InputError("ask() was called twice; call tell() with the fitness of the last batch first.")
        try:
            self._asked = next(self._steps) if self._answer is None else self._steps.send(self._answer)
        except StopIteration:
            return None
        return self._asked

    def tell(self, fitness: Sequence[float] | Points) -> None:
        """Give the fitness of every point of the last batch, shape (batch_size,), finite, higher is better.

        Raises InputError: no batch was asked for, or the values are not finite or not as many as the points.
        """
        if self._asked is None:
            raise InputError("tell() was called, but no batch was asked for; call ask() first.")
        values = np.array(fitness, dtype=np.float64)
        expected = len(self._asked.points)
        if values.shape != (expected,):
            raise InputError(
                f"tell() expects {expected} fitness values, one per asked point; got shape {values.shape}."
            )
        if not np.isfinite(values).all():
            raise InputError(f"fitness must be finite, got {brief(values)}; give a failed point the worst value.")
        self._answer, self._asked = values, None

    @abstractmethod
    def _run(self) -> Generator[Batch, Points, None]:
        """Yield batches, receive the fitness of each, and return at the end."""

    def _initial_points(self) -> Points:
        """Return the start, filled up with random feasible points, (count, num_genes): the same in every search."""
        count = min(self.settings.population, self.evaluations)
        start = list(self.start[:count])
        streams = [Stream(self.seed, "start", 0, index) for index in range(len(start), count)]
        return np.stack(start + [operators.feasible_point(self.space, stream) for stream in streams])

    def _generations(self) -> Iterator[tuple[int, int]]:
        """Yield number and size of every generation after the initial population; the last may be cut short."""
        size, evaluations = self.settings.population, self.evaluations
        for generation, done in enumerate(range(size, evaluations, size), start=1):
            yield generation, min(size, evaluations - done)
