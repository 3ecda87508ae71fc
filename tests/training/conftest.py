"""A tiny problem for the trainer: coloured noise in three classes, and small real architectures."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn

from biotune.methods import FineTuningMethod, Network, make_method
from biotune.models import load_model
from biotune.recipe import Recipe
from biotune.records import GIVEN, Preprocessing
from biotune.training.sources import PixelSource
from biotune.training.stages import prepared
from biotune.training.trainer import FitResult, TrainingData, fit
from biotune.trials.worker import network_of

PREPROCESSING = Preprocessing(32)


@dataclass
class Problem:
    """A network with its data."""

    model: nn.Module
    recipe: Recipe
    source: PixelSource
    data: TrainingData
    network: Network

    def method(self, text: str = GIVEN) -> FineTuningMethod:
        return make_method(text, self.network, self.recipe)

    def fit(self, config, plan, *rest, text: str = GIVEN, data: TrainingData | None = None) -> FitResult:
        method = self.method(text)
        with prepared(self.model, method, config, plan.seed) as scope:
            return fit(self.model, method, scope, data or self.data, config, plan, *rest)


def images(count: int = 60, size: int = 32) -> tuple[np.ndarray, np.ndarray]:
    """Return noise whose mean colour tells the class."""
    generator = np.random.default_rng(0)
    labels = np.arange(count) % 3
    pixels = generator.integers(0, 156, (count, size, size, 3))
    pixels[np.arange(count), :, :, labels] += 60
    return pixels.astype(np.uint8), labels.astype(np.int64)


@pytest.fixture
def make_problem():
    """Return a maker of problems: ``make(name, mask)`` with mask a function of the block index and count."""

    def make(name: str = "timm:test_efficientnet", mask=lambda index, count: index >= count // 2) -> Problem:
        torch.set_num_threads(1)
        loaded = load_model(name, 3, weights="random", image_size=32)
        count = len(loaded.partition)
        multipliers = tuple(float(mask(index, count)) for index in range(count))
        pixels, labels = images()
        source = PixelSource(pixels, PREPROCESSING)
        model = loaded.model.to(memory_format=torch.channels_last)
        data = TrainingData(source, labels, np.arange(0, 40), np.arange(40, 60))
        return Problem(model, Recipe(loaded.partition, multipliers), source, data, network_of(loaded))

    return make
