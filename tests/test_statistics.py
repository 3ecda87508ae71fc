"""Spreads and paired intervals, against values worked out by hand."""

import math

import numpy as np
import pytest

from biotune.errors import InputError
from biotune.statistics import (
    Interval,
    accuracy_interval,
    effective_images,
    mean_and_standard_error,
    mean_gain_interval,
    paired_interval,
    pooled_interval,
    share_interval,
)


@pytest.mark.parametrize(
    ("values", "mean", "error"),
    [
        ([0.8, 0.9, 1.0], 0.9, 0.1 / math.sqrt(3)),  # s = 0.1
        ([0.5, 0.7], 0.6, 0.1),  # s = 0.2 / sqrt(2)
        ([0.5, 0.5, 0.5], 0.5, 0.0),
    ],
)
def test_standard_error_by_hand(values, mean, error):
    assert mean_and_standard_error(values) == pytest.approx((mean, error))


def test_one_value_has_no_standard_error():
    assert mean_and_standard_error([0.7]) == (0.7, None)


@pytest.mark.parametrize("values", [[], [[0.1, 0.2]]])
def test_standard_error_refuses_other_shapes(values):
    with pytest.raises(InputError, match="non-empty list of numbers"):
        mean_and_standard_error(values)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(0.01, 0.03, "better"), (-0.01, 0.02, "tie"), (0.0, 0.02, "tie"), (-0.02, 0.0, "tie"), (-0.03, -0.01, "worse")],
)
def test_verdict_excludes_zero_or_not(low, high, verdict):
    found = Interval((low + high) / 2, low, high)
    assert found.verdict == verdict
    assert found.to_json() == {"difference": (low + high) / 2, "low": low, "high": high, "verdict": verdict}


@pytest.mark.parametrize(("a", "b", "expected"), [(1, 1, 0.0), (1, 0, 1.0), (0, 1, -1.0)])
def test_constant_difference_has_no_spread(a, b, expected):
    found = paired_interval(np.full((3, 20), a), np.full((3, 20), b))
    assert found == Interval(expected, expected, expected)


def test_interval_of_one_seed_is_that_of_the_mean_over_images():
    a = np.zeros((1, 2000), dtype=bool)
    a[:, :200] = True  # gains: 1 for a tenth of the images, 0 for the others
    found = paired_interval(a, np.zeros_like(a))
    half = 1.96 * math.sqrt(0.1 * 0.9 / 2000)
    assert found.difference == pytest.approx(0.1)
    assert (found.low, found.high) == pytest.approx((0.1 - half, 0.1 + half), abs=0.15 * half)


def test_seeds_are_resampled_too():
    a = np.array([[True] * 50, [False] * 50])
    assert paired_interval(a, ~a) == Interval(0.0, -1.0, 1.0)  # both draws are the same seed every fourth time or so


def test_pairing_cancels_what_both_find_hard():
    hard = np.random.default_rng(0).random((1, 1000)) < 0.5
    easier = hard.copy()
    easier[:, np.flatnonzero(~hard[0])[:15]] = True
    found = paired_interval(easier, hard)
    unpaired_half = 1.96 * math.sqrt(2 * 0.25 / 1000)
    assert found.verdict == "better"
    assert found.high - found.low < unpaired_half


def test_same_seed_same_interval_other_seed_other_interval():
    random = np.random.default_rng(2)
    a, b = random.random((3, 200)) < 0.7, random.random((3, 200)) < 0.6
    assert paired_interval(a, b, seed=5) == paired_interval(a, b, seed=5)
    assert paired_interval(a, b, seed=5) != paired_interval(a, b, seed=6)


def test_more_confidence_is_wider():
    random = np.random.default_rng(3)
    a, b = random.random((3, 200)) < 0.7, random.random((3, 200)) < 0.6
    narrow, wide = paired_interval(a, b, confidence=0.5), paired_interval(a, b, confidence=0.99)
    assert wide.low < narrow.low < narrow.difference < narrow.high < wide.high


@pytest.mark.parametrize(("a", "b"), [((3, 10), (3, 11)), ((10,), (10,)), ((2, 10), (3, 10)), ((3, 0), (3, 0))])
def test_shapes_that_do_not_fit_are_refused(a, b):
    with pytest.raises(InputError, match="over the same seeds and images"):
        paired_interval(np.ones(a, dtype=bool), np.ones(b, dtype=bool))


@pytest.mark.parametrize("options", [{"num_resamples": 0}, {"confidence": 0.0}, {"confidence": 1.0}])
def test_options_out_of_range_are_refused(options):
    with pytest.raises(InputError, match=r"pass (at least 1 resample|a confidence between 0 and 1)"):
        paired_interval(np.ones((1, 2)), np.ones((1, 2)), **options)


def test_pooled_difference_weighs_data_sets_alike():
    one = (np.ones((2, 4)), np.zeros((2, 4)))  # +1 on few images
    other = (np.zeros((2, 400)), np.zeros((2, 400)))  # 0 on many
    assert pooled_interval([one, other]) == Interval(0.5, 0.5, 0.5)


def test_pooled_interval_narrows_with_data_sets():
    rng = np.random.default_rng(0)
    sets = [(rng.random((5, 200)) < 0.85, rng.random((5, 200)) < 0.8) for _ in range(9)]
    one, all_nine = paired_interval(*sets[0]), pooled_interval(sets)
    assert (all_nine.high - all_nine.low) == pytest.approx((one.high - one.low) / 3, rel=0.25)


