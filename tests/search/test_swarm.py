"""The particle swarm, step by step."""

import numpy as np
import pytest
from dice import Dice

from biotune.search import SearchSettings
from biotune.search.swarm import (
    ParticleSwarm,
    RelativisticOptions,
    RelativisticSwarm,
    Swarm,
    SwarmOptions,
    dilation,
    move,
)


def test_a_move_by_hand() -> None:
    """0.7 v + 1.7 r1 (p - x) + 1.7 r2 (g - x): 0.07 + 0.17 + 0.085; clamped from -0.65; 0.365 beyond the wall."""
    position, velocity = np.array([0.5, 0.5, 0.9]), np.array([0.1, -0.2, 0.4])
    own_best, swarm_best = np.array([0.7, 0.5, 0.9]), np.array([0.6, 0.1, 1.0])

    dice = Dice(0.5, 0.5, 0.5, 0.5, 0.75, 0.5)
    moved, speed = move(position, 0.7 * velocity, own_best, swarm_best, dice, SwarmOptions())

    assert moved == pytest.approx([0.825, 0.0, 1.0])
    assert speed == pytest.approx([0.325, -0.5, 0.365])
    assert (position.tolist(), velocity.tolist()) == ([0.5, 0.5, 0.9], [0.1, -0.2, 0.4])


@pytest.mark.parametrize("kind", [ParticleSwarm, RelativisticSwarm])
def test_the_first_step_leads_towards_the_best_particle_which_rests(kind: type[Swarm]) -> None:
    search = kind(5, 0, SearchSettings(20, 10))
    start = search.ask().points
    search.tell(start[:, 0])

    step = search.ask().points - start

    best = start[:, 0].argmax()
    assert step[best].tolist() == [0.0] * 5
    assert (step * (start[best] - start) >= 0).all()
    assert (np.delete(step, best, axis=0) != 0).all()
    assert np.abs(step).max() <= 0.5


def test_gamma_grows_with_the_largest_speed_of_the_swarm() -> None:
    """1 / sqrt(1 - 0.36) = 1.25 for a speed of 0.6 light speeds, whatever its sign; 1 at rest."""
    assert dilation(np.array([[0.3, -1.2], [0.5, 0.0]]), 2.0) == pytest.approx(1.25)
    assert dilation(np.array([[1.2, -0.3]]), 2.0) == pytest.approx(1.25)
    assert dilation(np.zeros((2, 3)), 2.0) == 1.0
    assert dilation(np.full((2, 3), 0.5), RelativisticOptions().light_speed) == pytest.approx(1.0, abs=1e-11)


def test_each_gene_of_a_relativistic_particle_keeps_its_own_share_of_its_velocity() -> None:
    """Without pulls nothing but m gamma v is left; a swarm without pulls at rest stays where it is."""
    still = RelativisticSwarm(4, 0, SearchSettings(20, 5), options={"cognitive": 0, "social": 0})
    start = still.ask().points.tolist()
    still.tell([0.0] * 5)
    assert still.ask().points.tolist() == start

    masses = still._masses((5, 4))

    assert masses.shape == (5, 4)
    assert len(set(masses.ravel().tolist())) == 20
    assert (masses.min() >= 0.0, masses.max() < 1.0) == (True, True)
    assert masses.tolist() == still._masses((5, 4)).tolist()


def test_a_slower_light_makes_the_swarm_keep_more_of_its_velocity() -> None:
    paths = []
    for options in ({}, {"light_speed": 2.0}):
        search, path = RelativisticSwarm(4, 0, SearchSettings(25, 5), options=options), []
        while (batch := search.ask()) is not None:
            path.append(batch.points.tolist())
            search.tell(batch.points[:, 0])
        paths.append(path)

    assert paths[0][:2] == paths[1][:2], "the first step starts at rest"
    assert paths[0][2] != paths[1][2]


def test_bests_are_kept_until_something_better_is_found() -> None:
    """Nothing is better than the start, by whatever margin: the swarm takes the same path."""
    paths = []
    for later in (-1.0, -2.0, 0.0):
        search, path = ParticleSwarm(5, 0, SearchSettings(60, 10)), []
        while (batch := search.ask()) is not None:
            path.append(batch.points.tolist())
            search.tell([1.0 if batch.generation == 0 else later] * len(batch.points))
        paths.append(path)

    assert paths[0] == paths[1] == paths[2]


def test_all_particles_of_a_generation_follow_the_best_of_the_last_one() -> None:
    """Values told for one particle change the others' next step only through the leader."""
    last = []
    for value in (0.2, 0.3):
        search = ParticleSwarm(5, 0, SearchSettings(30, 10))
        search.ask()
        search.tell([1.0, *[0.0] * 9])
        search.ask()
        search.tell([0.0] * 9 + [value])
        last.append(search.ask().points.tolist())

    assert last[0] == last[1]
