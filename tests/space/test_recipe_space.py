"""The space of blocks, rates and named values: what its genes mean, and where a search of it starts."""

import typing

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biotune.errors import InputError
from biotune.randomness import Stream
from biotune.recipe import Recipe
from biotune.settings.search import SEARCHED_VALUES
from biotune.settings.sections import TrainingConfig
from biotune.space.base import category, middle
from biotune.space.blocks import BlockSpace
from biotune.space.recipes import CHOICES, RecipeSpace, choices_of
from biotune.space.start import START, informed_multipliers, informed_recipes, spread
from biotune.training.recipe_values import RECIPE_VALUES
from recipes import recipe

PROBE = {"head_start": "fitted"}


def space_of(num_blocks: int = 3, values=tuple(CHOICES), **changes) -> RecipeSpace:
    blocks = BlockSpace(recipe(*(1.0,) * num_blocks), "wide", **changes)
    return RecipeSpace(blocks, choices_of(values, {}))


def decoded(*genes: float) -> Recipe:
    return space_of(2).decode(np.array(genes))


@pytest.mark.parametrize(
    ("genes", "values"),
    [
        ((0.0, 0.0, 0.0), {}),
        ((0.49, 0.49, 0.49), {}),
        ((0.5, 0.5, 0.5), {"head_start": "fitted", "statistics": "kept", "augment": "standard"}),
        ((1.0, 0.2, 1.0), {"head_start": "fitted", "augment": "standard"}),
    ],
)
def test_categories_follow_the_genes_of_the_blocks(genes: tuple[float, ...], values: dict[str, str]) -> None:
    assert decoded(0.5, 0.7, 0.1, *genes) == recipe(1.0, 2.511886).with_values(values)


def test_a_recipe_names_no_value_without_effect() -> None:
    assert decoded(0.1, 0.5, 0.2, 0.9, 0.9, 0.9) == recipe(0.0, 1.0).with_values({**PROBE, "augment": "standard"})
    assert decoded(0.1, 0.1, 0.2, 0.9, 0.9, 0.9) == recipe(0.0, 0.0).with_values(PROBE)


def test_statistics_matter_where_a_block_with_norms_is_trained() -> None:
    blocks = BlockSpace.unnamed(3)
    space = RecipeSpace(blocks, choices_of(["statistics"], {}), (True, False, True))

    found = [space.decode([*genes, 0.2, 0.9]).values for genes in np.eye(3)]

    assert found == [(("statistics", "kept"),), (), (("statistics", "kept"),)]


def test_a_frozen_network_is_worth_training_with_a_fitted_head_only() -> None:
    space, frozen = space_of(2), [0.1, 0.1, 0.2]

    assert space.is_feasible(np.array([*frozen, 0.9, 0.1, 0.1]))
    assert not space.is_feasible(np.array([*frozen, 0.1, 0.1, 0.1]))
    assert not space_of(2, ["augment"]).is_feasible(np.array([*frozen, 0.9]))


@pytest.mark.parametrize(
    ("genes", "movable"),
    [
        ([0.1, 0.9, 0.8, 0.5, 0.9, 0.1, 0.1], [1, 2, 4, 5, 6]),
        ([0.1, 0.1, 0.8, 0.5, 0.9, 0.1, 0.1], [2, 4, 6]),
        ([0.1, 0.1, 0.1, 0.5, 0.9, 0.1, 0.1], [0, 1, 2]),
    ],
)
def test_categories_without_effect_are_not_movable(genes: list[float], movable: list[int]) -> None:
    assert space_of(3).movable(np.array(genes)).tolist() == movable


def test_a_repair_and_a_selection_keep_to_their_blocks() -> None:
    space = space_of(2)
    frozen = np.array([0.4, 0.8, 0.9, 0.1, 0.9, 0.3])

    repaired = space.repair(frozen, Stream(0, "x"))

    assert space.is_feasible(repaired)
    assert repaired[3:].tolist() == [0.1, 0.9, 0.3]
    assert space.decode(space.select({1})) == recipe(0.0, 1.0)


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=6, max_size=6))
def test_decoding_is_total_and_survives_encoding(genes: list[float]) -> None:
    space = space_of(2)
    found = space.decode(genes)

    if space.is_feasible(np.array(genes)):
        again = space.encode(found)
        assert space.is_feasible(again)
        assert space.decode(again) == found
    else:
        assert not any(found.multipliers)


