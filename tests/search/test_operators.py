"""The operators, against numbers worked out by hand and against their frequencies."""

import numpy as np
import pytest
from dice import Dice
from hypothesis import given, settings
from hypothesis import strategies as st

from biotune.randomness import Stream
from biotune.search import operators
from biotune.space import MaskSpace

genes = st.lists(st.floats(0, 1), min_size=5, max_size=5).map(np.array)
momentum = st.lists(st.floats(-2, 2), min_size=5, max_size=5).map(np.array)
seed = st.integers(0, 2**32)


@pytest.mark.parametrize(
    ("costs", "factors"),
    [
        ([0.1, 0.2, 0.4], [0, 0.375, 1]),
        ([0.05, 0.1, 0.1, 0.2], [0, 1 / 3, 5 / 12, 1]),
        ([0.0, 0.0, 0.0], [0, 0.5, 1]),
        ([0.3, 0.3, 0.3], [0, 0.5, 1]),
        ([0.0, 0.2, 0.4], [0, 0.5, 1]),
        ([-0.2, -0.1, 0.2], [0, 0.25, 1]),
        ([-0.2, -0.2], [0, 1]),
        ([0.7], [0]),
    ],
)
def test_extinction_factors_by_hand(costs: list[float], factors: list[float]) -> None:
    assert operators.extinction_factors(np.array(costs)) == pytest.approx(factors)


@settings(deadline=None)
@given(st.lists(st.floats(-1, 1), min_size=2, max_size=12).map(sorted))
def test_extinction_grows_from_zero_for_the_best_to_one_for_the_worst(costs: list[float]) -> None:
    factors = operators.extinction_factors(np.array(costs))

    assert factors[0] == pytest.approx(0.0, abs=1e-12)
    assert factors[-1] == pytest.approx(1.0)
    assert (np.diff(factors) >= -1e-12).all()


@pytest.mark.parametrize(
    ("law", "size", "weights", "total"),
    [
        ("code", 10, [12, 10, 9, 8, 7, 6, 5, 4, 3, 1], 65),
        ("code", 3, [5, 3, 1], 9),
        ("code", 2, [4, 1], 5),
        ("code", 1, [1], 1),
        ("bioik", 10, [10, 9, 8, 7, 6, 5, 4, 3, 2, 1], 55),
        ("bioik", 3, [3, 2, 1], 6),
        ("bioik", 1, [1], 1),
    ],
)
def test_rank_laws_by_hand(law: str, size: int, weights: list[int], total: int) -> None:
    assert operators.rank_probabilities(size, law) == pytest.approx([weight / total for weight in weights])


@pytest.mark.parametrize("law", ["code", "bioik"])
def test_ranks_are_drawn_as_often_as_the_law_says(law: str) -> None:
    probabilities, stream, draws = operators.rank_probabilities(10, law), Stream(0, "x"), 20_000

    counts = np.bincount([operators.select_rank(probabilities, stream) for _ in range(draws)], minlength=10)

    expected = draws * probabilities
    assert ((counts - expected) ** 2 / expected).sum() < 33.7  # chi-square, 9 degrees of freedom, 1 - 1e-4


@pytest.mark.parametrize(("draw", "rank"), [(0.0, 1), (0.499, 1), (0.5, 2), (1 - 2**-53, 2)])
def test_a_rank_without_probability_is_never_drawn(draw: float, rank: int) -> None:
    assert operators.select_rank(np.array([0.0, 0.25, 0.25, 0.0]), Dice(draw)) == rank


def test_crossover_by_hand() -> None:
    dice = Dice(0.25, 1.0, 0.5, 0.0, 1.0, 0.5)
    parents, momenta = (np.array([0.4, 0.8]), np.array([0.8, 0.2])), (np.array([0.2, 0.1]), np.array([-0.4, 0.3]))

    child, inherited = operators.crossover(parents, momenta, dice)

    assert inherited == pytest.approx([0.5 * 0.2 - 0.4, 0.5 * 0.3])
    assert child == pytest.approx([0.25 * 0.4 + 0.75 * 0.8 - 0.3, 0.8 + 0.15])


@settings(deadline=None)
@given(first=genes, second=genes, seed=seed)
def test_without_momentum_adaptation_and_extinction_a_child_lies_between_its_parents(
    first: np.ndarray, second: np.ndarray, seed: int
) -> None:
    stream = Stream(seed, "x")

    child, _ = operators.crossover((first, second), (np.zeros(5), np.zeros(5)), stream)
    child = operators.mutate(child, 0.0, stream)

    assert (child >= np.minimum(first, second) - 1e-15).all()
    assert (child <= np.maximum(first, second) + 1e-15).all()


@pytest.mark.parametrize(
    ("extinction", "num_genes", "rate"), [(0.6875, 7, 0.732143), (0.0, 7, 1 / 7), (1.0, 7, 1.0), (0.3, 1, 1.0)]
)
def test_mutation_rate_by_hand(extinction: float, num_genes: int, rate: float) -> None:
    assert operators.mutation_rate(extinction, num_genes) == pytest.approx(rate, abs=5e-7)


def test_mutation_by_hand() -> None:
    dice = Dice(0.74, 0.76, 0.0, 1.0)  # the rate is 0.5 * 0.5 + 0.5 = 0.75: the first gene alone is chosen

    assert operators.mutate(np.array([0.3, 0.3]), 0.5, dice) == pytest.approx([-0.2, 0.3])


