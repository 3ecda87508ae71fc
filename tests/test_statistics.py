"""Spreads and paired intervals, against values worked out by hand."""

import math

import numpy as np
import pytest

from biotune.errors import InputError
from biotune.statistics import (
    Interval,
    accuracy_interval,
    mean_and_standard_error,
    mean_gain_interval,
    paired_interval,
    pooled_interval,
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
