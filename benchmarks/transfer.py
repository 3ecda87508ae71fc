r"""Do recipes transfer? What the recipes of a search's start are worth on one data set, known from others.

Trains each recipe of the start with the same seed on every data set, and keeps what it gives images held out, and its
test accuracy. Then each data set chooses one of them: by images of its own, by what the other data sets found, by both,
or by its own images among those that the others found best. Rows are appended to OUT/NETWORK-NAME.jsonl, so the same
command continues.

    python -m benchmarks.transfer mnist5000 usps_gpml mfeat_digits digits8 fashion_mnist skimage_photos \
        ufoai_textures dermo_patches --model tf_efficientnet_lite0 --image-size 64
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.datasets import register
from benchmarks.made_pages import with_table
from benchmarks.recipe_rows import add_network, network, small_data
from biotune.metrics import class_shares
from biotune.recipe import Recipe
from biotune.records import GIVEN, Task
from biotune.runner.setup import set_up
from biotune.runs.events import silent
from biotune.settings.config import RunConfig
from biotune.settings.search import SEARCHED_VALUES
from biotune.space.start import informed_recipes
from biotune.trials.spec import WorkerSpec, trial_data
from biotune.trials.worker import Worker

SEED = 20
"""Any other seed than those of ordinary runs."""

JUDGED = 8
"""Epochs after which ``quick`` judges its candidates."""

IMAGES = (24, 40, 80, 160, 240)
"""Numbers of held-out images to choose by, at most those that there are."""

KEPT = 4
"""Recipes that are tried where the others' order shortens the search."""

DRAWS = 200
LEAST_SPREAD = 0.02
"""Added to the spread of a recipe over data sets, in nats: with few sets it may be zero by chance."""

WAYS = {
    "own": "own images",
    "others": "the other data sets",
    "both": "both",
    "shortened": f"own images, of the {KEPT} that the others found best",
    "best": "best on the test",
}
"""Way of choosing -> what the table calls it."""

PAGE = Path(__file__).parent.parent / "docs/paper.md"

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Found:
    """What the recipes reached on one data set.

    Args:
        held_out: log-probability of the class of each held-out image, shape (recipes, images).
        labels: of these images, shape (images,).
        test: test accuracies, shape (recipes,).
    """

    held_out: Array
    labels: NDArray[np.int64]
    test: Array

    @property
    def gains(self) -> Array:
        """Mean log-probability by recipe, every class alike, minus the mean over the recipes, shape (recipes,)."""
        means = self.held_out @ class_shares(self.labels)
        return np.asarray(means - means.mean())


def train_all(config: RunConfig, work: Path) -> list[dict[str, Any]]:
    """Return one row per recipe of the start, trained now or earlier: the recipe, ``held_out``, labels and accuracy."""
    torch.set_num_threads(config.compute.threads)
    work.mkdir(parents=True, exist_ok=True)
    setup = set_up(config, work, silent)
    if setup.data.test is None:
        raise SystemExit(f"'{config.data.source}' has no test images.")
    data, test = trial_data(setup.data, setup.config), setup.data.test.open()
    spec = WorkerSpec(setup.config, len(setup.data.class_names), setup.loaded.weights_sha256, data, work)
    worker, path = Worker(spec, setup.loaded), work.with_suffix(".jsonl")
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
    full = Recipe(setup.loaded.partition, (1.0,) * len(setup.loaded.partition))
    labels = data.labels[data.parts[None][1]].tolist()
    for recipe in informed_recipes(full, SEARCHED_VALUES)[len(rows) :]:
        epochs = config.training.epochs
        begun = Task(GIVEN, recipe, None, SEED, epochs, "rows", last_epoch=JUDGED)
        ended = Task(GIVEN, recipe, None, SEED, epochs, "rows", keep_weights=True, first_epoch=JUDGED)
        held_out = np.round(worker.evaluate(begun).held_out, 3).tolist()
        worker.evaluate(ended)
        accuracy = float((worker.logits(ended, test).argmax(axis=1) == test.labels).mean())
        worker.weights.remove(ended)
        named = {"multipliers": recipe.multipliers, "values": dict(recipe.values)}
        rows.append({**named, "held_out": held_out, "labels": labels, "test": accuracy})
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(rows[-1]) + "\n")
        print(f"{config.data.source}: {recipe.multipliers} {dict(recipe.values)}: {100 * accuracy:.1f}", flush=True)
    return rows


