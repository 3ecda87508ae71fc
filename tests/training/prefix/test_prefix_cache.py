"""The prefix cache: cached and uncached trainings agree, and it declines where it cannot help."""

import re

import numpy as np
import pytest
import torch
from torch import nn

from biotune.models import forward_logits
from biotune.partition import Block, make_partition
from biotune.recipe import Recipe
from biotune.records import Preprocessing
from biotune.settings.sections import TrainingConfig
from biotune.training.prefix.cache import PrefixCache
from biotune.training.prefix.outputs import Recorded
from biotune.training.sources import PixelSource
from biotune.training.stages import freeze, prepared
from biotune.training.trainer import Plan, TrainingData, fit

CONFIG = TrainingConfig(epochs=2, batch_size=8, limit_batch=False)
BUDGET = 2**28
NAMES = ["timm:test_efficientnet", "timm:test_resnet", "timm:test_vit", "timm:test_convnext", "timm:test_byobnet"]


def train(problem, budget):
    cache = PrefixCache(problem.source, budget, forward_logits)
    method = problem.method()
    with (
        prepared(problem.model, method, CONFIG, 1) as scope,
        cache.attached(problem.model.eval(), scope) as source,
    ):
        data = TrainingData(source, problem.data.labels, problem.data.train, problem.data.validation)
        return fit(problem.model, method, scope, data, CONFIG, Plan(1, 2)), cache


@pytest.mark.parametrize("name", NAMES)
def test_cached_and_uncached_trainings_agree(make_problem, name):
    plain, cached = make_problem(name), make_problem(name)
    expected, _ = train(plain, 0)
    found, cache = train(cached, BUDGET)
    assert cache.used_bytes > 0
    losses = [(a.train_loss, a.validation_loss) for a in expected.curve]
    np.testing.assert_allclose([(a.train_loss, a.validation_loss) for a in found.curve], losses, rtol=2e-3)
    states = zip(plain.model.state_dict().values(), cached.model.state_dict().values(), strict=True)
    assert all(torch.allclose(a.float(), b.float(), atol=5e-3) for a, b in states)


@pytest.mark.parametrize("name", NAMES)
def test_the_cached_forward_equals_the_networks_own_bit_for_bit(make_problem, name):
    problem = make_problem(name)
    rows = torch.arange(64) % 60
    freeze(problem.model, problem.recipe, CONFIG)
    problem.model.eval()
    cache = PrefixCache(problem.source, BUDGET, forward_logits)
    whole = torch.arange(len(problem.source))
    with torch.no_grad():
        expected = problem.model(problem.source.batch(whole))
        with cache.attached(problem.model, problem.recipe) as source:
            assert source is not problem.source
            assert torch.equal(problem.model(source.batch(whole)), expected)
            assert source.batch(rows).shape == (64, 3, 32, 32)


def test_the_network_is_whole_again_afterwards(make_problem):
    problem = make_problem()
    train(problem, BUDGET)
    assert not any({"forward", "train"} & vars(module).keys() for module in problem.model.modules())


