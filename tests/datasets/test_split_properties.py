"""What every split and every fold must keep, whatever the classes and groups are."""

from dataclasses import dataclass

import numpy as np
from hypothesis import assume, given, reject, settings
from hypothesis import strategies as st

from biotune.datasets.folds import stratified_folds
from biotune.datasets.image_set import ImageSet
from biotune.datasets.splits import make_splits
from biotune.errors import InputError

quick = settings(max_examples=150, deadline=None)


@dataclass(frozen=True)
class Case:
    """Labels and groups of some images; a few classes are rare, and groups are of any size."""

    labels: np.ndarray
    groups: np.ndarray

    def image_set(self, grouped: bool) -> ImageSet:
        count = len(self.labels)
        return ImageSet(
            name="drawn",
            ids=tuple(f"{index:03}" for index in range(count)),
            labels=self.labels,
            class_names=tuple(f"class {label}" for label in range(self.labels.max() + 1)),
            splits=("",) * count,
            groups=tuple(f"p{group}" for group in self.groups) if grouped else None,
            files=None,
            arrays=np.zeros((count, 1, 1, 1), dtype=np.uint8),
        )


@st.composite
def cases(draw: st.DrawFn) -> Case:
    sizes = draw(st.lists(st.integers(1, 12), min_size=2, max_size=7))
    labels = np.repeat(np.arange(len(sizes)), sizes)
    most = draw(st.integers(1, 20))
    groups = np.array(draw(st.lists(st.integers(0, most), min_size=len(labels), max_size=len(labels))))
    return Case(labels, groups)


fractions = st.sampled_from([0.05, 0.2, 0.3, 0.45])
seeds = st.integers(0, 2**32)


@quick
@given(cases(), fractions, fractions, seeds)
def test_rare_classes_are_trained_on_before_they_are_scored(
    case: Case, validation: float, test: float, seed: int
) -> None:
    """One image: training; two: validation too; three or more: every part; beyond that, near the asked share."""
    sizes = np.bincount(case.labels)
    assume(sizes.max() > 1)
    splits = make_splits(case.image_set(grouped=False), validation, test, seed)
    parts = (splits.train, splits.validation, splits.test)
    counts = np.array([np.bincount(case.labels[part], minlength=len(sizes)) for part in parts])

    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(len(case.labels)))
    np.testing.assert_array_equal(counts[0] > 0, sizes >= 1)
    np.testing.assert_array_equal(counts[1] > 0, sizes >= 2)
    np.testing.assert_array_equal(counts[2] > 0, sizes >= 3)
    shares = np.array([[1 - validation - test], [validation], [test]])
    assert (np.abs(counts - shares * sizes) < 2).all()


@quick
@given(cases(), fractions, fractions, seeds)
def test_no_group_is_in_two_parts(case: Case, validation: float, test: float, seed: int) -> None:
    try:
        splits = make_splits(case.image_set(grouped=True), validation, test, seed)
    except InputError:
        reject()  # all groups are needed for training
    parts = (splits.train, splits.validation, splits.test)
    owners = [set(case.groups[part].tolist()) for part in parts]

    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(len(case.labels)))
    assert sum(map(len, owners)) == len(set(case.groups.tolist()))
    assert set(case.labels[splits.train].tolist()) == set(case.labels.tolist())


@quick
@given(cases(), st.integers(1, 5), seeds)
def test_no_group_is_in_two_folds(case: Case, num_folds: int, seed: int) -> None:
    groups = np.unique(case.groups)
    assume(num_folds <= len(groups))
    folds = stratified_folds(case.labels, np.arange(len(case.labels)), num_folds, seed, case.groups)
    owners = [set(case.groups[fold].tolist()) for fold in folds]

    np.testing.assert_array_equal(np.sort(np.concatenate(folds)), np.arange(len(case.labels)))
    assert min(map(len, folds)) > 0
    assert sum(map(len, owners)) == len(groups)


@quick
@given(st.lists(st.integers(1, 9), min_size=5, max_size=30), st.integers(2, 5), seeds)
def test_folds_of_one_class_differ_by_a_group_at_most(sizes: list[int], num_folds: int, seed: int) -> None:
    groups = np.repeat(np.arange(len(sizes)), sizes)

    folds = stratified_folds(np.zeros(len(groups), dtype=np.int64), np.arange(len(groups)), num_folds, seed, groups)

    assert np.ptp([len(fold) for fold in folds]) <= max(sizes)


@quick
@given(cases(), st.integers(1, 5), seeds)
def test_single_images_are_dealt_as_evenly_as_can_be(case: Case, num_folds: int, seed: int) -> None:
    assume(num_folds <= len(case.labels))
    folds = stratified_folds(case.labels, np.arange(len(case.labels)), num_folds, seed)
    counts = np.array([np.bincount(case.labels[fold], minlength=case.labels.max() + 1) for fold in folds])

    assert np.ptp(counts, axis=0).max() <= 1
    assert np.ptp(counts.sum(axis=1)) <= 1
