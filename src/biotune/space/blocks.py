"""The space of recipes: a point of the unit box says which blocks are trained, and how fast.

Source: Colan, Davila, Hasegawa, arXiv 2508.15367, section II-B; "eq." below means its equations.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from biotune.errors import InputError
from biotune.partition import unnamed_partition
from biotune.randomness import Stream
from biotune.recipe import ALL_FROZEN, Recipe
from biotune.space.base import Genes, MaskSpace, checked_genes

SMALLEST_MULTIPLIER = 1e-6
"""Multipliers are rounded to this step, and a trained block never gets less: zero means frozen."""

SMALLEST_TRAINED_GENE = 1e-6
"""Smallest gene that ``encode`` gives a trained block: a threshold still fits below it, and it decodes to 0.1 after
rounding."""


def _exponential(importance: Genes, threshold: float) -> Genes:
    """Eq. 5: 10 ** (2 (gene - 0.5)), from 0.1 to 10."""
    del threshold
    return np.asarray(10.0 ** (2.0 * (importance - 0.5)), dtype=np.float64)


def _wide(importance: Genes, threshold: float) -> Genes:
    """Eq. 5 from the plain importance up; below it twice as steep: from 0.01 to 10."""
    del threshold
    return np.asarray(10.0 ** ((importance - 0.5) * np.where(importance < 0.5, 4.0, 2.0)), dtype=np.float64)


def _scaled(importance: Genes, threshold: float) -> Genes:
    """Each gene divided by the largest gene."""
    del threshold
    return np.asarray(importance / max(float(importance.max()), SMALLEST_MULTIPLIER))


def _normalized(importance: Genes, threshold: float) -> Genes:
    """Each gene's distance to the threshold, divided by the largest distance."""
    span = max(float(importance.max()) - threshold, SMALLEST_MULTIPLIER)
    return np.asarray((importance - threshold) / span)


def _discriminative(importance: Genes, threshold: float) -> Genes:
    """One for every block: only the mask counts."""
    del threshold
    return np.ones_like(importance)


def _one_rate(importance: Genes, threshold: float) -> Genes:
    """The law ``wide`` of the mean gene, for every block: with no threshold, full fine-tuning at some rate."""
    return _wide(np.full_like(importance, importance.mean()), threshold)


LAWS: dict[str, Callable[[Genes, float], Genes]] = {
    "exponential": _exponential,
    "wide": _wide,
    "scaled": _scaled,
    "normalized": _normalized,
    "discriminative": _discriminative,
    "one_rate": _one_rate,
}
"""Name of a law -> function of (importances, threshold) that returns the multipliers of all blocks."""


@dataclass(frozen=True)
class BlockSpace:
    """Recipes of one network: one importance per block, then the freezing threshold; all in [0, 1].

    A block is trained as ``MaskSpace`` says; its learning rate is the base rate times the law's weight (eq. 2 and 5 for
    ``exponential``). Since a trained block's gene exceeds the threshold, the threshold also bounds the weights from
    below: a property of the published method.

    Args:
        template: a recipe of the network; decoded recipes differ from it only in their multipliers.
        law: name in ``LAWS``: ``exponential`` is published, ``wide`` also reaches slow rates; the others are the
            ablations of the authors' earlier code.
        head: ``evolve`` or ``always_train``; see ``MaskSpace``.
        threshold: ``evolve``, ``none`` or a number in [0, 1); see ``MaskSpace``.
    """

    template: Recipe
    law: str = "exponential"
    head: str = "evolve"
    threshold: float | str = "evolve"

    def __post_init__(self) -> None:
        if self.law not in LAWS:
            raise InputError(f"the gene law '{self.law}' is unknown; choose one of {', '.join(LAWS)}.")
        _ = self.mask

    @classmethod
    def unnamed(cls, num_blocks: int) -> Self:
        """Return the published space for at least one block without a network, named by their number."""
        return cls(Recipe(unnamed_partition(num_blocks), (1.0,) * num_blocks))

    @cached_property
    def mask(self) -> MaskSpace:
        """Which blocks are trained."""
        return MaskSpace(len(self.template.partition), self.head, self.threshold)

    @property
    def num_parts(self) -> int:
        """Number of blocks."""
        return self.mask.num_parts

    @property
    def num_genes(self) -> int:
        """Blocks and the threshold."""
        return self.mask.num_genes

    def is_feasible(self, genes: Genes) -> bool:
        """Return whether at least one block is trained."""
        return self.mask.is_feasible(genes)

    def movable(self, genes: Genes) -> NDArray[np.intp]:
        """Return the genes of the trained blocks."""
        return self.mask.movable(genes)

    def repair(self, genes: Genes, stream: Stream) -> Genes:
        """Return genes that train a block, if possible; see ``MaskSpace``."""
        return self.mask.repair(genes, stream)

    def select(self, parts: Collection[int]) -> Genes:
        """Return genes that train these blocks only, at multiplier 1 under the exponential law."""
        return self.mask.select(parts)

    def decode(self, genes: Genes) -> Recipe:
        """Return a recipe with multipliers rounded to 1e-6, the precision of result keys; all 0 if infeasible.

        Raises InputError: wrong number of genes (shape (num_genes,)), or a gene outside [0, 1].
        """
        genes = checked_genes(genes, self.num_genes)
        weights = LAWS[self.law](genes[:-1], max(0.0, self.mask.cut(genes)))
        weights = np.maximum(np.round(weights, 6), SMALLEST_MULTIPLIER)
        trained = self.mask.decode(genes)
        return self.template.with_multipliers([float(w) if t else 0.0 for w, t in zip(weights, trained, strict=True)])

    def encode(self, decoded: Recipe) -> Genes:
        """Return genes that decode to a recipe, to start a search from it.

        They do so under the laws ``exponential`` and ``wide``; under all others they are those of ``exponential``.
        Multipliers outside [0.1, 10], or [0.01, 10], are moved to the nearest value that a gene can express; for the
        threshold and frozen blocks see ``MaskSpace.place``.

        Args:
            decoded: a recipe over the same blocks that trains at least one.

        Returns:
            Genes, shape (num_genes,).

        Raises:
            InputError: the number of blocks differs, or every block is frozen.
        """
        if len(decoded.multipliers) != self.num_parts:
            raise InputError(f"expected a recipe of {self.num_parts} blocks, got one of {len(decoded.multipliers)}.")
        if not any(decoded.multipliers):
            raise InputError(ALL_FROZEN)
        trained = np.asarray(decoded.mask)
        multipliers = np.where(trained, decoded.multipliers, 1.0)
        powers = np.log10(multipliers)
        slow = 0.25 if self.law == "wide" else 0.5
        importance = 0.5 + np.where(powers < 0.0, slow, 0.5) * powers
        return self.mask.place(np.clip(importance, SMALLEST_TRAINED_GENE, 1.0), trained)
