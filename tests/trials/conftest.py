"""Workers on the small images."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from biotune.datasets import open_source
from biotune.executors import Hooks
from biotune.models import LoadedModel, load_model
from biotune.pixels.loading import load
from biotune.settings.config import RunConfig
from biotune.trials.spec import WorkerSpec, trial_data
from biotune.trials.worker import Worker
from tiny import TINY, tiny_config

SpecOf = Callable[[RunConfig, LoadedModel], WorkerSpec]


@pytest.fixture
def spec_of(images, tmp_path) -> SpecOf:
    """A maker of specifications for a network, on the small images."""

    def make(config: RunConfig, loaded: LoadedModel) -> WorkerSpec:
        data = load(open_source(images), config.data, loaded.preprocessing)
        return WorkerSpec(config, len(data.class_names), loaded.weights_sha256, trial_data(data, config), tmp_path)

    return make


@pytest.fixture
def worker(images, spec_of: SpecOf) -> Callable[..., Worker]:
    """A maker of workers."""

    def make(*changes, name: str = TINY["model"]["name"], hooks: Hooks | None = None, size: int = 32) -> Worker:
        torch.set_num_threads(1)
        config = tiny_config(Path(images), {"model": {**TINY["model"], "name": name, "image_size": size}}, *changes)
        loaded = load_model(name, 3, weights="random", image_size=size)
        return Worker(spec_of(config, loaded), loaded, hooks)

    return make
