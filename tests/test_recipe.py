"""Recipes: groups by name, freezing that lasts, refusal of other networks."""

import copy
import resource
from dataclasses import replace

import pytest
import torch
from torch import nn

from biotune.errors import InputError
from biotune.partition import Block, make_partition
from biotune.recipe import FORMAT_VERSION, Recipe
from recipes import recipe as unnamed


class Net(nn.Module):
    """A body of two blocks with batch norm and dropout, and a head."""

    def __init__(self, classes: int = 3, width: int = 4) -> None:
        super().__init__()
        self.one = nn.Sequential(nn.Conv2d(3, width, 3), nn.BatchNorm2d(width), nn.ReLU(), nn.Dropout(0.5))
        self.two = nn.Sequential(nn.Conv2d(width, width, 3), nn.BatchNorm2d(width), nn.ReLU())
        self.head = nn.Linear(width, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.two(self.one(images)).mean((2, 3)))


def recipe_for(model: nn.Module, *multipliers: float) -> Recipe:
    shapes = {name: tuple(p.shape) for name, p in model.named_parameters()}
    buffers = [name for name, _ in model.named_buffers()]
    blocks = [Block("one", ("one",)), Block("two", ("two",)), Block("head", ("head",))]
    return Recipe(make_partition(blocks, shapes, buffers), multipliers, 0.01, model="net")


@pytest.fixture
def net() -> Net:
    torch.manual_seed(0)
    return Net()


def test_groups_hold_the_trained_blocks_with_their_rates(net: Net) -> None:
    groups = recipe_for(net, 0.0, 0.5, 3.0).parameter_groups(net)
    assert [(group["name"], group["lr"], len(group["params"])) for group in groups] == [
        ("two", 0.005, 4),
        ("head", 0.03, 2),
    ]


def test_weight_decay_spares_vectors(net: Net) -> None:
    groups = recipe_for(net, 0.0, 0.0, 1.0).parameter_groups(net, learning_rate=0.1, weight_decay=0.2)
    assert [(g["weight_decay"], [tuple(p.shape) for p in g["params"]]) for g in groups] == [
        (0.0, [(3,)]),
        (0.2, [(3, 4)]),
    ]


def test_trainable_share_counts_parameters(net: Net) -> None:
    recipe = recipe_for(net, 0.0, 0.0, 1.0)
    total = sum(p.numel() for p in net.parameters())
    assert recipe.trainable == 15
    assert recipe.trainable_fraction == 15 / total


def test_frozen_blocks_stay_in_evaluation_mode_whatever_the_loop_calls(net: Net) -> None:
    recipe_for(net, 0.0, 1.0, 1.0).apply(net)
    net.train()
    net(torch.randn(2, 3, 8, 8))
    assert [net.one.training, net.one[1].training, net.one[3].training] == [False, False, False]
    assert net.two[1].training
    assert net.head.training


def test_frozen_parameters_and_buffers_are_bit_equal_after_training(net: Net) -> None:
    recipe = recipe_for(net, 0.0, 1.0, 1.0)
    recipe.apply(net)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    optimizer = torch.optim.SGD(recipe.parameter_groups(net))
    net.train()
    for _ in range(3):
        optimizer.zero_grad()
        net(torch.randn(4, 3, 8, 8)).square().sum().backward()
        optimizer.step()
    same = {name: torch.equal(before[name], tensor) for name, tensor in net.state_dict().items()}
    assert all(same[name] for name in same if name.startswith("one."))
    assert not any(same[name] for name in same if name.startswith("head."))
    assert not same["two.1.running_mean"]


def test_copies_keep_their_frozen_modules_in_evaluation_mode_too(net: Net) -> None:
    recipe_for(net, 0.0, 1.0, 1.0).apply(net)
    other = copy.deepcopy(net)
    other.train()
    other(torch.randn(2, 3, 8, 8))
    assert not other.one.training