@pytest.mark.parametrize("threshold", ["evolve", 0.3, "none"])
@pytest.mark.parametrize("head", ["evolve", "always_train"])
@pytest.mark.parametrize("num_blocks", [1, 2, 3, 7, 16])
def test_a_start_has_points(num_blocks: int, head: str, threshold: float | str) -> None:
    space = space_of(num_blocks, head=head, threshold=threshold)
    start = informed_recipes(space.blocks.template, CHOICES)
    points = [space.encode(one) for one in start]

    assert all(space.is_feasible(point) for point in points)
    if (head, threshold) == ("evolve", "evolve") and num_blocks > 1:
        assert [space.decode(point) for point in points] == start


@pytest.mark.parametrize("values", [["head_start"], ["statistics"], ["augment"], ["head_start", "augment"]])
def test_a_start_names_chosen_values_only(values: list[str]) -> None:
    start = informed_recipes(recipe(1.0, 1.0, 1.0), values)

    assert {name for one in start for name, _ in one.values} == set(values)
    assert len(set(start)) == len(start) >= 6
    assert all(any(one.multipliers) for one in start) == ("head_start" not in values)


def test_a_start_without_values_is_that_of_the_blocks() -> None:
    start = informed_recipes(recipe(1.0, 1.0, 1.0))

    assert [one.multipliers for one in start] == informed_multipliers(3)
    assert {one.values for one in start} == {()}


def test_the_start_spans_what_there_is_to_choose() -> None:
    first = informed_recipes(recipe(*(1.0,) * 4), CHOICES)[:6]

    assert first[0] == recipe(0.0, 0.0, 0.0, 0.0).with_values(PROBE)
    assert {dict(one.values).get(name) for one in first for name in CHOICES} == {"fitted", "kept", "standard", None}


def test_every_value_of_the_start_can_be_chosen() -> None:
    assert all(value in CHOICES[name] for _, _, values in START for name, value in values.items())


@pytest.mark.parametrize(
    ("num_blocks", "multipliers"),
    [(1, (4,)), (2, (3, 4)), (3, (1, 3, 4)), (4, (1, 1, 3, 4)), (6, (1, 1, 1, 2, 3, 4)), (7, (1, 1, 1, 2, 2, 3, 4))],
)
def test_rates_are_spread_over_the_blocks(num_blocks: int, multipliers: tuple[float, ...]) -> None:
    assert spread((1.0, 2.0, 3.0, 4.0), num_blocks) == multipliers


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        (recipe(0.0, 0.0), "every block is frozen; give at least one block a multiplier above 0"),
        (recipe(0.0, 0.0, 0.0).with_values(PROBE), "expected a recipe of 2 blocks, got one of 3"),
        (recipe(1.0), "expected a recipe of 2 blocks, got one of 1"),
    ],
)
def test_a_recipe_without_a_point_is_refused(given_: Recipe, message: str) -> None:
    with pytest.raises(InputError, match=message):
        space_of(2).encode(given_)


def test_a_probe_needs_a_choice_of_the_head() -> None:
    with pytest.raises(InputError, match="every block is frozen"):
        space_of(2, ["augment"]).encode(recipe(0.0, 0.0).with_values(PROBE))


def test_a_value_that_is_not_a_choice_becomes_that_of_the_run() -> None:
    space = space_of(2)

    assert space.decode(space.encode(recipe(1.0, 1.0).with_values({"augment": "strong"}))) == recipe(1.0, 1.0)


def test_values_of_the_template_stay() -> None:
    template = recipe(1.0, 1.0).with_values({"weight_decay": 0.1})
    space = RecipeSpace(BlockSpace(template), choices_of(["augment"], {}))

    assert dict(space.decode([0.5, 0.5, 0.1, 0.9]).values) == {"augment": "standard", "weight_decay": 0.1}


def test_norms_of_another_number_of_blocks_are_refused() -> None:
    with pytest.raises(InputError, match="expected 3 blocks with or without norms, got 2"):
        RecipeSpace(BlockSpace.unnamed(3), (), (True, False))


def test_what_the_user_has_set_is_not_chosen() -> None:
    names = [choice.name for choice in choices_of(CHOICES, {"augment": "light", "statistics": "batch"})]

    assert names == ["head_start", "statistics"]
    assert choices_of((), {}) == ()


def test_choices_are_those_of_the_settings_and_begin_with_their_defaults() -> None:
    assert list(CHOICES) == list(SEARCHED_VALUES)
    for name, values in CHOICES.items():
        field = TrainingConfig.model_fields[name]
        assert field.default == values[0]
        assert set(values) <= set(typing.get_args(field.annotation))
        assert name in RECIPE_VALUES


@pytest.mark.parametrize("count", [2, 3, 4])
def test_the_middle_of_a_cell_lies_in_it(count: int) -> None:
    assert [category(middle(number, count), count) for number in range(count)] == list(range(count))
    assert (category(0.0, count), category(1.0, count)) == (0, count - 1)
