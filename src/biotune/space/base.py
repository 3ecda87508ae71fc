"""What a search may know about a space; and the simplest space, a mask of parts that are trained or not."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from biotune.errors import InputError
from biotune.randomness import Stream

Genes = NDArray[np.float64]
"""A point of the unit box, shape (num_genes,)."""

Decoded = TypeVar("Decoded")

PLAIN_IMPORTANCE = 0.5
"""Importance of a selected part: the middle of the unit interval, which every law of ``BlockSpace`` but ``normalized``
and ``scaled`` takes for multiplier 1."""

SMALLEST_ABOVE = 1e-6
"""Smallest distance of a trained part above a fixed threshold: one step of the rounding of multipliers."""

SHOWN_VALUES = 8
"""Values of a vector that an error shows, chosen by hand: a vector of weights has 100,000."""


class SearchSpace(Protocol[Decoded]):
    """The meaning of points of the unit box. All methods are deterministic and defined for every point of the box."""

    @property
    def num_genes(self) -> int:
        """Dimension of the box."""

    def is_feasible(self, genes: Genes) -> bool:
        """Return whether a point is worth an evaluation."""

    def movable(self, genes: Genes) -> NDArray[np.intp]:
        """Return the indices of the genes that change what a point means when they move a little, ascending."""

    def decode(self, genes: Genes) -> Decoded:
        """Return what a point means; raise InputError if it is not a point of the box."""

    def encode(self, decoded: Decoded) -> Genes:
        """Return the point that means this, or the nearest one."""

    def repair(self, genes: Genes, stream: Stream) -> Genes:
        """Return a feasible point near an infeasible one, if there is one."""


@runtime_checkable
class Selectable(Protocol):
    """A space whose points also select parts: a part is trained or not."""

    @property
    def num_parts(self) -> int:
        """Number of parts, the head last."""

    def select(self, parts: Collection[int]) -> Genes:
        """Return the point that trains these parts only, all at the plain rate."""


@runtime_checkable
class Categorical(Protocol):
    """A space some of whose genes mean one of a few categories: the unit interval is divided into equal cells.

    Neighbouring cells are near in meaning where there are more than two, so that a search may also treat such a gene as
    a number.
    """

    @property
    def categories(self) -> Mapping[int, int]:
        """Index of a gene -> number of its categories, at least 2; ascending."""


@runtime_checkable
class Boxed(Protocol):
    """A space whose points are vectors in a box: gene i means centre_i + radius_i (2 gene_i - 1)."""

    @property
    def centre(self) -> Genes:
        """Middle of the box, shape (num_genes,)."""

    @property
    def radius(self) -> Genes | float:
        """Largest distance from the centre, one for all or shape (num_genes,)."""


def categories_of(space: SearchSpace[Any]) -> Mapping[int, int]:
    """Return the category genes of a space; empty where all genes are numbers."""
    return space.categories if isinstance(space, Categorical) else {}


def category(gene: float, count: int) -> int:
    """Return the number, from 0, of the cell that a gene lies in, of so many cells."""
    return min(count - 1, int(gene * count))


def middle(number: int, count: int) -> float:
    """Return the gene in the middle of a cell, of so many cells."""
    return (number + 0.5) / count


def brief(values: Any) -> str:
    """Write a vector for an error: the first few values, and how many there are."""
    flat = np.asarray(values).ravel()
    shown = ", ".join(
        f"{value:g}" if isinstance(value, float) else str(value) for value in flat[:SHOWN_VALUES].tolist()
    )
    return f"[{shown}]" if len(flat) <= SHOWN_VALUES else f"[{shown}, ...] ({len(flat)} values)"


def checked_genes(genes: Any, num_genes: int) -> Genes:
    """Return genes, any input that should be a point of the unit box, as an array of shape (num_genes,).

    Raises InputError: wrong number of genes, or a gene outside [0, 1].
    """
    point: Genes = np.asarray(genes, dtype=np.float64)
    if point.shape != (num_genes,):
        raise InputError(f"expected {num_genes} genes, got shape {point.shape}.")
    if not np.all((point >= 0.0) & (point <= 1.0)):
        raise InputError(f"genes must lie in [0, 1], got {brief(point)}.")
    return point


@dataclass(frozen=True)
class MaskSpace:
    """Which parts are trained: one importance per part, then the freezing threshold; all in [0, 1].

    A part is trained if its importance is strictly greater than the threshold (eq. 4). A search without a space of
    its own gets this one.

    Args:
        num_parts: number of parts, at least 1; the last one is the head.
        head: ``evolve`` treats the head as any part (published); ``always_train`` never freezes it.
        threshold: ``evolve`` takes it from the last gene (published); a number in [0, 1) fixes it; ``none`` freezes
            nothing. The last gene then has no effect.

    Source: Colan, Davila, Hasegawa, arXiv 2508.15367, section II-B.
    """

    num_parts: int
    head: str = "evolve"
    threshold: float | str = "evolve"

    def __post_init__(self) -> None:
        if self.num_parts < 1:
            raise InputError(f"a space of blocks needs at least one block, not {self.num_parts}.")
        if self.head not in ("evolve", "always_train"):
            raise InputError(f"head='{self.head}' is unknown; choose evolve or always_train.")
        fixed = not isinstance(self.threshold, str)
        if not (0.0 <= float(self.threshold) < 1.0 if fixed else self.threshold in ("evolve", "none")):
            raise InputError(f"threshold={self.threshold!r} is unknown; choose evolve, none or a number in [0, 1).")

    @property
    def num_genes(self) -> int:
        """Parts and the threshold."""
        return self.num_parts + 1

    def cut(self, genes: Genes) -> float:
        """Return the value that the importance of a trained part must exceed; -1 if nothing is frozen."""
        if self.threshold == "none":
            return -1.0
        return float(genes[-1] if self.threshold == "evolve" else self.threshold)

    def decode(self, genes: Genes) -> NDArray[np.bool_]:
        """Return the mask of trained parts, shape (num_parts,)."""
        genes = checked_genes(genes, self.num_genes)
        mask = np.asarray(genes[:-1] > self.cut(genes))
        if self.head == "always_train":
            mask[-1] = True
        return mask

    def is_feasible(self, genes: Genes) -> bool:
        """Return whether at least one part is trained."""
        return bool(self.decode(genes).any())

    def movable(self, genes: Genes) -> NDArray[np.intp]:
        """Return the importances of the trained parts: a frozen part stays frozen if its importance moves a little."""
        return np.flatnonzero(self.decode(genes))

    def repair(self, genes: Genes, stream: Stream) -> Genes:
        """Return genes with the threshold redrawn below the largest importance; one draw.

        It does not help if every importance is 0 or the threshold is fixed.
        """
        genes = genes.copy()
        genes[-1] = stream.uniform() * genes[:-1].max()
        return genes

    def encode(self, decoded: NDArray[np.bool_]) -> Genes:
        """Return genes that train the parts of a mask, each at the plain importance."""
        return self.place(np.full(self.num_parts, PLAIN_IMPORTANCE), np.asarray(decoded))

    def select(self, parts: Collection[int]) -> Genes:
        """Return genes that train these parts only, each at the plain importance."""
        return self.encode(np.isin(np.arange(self.num_parts), list(parts)))

    def freeze(self) -> Genes:
        """Return genes that train nothing, each importance at the threshold: one step up of any trains its part.

        An evolving threshold becomes a half of the plain importance, so that such a step means a slow rate. Where the
        head is always trained or nothing is frozen, these genes train the least that they can.
        """
        levels = {"evolve": 0.5 * PLAIN_IMPORTANCE, "none": 0.0}
        return np.full(self.num_genes, levels[self.threshold] if isinstance(self.threshold, str) else self.threshold)

    def place(self, importance: Genes, trained: NDArray[np.bool_]) -> Genes:
        """Return genes that train some parts with given importances.

        The threshold lies halfway between 0 and the smallest importance of a trained part, frozen parts halfway between
        0 and the threshold. Under a fixed threshold, trained parts are moved above it; with the threshold ``none``,
        frozen parts get importance 0.

        Args:
            importance: shape (num_parts,), each in (0, 1]; values of frozen parts have no effect.
            trained: mask, shape (num_parts,), at least one True.

        Returns:
            Shape (num_genes,).
        """
        genes = np.zeros(self.num_genes)
        genes[:-1][trained] = importance[trained]
        if self.threshold == "evolve":
            genes[-1] = 0.5 * genes[:-1][trained].min()
        elif self.threshold != "none":
            genes[-1] = self.threshold
            genes[:-1][trained] = np.maximum(genes[:-1][trained], min(1.0, genes[-1] + SMALLEST_ABOVE))
        genes[:-1][~trained] = 0.5 * genes[-1]
        return genes
