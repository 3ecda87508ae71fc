"""Measures one point of ``scale``, in its own process: ``python -m benchmarks.scale.points '{"kind": ...}'``."""

import json
import resource
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from torch import nn

from benchmarks.noise import CLASSES, noise_set, resident_data
from benchmarks.scale.measure import MANY_LAYERS
from benchmarks.timing import timed
from biotune.models import Backbone, LoadedModel, load_backbone
from biotune.partition import BlockPartition
from biotune.pixels.learning_data import LearningData
from biotune.pixels.loading import load
from biotune.recipe import Recipe
from biotune.records import GIVEN, Task
from biotune.runner import run
from biotune.settings.config import RunConfig
from biotune.settings.resolve import resolve
from biotune.trials.spec import WorkerSpec, trial_data
from biotune.trials.worker import Worker

SIDE = 32
"""Side of the images in pixels: small, so that many images fit into memory and are trained quickly."""

FEW_LAYERS = 4
"""Convolutions of the network whose number of images, or population, grows."""

NOTHING_ON_DISK = {"limit_gib": 0.0, "activations_gib": 0.0}
PREFIX_CACHE_MIB = 4
"""Memory for outputs of frozen blocks: so little that every point exceeds it."""

_SAMPLING_S = 0.02
"""Seconds between two samples of the memory, chosen by hand: short beside the measured work, long beside one sample."""

Measured = dict[str, Any]


def images_point(count: int, keep: bool) -> Measured:
    """Load images and train on them twice: all blocks for one epoch, then the later half for one epoch.

    Args:
        count: number of images, a fifth of them for validation.
        keep: True to keep decoded images, and outputs of frozen blocks beyond 4 MiB, in memory-mapped files; False to
            decode images whenever they are needed, and to record no more than 4 MiB.

    Returns:
        A lap of loading (``loading``), of training everything (``epoch``) and of training the later half (``half``).
    """
    loaded = load_backbone(chain(FEW_LAYERS, FEW_LAYERS), CLASSES)
    config = _config({"data": {"test_fraction": 0.0}, "cache": {} if keep else NOTHING_ON_DISK})
    data: list[Any] = []

    def load_all() -> None:
        data.append(load(noise_set(count, SIDE), config.data, loaded.preprocessing, config.cache))

    laps = {"loading": timed(load_all)}
    evaluate = _worker(config, loaded, data[0]).evaluate
    blocks = len(loaded.partition)
    for name, frozen in (("epoch", 0), ("half", blocks // 2)):
        laps[name] = timed(partial(evaluate, _task(loaded.partition, frozen, epochs=1)))
    return {name: asdict(lap) for name, lap in laps.items()}


def blocks_point(count: int) -> Measured:
    """Train a network of 32 convolutions that is cut into blocks: all of it, then with the first half frozen.

    Args:
        count: number of blocks, a divisor of 32.

    Returns:
        A lap of each.
    """
    loaded = load_backbone(chain(MANY_LAYERS, count), CLASSES)
    evaluate = _worker(_config({}), loaded, resident_data(512, 128, SIDE)).evaluate
    laps = {}
    for name, frozen in (("epoch", 0), ("half", count // 2)):
        task = _task(loaded.partition, frozen, epochs=2)
        evaluate(task)
        laps[name] = asdict(timed(partial(evaluate, task)))
    return laps


def _worker(config: RunConfig, loaded: LoadedModel, data: LearningData) -> Worker:
    spec = WorkerSpec(config, CLASSES, loaded.weights_sha256, trial_data(data, config), Path())
    return Worker(spec, loaded)


def population_point(count: int) -> Measured:
    """Do a whole run with a population of this size and one generation of children.

    Args:
        count: size of the population.

    Returns:
        A lap of the run (``run``) and the number of its evaluations.
    """
    network = chain(FEW_LAYERS, FEW_LAYERS)
    config = _config(
        {
            "model": {"name": network.name},
            "training": {"epochs": 2},
            "search": {"population": count, "elites": 1, "generations": 1},
            "final": {"seeds": 1, "candidates": 1, "baselines": ()},
        }
    )
    lap = timed(lambda: run(config, Path("run"), image_set=noise_set(256, SIDE), backbone=network))
    return {"run": asdict(lap), "evaluations": config.search.evaluations}


POINTS: dict[str, Callable[..., Measured]] = {
    "images": images_point,
    "blocks": blocks_point,
    "population": population_point,
}


def chain(layers: int, blocks: int) -> Backbone:
    """Return a chain of small convolutions and a linear layer, cut into blocks of equal length and a head.

    Args:
        layers: number of convolutions; the first three halve the side.
        blocks: a divisor of ``layers``.

    Returns:
        The network.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        body = [
            nn.Sequential(nn.Conv2d(8 if number else 3, 8, 3, 2 if number < 3 else 1, 1), nn.BatchNorm2d(8), nn.ReLU())
            for number in range(layers)
        ]
        module = nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, CLASSES))
    parts = np.arange(layers).reshape(blocks, -1)
    names = {f"block {number}": [str(layer) for layer in part] for number, part in enumerate(parts.tolist())}
    return Backbone(module, image_size=SIDE, blocks={**names, "head": [str(layers + 2)]})


def _config(changes: dict[str, dict[str, Any]]) -> RunConfig:
    fixed: dict[str, dict[str, Any]] = {
        "training": {"learning_rate": 1e-5},
        "compute": {
            "device": "cpu",
            "threads": torch.get_num_threads(),
            "precision": "float32",
            "prefix_cache_mib": PREFIX_CACHE_MIB,
        },
    }
    return resolve("standard", {**fixed, **changes})


def _task(partition: BlockPartition, frozen: int, epochs: int) -> Task:
    recipe = Recipe(partition, (0.0,) * frozen + (1.0,) * (len(partition) - frozen))
    return Task(GIVEN, recipe, None, 0, epochs, "scale")


class _Peak:
    """Samples resident minus shared memory of this process in a background thread and keeps the largest value."""

    def __init__(self) -> None:
        self.own_bytes = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "_Peak":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        process = psutil.Process()
        while not self._done.wait(_SAMPLING_S):
            memory = process.memory_info()
            self.own_bytes = max(self.own_bytes, memory.rss - getattr(memory, "shared", 0))


def main(text: str) -> None:
    """Measure the point that the JSON text names, and print the results, including the peak memory."""
    given = json.loads(text)
    torch.set_num_threads(given.pop("threads"))
    kind = given.pop("kind")
    with _Peak() as peak:
        found = POINTS[kind](**given)
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    sys.stdout.write(json.dumps({**found, "peak_bytes": largest, "own_bytes": peak.own_bytes}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
