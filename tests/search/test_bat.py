"""The bat algorithm, step by step."""

import math

import numpy as np
import pytest
from dice import Dice

from biotune.search import SearchSettings
from biotune.search.bat import BatAlgorithm, fly, near


def test_a_flight_by_hand() -> None:
    """v + 2 u (g - x): 0.1 + 0.2, -0.2 - 0.6, and 0.9 + 0.2 above the limit of 1; -0.1 and 1.8 beyond the walls."""
    position, velocity = np.array([0.3, 0.7, 0.8]), np.array([0.1, -0.2, 0.9])

    moved, speed = fly(position, velocity, np.array([0.5, 0.1, 1.0]), Dice(0.5, 0.5, 0.5), 2.0)

    assert speed == pytest.approx([0.3, -0.8, 1.0])
    assert moved == pytest.approx([0.6, 0.0, 1.0])
    assert (position.tolist(), velocity.tolist()) == ([0.3, 0.7, 0.8], [0.1, -0.2, 0.9])


def test_a_step_around_the_best_point_by_hand() -> None:
    """One number per gene: 0.5 + 0.1 * 0.5, 0.5 - 0.1 * 1, and 0.95 + 0.1 * 0.8 beyond the wall."""
    found = near(np.array([0.5, 0.5, 0.95]), 0.1, Dice(0.75, 0.0, 0.9))

    assert found == pytest.approx([0.55, 0.4, 1.0])


def trace(options: dict[str, float], values: list[float], size: int = 6, generations: int = 3) -> list[np.ndarray]:
    """Return the batches of a search that is told, in generation g, the g-th value for each of its points."""
    search, points = BatAlgorithm(3, 0, SearchSettings(size * (generations + 1), size), options=options), []
    while (batch := search.ask()) is not None:
        points.append(batch.points)
        search.tell(batch.points[:, 0] if batch.generation == 0 else [values[batch.generation - 1]] * size)
    return points


def test_with_a_full_pulse_all_bats_fly_and_without_one_all_step_around_the_best() -> None:
    flights = trace({"pulse": 1.0, "frequency": 1e-9}, [-1.0] * 3)
    steps = trace({"pulse": 0.0, "local_step": 0.05}, [-1.0] * 3)

    best = flights[0][flights[0][:, 0].argmax()]
    assert flights[1] == pytest.approx(flights[0], abs=1e-8), "a flight without a pull leads nowhere"
    assert np.abs(np.array(steps[1:]) - best).max() <= 0.05
    assert np.abs(np.array(steps[1:]) - best).max() > 0.03


def test_what_is_worse_is_not_taken() -> None:
    """By whatever margin: the bats take the same path."""
    assert np.array_equal(trace({}, [-1.0, -1.0, -1.0]), trace({}, [-2.0, -5.0, -9.0]))


def test_steps_become_shorter_as_bats_take_points() -> None:
    """All six take better points at loudness 1, so all get A = 0.5 at once; then some do with probability 0.5."""
    options = {"pulse": 0.0, "fading": 0.5, "local_step": 0.05}
    improving, worse = trace(options, [2.0, 1.5, 1.5]), trace(options, [-1.0, -1.0, -1.0])

    assert np.abs(improving[2] - improving[1][0]).max() <= 0.025
    assert np.abs(worse[2] - worse[0][worse[0][:, 0].argmax()]).max() > 0.025


def test_the_pulse_rate_of_a_successful_bat_falls_and_grows_again() -> None:
    """r (1 - exp(-gamma t)): with r = 1 all fly at first; after a success in generation 1, 1 - exp(-gamma) do."""
    size, growth = 400, 0.5
    options = {"pulse": 1.0, "pulse_growth": growth, "frequency": 1e-9, "local_step": 1e-3, "fading": 1.0}
    points = trace(options, [2.0, 2.0, 2.0], size, 2)

    near_best = (np.abs(points[2] - points[1][0]) <= 1e-3).all(axis=1).mean()
    assert near_best == pytest.approx(math.exp(-growth), abs=4 * math.sqrt(0.25 / size))
