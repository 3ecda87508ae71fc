"""The firefly algorithm, step by step."""

import numpy as np
import pytest

from biotune.search import SearchSettings
from biotune.search.firefly import BLOCK, FireflyAlgorithm, attract, combined, products
from biotune.space import BoxSpace


def test_a_move_by_hand() -> None:
    """From (0, 0) half of exp(-d^2) of the way to (0.6, 0.8), whose mean squared distance is 0.5; the other stays."""
    moved = attract(np.array([[0.0, 0.0], [0.6, 0.8]]), np.array([0.1, 0.2]), 0.5, 1.0)

    share = 0.5 * np.exp(-0.5)
    assert moved == pytest.approx(np.array([[0.6 * share, 0.8 * share], [0.6, 0.8]]))


def test_two_moves_by_hand_come_in_the_order_of_the_fireflies() -> None:
    """Without absorption: from 0 halfway to 0.4, then halfway to 1: 0.6; the middle one goes from 0.4 to 0.7."""
    moved = attract(np.array([[0.0], [0.4], [1.0]]), np.array([1.0, 2.0, 3.0]), 0.5, 0.0)

    assert moved == pytest.approx(np.array([[0.6], [0.7], [1.0]]))


def test_equals_do_not_attract_each_other() -> None:
    positions = np.array([[0.0, 0.1], [0.4, 0.9], [1.0, 0.3]])

    assert attract(positions, np.zeros(3), 1.0, 1.0) == pytest.approx(positions)


@pytest.mark.parametrize("num_genes", [1, 7, BLOCK + 3])
def test_all_pairs_together_are_the_pairs_one_after_the_other(num_genes: int) -> None:
    draws = np.random.default_rng(0)
    positions, fitness = draws.random((9, num_genes)), draws.random(9)
    plain = positions.copy()
    for mover in range(9):
        for other in range(9):
            if fitness[other] > fitness[mover]:
                distance = np.square(plain[mover] - positions[other]).mean()
                plain[mover] += 0.7 * np.exp(-3.0 * distance) * (positions[other] - plain[mover])

    assert attract(positions, fitness, 0.7, 3.0) == pytest.approx(plain, abs=1e-12)


def test_products_in_blocks_are_matrix_products() -> None:
    draws = np.random.default_rng(0)
    rows, shares = draws.random((4, 2 * BLOCK + 5)), draws.random((4, 4))

    assert products(rows) == pytest.approx(rows @ rows.T)
    assert combined(shares, rows) == pytest.approx(shares @ rows)


def test_the_random_step_shrinks_and_is_all_that_the_brightest_makes() -> None:
    """Half of the width 0.2 either way, then 0.1: the cooling is 0.5."""
    start = [np.full(50, 0.5)] * 4
    options = {"noise": 0.2, "cooling": 0.5}
    search = FireflyAlgorithm(50, 0, SearchSettings(12, 4), BoxSpace(np.zeros(50), 1.0), start, options)
    batches = []
    while (batch := search.ask()) is not None:
        batches.append(batch.points)
        search.tell([0.0] * 4)

    assert 0.09 < np.abs(batches[1] - batches[0]).max() <= 0.1
    assert 0.04 < np.abs(batches[2] - batches[1]).max() <= 0.05


def test_without_noise_all_gather_at_the_brightest() -> None:
    search = FireflyAlgorithm(5, 0, SearchSettings(200, 10), options={"noise": 0.0})
    start = search.ask().points
    search.tell(start[:, 0])
    best = start[start[:, 0].argmax()]
    while (batch := search.ask()) is not None:
        last = batch.points
        search.tell(-np.square(last - best).sum(axis=1))

    assert last == pytest.approx(np.tile(best, (10, 1)), abs=1e-3)
