"""Genes to multipliers: which blocks a point of the unit box trains, and how fast.

Source: Colan, Davila, Hasegawa, arXiv 2508.15367, section II-B; "eq." below means its equations.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from biotune.errors import InputError

Genes = NDArray[np.float64]

SMALLEST_MULTIPLIER = 1e-6
"""Multipliers are rounded to this step, and a trained block never gets less: zero means frozen."""

SMALLEST_TRAINED_GENE = 1e-6
"""Leaves room for a threshold below it and decodes to 0.1 after rounding."""


def _exponential(importance: Genes, threshold: float) -> Genes:
    """Eq. 5: 10 ** (2 (gene - 0.5)), from 0.1 to 10."""
    del threshold
    return np.asarray(10.0 ** (2.0 * (importance - 0.5)), dtype=np.float64)


def _scaled(importance: Genes, threshold: float) -> Genes:
    """Gene over the largest gene."""
    del threshold
    return np.asarray(importance / max(float(importance.max()), SMALLEST_MULTIPLIER))


def _normalized(importance: Genes, threshold: float) -> Genes:
    """Height above the threshold, over the largest height."""
    span = max(float(importance.max()) - threshold, SMALLEST_MULTIPLIER)
    return np.asarray((importance - threshold) / span)


def _discriminative(importance: Genes, threshold: float) -> Genes:
    """One for every block: the mask alone."""
    del threshold
    return np.ones_like(importance)


LAWS: dict[str, Callable[[Genes, float], Genes]] = {
    "exponential": _exponential,
    "scaled": _scaled,
    "normalized": _normalized,
    "discriminative": _discriminative,
}


@dataclass(frozen=True)
class Genotype:
    """The meaning of genes: one importance per block, then the freezing threshold; all in [0, 1].

    A block is trained if its gene is strictly greater than the threshold (eq. 4); its learning rate is the base
    rate times the law's weight (eq. 2 and 5 for ``exponential``). Since a trained block's gene exceeds the
    threshold, the threshold also bounds the weights from below: a property of the published method.

    Args:
        num_blocks: number of blocks, at least 1.
        law: name in ``LAWS``; the others are the ablations of the authors' earlier code.
        head: ``evolve`` treats the classifier as any block (published); ``always_train`` never freezes it.
        threshold: ``evolve`` takes it from the last gene (published); a number in [0, 1) fixes it, and ``none`` freezes
            nothing, so that only rates are searched. The last gene then has no effect.
    """

    num_blocks: int
    law: str = "exponential"
    head: str = "evolve"
    threshold: float | str = "evolve"

    def __post_init__(self) -> None:
        if self.num_blocks < 1:
            raise InputError(f"a genotype needs at least one block, not {self.num_blocks}.")
        if self.law not in LAWS:
            raise InputError(f"the gene law '{self.law}' is unknown; choose one of {', '.join(LAWS)}.")
        if self.head not in ("evolve", "always_train"):
            raise InputError(f"head='{self.head}' is unknown; choose evolve or always_train.")
        fixed = not isinstance(self.threshold, str)
        if not (0.0 <= float(self.threshold) < 1.0 if fixed else self.threshold in ("evolve", "none")):
            raise InputError(f"threshold={self.threshold!r} is unknown; choose evolve, none or a number in [0, 1).")

    @property
    def num_genes(self) -> int:
        """Blocks and the threshold."""
        return self.num_blocks + 1

    def trained(self, genes: Genes) -> NDArray[np.bool_]:
        """Return the mask of trained blocks, shape (num_blocks,), of genes, shape (num_genes,)."""
        mask = np.asarray(genes[:-1] > self._threshold(genes))
        if self.head == "always_train":
            mask[-1] = True
        return mask

    def _threshold(self, genes: Genes) -> float:
        """Return what a trained block's gene must exceed; below every gene where nothing is frozen."""
        if self.threshold == "none":
            return -1.0
        return float(genes[-1] if self.threshold == "evolve" else self.threshold)

    def is_feasible(self, genes: Genes) -> bool:
        """Return whether at least one block is trained."""
        return bool(self.trained(genes).any())

    def decode(self, genes: Genes) -> tuple[float, ...]:
        """Return one multiplier per block, 0 for frozen ones, rounded to 1e-6 (the precision of result keys).

        Args:
            genes: shape (num_genes,), each in [0, 1].

        Returns:
            ``num_blocks`` multipliers; all 0 for an infeasible point.

        Raises:
            InputError: wrong number of genes, or a gene outside [0, 1].
        """
        genes = np.asarray(genes, dtype=np.float64)
        if genes.shape != (self.num_genes,):
            raise InputError(
                f"expected {self.num_genes} genes (one per block and the threshold), got shape {genes.shape}."
            )
        if not np.all((genes >= 0.0) & (genes <= 1.0)):
            raise InputError(f"genes must lie in [0, 1], got {genes.tolist()}.")
        weights = LAWS[self.law](genes[:-1], max(0.0, self._threshold(genes)))
        weights = np.maximum(np.round(weights, 6), SMALLEST_MULTIPLIER)
        return tuple(float(w) if t else 0.0 for w, t in zip(weights, self.trained(genes), strict=True))

    def encode(self, multipliers: Sequence[float]) -> Genes:
        """Return genes that decode to given multipliers under the exponential law (to start a search from a recipe).

        Multipliers outside [0.1, 10] are moved to the nearest value that a gene can express. The threshold is put
        halfway between 0 and the smallest trained gene, frozen blocks halfway between 0 and the threshold. Under
        a fixed threshold, trained genes are moved above it; where nothing is frozen, frozen blocks get the least rate.

        Args:
            multipliers: one per block, finite, at least one above 0.

        Returns:
            Genes, shape (num_genes,).

        Raises:
            InputError: wrong number of multipliers, a negative or infinite one or NaN, or none above 0.
        """
        values = np.asarray(multipliers, dtype=np.float64)
        valid = values.shape == (self.num_blocks,) and np.isfinite(values).all()
        if not valid or values.min() < 0 or values.max() == 0:
            raise InputError(
                f"expected {self.num_blocks} finite multipliers >= 0 with at least one above 0, got {values.tolist()}."
            )
        trained = values > 0
        genes = np.zeros(self.num_genes)
        genes[:-1][trained] = np.clip(0.5 + 0.5 * np.log10(values[trained]), SMALLEST_TRAINED_GENE, 1.0)
        if self.threshold == "evolve":
            genes[-1] = 0.5 * genes[:-1][trained].min()
        elif self.threshold != "none":
            genes[-1] = self.threshold
            genes[:-1][trained] = np.maximum(genes[:-1][trained], min(1.0, genes[-1] + SMALLEST_TRAINED_GENE))
        genes[:-1][~trained] = 0.5 * genes[-1]
        return genes