def test_frozen_modules_are_not_walked_through_when_the_mode_changes(make_problem):
    """Every second block is frozen too, but fed by trained ones: it is not recorded, and the guard keeps its mode."""
    problem = make_problem(mask=lambda index, count: index >= count // 2 and index % 2)
    freeze(problem.model, problem.recipe, CONFIG)
    cache = PrefixCache(problem.source, BUDGET, forward_logits)
    with cache.attached(problem.model.eval(), problem.recipe) as source:
        problem.model.train()
        stubbed = [module for module in problem.model.modules() if "forward" in vars(module)]
        assert stubbed
        assert not any(part.training for module in stubbed for part in module.modules())
        forward_logits(problem.model, source.batch(torch.arange(8)))
        modules = dict(problem.model.named_modules())
        frozen = [modules[name] for name in problem.recipe.frozen_modules(problem.model)[0]]
        assert not any(part.training for module in frozen for part in module.modules())
    problem.model.train()
    held = {part for module in frozen for part in module.modules()}
    assert all(module.training == (module not in held) for module in problem.model.modules())  # until it is let go


def test_the_network_is_whole_again_after_an_error(make_problem):
    problem = make_problem()
    freeze(problem.model, problem.recipe, CONFIG)
    held = {module for module in problem.model.modules() if "train" in vars(module)}
    cache = PrefixCache(problem.source, BUDGET, forward_logits)
    with pytest.raises(ZeroDivisionError), cache.attached(problem.model.eval(), problem.recipe):
        raise ZeroDivisionError
    assert not any("forward" in vars(module) for module in problem.model.modules())
    assert {module for module in problem.model.modules() if "train" in vars(module)} == held


@pytest.mark.parametrize("budget", [0, 1000])
def test_nothing_is_cached_beyond_the_budget(make_problem, budget):
    problem = make_problem()
    freeze(problem.model, problem.recipe, CONFIG)
    cache = PrefixCache(problem.source, budget, forward_logits)
    with cache.attached(problem.model.eval(), problem.recipe) as source:
        assert source is problem.source
    assert cache.used_bytes == 0


def test_nothing_is_cached_when_the_first_block_is_trained(make_problem):
    problem = make_problem(mask=lambda index, count: index == 0 or index == count - 1)
    _, cache = train(problem, BUDGET)
    assert cache.used_bytes == 0


def test_a_second_recipe_with_the_same_boundary_fills_nothing(make_problem):
    problem = make_problem()
    fills = []
    cache = PrefixCache(problem.source, BUDGET, forward_logits, lambda: fills.append(1))
    freeze(problem.model, problem.recipe, CONFIG)
    for _ in range(2):
        with cache.attached(problem.model.eval(), problem.recipe):
            pass
    assert len(fills) == 1


class Branched(nn.Module):
    """Two frozen branches, one of them used twice further up, and an in-place activation on a cached output."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.left = nn.Conv2d(4, 4, 3, padding=1)
        self.right = nn.Conv2d(4, 4, 3, padding=1)
        self.mix = nn.Conv2d(4, 4, 1)
        self.late = nn.Conv2d(4, 4, 1)
        self.head = nn.Linear(4, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        stem = self.stem(images)
        left, right = torch.relu_(self.left(stem)), self.right(stem)
        mixed = self.mix(left + right)
        return self.head((self.late(mixed) + stem + left).mean((2, 3)))


def branched(frozen: set[str], order=("stem", "left", "right", "mix", "late", "head")) -> tuple[Branched, Recipe]:
    torch.manual_seed(0)
    model = Branched()
    shapes = {name: tuple(p.shape) for name, p in model.named_parameters()}
    partition = make_partition([Block(name, (name,)) for name in order], shapes)
    return model, Recipe(partition, tuple(0.0 if name in frozen else 1.0 for name in order))


@pytest.mark.parametrize(
    ("frozen", "outputs"), [({"stem", "left", "right"}, 3), ({"stem", "left", "right", "late"}, 3), ({"stem"}, 1)]
)
def test_a_network_that_is_no_chain_is_cached_where_no_trained_block_feeds(frozen, outputs):
    model, recipe = branched(frozen)
    pixels = np.random.default_rng(0).integers(0, 256, (10, 8, 8, 3)).astype(np.uint8)
    source = PixelSource(pixels, Preprocessing(8))
    recipe.apply(model).eval()
    cache = PrefixCache(source, BUDGET, forward_logits)
    rows = torch.arange(10)
    with torch.no_grad():
        expected = model(source.batch(rows))
        with cache.attached(model, recipe) as cached:
            first, second = model(cached.batch(rows)), model(cached.batch(rows))
    assert cache.used_bytes == outputs * 10 * 4 * 8 * 8 * 4
    assert torch.equal(first, expected)
    assert torch.equal(second, expected)


class NoisyInput(nn.Module):
    """Dropout before a frozen layer: its output differs from step to step and must not be recorded."""

    def __init__(self) -> None:
        super().__init__()
        self.noise = nn.Dropout(0.5)
        self.stem = nn.Conv2d(3, 4, 3)
        self.head = nn.Linear(4, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.stem(self.noise(images)).mean((2, 3)))


def test_what_live_dropout_reaches_is_not_cached():
    model = NoisyInput()
    shapes = {name: tuple(p.shape) for name, p in model.named_parameters()}
    recipe = Recipe(make_partition([Block("stem", ("stem",)), Block("head", ("head",))], shapes), (0.0, 1.0))
    source = PixelSource(np.full((4, 8, 8, 3), 200, np.uint8), Preprocessing(8))
    recipe.apply(model).eval()
    cache = PrefixCache(source, BUDGET, forward_logits)
    with cache.attached(model, recipe) as found:
        assert found is source


def problem_of(model: nn.Module, *names: str) -> tuple[Recipe, PixelSource]:
    """All but the last named module frozen; ten images of noise."""
    shapes = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    partition = make_partition([Block(name, (name,)) for name in names], shapes)
    recipe = Recipe(partition, (0.0,) * (len(names) - 1) + (1.0,))
    pixels = np.random.default_rng(0).integers(0, 256, (10, 8, 8, 3)).astype(np.uint8)
    recipe.apply(model).eval()
    return recipe, PixelSource(pixels, Preprocessing(8))


class Pair(nn.Module):
    """Gives two tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 1)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.one(images), self.two(images)


