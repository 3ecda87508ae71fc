"""What holds when a network of any family is trained: frozen is frozen, gradients and cached prefixes are right."""

import copy
from dataclasses import dataclass

import numpy as np
import pytest
import torch

import backbones
from biotune.methods import make_method
from biotune.models import LoadedModel, forward_logits, load_model, partition_for
from biotune.recipe import Recipe
from biotune.settings.sections import TrainingConfig
from biotune.training.optimiser import make_optimizer
from biotune.training.precision import training_mode
from biotune.training.prefix.cache import PrefixCache
from biotune.training.sources import PixelSource
from biotune.training.stages import freeze
from biotune.trials.worker import network_of

CONFIG = TrainingConfig(optimizer="sgd", learning_rate=0.1)
IMAGES = 6
MASKS = {
    "head": lambda index, last: index == last,
    "late half": lambda index, last: index > last // 2,
    "first alone": lambda index, last: index == 0,
    "every other": lambda index, last: index % 2 == 1,
}


@dataclass
class Case:
    """A network with its initial state and a few images of noise."""

    loaded: LoadedModel
    initial: dict[str, torch.Tensor]
    source: PixelSource

    def recipe(self, mask: str) -> Recipe:
        last = len(self.loaded.partition) - 1
        return Recipe(self.loaded.partition, tuple(float(MASKS[mask](index, last)) for index in range(last + 1)))


@pytest.fixture(scope="module", params=backbones.FAMILIES)
def case(request, tmp_path_factory):
    torch.set_num_threads(1)
    loaded = backbones.load(request.param, tmp_path_factory.mktemp("network"))
    size = loaded.preprocessing.image_size
    pixels = np.random.default_rng(0).integers(0, 256, (IMAGES, size, size, 3)).astype(np.uint8)
    model = loaded.model.to(memory_format=torch.channels_last)
    return Case(loaded, copy.deepcopy(model.state_dict()), PixelSource(pixels, loaded.preprocessing))


@pytest.fixture
def model(case):
    """The network of the case in its initial state, without a recipe."""
    case.loaded.model.load_state_dict(case.initial)
    case.loaded.model.zero_grad()
    return Recipe.release(case.loaded.model).eval()


@pytest.mark.parametrize("mask", MASKS)
def test_training_moves_the_trained_blocks_and_nothing_else(case, model, mask):
    recipe = case.recipe(mask)
    freeze(model, recipe, CONFIG)
    optimizer = make_optimizer(recipe, model, CONFIG)
    model.train()
    loss = forward_logits(model, case.source.batch(torch.arange(IMAGES))).square().sum()
    loss.backward()
    trained = {name for name, _ in model.named_parameters() if not recipe.is_frozen(name)}
    reached = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    optimizer.step()
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, case.initial[name])}
    blocks = {name: case.loaded.partition.owner(name) for name in case.initial}

    assert reached == trained
    assert not [name for name in changed if recipe.is_frozen(name)]
    assert {blocks[name] for name in changed} == {index for index, value in enumerate(recipe.multipliers) if value}


def test_cut_by_layer_every_matrix_has_a_unit_of_its_own(case, model):
    """Counted independently: weights of two axes or more; those of the heads share the last unit."""
    size, heads = case.loaded.preprocessing.image_size, case.loaded.heads
    units = partition_for(model, "mine", heads, (3, size, size), "layer")
    inside = tuple(f"{head}." for head in heads)
    matrices = [
        name
        for name, parameter in model.named_parameters()
        if name.endswith("weight") and parameter.ndim > 1 and not name.startswith(inside)
    ]
    owners = {units.owner(name) for name in matrices}

    assert len(units) == len(matrices) + 1
    assert owners == set(range(len(matrices)))
    assert sum(block.num_parameters for block in units.blocks) == sum(p.numel() for p in model.parameters())


class TestTransformer:
    """What frozen means for tokens, position embeddings and norms."""

    TOKENS = ("cls_token", "pos_embed")

    @pytest.fixture
    def vit(self):
        loaded = load_model("timm:test_vit", 3, weights="random", image_size=32)
        with torch.no_grad():
            loaded.model.norm.weight.add_(0.1)
        return loaded

    @pytest.mark.parametrize("trained", [False, True])
    def test_tokens_go_with_the_first_block(self, vit, trained):
        model, last = vit.model, len(vit.partition) - 1
        recipe = Recipe(vit.partition, tuple(float(trained or index > 0) for index in range(last + 1)))
        before = copy.deepcopy(model.state_dict())
        freeze(model, recipe, CONFIG)
        optimizer = make_optimizer(recipe, model, CONFIG)
        model.train()(torch.rand(4, 3, 32, 32)).square().sum().backward()
        optimizer.step()
        moved = {name for name in self.TOKENS if not torch.equal(model.state_dict()[name], before[name])}
        assert [vit.partition.owner(name) for name in self.TOKENS] == [0, 0]
        assert vit.partition.owner("patch_embed.proj.weight") == 0
        assert moved == (set(self.TOKENS) if trained else set())

    def test_norms_stay_with_their_blocks_and_the_final_one_is_not_the_heads(self, vit):
        last = len(vit.partition) - 1
        owner = vit.partition.owner
        assert owner("norm.weight") == owner("blocks.5.mlp.fc2.weight") == last - 1
        assert owner("blocks.2.norm1.weight") == owner("blocks.2.norm2.weight") == owner("blocks.2.attn.qkv.weight")
        assert vit.partition.blocks[last].prefixes == ("head",)


def test_a_linear_probe_trains_the_classifiers_alone(case, model):
    recipe = make_method("linear_probe", network_of(case.loaded)).outline()
    trained = {name for name, _ in model.named_parameters() if not recipe.is_frozen(name)}
    assert trained == {f"{head}.{name}" for head in case.loaded.heads for name in ("weight", "bias")}


@pytest.mark.parametrize("mask", ["head", "late half", "every other"])
def test_a_forward_from_recorded_outputs_is_the_networks_own_bit_for_bit(case, model, mask):
    recipe, rows, said = case.recipe(mask), torch.arange(IMAGES), []
    freeze(model, recipe, CONFIG)
    cache = PrefixCache(case.source, 2**28, forward_logits, say=said.append)
    with torch.no_grad():
        expected = forward_logits(model.eval(), case.source.batch(rows))
        with training_mode(model):
            expected_live = forward_logits(model, case.source.batch(rows))
        with cache.attached(model, recipe) as source:
            calm = forward_logits(model, source.batch(rows))
            with training_mode(model):
                live = forward_logits(model, source.batch(rows))

    assert not said
    assert cache.used_bytes > 0
    assert torch.equal(calm, expected)
    assert torch.equal(live, expected_live)
    assert not any("forward" in vars(module) for module in model.modules())
