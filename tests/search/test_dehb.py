"""Differential evolution under Hyperband: sizes, pools and replacements followed by hand."""

import numpy as np
import pytest
from dice import Dice

from biotune.randomness import Stream
from biotune.search import SearchSettings
from biotune.search.base import Batch
from biotune.search.dehb import EvolutionaryHyperband, Subpopulations, bracket_sizes
from biotune.search.genetic import differential_trial

CENTRE = np.array([0.2, 0.35, 0.7, 0.9, 0.5, 0.25])


@pytest.mark.parametrize(
    ("population", "num_rungs", "sizes"),
    [
        (3, 2, [[3, 1], [2]]),
        (9, 3, [[9, 3, 1], [5, 1], [3]]),
        (81, 5, [[81, 27, 9, 3, 1], [34, 11, 3, 1], [15, 5, 1], [8, 2], [5]]),
        (6, 2, [[6, 2], [4]]),
        (18, 3, [[18, 6, 2], [9, 3], [6]]),
        (4, 3, [[4, 1, 1], [2, 1], [2]]),
        (10, 1, [[10]]),
    ],
)
def test_bracket_sizes_by_hand(population: int, num_rungs: int, sizes: list[list[int]]) -> None:
    """The first three are Hyperband's own, for R / r = 3, 9 and 81 (Li et al. 2018, with their rounding)."""
    assert bracket_sizes(population, num_rungs) == sizes


def line(*values: float) -> np.ndarray:
    return np.array([[value] for value in values])


def two_rungs() -> Subpopulations:
    """Six and four individuals of one gene: 0.4 and 0.2 were promoted, 0.6 and 0.1 stand in for two more."""
    held = Subpopulations(line(0.1, 0.2, 0.3, 0.4, 0.5, 0.6), [6, 4])
    held.fitness[0][:] = [3, 5, 1, 6, 2, 4]
    held.promote()
    held.fitness[1][:2] = [7, 8]
    return held


def test_a_higher_rung_begins_with_the_best_of_the_one_below() -> None:
    held = two_rungs()

    assert held.points[1].tolist() == line(0.4, 0.2, 0.6, 0.1).tolist()
    assert held.fitness[1].tolist() == [7, 8, -np.inf, -np.inf]


@pytest.mark.parametrize(
    ("rung", "target", "below", "draws", "pool"),
    [
        (0, 2, 0, (), [0.1, 0.2, 0.4, 0.5, 0.6]),
        (1, 0, 0, (), [0.2, 0.6, 0.1]),
        (1, 3, 4, (), [0.4, 0.2, 0.6, 0.1]),
        (1, 0, 2, (0.5, 0.6, 0.1, 0.7, 0.8, 0.9, 0.4), [0.4, 0.2, 0.5]),
        (1, 1, 2, (0.5, 0.6, 0.3, 0.7, 0.8, 0.2, 0.4), [0.4, 0.2, 0.6]),
        (1, 1, 1, (0.5, 0.6, 0.3, 0.7, 0.9, 0.2, 0.4, 0.8), [0.4, 0.4, 0.3]),
    ],
)
def test_the_pool_of_parents(rung: int, target: int, below: int, draws: tuple[float, ...], pool: list[float]) -> None:
    """Of the others, in the order of both rungs without pool and target, those with the smallest draws fill it.

    An individual that was promoted is one in each rung.
    """
    dice = Dice(*draws)

    assert two_rungs().parents(rung, target, below, dice)[:, 0].tolist() == pool
    assert dice.numbers == []


def test_a_trial_that_is_no_worse_at_its_rung_replaces_its_target() -> None:
    held = two_rungs()

    held.select(1, [0, 1, 3], line(0.7, 0.8, 0.9), np.array([7.0, 7.9, -5.0]))

    assert held.points[1].tolist() == line(0.7, 0.2, 0.6, 0.9).tolist()
    assert held.fitness[1].tolist() == [7, 8, -np.inf, -5]
    assert held.points[0].tolist() == line(0.1, 0.2, 0.3, 0.4, 0.5, 0.6).tolist()


