"""Greedy forward selection on sums of which the best blocks are known."""

from collections.abc import Callable

import numpy as np
import pytest

from biotune.errors import InputError
from biotune.search import SearchSettings
from biotune.search.greedy import GreedySelection
from biotune.space import BlockSpace, BoxSpace

SPACE = BlockSpace.unnamed(5)


def rounds(fitness: Callable[[set[int]], float], evaluations: int = 140) -> list[list[set[int]]]:
    """Return the sets of trained blocks of every batch; every trained block must have multiplier 1."""
    search, asked = GreedySelection(6, 0, SearchSettings(evaluations)), []
    while (batch := search.ask()) is not None:
        multipliers = np.array([SPACE.decode(point).multipliers for point in batch.points])
        assert set(multipliers.ravel()) <= {0.0, 1.0}
        asked.append([set(map(int, np.flatnonzero(row))) for row in multipliers])
        search.tell([fitness(chosen) for chosen in asked[-1]])
    return asked


def total(*gains: float) -> Callable[[set[int]], float]:
    return lambda chosen: sum(gains[block] for block in chosen)


def test_blocks_are_added_by_their_gain_until_none_gains() -> None:
    assert rounds(total(-0.1, 0.3, 0.2, 0.05, 0.5)) == [
        [{4}],
        [{0, 4}, {1, 4}, {2, 4}, {3, 4}],
        [{0, 1, 4}, {1, 2, 4}, {1, 3, 4}],
        [{0, 1, 2, 4}, {1, 2, 3, 4}],
        [{0, 1, 2, 3, 4}],
    ]


@pytest.mark.parametrize(
    ("gains", "sizes"),
    [
        ((0.1, 0.1, 0.1, 0.1, 0.5), [1, 4, 3, 2, 1]),
        ((-0.1, 0.3, 0.0, 0.0, 0.5), [1, 4, 3]),
        ((0.0, 0.0, 0.0, 0.0, 0.5), [1, 4]),
        ((-0.1, -0.1, -0.2, -0.3, 0.5), [1, 4]),
    ],
)
def test_a_round_without_gain_is_the_last(gains: tuple[float, ...], sizes: list[int]) -> None:
    assert [len(batch) for batch in rounds(total(*gains))] == sizes


def test_a_tie_goes_to_the_block_nearest_to_the_input() -> None:
    assert rounds(total(0.1, 0.2, 0.2, 0.1, 0.5))[2] == [{0, 1, 4}, {1, 2, 4}, {1, 3, 4}]


def test_it_is_greedy_and_misses_blocks_that_help_only_together() -> None:
    def together(chosen: set[int]) -> float:
        return 0.1 * (2 in chosen) + 1.0 * ({0, 1} <= chosen)

    assert rounds(together)[1:] == [
        [{0, 4}, {1, 4}, {2, 4}, {3, 4}],
        [{0, 2, 4}, {1, 2, 4}, {2, 3, 4}],
    ]


@pytest.mark.parametrize(("evaluations", "sizes"), [(1, [1]), (3, [1, 2]), (5, [1, 4]), (7, [1, 4, 2])])
def test_the_last_round_is_cut_to_the_evaluations_left(evaluations: int, sizes: list[int]) -> None:
    assert [len(batch) for batch in rounds(total(0.1, 0.2, 0.3, 0.4, 0.5), evaluations)] == sizes


def test_a_space_without_parts_is_refused() -> None:
    with pytest.raises(InputError, match="greedy chooses blocks, and this space has none; choose another search"):
        GreedySelection(6, space=BoxSpace(np.zeros(6), 0.1))
