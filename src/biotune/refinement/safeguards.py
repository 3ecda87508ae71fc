"""What keeps a refinement honest: images that no search sees decide how far to go, and whether to go at all."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from biotune.datasets.folds import stratified_folds
from biotune.refinement.layers import Vector
from biotune.refinement.objective import Indices, Objective
from biotune.refinement.outputs import Labels, Outputs
from biotune.settings.refine import RefineConfig

STEPS = (0.25, 0.5, 0.75, 1.0)
"""Shares of the way from the trained weights to the best point that are tried on the images held back."""


@dataclass(frozen=True)
class Parts:
    """Which held-out images the search sees.

    Args:
        searched: the parts over which the objective is a mean.
        held_back: the images that it never sees; empty without safeguards.
    """

    searched: tuple[Indices, ...]
    held_back: Indices

    @property
    def num_searched(self) -> int:
        """Images that the search sees."""
        return sum(map(len, self.searched))


def deal(labels: Labels, groups: NDArray[np.int64] | None, settings: RefineConfig, seed: int) -> Parts:
    """Divide the held-out images, class by class or in whole groups.

    Args:
        labels: class index of each held-out image, shape (n,).
        groups: number of the group of each, or None.
        settings: ``safeguards``, ``held_back`` and ``folds``.
        seed: decides which image comes to which part.

    Returns:
        The parts; without safeguards, or with fewer than two images or groups, all images are searched as one part.
    """
    everything = np.arange(len(labels))
    units = len(labels) if groups is None else len(np.unique(groups))
    if not settings.safeguards or units < 2:
        return Parts((everything,), everything[:0])
    held, *others = stratified_folds(labels, everything, min(units, round(1 / settings.held_back)), seed, groups)
    searched = np.sort(np.concatenate(others))
    left = len(searched) if groups is None else len(np.unique(groups[searched]))
    return Parts(stratified_folds(labels, searched, min(settings.folds, left), seed + 1, groups), held)


@dataclass(frozen=True)
class Kept:
    """What is kept of a search.

    Args:
        vector: the weights.
        step: share of the way from the trained weights to the best point; 0 where nothing is kept.
        fitness: on the searched images.
        held_back: fitness on the images held back; None without safeguards.
    """

    vector: Vector
    step: float
    fitness: float
    held_back: float | None


def shrunk(
    outputs: Outputs, searched: Objective, held_back: Objective | None, trained: Kept, best: Vector, fitness: float
) -> Kept:
    """Return the point between the trained weights and the best one that does best on the images held back.

    It must be no worse than the trained weights on the searched images, and better than these on the images held back;
    else the trained weights are kept.

    Args:
        outputs: the network on the held-out images.
        searched: judges by the images that the search saw.
        held_back: judges by the others; None without safeguards, which keeps the best point.
        trained: the trained weights.
        best: the best point that the search found.
        fitness: of the best point, on the searched images.

    Returns:
        The weights that are kept.
    """
    if np.array_equal(best, trained.vector):
        return trained
    if held_back is None or trained.held_back is None:
        return Kept(best, 1.0, fitness, None)
    points = np.stack([*(between(trained.vector, best, step) for step in STEPS[:-1]), best])
    seen, unseen = searched.fitness(outputs, points), held_back.fitness(outputs, points)
    allowed = np.where(seen >= trained.fitness, unseen, -np.inf)
    chosen = int(np.argmax(allowed))
    if allowed[chosen] <= trained.held_back:
        return trained
    return Kept(points[chosen], STEPS[chosen], float(seen[chosen]), float(unseen[chosen]))


def between(centre: Vector, best: Vector, step: float) -> Vector:
    """Return the point at a share of the way from one vector to another."""
    return np.asarray(centre + step * (best - centre))


def best_of(kept: Sequence[Kept]) -> int:
    """Return the index of what does best on the images held back, or on the searched ones without safeguards."""
    return int(np.argmax([one.fitness if one.held_back is None else one.held_back for one in kept]))
