"""The ask/tell contract of every search."""

from abc import ABC, abstractmethod
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from biotune.errors import InputError
from biotune.genotype import Genotype

Points = NDArray[np.float64]
Kind = Literal["new", "probe", "reevaluate"]


@dataclass(frozen=True)
class Batch:
    """Points to be evaluated, in this order.

    Args:
        points: shape (batch_size, num_genes), each gene in [0, 1].
        generation: 0 for the start and the first generation; decides the training fold.
        kind: ``new`` individuals, ``probe`` around an elite, or ``reevaluate`` on another fold.
    """

    points: Points
    generation: int
    kind: Kind


class Search(ABC):
    """A search over the unit box; fitness is maximised.

    The algorithm is a generator that yields batches and receives their fitness, so it reads from top to bottom and
    nothing of it is ever saved: to resume, build it again with the same arguments and tell it what is known.
    """

    num_genes: int

    def __init__(self, num_genes: int) -> None:
        if num_genes < 1:
            raise InputError(f"a search needs at least one gene, not {num_genes}.")
        self.num_genes = num_genes
        self._steps = self._run()
        self._asked: Batch | None = None
        self._answer: Points | None = None

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


def matching_genotype(genotype: Genotype | None, num_genes: int) -> Genotype:
    """Return the genotype, by default one in which each block is free; refuse one with another number of genes."""
    genotype = genotype or Genotype(num_genes - 1)
    if genotype.num_genes != num_genes:
        raise InputError(
            f"the genotype has {genotype.num_genes} genes and the search {num_genes}; give both the same number."
        )
    return genotype
