"""The arithmetic of the time that is left."""

import pytest

from biotune.runs.time_left import seconds_left, seconds_per_training, within_budget

PLAN = {"full": 3, "search": 10, "final": 5, "sweep": 10, "mask_one_rate": 3, "linear_probe": 3, "full_tuned": 3}


def test_nothing_is_known_before_the_first_training():
    assert seconds_left(PLAN, {}) is None
    assert seconds_left(PLAN, {"full": []}) is None


def test_a_probe_does_not_tell_how_long_the_search_takes():
    assert seconds_left({"probe": 3, "search": 10}, {"probe": [2.0]}) is None
    assert seconds_left({"probe": 3}, {"probe": [2.0]}) == 4.0
    assert seconds_left({"probe": 1}, {"probe": [2.0]}, running=[("search", 1.0)]) is None  # measures the unit
    assert seconds_left({"probe": 3, "search": 2}, {"probe": [2.0], "search": [7.0]}) == 4.0 + 7.0


@pytest.mark.parametrize(
    ("phase", "folds", "expected"),
    [
        ("full", 1, 10.0),
        ("full_tuned", 1, 10.0),
        ("search", 1, 7.0),
        ("search", 2, 3.5),
        ("sweep", 1, 7.0),
        ("sweep l2_sp", 1, 7.0),
        ("final", 1, 7.0),
        ("final", 2, 7.0),
        ("final random", 2, 7.0),
        ("mask_one_rate", 1, 7.0),
        ("linear_probe", 1, 5.0),
        ("l2_sp:alpha=0.1", 1, 10.0),
    ],
)
def test_after_the_ruler_alone(phase, folds, expected):
    """One full fine-tune took 10 s."""
    assert seconds_per_training(phase, {"full": [10.0]}, folds) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("phase", "expected"), [("search", 3.0), ("sweep", 3.0), ("final", 6.0), ("mask_one_rate", 6.0), ("full", 10.0)]
)
def test_measured_candidates_count_more_than_the_ruler(phase, expected):
    """Candidates on one of two folds took 2 s and 4 s."""
    assert seconds_per_training(phase, {"full": [10.0], "search": [2.0, 4.0]}, folds=2) == pytest.approx(expected)


def test_what_is_left_of_every_phase():
    """Two full ones more, 8 candidates of 3 s, 5 finalists like them, a sweep of 10, and the three baselines."""
    taken = {"full": [10.0], "search": [2.0, 4.0]}
    expected = 2 * 10 + 8 * 3 + 5 * 3 + 10 * 3 + 3 * 3 + 3 * 5 + 3 * 10
    assert seconds_left(PLAN, taken) == pytest.approx(expected)
    assert seconds_left(PLAN, taken, running=[("search", 1.0)]) == pytest.approx(expected - 1)
    assert seconds_left(PLAN, taken, running=[("search", 99.0)]) == pytest.approx(expected - 3)


def test_a_phase_that_is_done_takes_no_more_time():
    assert seconds_left({"full": 1, "search": 2}, {"full": [10.0], "search": [1.0, 1.0, 1.0]}) == 0.0


@pytest.mark.parametrize(
    ("left", "budget", "used", "expected"),
    [(50, 0, 30, 50), (50, 100, 30, 50), (50, 60, 30, 30), (50, 60, 70, 50), (None, 60, 30, None)],
)
def test_a_time_budget_cuts_what_is_left(left, budget, used, expected):
    assert within_budget(left, budget, used) == expected


def test_trainings_that_estimate_are_like_final_ones_also_without_a_full_fine_tune():
    assert seconds_left({"final": 3, "estimate": 5}, {"final": [10.0, 10.0, 10.0]}) == pytest.approx(50.0)


def test_final_trainings_do_not_pause_where_those_of_the_search_do():
    """A fifth of a full fine-tune each in the search, 0.7 of one to the end."""
    taken = {"full": [10.0]}
    assert seconds_per_training("search", taken, searched=0.2) == pytest.approx(2.0)
    assert seconds_per_training("final", taken, searched=0.2) == pytest.approx(7.0)
    assert seconds_per_training("final", {**taken, "search": [4.0]}, searched=0.2) == pytest.approx(4.0 * 0.7 / 0.2)


def test_where_no_full_fine_tune_is_measured_the_search_tells_what_one_takes():
    """Candidates took 2 s and 4 s, half of one each."""
    taken = {"search": [2.0, 4.0]}
    assert seconds_per_training("full_tuned", taken, searched=0.5) == pytest.approx(6.0)
    assert seconds_per_training("linear_probe", taken, searched=0.5) == pytest.approx(3.0)
