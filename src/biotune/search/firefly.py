"""The textbook firefly algorithm, whose pairs are computed together.

Matrix products are written as sums (``einsum``) over blocks of genes: the bits that BLAS gives depend on its number of
threads, and a run that is continued with another number must ask for the same points.
"""

from collections.abc import Generator
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from biotune.randomness import Stream
from biotune.search.base import Batch, Points
from biotune.search.heuristic import Heuristic, HeuristicOptions
from biotune.search.opytimizer import FireflyQuirks, Quirks

BLOCK = 1024
"""Genes that are multiplied at a time: for a hundred fireflies these fit into the processor's cache."""


class FireflyOptions(HeuristicOptions):
    """Options of ``firefly``."""

    attraction: Annotated[
        float, Field(gt=0, le=1, description="beta: share of the way to a brighter firefly at distance 0")
    ] = 1.0
    absorption: Annotated[
        float, Field(ge=0, le=1000, description="gamma: how fast attraction falls with the mean squared distance")
    ] = 1.0
    noise: Annotated[float, Field(ge=0, le=1, description="alpha: width of the random step, in gene units")] = 0.2
    cooling: Annotated[float, Field(gt=0, le=1, description="delta: factor of the noise per generation")] = 0.95


def products(positions: Points) -> Points:
    """Return the products of all pairs of rows, Z Z^T, shape (population, population)."""
    size, num_genes = positions.shape
    found = np.zeros((size, size))
    for begin in range(0, num_genes, BLOCK):
        block = np.ascontiguousarray(positions[:, begin : begin + BLOCK])
        for row in range(size):
            found[row, row:] += np.einsum("jd,d->j", block[row:], block[row])
    return np.triu(found) + np.triu(found, 1).T


def combined(shares: Points, positions: Points) -> Points:
    """Return the combinations sum_j c_ij z_j of rows, shape of ``positions``; c has shape (population, population)."""
    found = np.empty_like(positions)
    for begin in range(0, positions.shape[1], BLOCK):
        block = np.ascontiguousarray(positions[:, begin : begin + BLOCK])
        found[:, begin : begin + BLOCK] = np.einsum("ij,jd->id", shares, block)
    return found


def attract(positions: Points, fitness: Points, attraction: float, absorption: float) -> Points:
    """Move every firefly towards each brighter one, in their order.

    x_i <- x_i + beta exp(-gamma d^2) (x_j - x_i) for each j with a higher fitness, where x_j is the position before
    this generation, and d^2 the mean over genes of (x_i - x_j)^2, at the position that x_i has reached.

    All positions stay combinations of the old ones, x_i = sum_j c_ij z_j, and all distances follow from the products
    G = Z Z^T. So the genes are touched twice only, before and after the moves.

    Args:
        positions: Z, shape (population, num_genes).
        fitness: shape (population,).
        attraction: beta, in (0, 1].
        absorption: gamma.

    Returns:
        Shape (population, num_genes), each gene within the range of the old positions but for rounding.

    Source: Yang, SAGA 2009 (arXiv 1003.1466), eq. 9. Departures: d^2 is a mean over the genes of the unit box, at most
    1, so that gamma means the same for 2 and for 51,200 genes; x_j stays where it was.
    """
    size, num_genes = positions.shape
    pairs = products(positions - positions.mean(axis=0))
    norms = pairs.diagonal()
    shares, to_others, own = np.eye(size), pairs.copy(), norms.copy()
    for other in range(size):
        distance = np.maximum(own - 2.0 * to_others[:, other] + norms[other], 0.0) / num_genes
        step = np.where(fitness[other] > fitness, attraction * np.exp(-absorption * distance), 0.0)
        stay = 1.0 - step
        own = stay**2 * own + 2.0 * step * stay * to_others[:, other] + step**2 * norms[other]
        to_others = stay[:, None] * to_others + step[:, None] * pairs[other]
        shares *= stay[:, None]
        shares[:, other] += step
    return combined(shares, positions)


class FireflyAlgorithm(Heuristic):
    """Firefly algorithm: each point moves towards all better ones, the nearer the further, and a random step besides.

    After ``attract``, x_i <- x_i + alpha_t (u_i - 1/2) per gene, clipped to [0, 1], with alpha_t = alpha delta^(t - 1)
    in generation t. The brightest firefly makes the random step only.

    Source: Yang, SAGA 2009 (arXiv 1003.1466); the cooling is that of his book (Nature-Inspired Metaheuristic
    Algorithms, 2010). Departures: see ``attract``; one random step per generation instead of one per pair, so that the
    time does not grow with the pairs.
    """

    Options = FireflyOptions
    options: FireflyOptions
    quirks: ClassVar[type[Quirks]] = FireflyQuirks

    def _textbook(self) -> Generator[Batch, Points, None]:
        own, positions = self.options, self._initial_points()
        fitness, width = (yield Batch(positions.copy(), 0, "new")), self.options.noise
        for generation, count in self._generations():
            positions = attract(positions, fitness, own.attraction, own.absorption)
            for index, position in enumerate(positions):
                step = width * (Stream(self.seed, "firefly", generation, index).uniform(self.num_genes) - 0.5)
                np.clip(position + step, 0.0, 1.0, out=position)
            width *= own.cooling
            values = yield Batch(positions[:count].copy(), generation, "new")
            fitness[:count] = values