def found_of(rows: Sequence[Mapping[str, Any]]) -> Found:
    """Return rows as arrays."""
    return Found(
        np.array([row["held_out"] for row in rows]),
        np.array(rows[0]["labels"]),
        np.array([row["test"] for row in rows]),
    )


def chosen(images: Array, shares: Array, mean: Array, variance: Array) -> dict[str, int]:
    """Return the recipe that each way of choosing takes.

    Args:
        images: log-probabilities of some held-out images, shape (recipes, n).
        shares: weight of each image, shape (n,), with the sum 1.
        mean: of each recipe's gain over the other data sets, shape (recipes,).
        variance: of that gain over the other data sets, shape (recipes,).

    Returns:
        Index of the recipe by ``own``; ``others``; ``both``: the mean of the two, each weighted by its inverse variance
        (of normal distributions, the most probable gain); ``shortened``.
    """
    own = images @ shares
    own = own - own.mean()
    noise = (images - images.mean(axis=0)).var(axis=1, ddof=1) / images.shape[1]
    both = (own / noise + mean / variance) / (1 / noise + 1 / variance)
    first = np.argsort(-mean)[:KEPT]
    ways = {"own": own, "others": mean, "both": both}
    return {name: int(values.argmax()) for name, values in ways.items()} | {
        "shortened": int(first[own[first].argmax()])
    }


def accuracies(sets: Mapping[str, Found], images: int) -> dict[str, dict[str, float]]:
    """Return data set -> way of choosing -> mean test accuracy of its choice, over draws of held-out images.

    The draws hold as many images of each class as possible; ``best`` is the best recipe on the test, which nobody can
    choose.
    """
    generator = np.random.default_rng(0)
    found: dict[str, dict[str, float]] = {}
    for name, own in sets.items():
        gains = np.array([other.gains for key, other in sets.items() if key != name])
        variance = gains.var(axis=0, ddof=1) + LEAST_SPREAD**2
        sums: dict[str, float] = {}
        for _ in range(DRAWS):
            rows = _drawn(own.labels, images, generator)
            ways = chosen(own.held_out[:, rows], class_shares(own.labels[rows]), gains.mean(axis=0), variance)
            for way, recipe in ways.items():
                sums[way] = sums.get(way, 0.0) + float(own.test[recipe]) / DRAWS
        found[name] = {**sums, "best": float(own.test.max())}
    return found


def _drawn(labels: NDArray[np.int64], images: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Return rows of about so many images, as many of each class."""
    classes = np.unique(labels)
    each = max(1, images // len(classes))
    parts = [np.flatnonzero(labels == label) for label in classes]
    return np.concatenate([generator.choice(part, min(each, len(part)), replace=False) for part in parts])


def lines(content: Mapping[str, Any]) -> list[str]:
    """Return the lines of the table of docs/paper.md: mean test accuracy in per cent over the data sets."""
    head = ["held-out images", *WAYS.values()]
    table = [f"| {' | '.join(head)} |", f"| {' | '.join('---' for _ in head)} |"]
    for count, by_set in content["accuracies"].items():
        means = [100 * float(np.mean([ways[way] for ways in by_set.values()])) for way in WAYS]
        table.append(f"| {count} | {' | '.join(f'{mean:.1f}' for mean in means)} |")
    return table


def main() -> None:
    """Train the recipes, choose, and write what that gives."""
    register()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_network(parser)
    parser.add_argument("--out", type=Path, default=Path("runs/transfer"))
    parser.add_argument("--json", type=Path, default=Path("docs/results/transfer.json"))
    arguments = parser.parse_args()
    rows: dict[str, list[dict[str, Any]]] = {}
    for name in arguments.data:
        config = small_data(name, network(arguments), "quick")
        rows[name] = train_all(config, arguments.out / f"{config.model.name.replace(':', '-')}-{name}")
    sets = {name: found_of(part) for name, part in rows.items()}
    table = {str(images): accuracies(sets, images) for images in IMAGES}
    content = {"model": arguments.model, "image_size": arguments.image_size, "rows": rows, "accuracies": table}
    arguments.json.write_text(json.dumps(content) + "\n", encoding="utf-8")
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8"), "transfer", "benchmarks/transfer.py", lines(content)))


if __name__ == "__main__":
    main()
