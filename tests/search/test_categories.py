"""What searches do with genes that are categories."""

from importlib.util import find_spec

import numpy as np
import pytest
from dice import Dice
from evolve import evolution

from biotune.randomness import Stream
from biotune.search import SEARCHES, SearchSettings, operators
from biotune.space import BlockSpace, RecipeSpace
from biotune.space.recipes import CHOICES, choices_of
from biotune.space.start import informed_recipes
from recipes import recipe

PACKAGES = {"cmaes": "cmaes", "tpe": "optuna", "gp": "optuna", "nsga2": "optuna"}
SPACE = RecipeSpace(BlockSpace(recipe(*(1.0,) * 5), "wide"), choices_of(CHOICES, {}))
WANTED = {"head_start": "fitted", "statistics": "kept"}
"""With the last two of five blocks at a fifth of the rate: no recipe of the start."""


def goodness(point: np.ndarray) -> float:
    found = SPACE.decode(point)
    values = dict(found.values)
    wrong = sum(values.get(name) != WANTED.get(name) for name in CHOICES)
    rates = np.array(found.multipliers)
    mask = int(((rates > 0) != [False, False, False, True, True]).sum())
    distance = float(np.abs(np.log10(rates[3:] / 0.2)).mean()) if (rates[3:] > 0).all() else 1.0
    return 1.0 - 0.15 * wrong - 0.08 * mask - 0.2 * min(1.0, distance)


def play(name: str, seed: int, start=()) -> list[float]:
    settings = SearchSettings(None if name == "evolution" else 60, 9, 1, 6)
    search, values = SEARCHES[name](SPACE.num_genes, seed, settings, SPACE, start), []
    while (batch := search.ask()) is not None:
        values += [goodness(point) for point in batch.points]
        search.tell(values[-len(batch.points) :])
    return values


@pytest.mark.parametrize("name", [name for name in SEARCHES if name != "greedy"])
def test_every_search_gets_further_than_its_start(name: str) -> None:
    if find_spec(PACKAGES.get(name, "numpy")) is None:
        pytest.skip(f"{PACKAGES[name]} is not installed")
    seeds = [0] if name == "gp" else range(5)

    gains = [max(values) - max(values[:9]) for values in (play(name, seed) for seed in seeds)]

    assert np.mean(gains) > 0.02


@pytest.mark.parametrize("name", ["evolution", "tpe"])
def test_better_than_the_informed_start(name: str) -> None:
    if find_spec(PACKAGES.get(name, "numpy")) is None:
        pytest.skip(f"{PACKAGES[name]} is not installed")
    start = [SPACE.encode(one) for one in informed_recipes(SPACE.blocks.template, CHOICES)]

    gains = [max(values) - max(values[:9]) for values in (play(name, seed, start) for seed in range(5))]

    assert min(gains) >= 0.0
    assert np.mean(gains) > 0.02


def test_greedy_selection_leaves_the_values_to_the_run() -> None:
    search = SEARCHES["greedy"](SPACE.num_genes, 0, SearchSettings(10), SPACE)

    assert {SPACE.decode(point).values for point in search.ask().points} == {()}


def test_categories_come_from_a_parent_or_are_drawn_again() -> None:
    parents = np.array([0.1, 0.1, 0.1, 0.1]), np.array([0.9, 0.8, 0.8, 0.8])
    dice = Dice(0.4, 0.6, 0.4, 0.5, 0.3, 0.1, 0.2, 0.5, 0.7)

    child = operators.inherit_categories(np.full(4, 0.5), parents, 0.2, {1: 2, 2: 2, 3: 3}, dice)

    assert child.tolist() == pytest.approx([0.5, 0.1, 0.8, 5 / 6])
    assert not dice.numbers


def test_a_switch_changes_one_category_to_another() -> None:
    genes = np.array([0.3, 0.1, 0.9])
    points = [operators.switched(genes, {1: 2, 2: 3}, Stream(seed, "x")) for seed in range(40)]

    assert {tuple(np.round(point, 6)) for point in points} == {
        (0.3, 0.75, 0.9),
        (0.3, 0.1, 0.166667),
        (0.3, 0.1, 0.5),
    }


def test_one_probe_of_an_elite_switches_a_category_and_the_other_takes_a_step() -> None:
    start = [SPACE.encode(recipe(0.0, 0.0, 1.0, 1.0, 1.0).with_values(WANTED))]
    search = evolution(SPACE.num_genes, space=SPACE, start=start, population=4, elites=1, generations=1)
    search.tell([1.0, 0.1, 0.2, 0.3][: len(search.ask().points)])

    batch = search.ask()

    step, switch = (np.flatnonzero(point != start[0]) for point in batch.points)
    assert batch.kind == "probe"
    assert len(step) == len(switch) == 1
    assert step[0] in (2, 3, 4)
    assert switch[0] in SPACE.categories


def test_a_probe_recipe_is_probed_by_training_one_block() -> None:
    start = [SPACE.encode(recipe(*(0.0,) * 5).with_values({"head_start": "fitted"}))]
    search = evolution(SPACE.num_genes, 1, space=SPACE, start=start, population=4, elites=1, generations=1)
    search.tell([1.0, 0.1, 0.2, 0.3][: len(search.ask().points)])

    found = [SPACE.decode(point) for point in search.ask().points]

    assert sorted(sum(one.mask) for one in found) == [0, 1]
    assert {dict(one.values)["head_start"] for one in found} == {"fitted"}


@pytest.mark.parametrize("offspring", ["batch", "sequential"])
def test_children_have_categories_of_their_parents_mostly(offspring: str) -> None:
    start = [SPACE.encode(recipe(*(rate,) * 5).with_values(WANTED)) for rate in (0.1, 0.3, 1.0, 3.0)]
    search = evolution(
        SPACE.num_genes, space=SPACE, start=start, population=4, elites=1, generations=6, offspring=offspring
    )
    kept = []
    while (batch := search.ask()) is not None:
        search.tell([goodness(point) for point in batch.points])
        if batch.kind == "new" and batch.generation + len(kept) > 0:
            kept += [dict(SPACE.decode(point).values).get("augment") is None for point in batch.points]

    assert 0.5 < np.mean(kept) <= 1.0