def test_release_frees_everything(net: Net) -> None:
    Recipe.release(recipe_for(net, 0.0, 1.0, 1.0).apply(net))
    net.train()
    net(torch.randn(2, 3, 8, 8))
    assert net.one.training
    assert all(p.requires_grad for p in net.parameters())
    assert not any("train" in vars(module) for module in net.modules())


def test_another_recipe_frees_what_the_first_one_froze(net: Net) -> None:
    recipe_for(net, 0.0, 1.0, 1.0).apply(net)
    recipe_for(net, 1.0, 0.0, 1.0).apply(net)
    net.train()
    assert [net.one.training, net.one[1].training, net.two.training, net.two[1].training] == [True, True, False, False]


def test_a_frozen_shell_keeps_its_own_mode_and_leaves_trained_parts_alone() -> None:
    net = nn.Sequential(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), nn.Linear(2, 2))
    shapes = {name: tuple(p.shape) for name, p in net.named_parameters()}
    blocks = [Block("shell", ("0",)), Block("inner", ("0.1",)), Block("head", ("1",))]
    Recipe(make_partition(blocks, shapes), (0.0, 1.0, 1.0)).apply(net)
    net.train()
    net(torch.zeros(1, 2))
    assert [net[0].training, net[0][0].training, net[0][1].training] == [False, False, True]


def test_a_recipe_survives_its_yaml(net: Net, tmp_path) -> None:
    recipe = recipe_for(net, 0.0, 0.123456, 10.0)
    recipe.save(tmp_path / "recipe.yaml")
    assert Recipe.load(tmp_path / "recipe.yaml") == recipe
    assert Recipe.load(tmp_path) == recipe


def test_a_recipe_fits_the_same_network_with_other_classes(net: Net) -> None:
    recipe_for(net, 0.0, 1.0, 1.0).apply(Net(classes=7))


@pytest.mark.parametrize(
    ("other", "words"),
    [(Net(width=5), "other layers"), (nn.Sequential(nn.Linear(2, 2)), "does not fit"), (nn.ReLU(), "does not fit")],
)
def test_another_network_is_refused_in_one_sentence(net: Net, other: nn.Module, words: str) -> None:
    with pytest.raises(InputError, match=words):
        recipe_for(net, 1.0, 1.0, 1.0).apply(other)


@pytest.mark.parametrize(
    ("multipliers", "words"),
    [
        ((1.0, 1.0), "3 multipliers"),
        ((1.0, -1.0, 1.0), ">= 0"),
        ((1.0, float("nan"), 1.0), "finite"),
    ],
)
def test_wrong_multipliers_are_refused(net: Net, multipliers, words: str) -> None:
    with pytest.raises(InputError, match=words):
        recipe_for(net, *multipliers)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[1, 2]", "is not a recipe"),
        ("a: b: c", "is not YAML"),
        (f"biotune_recipe: {FORMAT_VERSION + 1}", "has format"),
        ("biotune_recipe: 1\nblocks: []", "lacks the field"),
        ("biotune_recipe: 1\nblocks: 3", "wrong kind"),
        ("!!python/object/apply:os.system ['true']", "is not YAML"),
    ],
)
def test_a_file_that_is_no_recipe_is_refused(tmp_path, text: str, words: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=words):
        Recipe.load(path)


def test_a_missing_file_is_named(tmp_path) -> None:
    with pytest.raises(InputError, match=r"cannot read the recipe .*nothing\.yaml"):
        Recipe.load(tmp_path / "nothing.yaml")


def test_a_recipe_that_trains_nothing_can_be_kept_but_not_used(net: Net, tmp_path) -> None:
    recipe = recipe_for(net, 0.0, 0.0, 0.0)
    recipe.save(tmp_path / "recipe.yaml")

    assert recipe.trains_nothing
    assert recipe.mask == (False, False, False)
    for use in (lambda: recipe.apply(net), lambda: Recipe.load(tmp_path)):
        with pytest.raises(InputError, match="every block is frozen; give at least one block a multiplier above 0"):
            use()


