"""Trains given recipes and keeps the results as rows of a file, which several benchmarks evaluate."""

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import torch

from biotune.recipe import Recipe as BlockRecipe
from biotune.records import GIVEN, Task
from biotune.runner.setup import set_up
from biotune.runs.events import silent
from biotune.settings.config import RunConfig
from biotune.settings.resolve import resolve
from biotune.trials.spec import WorkerSpec, trial_data
from biotune.trials.worker import Worker

Recipe = tuple[float, ...]
Row = dict[str, Any]


def add_network(parser: ArgumentParser) -> None:
    """Add the data sets and the options that name a network, for ``network``."""
    parser.add_argument("data", nargs="+")
    parser.add_argument("--model", required=True)
    parser.add_argument("--weights", default="auto")
    parser.add_argument("--image-size", type=int, required=True)


def network(arguments: Namespace) -> dict[str, Any]:
    """Return the settings of the network that the arguments name."""
    return {"name": arguments.model, "weights": arguments.weights, "image_size": arguments.image_size}


def small_data(
    name: str,
    model: dict[str, Any],
    preset: str = "standard",
    train_images: int = 160,
    epochs: int = 0,
    **changes: dict[str, Any],
) -> RunConfig:
    """Return the configuration of trainings on a few images, on one CPU thread.

    Args:
        name: name of the data set.
        model: settings of the network.
        preset: name of the preset.
        train_images: number of training images; 240 more validate and 1,000 test.
        epochs: planned epochs; 0 for the preset's.
        **changes: further changes by section.

    Returns:
        The configuration.
    """
    images = {"train_images": train_images, "validation_images": 240, "test_images": 1000}
    data, training = {"source": name, **images}, {"epochs": epochs} if epochs else {}
    compute = {"device": "cpu", "threads": 1}
    return resolve(preset, {"model": model, "data": data, "training": training, "compute": compute, **changes})


def trained(
    config: RunConfig,
    recipes: Callable[[int], Iterable[Recipe]],
    seeds: Sequence[int],
    work: Path,
    last_epoch: int = 0,
) -> dict[Recipe, list[Row]]:
    """Train each recipe with each seed, unless the rows of an earlier call have it.

    Args:
        config: configuration of the trainings.
        recipes: from the number of blocks to the multipliers of each recipe.
        seeds: one training for each.
        work: folder to work in; the rows are appended to the file of that name with ``.jsonl``.
        last_epoch: stop after this epoch and leave the test images alone; 0 to train to the end and test.

    Returns:
        For each recipe a row per seed: multipliers, seed, the validation score of every epoch, and the test accuracy,
        None where there is none.
    """
    torch.set_num_threads(config.compute.threads)
    work.mkdir(parents=True, exist_ok=True)
    setup = set_up(config, work, silent)
    data = trial_data(setup.data, setup.config)
    spec = WorkerSpec(setup.config, len(setup.data.class_names), setup.loaded.weights_sha256, data, work)
    worker = Worker(spec, setup.loaded)
    test = None if last_epoch or not setup.data.test else setup.data.test.open()
    path = work.with_suffix(".jsonl")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    known = {(tuple(row["multipliers"]), row["seed"]): row for row in map(json.loads, lines)}
    asked = list(recipes(len(setup.loaded.partition)))
    for recipe, seed in product(asked, seeds):
        if (recipe, seed) in known:
            continue
        given, epochs = BlockRecipe(setup.loaded.partition, recipe), config.training.epochs
        task = Task(GIVEN, given, None, seed, epochs, "rows", test is not None, last_epoch=last_epoch)
        result = worker.evaluate(task)
        accuracy = None
        if result.outcome == "ok" and test is not None:
            accuracy = float((worker.logits(task, test).argmax(axis=1) == test.labels).mean())
            worker.weights.remove(task)
        scores = [record.score for record in result.curve]
        known[recipe, seed] = {"multipliers": recipe, "seed": seed, "scores": scores, "test": accuracy}
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(known[recipe, seed]) + "\n")
    return {recipe: [known[recipe, seed] for seed in seeds] for recipe in asked}
