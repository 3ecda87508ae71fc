"""Ratios and lines against numbers by hand and against NumPy."""

import numpy as np
import pytest

from benchmarks.timing import Lap, in_turns, paired_ratio, straight_line, timed


def laps(*seconds: float) -> list[Lap]:
    return [Lap(value, value / 2) for value in seconds]


def test_a_ratio_is_the_median_of_the_ratios_of_neighbours():
    """By hand: 2/1, 3/4, 5/5 have the median 1 and the quartiles 0.875 and 1.5; the ratio of the sums would be 1.0."""
    found = paired_ratio(laps(2.0, 3.0, 5.0), laps(1.0, 4.0, 5.0))

    assert found.to_json() == {"median": 1.0, "low": 0.875, "high": 1.5, "cpu_median": 1.0, "pairs": 3}


def test_a_factor_makes_up_for_unequal_sizes():
    """Four epochs in 2 s against one epoch in 1 s: each takes half of the time."""
    assert paired_ratio(laps(2.0), laps(1.0), factor=1 / 4).median == 0.5


def test_load_that_hits_a_whole_round_leaves_the_ratio_alone():
    slow = np.array([1.0, 7.0, 3.0])

    assert paired_ratio(laps(*(2 * slow)), laps(*slow)).median == 2.0


def test_rounds_go_there_and_back():
    order: list[str] = []
    found = in_turns({name: lambda name=name: order.append(name) for name in "abc"}, repeats=3)

    assert "".join(order) == "abccbaabc"
    assert {name: len(rows) for name, rows in found.items()} == {"a": 3, "b": 3, "c": 3}


def test_work_takes_processor_time_and_waiting_does_not():
    import time

    waited = timed(lambda: time.sleep(0.05))
    worked = timed(lambda: sum(range(1_000_000)))

    assert waited.wall_s >= 0.05 > 10 * waited.cpu_s
    assert worked.cpu_s > 0.001


def test_a_line_by_hand():
    """Through (0, 0), (1, 1), (2, 1): slope 1/2, intercept 1/6, residuals 1/6, 1/3, 1/6; R² = 1 - (1/6) / (2/3)."""
    found = straight_line([0, 1, 2], [0, 1, 1])

    assert (found.slope, found.intercept, found.r_squared) == pytest.approx((1 / 2, 1 / 6, 3 / 4))


def test_a_line_is_that_of_numpy():
    x = np.array([1.0, 2.0, 4.0, 8.0, 64.0])
    y = 3 * x + np.array([0.4, -0.3, 0.1, 2.0, -1.0])
    found = straight_line(x.tolist(), y.tolist())

    assert (found.slope, found.intercept) == pytest.approx(tuple(np.polyfit(x, y, 1)))
    assert found.r_squared == pytest.approx(np.corrcoef(x, y)[0, 1] ** 2)


def test_a_constant_is_a_line():
    assert straight_line([1, 2, 3], [5, 5, 5]).to_json() == {"slope": 0.0, "intercept": 5.0, "r_squared": 1.0}
