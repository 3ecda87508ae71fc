"""Genes to recipes and back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biotune.errors import InputError
from biotune.partition import unnamed_partition
from biotune.randomness import Stream
from biotune.recipe import Recipe
from biotune.space import MaskSpace
from biotune.space.blocks import LAWS, BlockSpace
from biotune.space.start import informed_multipliers
from recipes import recipe


def space_of(num_blocks: int, law: str = "exponential", head: str = "evolve", threshold: float | str = "evolve"):
    return BlockSpace(recipe(*(1.0,) * num_blocks), law, head, threshold)


@pytest.mark.parametrize(
    ("gene", "multiplier"),
    [(0.85, 5.011872), (0.72, 2.754229), (0.45, 0.794328), (0.68, 2.290868), (0.78, 3.630781), (0.5, 1.0), (1.0, 10.0)],
)
def test_a_trained_blocks_multiplier_is_exponential_in_its_gene(gene: float, multiplier: float) -> None:
    assert space_of(1).decode([gene, 0.0]).multipliers == (multiplier,)


@pytest.mark.parametrize(
    ("gene", "multiplier"), [(0.0, 0.01), (0.25, 0.1), (0.4, 0.398107), (0.5, 1.0), (0.75, 3.162278), (1.0, 10.0)]
)
def test_the_wide_law_also_reaches_slow_rates(gene: float, multiplier: float) -> None:
    assert space_of(2, "wide", threshold="none").decode([gene, 1.0, 0.0]).multipliers == (multiplier, 10.0)


@pytest.mark.parametrize(
    ("genes", "trained"),
    [
        ([0.2, 0.5, 0.8, 0.5], [False, False, True]),
        ([0.0, 1e-12, 1.0, 0.0], [False, True, True]),
        ([1.0, 1.0, 1.0, 1.0], [False, False, False]),
    ],
)
def test_a_block_is_trained_if_its_gene_is_strictly_above_the_threshold(
    genes: list[float], trained: list[bool]
) -> None:
    space = space_of(3)

    assert space.mask.decode(np.array(genes)).tolist() == trained
    assert space.is_feasible(np.array(genes)) == any(trained)
    assert [multiplier > 0 for multiplier in space.decode(genes).multipliers] == trained


@pytest.mark.parametrize(
    ("law", "multipliers"),
    [
        ("exponential", (3.981072, 0.630957, 0.0)),
        ("scaled", (1.0, 0.5, 0.0)),
        ("normalized", (1.0, 0.2, 0.0)),
        ("discriminative", (1.0, 1.0, 0.0)),
        ("wide", (3.981072, 0.398107, 0.0)),
    ],
)
def test_laws_by_hand(law: str, multipliers: tuple[float, ...]) -> None:
    assert space_of(3, law).decode([0.8, 0.4, 0.2, 0.3]).multipliers == pytest.approx(multipliers, abs=1e-9)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("head", ["evolve", "always_train"])
@settings(deadline=None)
@given(genes=st.lists(st.floats(0, 1), min_size=4, max_size=4))
def test_decoding_is_total_and_zero_only_for_frozen_blocks(law: str, head: str, genes: list[float]) -> None:
    space = space_of(3, law, head)

    multipliers = space.decode(genes).multipliers

    assert [m > 0 for m in multipliers] == space.mask.decode(np.array(genes)).tolist()
    assert all(0.0 <= m <= 10.0 for m in multipliers)
    assert [round(m, 6) for m in multipliers] == list(multipliers)


def test_an_always_trained_head_is_trained_below_the_threshold() -> None:
    space = space_of(2, head="always_train")

    assert space.decode([0.3, 0.5, 0.9]).multipliers == (0.0, 1.0)
    assert space.is_feasible(np.zeros(3))


def test_trained_leaves_the_genes_alone() -> None:
    genes = np.array([0.3, 0.5, 0.9])

    space_of(2, head="always_train").mask.decode(genes)[0] = True

    assert genes.tolist() == [0.3, 0.5, 0.9]


@pytest.mark.parametrize("num_blocks", [1, 6, 9])
def test_uniform_genes_freeze_everything_once_in_num_genes(num_blocks: int) -> None:
    space, tries = space_of(num_blocks), 4000
    points = Stream(0, "x").uniform(tries * space.num_genes).reshape(tries, -1)

    frozen = sum(not space.is_feasible(point) for point in points)

    rate = 1 / space.num_genes
    assert abs(frozen - tries * rate) < 4 * (tries * rate * (1 - rate)) ** 0.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0,), "at least one block, not 0"),
        ((3, "linear"), "law 'linear' is unknown; choose one of exponential, wide, scaled, normalized, discriminative"),
        ((3, "scaled", "frozen"), "head='frozen' is unknown; choose evolve or always_train"),
    ],
)
def test_a_wrong_space_is_refused(arguments: tuple[int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        space_of(*arguments)


@pytest.mark.parametrize(
    ("genes", "message"),
    [
        ([0.5, 0.5], r"expected 4 genes, got shape \(2,\)"),
        ([[0.5] * 4], r"got shape \(1, 4\)"),
        ([0.5, 0.5, 0.5, 1.1], r"genes must lie in \[0, 1\], got \[0.5, 0.5, 0.5, 1.1\]"),
        ([-0.1, 0.5, 0.5, 0.5], r"genes must lie in \[0, 1\]"),
        ([float("nan"), 0.5, 0.5, 0.5], r"genes must lie in \[0, 1\]"),
    ],
)
def test_wrong_genes_are_refused(genes: list[float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        space_of(3).decode(genes)


multiplier = st.one_of(st.just(0.0), st.floats(0.1, 10.0).map(lambda value: round(value, 6)))


@settings(deadline=None)
@given(st.lists(multiplier, min_size=1, max_size=12).filter(any))
def test_multipliers_survive_encoding_and_decoding(multipliers: list[float]) -> None:
    space = space_of(len(multipliers))

    assert space.decode(space.encode(recipe(*multipliers))).multipliers == tuple(multipliers)


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=5, max_size=5))
def test_genes_survive_decoding_and_encoding_up_to_rounding(genes: list[float]) -> None:
    space = space_of(4)
    multipliers = space.decode(genes).multipliers

    if any(multipliers):
        assert space.decode(space.encode(recipe(*multipliers))).multipliers == multipliers


@pytest.mark.parametrize(("given_", "nearest"), [(1e-9, 0.1), (0.02, 0.1), (0.1, 0.1), (10.0, 10.0), (1e6, 10.0)])
def test_multipliers_out_of_reach_move_to_the_nearest_one(given_: float, nearest: float) -> None:
    space = space_of(3)

    assert space.decode(space.encode(recipe(*[given_, 0.0, 1.0]))).multipliers == (nearest, 0.0, 1.0)


@settings(deadline=None)
@given(st.lists(st.one_of(st.just(0.0), st.floats(0.01, 10.0).map(lambda x: round(x, 6))), min_size=1).filter(any))
def test_multipliers_survive_the_wide_law(multipliers: list[float]) -> None:
    space = space_of(len(multipliers), "wide")

    assert space.decode(space.encode(recipe(*multipliers))).multipliers == tuple(multipliers)


@pytest.mark.parametrize(("head", "threshold"), [("evolve", "evolve"), ("evolve", 0.3), ("evolve", 0.0)])
def test_frozen_genes_are_one_step_from_training(head: str, threshold: float | str) -> None:
    mask = MaskSpace(3, head, threshold)
    genes = mask.freeze()

    assert not mask.is_feasible(genes)
    genes[1] += 0.01
    assert mask.decode(genes).tolist() == [False, True, False]


def test_encoded_genes_keep_a_distance_from_the_threshold() -> None:
    assert space_of(3).encode(recipe(*[0.0, 1.0, 10.0])).tolist() == [0.125, 0.5, 1.0, 0.25]


@pytest.mark.parametrize(
    ("multipliers", "message"),
    [
        ([0.0, 0.0], "every block is frozen; give at least one block a multiplier above 0"),
        ([1.0], "expected a recipe of 2 blocks, got one of 1"),
    ],
)
def test_a_recipe_without_a_point_is_refused(multipliers: list[float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        space_of(2).encode(recipe(*multipliers))


def test_decoded_recipes_keep_all_else_of_the_template() -> None:
    template = Recipe(unnamed_partition(2), (1.0, 1.0), 0.05, "sgd", "net", (("head_start", "probe"),))

    assert BlockSpace(template).decode(np.array([0.2, 0.5, 0.3])) == template.with_multipliers([0.0, 1.0])


def test_selected_blocks_are_trained_at_the_base_rate() -> None:
    space = space_of(4)

    assert space.decode(space.select({1, 3})).multipliers == (0.0, 1.0, 0.0, 1.0)


@pytest.mark.parametrize(("head", "movable"), [("evolve", [1]), ("always_train", [1, 2])])
def test_the_genes_of_trained_blocks_are_movable_and_the_threshold_is_not(head: str, movable: list[int]) -> None:
    assert space_of(3, head=head).movable(np.array([0.2, 0.9, 0.4, 0.5])).tolist() == movable


def test_a_repair_puts_the_threshold_below_the_largest_gene() -> None:
    space, frozen = space_of(2), np.array([0.4, 0.8, 0.9])

    repaired = space.repair(frozen, Stream(0, "x"))

    assert not space.is_feasible(frozen)
    assert space.is_feasible(repaired)
    assert repaired.tolist() == [0.4, 0.8, 0.8 * Stream(0, "x").uniform()]


def test_informed_multipliers_by_hand() -> None:
    assert informed_multipliers(4) == [
        (1.0, 1.0, 1.0, 1.0),
        (3.0, 3.0, 3.0, 1.0),
        (0.0, 0.0, 0.0, 3.0),
        (0.0, 0.0, 1.0, 1.0),
        (0.3, 0.3, 0.3, 0.3),
        (3.0, 3.0, 3.0, 0.0),
        (10.0, 10.0, 1.0, 0.0),
        (3.0, 3.0, 0.3, 0.0),
        (1.0, 1.0, 1.0, 0.3),
        (3.0, 3.0, 3.0, 0.3),
        (0.0, 0.0, 3.0, 1.0),
        (0.421875, 0.5625, 0.75, 1.0),
    ]


@pytest.mark.parametrize("num_blocks", [1, 2, 3, 6, 14, 16])
def test_informed_multipliers_are_distinct_recipes_that_can_be_encoded(num_blocks: int) -> None:
    space = space_of(num_blocks)
    decoded = [space.decode(space.encode(recipe(*m))).multipliers for m in informed_multipliers(num_blocks)]

    assert decoded[0] == (1.0,) * num_blocks
    assert len(set(decoded)) == len(decoded) >= 2


@pytest.mark.parametrize("last", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(
    ("threshold", "multipliers"),
    [(0.3, (0.0, 0.630957, 3.981072)), (0.0, (0.0, 0.630957, 3.981072)), (0.5, (0.0, 0.0, 3.981072))],
)
def test_a_fixed_threshold_replaces_the_last_gene(
    threshold: float, multipliers: tuple[float, ...], last: float
) -> None:
    assert space_of(3, threshold=threshold).decode([0.0, 0.4, 0.8, last]).multipliers == multipliers


@pytest.mark.parametrize(
    ("law", "multipliers"), [("exponential", (0.1, 0.630957, 3.981072)), ("normalized", (1e-6, 0.5, 1.0))]
)
def test_without_a_threshold_only_rates_differ(law: str, multipliers: tuple[float, ...]) -> None:
    space = space_of(3, law, threshold="none")

    assert space.decode([0.0, 0.4, 0.8, 1.0]).multipliers == multipliers
    assert space.is_feasible(np.array([0.0, 0.0, 0.0, 1.0]))


@pytest.mark.parametrize(
    ("threshold", "nearest"),
    [
        ("evolve", (0.0, 0.5, 1.0, 3.0)),
        (0.2, (0.0, 0.5, 1.0, 3.0)),
        (0.0, (0.0, 0.5, 1.0, 3.0)),
        (0.5, (0.0, 1.000005, 1.000005, 3.0)),
        ("none", (0.1, 0.5, 1.0, 3.0)),
    ],
)
def test_a_recipe_is_moved_to_the_nearest_that_the_threshold_allows(
    threshold: float | str, nearest: tuple[float, ...]
) -> None:
    space = space_of(4, threshold=threshold)

    assert space.decode(space.encode(recipe(*[0.0, 0.5, 1.0, 3.0]))).multipliers == pytest.approx(nearest, abs=2e-6)


@pytest.mark.parametrize("threshold", [-0.1, 1.0, float("nan"), "fixed"])
def test_a_threshold_out_of_range_is_refused(threshold: float | str) -> None:
    with pytest.raises(InputError, match=rf"threshold={threshold!r} is unknown; choose evolve, none or a number"):
        space_of(3, threshold=threshold)
