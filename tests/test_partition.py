"""Blocks are named sets of tensors that together hold everything."""

import pytest

from biotune.errors import InputError
from biotune.partition import Block, make_partition, owner_of

SHAPES = {
    "conv.weight": (8, 3, 3, 3),
    "norm.weight": (8,),
    "norm.bias": (8,),
    "layer1.0.weight": (4, 8),
    "layer10.0.weight": (2, 4),
    "scale": (),
    "head.weight": (5, 2),
    "head.bias": (5,),
}
BUFFERS = ["norm.running_mean", "norm.num_batches_tracked"]
BLOCKS = (
    Block("stem", ("conv", "norm")),
    Block("middle", ("layer1", "scale")),
    Block("late", ("layer10",)),
    Block("head", ("head",)),
)


def test_counts_by_hand() -> None:
    partition = make_partition(BLOCKS, SHAPES, BUFFERS)

    assert [block.num_parameters for block in partition.blocks] == [216 + 16, 32 + 1, 8, 15]
    assert partition.names == ("stem", "middle", "late", "head")
    assert len(partition) == 4


def test_other_fields_of_a_block_are_kept() -> None:
    blocks = (*BLOCKS[:2], Block("late", ("layer10",), inert=True), BLOCKS[3])

    assert [block.inert for block in make_partition(blocks, SHAPES).blocks] == [False, False, True, False]


@pytest.mark.parametrize(
    ("name", "owner"),
    [
        ("norm.running_mean", 0),
        ("norm", 0),
        ("layer1.0", 1),
        ("layer10.0.weight", 2),
        ("scale", 1),
        ("head.bias", 3),
        ("lay", None),
        ("headless.weight", None),
        ("", None),
    ],
)
def test_a_name_belongs_to_the_block_with_a_prefix_of_whole_components(name: str, owner: int | None) -> None:
    partition = make_partition(BLOCKS, SHAPES)

    assert partition.enclosing(name) == owner
    if owner is not None:
        assert partition.owner(name) == owner


@pytest.mark.parametrize(
    ("name", "owner"), [("features.0.weight", 0), ("features.12.weight", 1), ("features.12.norm.bias", 0)]
)
def test_the_longest_prefix_wins(name: str, owner: int) -> None:
    blocks = (Block("rest", ("features", "features.12.norm")), Block("last", ("features.12",)))

    assert owner_of(name, blocks) == owner


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        (BLOCKS[1:], r"leaves out 5 parameters or buffers \('conv.weight', 'norm.weight', 'norm.bias' and 2 more\)"),
        ((*BLOCKS[:3], Block("head", ("head.weight",))), r"leaves out 1 parameters or buffers \('head.bias'\)"),
        ((*BLOCKS, Block("late", ("tail",))), "the block name 'late' is claimed twice"),
        ((*BLOCKS, Block("tail", ("head",))), "the prefix 'head' is claimed twice"),
        ((*BLOCKS, Block("tail", ("norm.running_mean",))), "block 'tail' holds no parameter of this network"),
        ((), "leaves out 10 parameters or buffers"),
    ],
)
def test_a_wrong_partition_is_refused(blocks: tuple[Block, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_partition(blocks, SHAPES, BUFFERS)


@pytest.mark.parametrize(
    ("blocks", "shapes"),
    [
        (BLOCKS, {**SHAPES, "head.weight": (100, 2), "head.bias": (100,)}),
        (BLOCKS, dict(reversed(SHAPES.items()))),
    ],
    ids=["other number of classes", "other order of the tensors"],
)
def test_networks_that_can_share_a_recipe_have_one_fingerprint(
    blocks: tuple[Block, ...], shapes: dict[str, tuple[int, ...]]
) -> None:
    assert make_partition(blocks, shapes).fingerprint == make_partition(BLOCKS, SHAPES).fingerprint


@pytest.mark.parametrize(
    ("blocks", "shapes"),
    [
        (BLOCKS, {**SHAPES, "layer1.0.weight": (8, 4)}),
        (BLOCKS, {**SHAPES, "layer1.1.weight": (1,)}),
        (BLOCKS, {**SHAPES, "head.scale": (1,)}),
        ((Block("root", BLOCKS[0].prefixes), *BLOCKS[1:]), SHAPES),
        ((BLOCKS[0], Block("middle", ("layer1",)), Block("late", ("layer10", "scale")), BLOCKS[3]), SHAPES),
        ((BLOCKS[1], BLOCKS[0], *BLOCKS[2:]), SHAPES),
    ],
    ids=["shape", "parameter", "head parameter", "block name", "tensor moved", "order of blocks"],
)
def test_networks_that_cannot_share_a_recipe_have_other_fingerprints(
    blocks: tuple[Block, ...], shapes: dict[str, tuple[int, ...]]
) -> None:
    assert make_partition(blocks, shapes).fingerprint != make_partition(BLOCKS, SHAPES).fingerprint


@pytest.mark.parametrize("name", ["headless.weight", "lay.bias", "extra"])
def test_a_tensor_of_no_block_is_refused_and_joins_none(name: str) -> None:
    with pytest.raises(InputError, match=rf"the tensor '{name}' belongs to no block of this partition \('stem', "):
        make_partition(BLOCKS, SHAPES).owner(name)
