"""The space of vectors: any number of values, each within a distance of its centre."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from biotune.errors import InputError
from biotune.randomness import Stream
from biotune.space.base import Genes, brief, checked_genes

Vector = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class BoxSpace:
    """Vectors around a centre, such as the weights of a layer around their trained values.

    Gene i in [0, 1] means centre_i + radius_i (2 gene_i - 1): 0.5 is the centre, and every point is feasible.

    Args:
        centre: shape (num_genes,), finite.
        radius: largest distance of a value from its centre, above 0: one number, or one per value.
    """

    centre: Vector
    radius: Vector | float

    def __post_init__(self) -> None:
        centre = np.array(self.centre, dtype=np.float64)
        if centre.ndim != 1 or not centre.size or not np.isfinite(centre).all():
            raise InputError(f"the centre of a box must be a vector of finite numbers, got {brief(self.centre)}.")
        try:
            radius = np.broadcast_to(np.array(self.radius, dtype=np.float64), centre.shape)
        except ValueError:
            raise InputError(f"a box of {centre.size} values needs one radius or {centre.size} of them.") from None
        if not (np.isfinite(radius).all() and (radius > 0).all()):
            raise InputError(f"the radius of a box must be finite and above 0, got {brief(self.radius)}.")
        object.__setattr__(self, "centre", centre)
        object.__setattr__(self, "radius", radius)

    @property
    def num_genes(self) -> int:
        """Number of values."""
        return self.centre.size

    def is_feasible(self, genes: Genes) -> bool:
        """Return True: every point of the box is worth an evaluation."""
        del genes
        return True

    def movable(self, genes: Genes) -> NDArray[np.intp]:
        """Return every gene."""
        return np.arange(len(genes))

    def decode(self, genes: Genes) -> Vector:
        """Return the values of a point, shape (num_genes,)."""
        return np.asarray(self.centre + self.radius * (2.0 * checked_genes(genes, self.num_genes) - 1.0))

    def encode(self, decoded: Vector) -> Genes:
        """Return the point, shape (num_genes,), of values of the same shape; those outside the box are clipped.

        Raises InputError: the number of values differs, or they are not finite.
        """
        values = np.asarray(decoded, dtype=np.float64)
        if values.shape != self.centre.shape or not np.isfinite(values).all():
            raise InputError(f"expected {self.num_genes} finite values, got {brief(values)}.")
        return np.clip(0.5 + (values - self.centre) / (2.0 * self.radius), 0.0, 1.0)

    def repair(self, genes: Genes, stream: Stream) -> Genes:
        """Return the point itself."""
        del stream
        return genes