def test_one_rate_for_the_trained_blocks(net: Net) -> None:
    recipe = recipe_for(net, 0.0, 0.5, 3.0)

    assert recipe.at_one_rate().multipliers == (0.0, 1.0, 1.0)
    assert recipe.at_one_rate(0.3).multipliers == (0.0, 0.3, 0.3)
    assert recipe.rates() == {"one": 0.0, "two": 0.005, "head": 0.03}
    assert recipe.rates(1.0) == {"one": 0.0, "two": 0.5, "head": 3.0}


def test_named_values_are_written_only_where_there_are_some(net: Net, tmp_path) -> None:
    plain = recipe_for(net, 0.0, 0.5, 3.0)
    named = plain.with_values({"weight_decay": 1e-4, "head_start": "probe"})
    named.save(tmp_path / "recipe.yaml")

    assert (plain.to_dict()["biotune_recipe"], "values" in plain.to_dict()) == (1, False)
    assert (named.to_dict()["biotune_recipe"], named.values) == (
        *(2, (("head_start", "probe"), ("weight_decay", 1e-4))),
    )
    assert Recipe.load(tmp_path) == named


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ((("b", 1), ("a", 1)), "sorted by name"),
        ((("a", 1), ("a", 1)), "each name once"),
        ((("a", float("nan")),), "finite numbers"),
        ((("a", None),), "finite numbers, texts, true or false"),
    ],
)
def test_wrong_values_are_refused(net: Net, values, words: str) -> None:
    with pytest.raises(InputError, match=words):
        Recipe(recipe_for(net, 1.0, 1.0, 1.0).partition, (1.0, 1.0, 1.0), values=values)


def test_a_recipe_brings_its_own_weight_decay(net: nn.Module) -> None:
    own = recipe_for(net, 0.0, 0.0, 1.0).with_values({"weight_decay": 0.3})

    assert {group["weight_decay"] for group in own.parameter_groups(net)} == {0.3, 0.0}
    assert {group["weight_decay"] for group in own.parameter_groups(net, weight_decay=0.1)} == {0.1, 0.0}


def test_a_recipe_that_trains_an_inert_block_alone_trains_nothing():
    plain = unnamed(0.0, 2.0, 0.0)
    blocks = [replace(block, inert=index == 1) for index, block in enumerate(plain.partition.blocks)]
    inert = replace(plain, partition=replace(plain.partition, blocks=tuple(blocks)))
    assert not plain.trains_nothing
    assert inert.trains_nothing
    assert not inert.with_multipliers((0.0, 2.0, 1.0)).trains_nothing


class Distributed(nn.Module):
    """Wraps a network as ``DistributedDataParallel`` does, without processes."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.module(images)


Distributed.__name__ = "DistributedDataParallel"
WRAPPERS = [nn.DataParallel, torch.compile, Distributed, lambda net: torch.compile(nn.DataParallel(net))]


@pytest.mark.parametrize("wrap", WRAPPERS, ids=["parallel", "compiled", "distributed", "both"])
def test_the_network_inside_a_wrapper_is_taken(net: Net, wrap) -> None:
    recipe, wrapped = recipe_for(net, 0.0, 0.5, 3.0), wrap(net)
    assert recipe.apply(wrapped) is wrapped
    wrapped.train()
    assert (net.one.training, net.two.training) == (False, True)
    names = [group["name"] for group in recipe.parameter_groups(wrapped)]
    assert names == ["two", "head"]
    assert not net.one[0].weight.requires_grad
    Recipe.release(wrapped)
    wrapped.train()
    assert net.one.training


def test_a_recipe_that_cannot_be_written_leaves_the_one_before(net: Net, tmp_path) -> None:
    """No file may grow beyond 16 bytes, as on a full disk."""
    recipe = recipe_for(net, 0.0, 0.5, 1.0)
    recipe.save(tmp_path / "recipe.yaml")
    whole = (tmp_path / "recipe.yaml").read_bytes()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            recipe.save(tmp_path / "recipe.yaml")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (tmp_path / "recipe.yaml").read_bytes() == whole
