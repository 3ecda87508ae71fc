"""Methods that are one recipe, on hand-made networks."""

import pytest

from biotune.errors import InputError
from biotune.methods import Network, make_method
from biotune.partition import Block, make_partition
from biotune.records import GIVEN

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
ONE_BLOCK = Network(make_partition([Block("all", tuple(SHAPES))], SHAPES), ("classifier.3",), SHAPES, (), "toy")


def multipliers(text, toy=PLAIN, given=()):
    recipe = toy.recipe(given) if given else None
    return make_method(text, toy, recipe).outline().multipliers


def test_full_trains_everything_at_the_base_rate():
    assert multipliers("full") == (1.0,) * 4
    assert make_method("full", PLAIN).outline().trainable_fraction == 1.0


@pytest.mark.parametrize(("text", "expected"), [("full:rate=0.3", 0.3), ("linear_probe:rate=10", 10.0)])
def test_the_rate_multiplies_whatever_is_trained(text, expected):
    assert {value for value in multipliers(text) if value} == {expected}


def test_a_recipe_is_taken_as_it_is():
    assert multipliers(GIVEN, given=[0.0, 0.5, 2.0, 10.0]) == (0.0, 0.5, 2.0, 10.0)
    assert multipliers(f"{GIVEN}:rate=2", given=[0.0, 0.5, 2.0, 10.0]) == (0.0, 1.0, 4.0, 20.0)


def test_a_task_without_its_recipe_is_refused():
    with pytest.raises(InputError, match="the method 'given' trains a recipe, but its task has none"):
        multipliers(GIVEN)


@pytest.mark.parametrize("given", [(1.0,), (1.0,) * 5])
def test_a_recipe_of_another_length_is_refused(given):
    with pytest.raises(InputError, match=f"a recipe needs 4 multipliers, one per block, got {len(given)}"):
        multipliers(GIVEN, given=given)


@pytest.mark.parametrize("toy", [PLAIN, LIKE_VGG, ONE_BLOCK], ids=["plain", "like VGG", "one block"])
def test_a_linear_probe_trains_the_classifier_alone(toy):
    """5 classes of 16 features: 85 parameters, wherever the hidden layer before it belongs."""
    recipe = make_method("linear_probe", toy).outline()
    assert recipe.model == "toy"
    assert recipe.trainable == 5 * 16 + 5
    assert [name for name in SHAPES if not recipe.is_frozen(name)] == ["classifier.3.weight", "classifier.3.bias"]


def test_a_linear_probe_splits_a_last_block_that_holds_more():
    recipe = make_method("linear_probe", LIKE_VGG).outline()
    assert recipe.partition.names == ("stem", "body", "head", "classifier only")
    assert recipe.partition.blocks[2].prefixes == ("classifier.0",)
    assert make_method("linear_probe", PLAIN).outline().partition == PLAIN.partition


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("llrd", (0.421875, 0.5625, 0.75, 1.0)),
        ("llrd:decay=0.5", (0.125, 0.25, 0.5, 1.0)),
        ("llrd:decay=0.5,smallest=0.3", (0.3, 0.3, 0.5, 1.0)),
        ("llrd:decay=0.5,rate=2", (0.25, 0.5, 1.0, 2.0)),
        ("llrd:decay=1", (1.0,) * 4),
    ],
)
def test_layer_decay_by_hand(text, expected):
    assert multipliers(text) == pytest.approx(expected, rel=1e-12)


def test_layer_decay_is_timms_where_the_blocks_are_timms_layers():
    """A vision transformer: the embedding, one block per layer, the head; timm computes the scales."""
    timm = pytest.importorskip("timm")
    from timm.optim import param_groups_layer_decay

    from biotune.models import load_model
    from biotune.trials.worker import network_of

    loaded = load_model("timm:test_vit", 3, weights="random", image_size=32)
    recipe = make_method("llrd:decay=0.6", network_of(loaded)).outline()
    model = timm.create_model("test_vit", num_classes=3, img_size=32)
    scales = {
        id(parameter): group["lr_scale"]
        for group in param_groups_layer_decay(model, layer_decay=0.6)
        for parameter in group["params"]
    }
    expected = {name: scales[id(parameter)] for name, parameter in model.named_parameters()}
    ours = {name: recipe.multipliers[recipe.partition.owner(name)] for name in expected}
    assert ours == pytest.approx(expected, rel=1e-12)
