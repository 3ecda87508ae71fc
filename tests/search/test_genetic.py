"""The genetic algorithm and differential evolution, step by step."""

import numpy as np
import pytest
from dice import Dice

from biotune.search import SearchSettings
from biotune.search.genetic import (
    DifferentialEvolution,
    GeneticAlgorithm,
    blend,
    differential_trial,
    reset,
    tournament,
)


@pytest.mark.parametrize(
    ("draws", "winner"), [((0.9, 0.0), 2), ((0.0, 0.9), 2), ((0.0, 0.5), 1), ((0.3, 0.99), 2), ((0.5, 0.9), 1)]
)
def test_the_better_of_two_drawn_individuals_wins(draws: tuple[float, float], winner: int) -> None:
    assert tournament(np.array([0.1, 0.5, 0.3]), Dice(*draws)) == winner


@pytest.mark.parametrize(("draws", "winner"), [((0.9, 0.0), 1), ((0.0, 0.9), 0)])
def test_a_tie_goes_to_the_first_drawn(draws: tuple[float, float], winner: int) -> None:
    assert tournament(np.array([0.5, 0.5]), Dice(*draws)) == winner


def test_a_blend_by_hand() -> None:
    """Between 0.2 and 0.4: from 0.1 to 0.5. Between 0.5 and 0.9: from 0.3 to 1.1, clipped to 1."""
    first, second = np.array([0.2, 0.9, 0.7]), np.array([0.4, 0.5, 0.7])

    assert blend(first, second, Dice(0.25, 0.9, 0.6)) == pytest.approx([0.2, 1.0, 0.7])


def test_one_gene_in_n_is_drawn_anew() -> None:
    genes = np.array([0.1, 0.2, 0.3, 0.4])

    assert reset(genes, Dice(0.2, 0.3, 0.25, 0.0, 0.6, 0.7, 0.8, 0.9)).tolist() == [0.6, 0.2, 0.3, 0.9]
    assert genes.tolist() == [0.1, 0.2, 0.3, 0.4]


@pytest.mark.parametrize(
    ("forced", "kept", "expected"),
    [
        (0.5, (0.95, 0.95, 0.3), [0.1, 0.78, 0.33]),
        (0.0, (0.9, 0.9, 0.9), [0.11, 0.1, 0.1]),
        (0.99, (0.0, 0.0, 0.95), [0.11, 0.78, 0.33]),
    ],
)
def test_a_differential_trial_by_hand(forced: float, kept: tuple[float, ...], expected: list[float]) -> None:
    """Of 0, 2, 3, 4 the draws put 2, 4, 3 first: a + 0.7 (b - c) = (-0.08, 0.78, 1.18); 0.11 and 0.33 replace two."""
    population = np.array([[0.3, 0.3, 0.3], [0.1, 0.1, 0.1], [0.2, 0.5, 0.9], [0.8, 0.4, 0.5], [0.4, 0.8, 0.9]])

    trial = differential_trial(
        population[1], population[[0, 2, 3, 4]], Dice(0.9, 0.1, 0.5, 0.3, forced, *kept, 0.11, 0.22, 0.33)
    )

    assert trial == pytest.approx(expected)
    assert population[1].tolist() == [0.1, 0.1, 0.1]


def generations(search: GeneticAlgorithm | DifferentialEvolution, later: float) -> list[list[list[float]]]:
    """Return the points of every generation; those after the start are told ``later``."""
    asked = []
    while (batch := search.ask()) is not None:
        asked.append(batch.points.tolist())
        search.tell([float(point[0]) if batch.generation == 0 else later for point in batch.points])
    return asked


@pytest.mark.parametrize("kind", [GeneticAlgorithm, DifferentialEvolution])
def test_what_is_worse_than_its_parents_leaves_no_trace(kind: type) -> None:
    bad, worse = (generations(kind(5, 0, SearchSettings(40, 10)), later) for later in (-1.0, -2.0))

    assert bad == worse
    assert bad != generations(kind(5, 0, SearchSettings(40, 10)), 2.0)


def test_a_trial_that_is_no_worse_replaces_its_individual() -> None:
    """On a plateau every trial is accepted, so a gene that is not crossed comes from the last trial."""
    asked = np.array(generations(DifferentialEvolution(5, 0, SearchSettings(200, 10)), 2.0))

    inherited = [(asked[g] == asked[g - 1]).any() for g in range(2, len(asked))]
    assert all(inherited)
    assert not (asked[3:] == asked[0]).any()


def test_children_of_equal_parents_are_their_copies_but_for_reset_genes() -> None:
    start = [np.array([0.9, 0.8, 0.7, 0.6, 0.1])] * 10
    search = GeneticAlgorithm(5, 0, SearchSettings(20, 10), start=start)

    children = np.array(generations(search, 0.0)[1])

    assert (children == start[0]).mean() == pytest.approx(1 - 1 / 5, abs=4 * (0.16 / 50) ** 0.5)
