import numpy as np
import pytest

from biotune.datasets.folds import stratified_folds
from biotune.errors import InputError


@pytest.mark.parametrize("num_folds", [1, 2, 3, 5, 7])
def test_folds_differ_by_one_at_most(num_folds: int) -> None:
    labels = np.repeat([0, 1, 2, 3], [11, 8, 1, 5])
    indices = np.delete(np.arange(25), [3, 14])

    folds = stratified_folds(labels, indices, num_folds, 0)

    counts = np.array([np.bincount(labels[fold], minlength=4) for fold in folds])
    np.testing.assert_array_equal(np.sort(np.concatenate(folds)), indices)
    assert np.ptp(counts, axis=0).max() <= 1
    assert np.ptp(counts.sum(axis=1)) <= 1
    assert len(folds) == num_folds


def test_folds_are_shuffled_by_the_seed() -> None:
    labels, indices = np.zeros(40, dtype=np.int64), np.arange(40)
    first, again, other = (stratified_folds(labels, indices, 2, seed)[0].tolist() for seed in (0, 0, 1))

    assert first == again != other


@pytest.mark.parametrize("num_folds", [0, -1, 5])
def test_impossible_folds_are_refused(num_folds: int) -> None:
    with pytest.raises(InputError, match=f"{num_folds} folds of 4 images: use 1 to 4 folds"):
        stratified_folds(np.zeros(4, dtype=np.int64), np.arange(4), num_folds, 0)


def test_groups_of_equal_content_are_dealt_evenly() -> None:
    """24 patients with one image of class 0 and two of class 1 each."""
    labels, groups = np.tile([0, 1, 1], 24), np.repeat(np.arange(24), 3)

    folds = stratified_folds(labels, np.arange(72), 4, 0, groups)

    assert [np.bincount(labels[fold]).tolist() for fold in folds] == [[6, 12]] * 4
    assert sorted(group for fold in folds for group in set(groups[fold].tolist())) == list(range(24))


def test_large_groups_are_dealt_first() -> None:
    """Groups of 8, 4, 3, 1 images: 8 on one side, the others on the other side."""
    groups = np.repeat([0, 1, 2, 3], [3, 8, 1, 4])

    folds = stratified_folds(np.zeros(16, dtype=np.int64), np.arange(16), 2, 0, groups)

    assert [set(groups[fold].tolist()) for fold in folds] == [{1}, {0, 2, 3}]


def test_a_rare_class_is_spread_before_the_sizes_are_evened() -> None:
    """Two groups hold the rare class 1; they come to different folds, whatever else is in them."""
    labels = np.array([1, 0, 0, 0, 0, 1, 0, 0, 0])
    groups = np.array([0, 0, 0, 0, 0, 1, 2, 2, 2])

    folds = stratified_folds(labels, np.arange(9), 2, 0, groups)

    assert [int(labels[fold].sum()) for fold in folds] == [1, 1]


def test_more_folds_than_groups_are_refused() -> None:
    with pytest.raises(InputError, match="3 folds of 2 groups: use 1 to 2 folds, since groups stay together"):
        stratified_folds(np.zeros(6, dtype=np.int64), np.arange(6), 3, 0, np.repeat([0, 1], 3))


def test_groups_are_shuffled_by_the_seed() -> None:
    labels, groups = np.zeros(40, dtype=np.int64), np.repeat(np.arange(20), 2)
    first, again, other = (stratified_folds(labels, np.arange(40), 2, seed, groups)[0].tolist() for seed in (0, 0, 1))

    assert first == again != other