class WithLists(nn.Module):
    """A list of modules, one of which gives two tensors; outputs of rank three with swapped axes."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.ModuleList([Pair(), nn.Linear(4, 4)])
        self.head = nn.Linear(4, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        one, two = self.stem[0](images)
        tokens = self.stem[1](one.flatten(2).transpose(1, 2))
        return self.head(tokens.mean(1) + two.mean((2, 3)))


def test_lists_and_modules_with_several_outputs_are_opened():
    """Of each image the 36 tokens and the 64 places of the second branch are kept, four values each."""
    model = WithLists()
    recipe, source = problem_of(model, "stem", "head")
    rows, said = torch.arange(10), []
    cache = PrefixCache(source, BUDGET, forward_logits, say=said.append)
    with torch.no_grad():
        expected = model(source.batch(rows))
        with cache.attached(model, recipe) as cached:
            assert torch.equal(model(cached.batch(rows)), expected)
    assert cache.used_bytes == 10 * (36 + 64) * 4 * 4
    assert not said


class Bias(nn.Module):
    """A table over so many heads, from no input: its first axis never is the batch."""

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(heads, 4))

    def forward(self) -> torch.Tensor:
        return self.table.sigmoid()


class Biased(nn.Module):
    """Features plus a bias per head, as in attention with relative positions (the Swin of transformers)."""

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3)
        self.bias = Bias(heads)
        self.head = nn.Linear(4, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = self.stem(images).mean((2, 3))
        return self.head((features[:, None] + self.bias()[None]).mean(1))


@pytest.mark.parametrize("heads", range(1, 5))
def test_what_has_no_row_for_each_image_is_not_recorded(heads):
    """Only the 36 places of the stem are kept, four values each, whatever the number of heads."""
    model = Biased(heads)
    recipe, source = problem_of(model, "stem", "bias", "head")
    cache = PrefixCache(source, BUDGET, forward_logits)
    rows = torch.arange(10)
    with torch.no_grad():
        expected = model(source.batch(rows))
        with cache.attached(model, recipe) as cached:
            assert torch.equal(model(cached.batch(rows)), expected)
    assert cache.used_bytes == 10 * 36 * 4 * 4


def test_one_row_for_several_images_is_never_repeated_silently():
    recorded = Recorded.empty(torch.zeros(3, 4), 10)
    with pytest.raises((RuntimeError, IndexError), match="index_copy_"):
        recorded.put(torch.arange(3), torch.ones(1, 4))


class Peeking(nn.Module):
    """Reads its input again behind the frozen stem, so that recorded outputs are not all it needs."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3)
        self.head = nn.Linear(4, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.stem(images).mean((2, 3)) + images.mean((1, 2, 3))[:, None])


@pytest.mark.parametrize(
    ("model", "names", "budget", "sentence"),
    [
        (Peeking(), ("stem", "head"), BUDGET, "this network's logits would change in the last bits"),
        (NoisyInput(), ("stem", "head"), BUDGET, "no frozen module with a single output tensor that stays the same"),
        (
            WithLists(),
            ("stem", "head"),
            1000,
            r"their outputs need 0 MiB, and there is room for 0 in memory \(compute.prefix_cache_mib\) and for 0 on",
        ),
    ],
)
def test_the_cache_declines_and_says_so_once(model, names, budget, sentence):
    recipe, source = problem_of(model, *names)
    said = []
    cache = PrefixCache(source, budget, forward_logits, say=said.append)
    for _ in range(2):
        with cache.attached(model, recipe) as found:
            assert found is source
    assert len(said) == 1
    assert re.search(sentence, said[0])


def test_nothing_is_said_where_there_is_nothing_to_record(make_problem):
    problem = make_problem(mask=lambda index, count: True)
    said = []
    freeze(problem.model, problem.recipe, CONFIG)
    with PrefixCache(problem.source, BUDGET, forward_logits, say=said.append).attached(problem.model, problem.recipe):
        assert not said
