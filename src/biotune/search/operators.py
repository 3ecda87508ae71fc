"""The operators of the evolution, as pure functions on arrays.

Sources: Colan, Davila, Hasegawa, arXiv 2508.15367, section II; Davila, Colan, Hasegawa, IEEE Access 13 (2025), Fig. 2.

The operator equations of the second paper were not available; these are the forms on which the authors' code, its
ancestor PivotIK, bio_ik and Starke's memetic evolution (IEEE TEVC 23(3), 2019) agree. Costs are minimised in
this file.

Shapes: genes and momentum (num_genes,); draws come from the given stream, in the order that each docstring states.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biotune.randomness import Stream
from biotune.space.base import SearchSpace, category, middle

Array = NDArray[np.float64]


def feasible_point(space: SearchSpace[Any], stream: Stream) -> Array:
    """Return genes uniform in [0, 1), shape (num_genes,), redrawn until the point is feasible."""
    genes = stream.uniform(space.num_genes)
    while not space.is_feasible(genes):
        genes = stream.uniform(space.num_genes)
    return genes


def extinction_factors(costs: Array) -> Array:
    """Return how far each individual of a sorted population is from the best: 0 for the best, 1 for the worst.

    E_i = (cost_i + cost_min (i / (N - 1) - 1)) / cost_max. Where cost_max is 0 or all costs are equal,
    E_i = i / (N - 1); a population of one has E = 0. Costs below 0 are shifted to start at 0.

    Args:
        costs: (population,), ascending.

    Returns:
        (population,), each in [0, 1].
    """
    size = len(costs)
    if size == 1:
        return np.zeros(1)
    ramp = np.arange(size) / (size - 1)
    costs = costs - min(0.0, float(costs[0]))
    if costs[-1] == 0.0 or costs[-1] == costs[0]:
        return ramp
    return np.asarray((costs + costs[0] * (ramp - 1.0)) / costs[-1])


def rank_probabilities(size: int, law: str) -> Array:
    """Return the probability of selecting each rank of a pool, best first.

    ``bioik``: P(k) = 2 (K - k) / (K (K + 1)). ``code`` (the authors' code): with N = K (K + 3) / 2, P(0) = (K + 2) / N,
    P(k) = (K + 1 - k) / N in between, P(K - 1) = 1 / N.

    Args:
        size: K, number of individuals in the pool, at least 1.
        law: ``bioik`` or ``code``.

    Returns:
        (size,), summing to 1.
    """
    if size == 1:
        return np.ones(1)
    ranks = np.arange(size)
    if law == "bioik":
        return np.asarray(2.0 * (size - ranks) / (size * (size + 1)), dtype=np.float64)
    weights = np.asarray(size + 1 - ranks, dtype=np.float64)
    weights[0], weights[-1] = size + 2, 1
    return weights / (size * (size + 3) / 2)


def select_rank(probabilities: Array, stream: Stream) -> int:
    """Draw a rank by inverting the cumulative probabilities; one draw."""
    cumulative = np.cumsum(probabilities)
    return min(int(np.searchsorted(cumulative, stream.uniform() * cumulative[-1], side="right")), len(cumulative) - 1)


def crossover(parents: tuple[Array, Array], momenta: tuple[Array, Array], stream: Stream) -> tuple[Array, Array]:
    """Blend two parents gene by gene and add a random share of their momenta.

    x_i = w_i A_i + (1 - w_i) B_i + M_i with M_i = r1_i m_A,i + r2_i m_B,i; w, r1, r2 uniform in [0, 1), fresh per gene.

    Args:
        parents: genes of A and B.
        momenta: momentum of A and B.
        stream: 3 * num_genes draws: all w, all r1, all r2.

    Returns:
        The child's genes before clipping, and M.
    """
    size = len(parents[0])
    weight, first, second = stream.uniform(size), stream.uniform(size), stream.uniform(size)
    momentum = first * momenta[0] + second * momenta[1]
    return weight * parents[0] + (1.0 - weight) * parents[1] + momentum, momentum


def mutation_rate(extinction: float, num_genes: int) -> float:
    """Return the probability of mutating a gene: E (1 - 1/n) + 1/n for the parents' mean extinction factor E."""
    return extinction * (1.0 - 1.0 / num_genes) + 1.0 / num_genes


def mutate(genes: Array, extinction: float, stream: Stream) -> Array:
    """Move each gene, with the mutation rate, by up to the parents' mean extinction factor (a ball in gene units).

    Args:
        genes: (num_genes,).
        extinction: mean of the parents' factors, in [0, 1].
        stream: 2 * num_genes draws: whether, then how far.

    Returns:
        New genes, not clipped.
    """
    chosen = stream.uniform(len(genes)) < mutation_rate(extinction, len(genes))
    return genes + np.where(chosen, extinction * stream.signed(len(genes)), 0.0)


def adapt(genes: Array, parents: tuple[Array, Array], prototype: Array, stream: Stream, scalar: bool = False) -> Array:
    """Pull a child towards the parents' mean and towards a prototype.

    x_i += c p (mean_i - x_i) + (1 - c) q (Q_i - x_i); c, p, q uniform in [0, 1), per gene, or one triple for all genes.

    Args:
        genes: (num_genes,).
        parents: genes of A and B.
        prototype: genes of Q.
        stream: 3 * num_genes draws (3 if scalar).
        scalar: one triple for the whole individual, as in the authors' code.

    Returns:
        New genes, not clipped.
    """
    count = 1 if scalar else len(genes)
    share, to_mean, to_prototype = stream.uniform(count), stream.uniform(count), stream.uniform(count)
    mean = 0.5 * (parents[0] + parents[1])
    return genes + share * to_mean * (mean - genes) + (1.0 - share) * to_prototype * (prototype - genes)


def child_momentum(momentum: Array, step: Array, stream: Stream) -> Array:
    """Return the momentum that a child inherits: r_i M_i + (x_i - s_i), r uniform in [0, 1), fresh per gene.

    Args:
        momentum: M of the crossover.
        step: the clipped child minus its genes right after crossover.
        stream: num_genes draws.

    Returns:
        (num_genes,).
    """
    return stream.uniform(len(momentum)) * momentum + step


def probe_momentum(momentum: Array, step: Array, stream: Stream) -> Array:
    """Return the momentum of an elite after a successful probe: r_i m_i + step_i, and m_i for genes that did not move.

    Args:
        momentum: m of the elite.
        step: the clipped probe minus the elite's genes.
        stream: num_genes draws.

    Returns:
        (num_genes,).
    """
    return np.where(step != 0.0, child_momentum(momentum, step, stream), momentum)


def probe_pair(
    genes: Array, candidates: NDArray[np.intp], amplitude: float, stream: Stream, every: bool = False
) -> Array:
    """Return two points around an elite: one random step in both directions, clipped to the unit box.

    Args:
        genes: (num_genes,).
        candidates: indices of the genes that may move; one of them is drawn.
        amplitude: largest step, in gene units (0.25 in the papers).
        stream: 2 draws; with ``every``, one per candidate.
        every: move all candidates at once, each by its own step.

    Returns:
        (2, num_genes): x + step and x - step. Both equal x where no gene may move.
    """
    step = np.zeros_like(genes)
    if every:
        step[candidates] = amplitude * stream.signed(len(candidates))
    elif len(candidates):
        chosen = candidates[stream.integer(len(candidates))]
        step[chosen] = amplitude * stream.signed()
    return np.clip(np.stack([genes + step, genes - step]), 0.0, 1.0)


def inherit_categories(
    genes: Array, parents: tuple[Array, Array], rate: float, categories: Mapping[int, int], stream: Stream
) -> Array:
    """Give a child its categories: each from one parent or the other, then drawn again with the mutation rate.

    A blend of two categories has no meaning, so these genes take no part in crossover, momentum and adaptation. A new
    category is uniform among all, the old one included.

    Args:
        genes: the child, (num_genes,); its category genes are replaced.
        parents: genes of A and B.
        rate: probability that a category is drawn again, in [0, 1].
        categories: index of a gene -> number of its categories.
        stream: 3 * len(categories) draws: whose, whether it is drawn again, and what.

    Returns:
        (num_genes,).
    """
    genes, places = genes.copy(), np.fromiter(categories, np.intp)
    from_first = stream.uniform(len(places)) < 0.5
    again, drawn = stream.uniform(len(places)) < rate, stream.uniform(len(places))
    new = [middle(category(gene, count), count) for gene, count in zip(drawn, categories.values(), strict=True)]
    genes[places] = np.where(again, new, np.where(from_first, parents[0][places], parents[1][places]))
    return genes


def switched(genes: Array, candidates: Mapping[int, int], stream: Stream) -> Array:
    """Return a point that differs from an elite in one category, drawn from the others.

    Args:
        genes: (num_genes,).
        candidates: index of a gene that may be switched -> number of its categories; at least one.
        stream: 2 draws: which gene, to what.

    Returns:
        (num_genes,).
    """
    genes, places = genes.copy(), list(candidates)
    place = places[stream.integer(len(places))]
    count = candidates[place]
    number = (category(genes[place], count) + 1 + stream.integer(count - 1)) % count
    genes[place] = middle(number, count)
    return genes