def test_individuals_take_turns_as_targets() -> None:
    held = two_rungs()

    assert [held.targets(1, 3), held.targets(1, 3), held.targets(0, 6), held.targets(1, 1)] == [
        [0, 1, 2],
        [3, 0, 1],
        [0, 1, 2, 3, 4, 5],
        [2],
    ]


def hill(point: np.ndarray, rung: int) -> float:
    """One smooth top; scores rise from rung to rung."""
    return rung - float((np.arange(1, 7) * (point - CENTRE) ** 2).mean())


def played(evaluations: int, population: int, num_rungs: int, seed: int = 0) -> list[tuple[Batch, np.ndarray]]:
    search = EvolutionaryHyperband(6, seed, SearchSettings(evaluations, population, num_rungs=num_rungs))
    batches = []
    while (batch := search.ask()) is not None:
        values = np.array([hill(point, batch.rung) for point in batch.points])
        search.tell(values)
        batches.append((batch, values))
    return batches


def test_brackets_follow_each_other_until_the_evaluations_are_used_up() -> None:
    """Nine points on three rungs: 13, 6 and 3 evaluations, then again; the last batch is cut short."""
    batches = [batch for batch, _ in played(37, 9, 3)]

    assert [(batch.rung, len(batch.points)) for batch in batches] == [
        (0, 9), (1, 3), (2, 1), (1, 5), (2, 1), (2, 3),
        (0, 9), (1, 3), (2, 1), (1, 2),
    ]  # fmt: skip
    assert [batch.kind for batch in batches] == ["new", "reevaluate", "reevaluate"] + 7 * ["new"]
    assert [batch.generation for batch in batches] == list(range(10))


def test_the_first_bracket_promotes_its_best() -> None:
    (first, values), (second, better), (third, _) = played(13, 9, 3)

    assert second.points.tolist() == first.points[np.argsort(-values)[:3]].tolist()
    assert third.points[0].tolist() == second.points[np.argmax(better)].tolist()


def stream(generation: int, target: int) -> Stream:
    return Stream(0, "dehb", generation, target)


def test_two_cycles_followed_by_hand() -> None:
    """Six points, two promoted, four offspring above; then six below, and two above with parents from below."""
    (low, a), (_, b), (high, c), (again, d), (last, _) = played(20, 6, 2)
    upper, reached = low.points[np.argsort(-a)[:4]], np.array([*b, -np.inf, -np.inf])
    trials = [differential_trial(upper[i], np.delete(upper, i, axis=0), stream(2, i), 0.5, 0.5) for i in range(4)]
    assert high.points.tolist() == np.stack(trials).tolist()
    trials = [
        differential_trial(low.points[i], np.delete(low.points, i, axis=0), stream(3, i), 0.5, 0.5) for i in range(6)
    ]
    assert again.points.tolist() == np.stack(trials).tolist()

    lower = np.where((d >= a)[:, None], again.points, low.points)
    upper = np.where((c >= reached)[:, None], high.points, upper)
    first, second, *rest = np.argsort(-np.maximum(a, d))
    draws = stream(4, 0)
    others = np.concatenate([lower[np.sort(rest)], upper[1:]])
    pool = np.stack([lower[first], lower[second], others[np.argmin(draws.uniform(7))]])
    assert last.points[0].tolist() == differential_trial(upper[0], pool, draws, 0.5, 0.5).tolist()


def test_with_one_rung_it_is_differential_evolution() -> None:
    """Whole populations; every trial is made of the others of its own."""
    batches = [batch for batch, _ in played(40, 10, 1)]
    start = batches[0].points
    trials = [differential_trial(start[i], np.delete(start, i, axis=0), stream(1, i), 0.5, 0.5) for i in range(10)]

    assert [(batch.rung, len(batch.points)) for batch in batches] == [(0, 10)] * 4
    assert batches[1].points.tolist() == np.stack(trials).tolist()


def test_it_climbs_at_the_highest_rung() -> None:
    """The best of the last rung, after the first bracket and after all, as the median of twenty seeds."""
    last = [[v.max() for batch, v in played(300, 9, 3, seed) if batch.rung == 2] for seed in range(20)]

    assert np.median([2 - max(values) for values in last]) < 0.2 * np.median([2 - values[0] for values in last])
