from collections import Counter

import numpy as np
import pytest

from biotune.datasets.image_set import ImageSet
from biotune.datasets.splits import make_splits, stratified_sample
from biotune.errors import InputError


def image_set(labels, splits=None, groups=None) -> ImageSet:
    labels = np.asarray(labels)
    return ImageSet(
        name="made up",
        ids=tuple(f"{index}.png" for index in range(len(labels))),
        labels=labels,
        class_names=tuple(f"class {label}" for label in range(labels.max() + 1)),
        splits=tuple(splits or [""] * len(labels)),
        groups=None if groups is None else tuple(groups),
        files=None,
        arrays=np.zeros((len(labels), 1, 1, 1), dtype=np.uint8),
    )


def sizes(splits) -> tuple[int, int, int]:
    return len(splits.train), len(splits.validation), len(splits.test)


@pytest.mark.parametrize(
    ("count", "validation", "test", "expected"),
    [
        (10, 0.2, 0.2, (6, 2, 2)),
        (4, 0.2, 0.2, (2, 1, 1)),  # quotas 2.4, 0.8, 0.8
        (7, 0.2, 0.2, (4, 2, 1)),  # quotas 4.2, 1.4, 1.4: the odd one to the earlier part
        (3, 0.2, 0.2, (1, 1, 1)),
        (2, 0.2, 0.2, (1, 1, 0)),
        (2, 0.1, 0.8, (1, 1, 0)),
        (10, 0.01, 0.0, (9, 1, 0)),
        (100, 0.29, 0.0, (71, 29, 0)),
        (10, 0.4, 0.5, (1, 4, 5)),
        (4, 0.49, 0.5, (1, 1, 2)),  # quotas 0.04, 1.96, 2: train takes the surplus that is largest
    ],
)
def test_each_class_is_shared_out_by_largest_remainders(count: int, validation: float, test: float, expected) -> None:
    images = image_set([0] * count + [1] * count)

    splits = make_splits(images, validation, test, 0)

    by_class = [
        tuple(np.bincount(images.labels[part], minlength=2).tolist())
        for part in (splits.train, splits.validation, splits.test)
    ]
    assert by_class == [(size, size) for size in expected]


def test_parts_are_sorted_disjoint_and_cover_everything() -> None:
    splits = make_splits(image_set([0, 1, 2] * 37), 0.2, 0.3, 5)
    parts = [splits.train, splits.validation, splits.test]

    assert all((np.diff(part) > 0).all() for part in parts)
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(111))
    assert all(part.dtype == np.int64 for part in parts)


def test_classes_too_small_for_every_part_are_noted() -> None:
    splits = make_splits(image_set([0] * 10 + [1] + [2] * 2), 0.2, 0.2, 0)

    assert 10 in splits.train
    assert len({11, 12} & set(splits.validation.tolist())) == 1
    assert splits.notes == (
        "No test set is given: a stratified share of those to train on is locked away as the test set.",
        "No validation set is given: a stratified share of those to train on is used for validation.",
        "Classes without a validation image: class 1.",
        "Classes without a test image: class 1 and class 2.",
    )


def test_many_small_classes_are_noted_in_short() -> None:
    splits = make_splits(image_set([*range(1000), 999]), 0.2, 0.0, 0)

    assert splits.notes[-1] == (
        "Classes without a validation image: class 0, class 1, class 2, class 3, class 4 and 994 more."
    )


def test_the_seed_decides_and_nothing_else_does() -> None:
    images = image_set([0, 1] * 50)
    first, again, other = (make_splits(images, 0.2, 0.2, seed) for seed in (0, 0, 1))

    assert first.fingerprint == again.fingerprint != other.fingerprint
    np.testing.assert_array_equal(first.test, again.test)
    assert not np.array_equal(first.test, other.test)
    assert len(first.fingerprint) == 16


def test_a_class_keeps_its_split_when_another_class_grows() -> None:
    small, large = (make_splits(image_set([0] * 20 + [1] * more), 0.2, 0.2, 0) for more in (20, 40))

    np.testing.assert_array_equal(small.test[small.test < 20], large.test[large.test < 20])