def informed_multipliers(num_blocks: int) -> list[tuple[float, ...]]:
    """Return usual ways to fine-tune, as multipliers: a start for a search.

    They span depths and rates: every block; fast blocks under a slower head; the head alone, at a high rate; the last
    block and the head; a third of the rate; fast blocks under a frozen head; the fastest blocks under a slow one and a
    frozen head; the last half; fast blocks under a very slow one and a frozen head; every block under a slower head;
    fast blocks under a very slow head; the last half, faster; layer-wise decay (0.75 per block from the head down).
    docs/performance.md has the measurements behind the choice.

    Args:
        num_blocks: number of blocks, at least 1.

    Returns:
        Distinct tuples of ``num_blocks`` multipliers, in the order in which they are worth trying.
    """
    if num_blocks == 1:
        return [(1.0,), (3.0,), (0.3,)]
    half, body = num_blocks // 2, num_blocks - 1
    candidates = [
        (1.0,) * num_blocks,
        (3.0,) * body + (1.0,),
        (0.0,) * body + (3.0,),
        (0.0,) * (body - 1) + (1.0, 1.0),
        (0.3,) * num_blocks,
        (3.0,) * body + (0.0,),
        (10.0,) * (body - 1) + (1.0, 0.0),
        (0.0,) * half + (1.0,) * (num_blocks - half),
        (3.0,) * (body - 1) + (0.3, 0.0),
        (1.0,) * body + (0.3,),
        (3.0,) * body + (0.3,),
        (0.0,) * half + (3.0,) * (body - half) + (1.0,),
        tuple(0.75 ** (body - index) for index in range(num_blocks)),
    ]
    return list(dict.fromkeys(candidates))
