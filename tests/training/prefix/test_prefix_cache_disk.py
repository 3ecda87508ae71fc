"""Past the budget in memory: on disk or of fewer blocks, and never another result."""

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
from biotune.training.prefix.outputs import RecordedSource
from biotune.training.prefix.storage import Scratch
from biotune.training.scoring import EVALUATION_BATCH
from biotune.training.sources import PixelSource
from biotune.training.stages import prepared
from biotune.training.trainer import Plan, TrainingData, fit

CONFIG = TrainingConfig(epochs=2, batch_size=16, limit_batch=False)
NAMES = ["timm:test_resnet", "timm:test_efficientnet", "timm:test_vit"]
SIZES = (CONFIG.batch_size, EVALUATION_BATCH)


def train(problem, cache):
    """Batches of 16, 16 and 8 images, and a validation of 20."""
    method = problem.method()
    with (
        prepared(problem.model, method, CONFIG, 1) as scope,
        cache.attached(problem.model.eval(), scope) as source,
    ):
        data = TrainingData(source, problem.data.labels, problem.data.train, problem.data.validation)
        return fit(problem.model, method, scope, data, CONFIG, Plan(1, 2)), source


def cache_of(problem, memory, disk, folder, said=None):
    say = [].append if said is None else said.append
    return PrefixCache(problem.source, memory, forward_logits, say=say, scratch=Scratch(folder, disk), sizes=SIZES)


@pytest.mark.parametrize("name", NAMES)
def test_a_training_from_disk_is_that_without_a_cache_bit_for_bit(make_problem, tmp_path, name):
    plain, cached = make_problem(name), make_problem(name)
    expected, _ = train(plain, cache_of(plain, 0, 0, tmp_path))
    cache = cache_of(cached, 1, 2**28, tmp_path)
    found, source = train(cached, cache)
    assert isinstance(source, RecordedSource)
    assert cache.store.used(in_memory=True) == 0
    assert cache.store.used(in_memory=False) > 0
    assert found == expected
    states = zip(plain.model.state_dict().values(), cached.model.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in states)


class Widening(nn.Module):
    """Small outputs after the first block, large ones after the second."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, stride=4)
        self.wide = nn.Conv2d(4, 64, 1)
        self.late = nn.Conv2d(64, 4, 1)
        self.head = nn.Linear(4, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.late(self.wide(self.stem(images))).mean((2, 3)))


BLOCKS = ("stem", "wide", "late", "head")
COUNT = 70
STEM_BYTES, WIDE_BYTES = COUNT * 4 * 4 * 4 * 4, COUNT * 64 * 4 * 4 * 4


def widening(multipliers: tuple[float, ...]) -> tuple[nn.Module, Recipe, PixelSource]:
    torch.manual_seed(0)
    model = Widening().to(memory_format=torch.channels_last)
    shapes = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    recipe = Recipe(make_partition([Block(name, (name,)) for name in BLOCKS], shapes), multipliers)
    pixels = np.random.default_rng(0).integers(0, 256, (COUNT, 16, 16, 3)).astype(np.uint8)
    recipe.apply(model).eval()
    return model, recipe, PixelSource(pixels, Preprocessing(16))


@pytest.mark.parametrize(
    ("memory", "disk", "used", "sentence"),
    [
        (WIDE_BYTES, 0, WIDE_BYTES, ""),
        (WIDE_BYTES - 1, 0, STEM_BYTES, "only those up to 'stem' are reused"),
        (STEM_BYTES - 1, 0, 0, "recomputed in every step of some trainings: their outputs need"),
        (STEM_BYTES - 1, WIDE_BYTES, 0, "reading them from disk may take longer than computing them"),
    ],
)
def test_fewer_blocks_are_reused_where_all_of_them_do_not_fit(tmp_path, memory, disk, used, sentence):
    """One byte of the output of ``wide`` stands for three multiplications, so it is not worth reading from disk."""
    model, recipe, source = widening((0.0, 0.0, 1.0, 1.0))
    said = []
    scratch = Scratch(tmp_path, disk)
    cache = PrefixCache(source, memory, forward_logits, say=said.append, scratch=scratch, sizes=SIZES)
    rows = torch.arange(COUNT).flip(0)[:16]
    with torch.no_grad():
        expected = model(source.batch(rows))
        with cache.attached(model, recipe) as cached:
            assert torch.equal(model(cached.batch(rows)), expected)
    assert cache.used_bytes == used
    assert [sentence in one for one in said] == [True] * bool(sentence)


def test_batches_of_other_sizes_and_the_last_images_are_the_networks_own(tmp_path):
    """Of 70 images six are recorded alone; a batch of 16 with them must not tell."""
    model, recipe, source = widening((0.0, 0.0, 1.0, 1.0))
    cache = PrefixCache(source, WIDE_BYTES - 1, forward_logits, sizes=SIZES)
    with torch.no_grad(), cache.attached(model, recipe) as cached:
        for rows in (torch.arange(3), torch.arange(54, 70), torch.arange(64)):
            expected = model_without_stubs(recipe, rows)
            assert torch.equal(model(cached.batch(rows)), expected)


def model_without_stubs(recipe: Recipe, rows: torch.Tensor) -> torch.Tensor:
    model, _, source = widening(recipe.multipliers)
    return model(source.batch(rows))


def test_without_room_in_memory_for_two_recipes_the_one_that_saves_less_leaves(tmp_path):
    """``stem`` saves 27 multiplications a value, and 91 with ``wide``, which has 16 times as many values."""
    model, recipe, source = widening((0.0, 0.0, 1.0, 1.0))
    other = Recipe(recipe.partition, (0.0, 1.0, 1.0, 1.0))
    cache = PrefixCache(source, WIDE_BYTES, forward_logits, sizes=SIZES)
    held = []
    for one in (recipe, other, recipe):
        one.apply(model).eval()
        with cache.attached(model, one):
            held.append(cache.used_bytes)
    assert held == [WIDE_BYTES, STEM_BYTES, WIDE_BYTES]


@pytest.mark.parametrize("name", NAMES[:1])
def test_a_disk_that_fails_changes_nothing_but_time(make_problem, tmp_path, name):
    plain, cached = make_problem(name), make_problem(name)
    folder, said = tmp_path / "run", []
    folder.mkdir()
    expected, _ = train(plain, cache_of(plain, 0, 0, tmp_path))
    cache = cache_of(cached, 1, 2**28, folder, said)
    folder.rmdir()
    found, source = train(cached, cache)
    assert source is cached.source
    assert found == expected
    assert len(said) == 2
    assert "the run continues without them, with the same results" in said[0]
    assert f"the disk of '{folder}' cannot be written" in said[1]
