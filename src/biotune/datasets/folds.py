"""Training and validation folds of the search: stratified, reproducible, and never through the middle of a group."""

import numpy as np
from numpy.typing import NDArray

from biotune.datasets.splits import Indices, shuffled_classes
from biotune.errors import InputError
from biotune.randomness import words


def stratified_folds(
    labels: NDArray[np.int64],
    indices: Indices,
    num_folds: int,
    seed: int,
    groups: NDArray[np.int64] | None = None,
) -> tuple[Indices, ...]:
    """Deal images to folds, class by class, or in whole groups.

    Groups are dealt the largest first, each to the fold that holds the least of its classes (the sum over classes of
    the product of shares of the class in fold and group; ties go to the smallest fold).

    Args:
        labels: class index of every image of the set, shape (n,).
        indices: the images to deal.
        num_folds: in [1, number of indices], or of their groups.
        seed: seed of the assignment.
        groups: number of the group of every image of the set, shape (n,); None: every image is its own.

    Returns:
        Disjoint sorted index arrays that cover ``indices``, none empty. Without groups the sizes of any two differ by
        at most one, per class and in all; with groups no group is in two of them.

    Raises:
        InputError: the number of folds is out of range.
    """
    if not 1 <= num_folds <= len(indices):
        raise InputError(f"{num_folds} folds of {len(indices)} images: use 1 to {len(indices)} folds.")
    if groups is not None:
        return _group_folds(labels, np.sort(indices), num_folds, seed, groups)
    shuffled = shuffled_classes(labels, indices, seed, "folds")
    # Dealing all classes in one round hands the odd images of each class on to the next folds.
    dealt = np.concatenate([shuffled[label] for label in sorted(shuffled)])
    return tuple(np.sort(dealt[fold::num_folds]) for fold in range(num_folds))


def _group_folds(
    labels: NDArray[np.int64], indices: Indices, num_folds: int, seed: int, groups: NDArray[np.int64]
) -> tuple[Indices, ...]:
    numbers, group_of = np.unique(groups[indices], return_inverse=True)
    if num_folds > len(numbers):
        raise InputError(
            f"{num_folds} folds of {len(numbers)} groups: use 1 to {len(numbers)} folds, since groups stay together."
        )
    num_classes = int(labels[indices].max()) + 1
    cells, counts = np.unique(group_of * num_classes + labels[indices], return_counts=True)
    owners, classes = np.divmod(cells, num_classes)
    starts = np.searchsorted(owners, np.arange(len(numbers) + 1))
    shares = counts / np.bincount(classes, counts, num_classes)[classes]
    sizes = np.bincount(group_of)
    held, total = np.zeros((num_folds, num_classes)), np.zeros(num_folds, dtype=np.int64)
    fold_of = np.empty(len(numbers), dtype=np.int64)
    for group in np.lexsort((words(len(numbers), seed, "fold groups"), -sizes)).tolist():
        cells_of_group = slice(starts[group], starts[group + 1])
        crowding = held[:, classes[cells_of_group]] @ shares[cells_of_group]
        fold = int(np.lexsort((total, crowding.round(12)))[0])
        held[fold, classes[cells_of_group]] += shares[cells_of_group]
        total[fold] += sizes[group]
        fold_of[group] = fold
    return tuple(indices[fold_of[group_of] == fold] for fold in range(num_folds))