def test_a_pooled_interval_needs_data():
    with pytest.raises(InputError, match="one data set at least"):
        pooled_interval([])


def test_gains_of_half_the_size_have_intervals_of_half_the_size():
    rng = np.random.default_rng(3)
    ours, theirs = rng.random((4, 30)) < 0.8, rng.random((4, 30)) < 0.7
    whole = pooled_interval([(ours, theirs)])
    half = mean_gain_interval([0.5 * (ours.astype(float) - theirs)])
    assert (half.difference, half.low, half.high) == pytest.approx(
        (whole.difference / 2, whole.low / 2, whole.high / 2)
    )


def test_a_mean_gain_needs_a_data_set():
    with pytest.raises(InputError, match="one data set at least"):
        mean_gain_interval([])


@pytest.mark.parametrize(
    ("accuracy", "images", "error", "low", "high"),
    [
        (0.8, 10, None, 0.4901, 0.9433),  # (0.8 + 0.19208 -+ 1.96 sqrt(0.016 + 0.009604)) / 1.38416
        (1.0, 20, None, 0.8389, 1.0),  # 20 / (20 + 1.96 ** 2)
        (0.0, 20, None, 0.0, 0.1611),
        (0.8, 10, 0.0, 0.4901, 0.9433),
        (0.8, 10, 0.1, 0.4112, 0.9582),  # the variance of both, 0.016 + 0.01, is that of 6.1538 images
    ],
)
def test_interval_of_an_accuracy_by_hand(accuracy, images, error, low, high):
    assert accuracy_interval(accuracy, images, error) == pytest.approx((low, high), abs=1e-4)


def test_images_of_groups_by_hand():
    """Right in four groups of two: 2, 2, 0 and 1, so p = 5/8; around it 0.75, 0.75, -1.25, -0.25, squares 2.75 in all.

    The variance of p is 4/3 * 2.75 / 64, that of one image 15/64: 4.09 images. t of 3 degrees of freedom is 3.1824.
    """
    correct = np.array([1, 1, 1, 1, 0, 0, 1, 0], dtype=bool)
    groups = ["a", "a", "b", "b", "c", "c", "d", "d"]
    assert effective_images(correct, groups) == pytest.approx(45 / 11 * (1.96 / 3.182446) ** 2)


def test_images_of_groups_at_the_ends():
    """All right: one image a group. A group alone: one image. Groups that are all the same: every image counts."""
    few = (1.96 / 2.262157) ** 2  # t of 9 degrees of freedom
    right, half = np.ones(30, dtype=bool), np.arange(40) % 2 == 0
    assert effective_images(right, [str(number // 3) for number in range(30)]) == pytest.approx(10 * few)
    assert effective_images(right, ["a"] * 30) == 1.0
    assert effective_images(half, [str(number // 4) for number in range(40)]) == pytest.approx(40 * few)


def test_images_that_are_groups_of_one_count_each():
    correct = np.random.default_rng(0).random(500) < 0.8
    found = effective_images(correct, [str(number) for number in range(500)])
    assert found == pytest.approx(499 * (1.96 / 1.964729) ** 2, rel=1e-5)


def test_the_interval_of_groups_holds_the_truth_and_that_of_images_does_not():
    """Groups of 20 images whose accuracies are spread evenly over 0.5 to 0.9; the truth is 0.7, in 95 of 100 tries."""
    held = np.zeros(2)
    for seed in range(200):
        generator = np.random.default_rng(seed)
        correct = (generator.random((15, 20)) < generator.uniform(0.5, 0.9, (15, 1))).ravel()
        groups = [str(number // 20) for number in range(300)]
        ends = [share_interval(correct, groups), share_interval(correct)]
        held += [low <= 0.7 <= high for low, high in ends]
    assert 0.92 <= held[0] / 200 <= 0.99
    assert held[1] / 200 < 0.87


def test_whole_groups_are_drawn():
    """Five copies of every image are as uncertain as the image itself."""
    generator = np.random.default_rng(3)
    a, b = generator.random((2, 3, 40)) < [[[0.8]], [[0.7]]]
    alone = paired_interval(a, b)
    names = [f"{number:03}" for number in range(40)]
    copies = paired_interval(np.repeat(a, 5, axis=1), np.repeat(b, 5, axis=1), groups=np.repeat(names, 5).tolist())
    assert copies.to_json() == pytest.approx(alone.to_json())
    narrow = paired_interval(np.repeat(a, 5, axis=1), np.repeat(b, 5, axis=1))
    assert narrow.high - narrow.low < 0.8 * (alone.high - alone.low)


def test_groups_of_each_data_set_are_drawn():
    a, b = np.random.default_rng(4).random((2, 2, 30)) < 0.7
    names = [f"{number // 2:03}" for number in range(30)]
    both = pooled_interval([(a, b), (b, a)], groups=[names, None])
    assert both.difference == 0.0
    assert both != pooled_interval([(a, b), (b, a)])
    assert pooled_interval([(a, b)], groups=[names]).high == pytest.approx(
        paired_interval(a, b, groups=names).high, abs=0.05
    )