def test_genes_mutate_as_often_as_the_rate_says_and_no_farther_than_extinction() -> None:
    size = 20_000
    steps = operators.mutate(np.zeros(size), 0.4, Stream(0, "x"))

    rate = 0.4 * (1 - 1 / size) + 1 / size
    assert abs((steps != 0).sum() - size * rate) < 4 * (size * rate * (1 - rate)) ** 0.5
    assert 0.399 < steps.max() <= 0.4
    assert -0.4 <= steps.min() < -0.399


@pytest.mark.parametrize(("scalar", "dice"), [(False, Dice(0.5, 0.5, 0.4, 0.4, 1.0, 1.0)), (True, Dice(0.5, 0.4, 1.0))])
def test_adaptation_by_hand(scalar: bool, dice: Dice) -> None:
    parents, prototype = (np.array([0.2, 0.6]), np.array([0.4, 0.8])), np.array([0.9, 0.1])

    adapted = operators.adapt(np.array([0.5, 0.5]), parents, prototype, dice, scalar)

    assert adapted == pytest.approx([0.5 + 0.2 * (0.3 - 0.5) + 0.5 * 0.4, 0.5 + 0.2 * (0.7 - 0.5) - 0.5 * 0.4])
    assert dice.numbers == []


@settings(deadline=None)
@given(child=genes, first=genes, second=genes, prototype=genes, seed=seed, scalar=st.booleans())
def test_adaptation_never_leaves_the_box_of_all_that_pull(
    child: np.ndarray, first: np.ndarray, second: np.ndarray, prototype: np.ndarray, seed: int, scalar: bool
) -> None:
    adapted = operators.adapt(child, (first, second), prototype, Stream(seed, "x"), scalar)

    corners = np.stack([child, 0.5 * (first + second), prototype])
    assert (adapted >= corners.min(axis=0) - 1e-12).all()
    assert (adapted <= corners.max(axis=0) + 1e-12).all()


def test_a_childs_momentum_has_a_fresh_share_for_each_gene() -> None:
    inherited = operators.child_momentum(np.array([0.4, 0.4, -0.2]), np.array([0.1, 0.0, 0.3]), Dice(0.5, 0.25, 1.0))

    assert inherited == pytest.approx([0.3, 0.1, 0.1])


def test_a_probes_momentum_changes_where_it_moved_only() -> None:
    gained = operators.probe_momentum(np.array([0.4, 0.4, -0.2]), np.array([0.0, -0.1, 0.0]), Dice(0.5, 0.25, 1.0))

    assert gained == pytest.approx([0.4, 0.0, -0.2])


@pytest.mark.parametrize(
    ("every", "dice", "forth", "back"),
    [
        (False, Dice(0.6, 0.9), [0.5, 0.9, 0.25], [0.5, 0.9, 0.0]),
        (False, Dice(0.1, 0.9), [0.7, 0.9, 0.05], [0.3, 0.9, 0.05]),
        (True, Dice(0.9, 0.1), [0.7, 0.9, 0.0], [0.3, 0.9, 0.25]),
    ],
)
def test_probes_by_hand(every: bool, dice: Dice, forth: list[float], back: list[float]) -> None:
    pair = operators.probe_pair(np.array([0.5, 0.9, 0.05]), np.array([0, 2]), 0.25, dice, every)

    assert pair == pytest.approx(np.array([forth, back]))
    assert dice.numbers == []


@pytest.mark.parametrize("every", [False, True])
def test_probes_stand_still_where_no_gene_may_move(every: bool) -> None:
    pair = operators.probe_pair(np.array([0.5, 0.9]), np.array([], dtype=np.intp), 0.25, Dice(), every)

    assert pair.tolist() == [[0.5, 0.9]] * 2


def test_each_candidate_gene_is_probed_equally_often() -> None:
    start, stream = np.full(5, 0.5), Stream(0, "x")
    pairs = [operators.probe_pair(start, np.array([0, 1, 3]), 0.25, stream) for _ in range(3000)]

    moved = (np.stack(pairs)[:, 0] != start).sum(axis=0)

    assert moved[[2, 4]].tolist() == [0, 0]
    assert (np.abs(moved[[0, 1, 3]] - 1000) < 4 * (3000 * 2 / 9) ** 0.5).all()


@settings(deadline=None)
@given(elite=genes, seed=seed, every=st.booleans(), amplitude=st.floats(0.01, 1.0))
def test_probes_stay_in_the_unit_box(elite: np.ndarray, seed: int, every: bool, amplitude: float) -> None:
    pair = operators.probe_pair(elite, np.arange(5), amplitude, Stream(seed, "x"), every)

    assert pair.min() >= 0.0
    assert pair.max() <= 1.0
    assert np.abs(pair - elite).max() <= amplitude + 1e-12


def test_a_feasible_point_is_the_first_feasible_draw() -> None:
    dice = Dice(0.1, 0.2, 0.3, 0.3, 0.1, 0.3, 0.1, 0.4, 0.3, 0.9)

    assert operators.feasible_point(MaskSpace(2), dice).tolist() == [0.1, 0.4, 0.3]
