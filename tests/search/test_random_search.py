"""Random search: independent, uniform, feasible points in batches of the population."""

import numpy as np
import pytest

from biotune.search import Batch, RandomSearch, SearchSettings
from biotune.space import MaskSpace


def batches_of(search: RandomSearch) -> list[Batch]:
    """Return every batch of a search that is told zeros."""
    batches = []
    while (batch := search.ask()) is not None:
        batches.append(batch)
        search.tell(np.zeros(len(batch.points)))
    return batches


def test_points_come_in_batches_of_the_population() -> None:
    batches = batches_of(RandomSearch(7, 0, SearchSettings(25, population=10)))

    assert [batch.points.shape for batch in batches] == [(10, 7), (10, 7), (5, 7)]
    assert {(batch.generation, batch.kind) for batch in batches} == {(0, "new")}


@pytest.mark.parametrize("population", [5, 7, 20])
def test_the_points_are_the_same_whatever_their_number_and_batches(population: int) -> None:
    batches = batches_of(RandomSearch(7, 3, SearchSettings(20, population=population)))
    fewer = RandomSearch(7, 3, SearchSettings(5, population=5)).ask()

    assert np.concatenate([batch.points for batch in batches])[:5].tolist() == fewer.points.tolist()


def test_points_are_feasible_and_otherwise_uniform() -> None:
    points = RandomSearch(3, 0, SearchSettings(5000, population=5000)).ask().points

    assert (points[:, :-1].max(axis=1) > points[:, -1]).all()
    # Given max(a, b) > t, the densities of t and a are 1.5 (1 - t^2) and 1.5 (1 + a^2) / 2: the means are 3/8 and 9/16.
    assert points.mean(axis=0) == pytest.approx([9 / 16, 9 / 16, 3 / 8], abs=4 * 0.3 / 5000**0.5)


def test_nothing_is_refused_where_the_head_is_always_trained() -> None:
    points = RandomSearch(3, 0, SearchSettings(1000, population=1000), MaskSpace(2, head="always_train")).ask().points

    assert points.mean(axis=0) == pytest.approx([0.5] * 3, abs=4 * 0.29 / 1000**0.5)