def test_the_fingerprint_depends_on_labels_and_parts() -> None:
    fingerprints = {
        make_splits(image_set(labels, splits), 0.2, 0.2, 0).fingerprint
        for labels, splits in [
            ([0, 1, 0, 1], ["train", "train", "validation", "test"]),
            ([0, 1, 1, 0], ["train", "train", "validation", "test"]),
            ([0, 1, 0, 1], ["train", "train", "test", "validation"]),
        ]
    }

    assert len(fingerprints) == 3


def test_each_part_has_a_fingerprint_of_its_own() -> None:
    """Moving one image from validation to test leaves that of training alone."""
    given = ["train", "train", "validation", "validation", "test"]
    first, other = (
        make_splits(image_set([0, 1, 0, 1, 0], [*given[:3], part, "test"]), 0.2, 0.2, 0).part_fingerprints
        for part in ("validation", "test")
    )

    assert list(first) == ["train", "validation", "test"]
    assert [first[part] == other[part] for part in first] == [True, False, False]


@pytest.mark.parametrize(
    ("fraction", "count", "reason"),
    [
        (0.0, 20, "none is given, and the test fraction is 0"),
        (0.2, 4, "none is given, and the images are too few to take one from"),
    ],
)
def test_a_missing_test_set_is_said(fraction: float, count: int, reason: str) -> None:
    splits = make_splits(image_set([0, 1] * (count // 2)), 0.2, fraction, 0)

    assert len(splits.test) == 0
    assert splits.notes[0] == f"There is no test set: {reason}. Scores are of images that guided the choice."


def test_given_parts_are_kept() -> None:
    given = ["train", "train", "validation", "test", "test"]

    splits = make_splits(image_set([0, 1, 0, 1, 0], given), 0.0, 0.5, 0)

    assert splits.train.tolist() == [0, 1]
    assert splits.validation.tolist() == [2]
    assert splits.test.tolist() == [3, 4]
    assert splits.notes == ("Classes without a validation image: class 1.",)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("train", (12, 4, 4)),
        ("validation", (16, 20, 4)),  # only the test part is taken, from the 20 images to train on
        ("test", (16, 4, 20)),
    ],
)
def test_missing_parts_are_taken_from_the_images_to_train_on(given: str, expected: tuple[int, int, int]) -> None:
    images = image_set(
        [0, 1] * (10 if given == "train" else 20), ["train"] * 20 + [given] * (0 if given == "train" else 20)
    )

    splits = make_splits(images, 0.2, 0.2, 0)

    assert sizes(splits) == expected


def test_images_without_a_split_join_the_training() -> None:
    splits = make_splits(
        image_set([0, 1] * 4, ["train"] * 2 + ["validation"] * 2 + [""] * 2 + ["test"] * 2), 0.2, 0.2, 0
    )

    assert splits.train.tolist() == [0, 1, 4, 5]
    assert splits.notes == ("Images without a split, put with those to train on: 2.",)


@pytest.mark.parametrize(
    ("validation", "test", "message"),
    [
        (-0.1, 0.2, r"the validation fraction is -0\.1, but must lie in \[0, 0\.9\]"),
        (0.2, 0.91, r"the test fraction is 0\.91"),
        (float("nan"), 0.2, "the validation fraction is nan"),
        (0.5, 0.5, "leave nothing to train on; their sum must be below 1"),
    ],
)
def test_wrong_fractions_are_refused(validation: float, test: float, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_splits(image_set([0, 1] * 10), validation, test, 0)


def test_a_set_without_images_to_train_on_is_refused() -> None:
    with pytest.raises(InputError, match="'made up' has no image to train on"):
        make_splits(image_set([0, 1], ["test", "validation"]), 0.2, 0.2, 0)


def test_classes_of_one_image_leave_nothing_to_validate() -> None:
    with pytest.raises(InputError, match="has no image to validate on"):
        make_splits(image_set([0, 1]), 0.2, 0.2, 0)


@pytest.mark.parametrize("seed", range(5))
def test_groups_stay_together_and_parts_stay_balanced(seed: int) -> None:
    draws = np.random.Generator(np.random.PCG64(seed))
    groups = draws.integers(0, 60, size=600)
    labels = (draws.random(600) < 0.2).astype(np.int64)

    splits = make_splits(image_set(labels, groups=[f"p{group}" for group in groups]), 0.2, 0.2, seed)

    owners = [set(groups[part].tolist()) for part in (splits.train, splits.validation, splits.test)]
    assert sum(map(len, owners)) == len(set(groups.tolist()))
    assert np.abs(np.array(sizes(splits)) - [360, 120, 120]).max() <= 6
    shares = [labels[part].mean() for part in (splits.train, splits.validation, splits.test)]
    assert max(shares) - min(shares) < 0.05
    assert ["to train on, in whole groups, is" in note for note in splits.notes] == [True] * 2


def test_equal_groups_are_shared_out_exactly() -> None:
    labels, groups = [0, 1] * 50, [f"g{index // 10}" for index in range(100)]

    assert sizes(make_splits(image_set(labels, groups=groups), 0.2, 0.2, 0)) == (60, 20, 20)


def test_a_class_within_one_group_is_trained_on() -> None:
    labels = [2] + [0, 1] * 10
    groups = ["rare"] + [f"g{index // 4}" for index in range(20)]

    splits = make_splits(image_set(labels, groups=groups), 0.2, 0.2, 0)

    assert 0 in splits.train
    assert splits.notes[2:] == (
        "Classes without a validation image: class 2.",
        "Classes without a test image: class 2.",
    )


def test_a_class_within_two_groups_is_also_validated() -> None:
    labels = [2, 2] + [0, 1] * 10
    groups = ["rare 1", "rare 2"] + [f"g{index // 4}" for index in range(20)]

    splits = make_splits(image_set(labels, groups=groups), 0.2, 0.2, 0)

    assert len({0, 1} & set(splits.train.tolist())) == 1
    assert len({0, 1} & set(splits.validation.tolist())) == 1


def test_one_group_alone_cannot_be_split() -> None:
    with pytest.raises(
        InputError,
        match=r"'made up' has no image to validate on: every class lies within one group \(class 0 in 'g' and class 1 "
        r"in 'g'\), and a group is never divided; give smaller groups, or give a validation split\.",
    ):
        make_splits(image_set([0, 1] * 5, groups=["g"] * 10), 0.2, 0.2, 0)


def test_groups_that_are_the_classes_cannot_be_split() -> None:
    labels = [0, 1, 2, 3, 4, 5, 6] * 2

    with pytest.raises(InputError, match=r"one group \(class 0 in 'g0', .*, class 4 in 'g4' and 2 more\)"):
        make_splits(image_set(labels, groups=[f"g{label}" for label in labels]), 0.2, 0.2, 0)


@pytest.mark.parametrize("groups", [None, ["p", "q"]])
def test_one_image_of_each_class_is_too_few(groups: list[str] | None) -> None:
    with pytest.raises(InputError, match="no image to validate on, since every class has one image only; give more"):
        make_splits(image_set([0, 1], groups=groups), 0.2, 0.2, 0)


def test_a_fraction_of_zero_validates_nothing() -> None:
    with pytest.raises(InputError, match="no image to validate on, since the validation fraction is 0; raise it"):
        make_splits(image_set([0, 1] * 5), 0.0, 0.2, 0)


def test_groups_that_straddle_given_parts_are_noted() -> None:
    images = image_set([0, 1, 0, 1], ["train", "train", "validation", "validation"], ["p", "q", "p", "r"])

    splits = make_splits(images, 0.2, 0.0, 0)

    assert splits.notes[-1] == "Groups that straddle the given splits, so that scores may be too good: 1."


@pytest.mark.parametrize(
    ("count", "expected"),
    [(100, (80, 15, 5)), (20, (16, 3, 1)), (10, (8, 1, 1)), (3, (1, 1, 1)), (4, (2, 1, 1))],
)
def test_a_sample_has_its_share_of_every_class(count: int, expected: tuple[int, ...]) -> None:
    labels = np.repeat([0, 1, 2], [80, 15, 5])

    chosen = stratified_sample(labels, np.arange(100), count, 0)

    assert Counter(labels[chosen].tolist()) == dict(enumerate(expected))
    assert (np.diff(chosen) > 0).all()


@pytest.mark.parametrize("count", [-1, 0, 1, 5])
def test_impossible_samples_are_refused(count: int) -> None:
    with pytest.raises(InputError, match=f"cannot choose {count} of 4 images of 2 classes: use 2 to 4"):
        stratified_sample(np.array([0, 1, 0, 1]), np.arange(4), count, 0)
