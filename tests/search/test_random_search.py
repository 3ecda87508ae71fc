"""Random search: independent, uniform, feasible points in one batch."""

import numpy as np
import pytest

from biotune.genotype import Genotype
from biotune.search import RandomSearch, SearchSettings


def test_all_points_come_in_one_batch() -> None:
    search = RandomSearch(7, 0, SearchSettings(140))

    batch = search.ask()
    search.tell(np.zeros(140))

    assert (batch.points.shape, batch.generation, batch.kind) == ((140, 7), 0, "new")
    assert search.ask() is None


def test_more_points_begin_with_the_same_ones() -> None:
    more, fewer = RandomSearch(7, 3, SearchSettings(20)), RandomSearch(7, 3, SearchSettings(5))

    assert more.ask().points[:5].tolist() == fewer.ask().points.tolist()


def test_points_are_feasible_and_otherwise_uniform() -> None:
    points = RandomSearch(3, 0, SearchSettings(5000)).ask().points

    assert (points[:, :-1].max(axis=1) > points[:, -1]).all()
    # Given max(a, b) > t, the densities of t and a are 1.5 (1 - t^2) and 1.5 (1 + a^2) / 2: the means are 3/8 and 9/16.
    assert points.mean(axis=0) == pytest.approx([9 / 16, 9 / 16, 3 / 8], abs=4 * 0.3 / 5000**0.5)


def test_nothing_is_refused_where_the_head_is_always_trained() -> None:
    points = RandomSearch(3, 0, SearchSettings(1000), Genotype(2, head="always_train")).ask().points

    assert points.mean(axis=0) == pytest.approx([0.5] * 3, abs=4 * 0.29 / 1000**0.5)
