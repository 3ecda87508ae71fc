"""What holds when a network of any family is trained: frozen is frozen, gradients and cached prefixes are right."""

import copy
from dataclasses import dataclass

import numpy as np
import pytest
import torch

import backbones
from biotune.models import LoadedModel, forward_logits
from biotune.recipe import Recipe
from biotune.runs.config import TrainingConfig
from biotune.training.prefix_cache import PrefixCache
from biotune.training.sources import PixelSource
from biotune.training.stages import freeze
from biotune.training.stubs import training_mode
from biotune.training.trainer import make_optimizer

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
