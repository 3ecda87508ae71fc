"""Methods that are one recipe, on hand-made networks."""

import pytest

from biotune.errors import InputError
from biotune.methods import METHODS, Network
from biotune.partition import Block, make_partition

SHAPES = {
    "stem.weight": (8, 3, 3, 3),
    "body.weight": (8, 8),
    "body.bias": (8,),
    "classifier.0.weight": (16, 8),
    "classifier.0.bias": (16,),
    "classifier.3.weight": (5, 16),
    "classifier.3.bias": (5,),
}
BUFFERS = ("stem.running_mean",)


def network(*last: Block) -> Network:
    """Return a network with two body blocks and the given last ones."""
    blocks = (Block("stem", ("stem",)), Block("body", ("body",)), *last)
    return Network(make_partition(blocks, SHAPES, BUFFERS), ("classifier.3",), SHAPES, BUFFERS, "toy")


PLAIN = network(Block("hidden", ("classifier.0",)), Block("head", ("classifier.3",)))
LIKE_VGG = network(Block("head", ("classifier.0", "classifier.3")))


def test_the_registry_holds_the_methods():
    assert list(METHODS) == ["full", "linear_probe", "recipe"]


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("toy", [PLAIN, LIKE_VGG], ids=["plain", "like VGG"])
def test_every_method_gives_a_recipe_of_this_network(name, toy):
    recipe = METHODS[name](toy, (1.0,) * len(toy.partition))
    assert recipe.model == "toy"
    assert any(recipe.multipliers)
    assert sum(block.num_parameters for block in recipe.partition.blocks) == 216 + 72 + 144 + 85


def test_full_trains_everything_at_the_base_rate():
    assert METHODS["full"](PLAIN, ()).multipliers == (1.0,) * 4
    assert METHODS["full"](PLAIN, ()).trainable_fraction == 1.0


def test_a_recipe_is_taken_as_it_is():
    assert METHODS["recipe"](PLAIN, [0.0, 0.5, 2.0, 10.0]).multipliers == (0.0, 0.5, 2.0, 10.0)


@pytest.mark.parametrize("multipliers", [(), (1.0,), (1.0,) * 5])
def test_a_recipe_of_another_length_is_refused(multipliers):
    with pytest.raises(InputError, match=f"a recipe needs 4 multipliers, one per block, got {len(multipliers)}"):
        METHODS["recipe"](PLAIN, multipliers)


@pytest.mark.parametrize("toy", [PLAIN, LIKE_VGG], ids=["plain", "like VGG"])
def test_a_linear_probe_trains_the_classifier_alone(toy):
    """5 classes of 16 features: 85 parameters, wherever the hidden layer before it belongs."""
    recipe = METHODS["linear_probe"](toy, ())
    assert recipe.trainable == 5 * 16 + 5
    assert [name for name in SHAPES if not recipe.is_frozen(name)] == ["classifier.3.weight", "classifier.3.bias"]


def test_a_linear_probe_splits_a_last_block_that_holds_more():
    recipe = METHODS["linear_probe"](LIKE_VGG, ())
    assert recipe.partition.names == ("stem", "body", "head", "classifier only")
    assert recipe.partition.blocks[2].prefixes == ("classifier.0",)
    assert METHODS["linear_probe"](PLAIN, ()).partition == PLAIN.partition
