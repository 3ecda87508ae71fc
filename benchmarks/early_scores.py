r"""How much the score after some epochs says of a recipe: why candidates of a search race over epochs.

Trains 146 recipes (40 usual ones, 106 random ones) with two seeds each, to their end. For every number of epochs k it
then asks: if the best validation score up to epoch k of one seed chose among recipes, how good would the choice be on
the test images with the other seed? Rows are appended to OUT/NAME.jsonl, so that the same command continues.

    biotune train fashion_mnist --model timm:test_resnet --weights random --image-size 32 --epochs 8 --batch-size 128 \
        --learning-rate 0.003 --validation-fraction 0.05 --seeds 1 --threads 1 --method full --out runs/fashion
    python benchmarks/early_scores.py mnist5000 usps_gpml --weights runs/fashion/model.safetensors --out runs/early \
        --json docs/results/early_scores.json
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr

from biotune.fitness import Evaluator
from biotune.genotype import Genotype
from biotune.records import Task
from biotune.runner.setup import set_up
from biotune.runs.config import resolve
from biotune.runs.events import silent

EPOCHS = (1, 2, 3, 5, 8, 12, 30)
CHOICE, DRAWS = 12, 4000
SEEDS = (0, 1)


def recipes(num_blocks: int, random: int) -> list[tuple[float, ...]]:
    """Return usual ways to fine-tune at four rates, then decoded random genes."""
    found: list[tuple[float, ...]] = [
        (1.0,) * num_blocks,
        tuple(0.75 ** (num_blocks - 1 - index) for index in range(num_blocks)),
        (0.0, *(0.5,) * (num_blocks - 2), 3.0),
    ]
    for rate in (0.3, 1.0, 3.0, 10.0):
        found += [(0.0,) * first + (rate,) * (num_blocks - first) for first in range(num_blocks)]
        found.append(tuple(rate * 0.5 ** (num_blocks - 1 - index) for index in range(num_blocks)))
        found += [(rate,) * (num_blocks - 1) + (0.3 * rate,), (0.3 * rate,) * (num_blocks - 1) + (rate,)]
    genotype, generator = Genotype(num_blocks), np.random.default_rng(0)
    wanted = len(found) + random
    while len(found) < wanted:
        genes = generator.random(genotype.num_genes)
        found += [genotype.decode(genes)] if genotype.is_feasible(genes) else []
    return list(dict.fromkeys(tuple(round(value, 6) for value in recipe) for recipe in found))


def train_all(name: str, weights: str, random: int, out: Path) -> list[dict[str, Any]]:
    """Return one row per recipe and seed, trained now or earlier."""
    config = resolve(
        "standard",
        {
            "model": {"name": "timm:test_resnet", "weights": weights, "image_size": 32},
            "data": {"source": name, "train_images": 160, "validation_images": 240, "test_images": 1000},
            "compute": {"device": "cpu", "threads": 1},
        },
    )
    torch.set_num_threads(1)
    out.mkdir(parents=True, exist_ok=True)
    setup = set_up(config, out / name, silent)
    evaluator = Evaluator(setup.config, setup.loaded, setup.data, out / name / "checkpoints")
    test = setup.data.open_test(setup.loaded.preprocessing)
    path = out / f"{name}.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    known = {(tuple(row["multipliers"]), row["seed"]) for row in rows}
    for recipe in recipes(len(setup.loaded.partition), random):
        for seed in SEEDS:
            if (recipe, seed) in known:
                continue
            task = Task("recipe", recipe, None, seed, config.training.epochs, "early", keep_weights=True)
            result = evaluator(task)
            accuracy = None
            if result.outcome == "ok":
                right = evaluator.test_logits(task, test).argmax(axis=1) == test.labels
                accuracy = float(right.mean())
                evaluator.checkpoint(task).unlink()
            scores = [record.score for record in result.curve]
            rows.append({"multipliers": recipe, "seed": seed, "scores": scores, "test": accuracy})
            with path.open("a") as file:
                file.write(json.dumps(rows[-1]) + "\n")
    return rows


def worth(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return, among the better half of the recipes, what early scores of one seed say of the test with the other."""
    by_recipe: dict[tuple[float, ...], dict[int, dict[str, Any]]] = {}
    for row in rows:
        by_recipe.setdefault(tuple(row["multipliers"]), {})[row["seed"]] = row
    pairs = [pair for pair in by_recipe.values() if len(pair) == len(SEEDS) and all(r["test"] for r in pair.values())]
    tests = np.array([[pair[seed]["test"] for seed in SEEDS] for pair in pairs])
    half = np.argsort(-tests.mean(axis=1))[: len(pairs) // 2]
    table = []
    for epochs in EPOCHS:
        scores = np.array([[max(pair[seed]["scores"][:epochs]) for seed in SEEDS] for pair in pairs])
        correlation = float(np.mean([spearmanr(scores[half, s], tests[half, 1 - s])[0] for s in SEEDS]))
        table.append({"epochs": epochs, "rank_correlation": correlation, "gain": gain(scores, tests, half)})
    lengths = [len(pair[seed]["scores"]) for pair in pairs for seed in SEEDS]
    return {"recipes": len(pairs), "mean_epochs": float(np.mean(lengths)), "by_epochs": table}


def gain(scores: NDArray[np.float64], tests: NDArray[np.float64], half: NDArray[np.int64]) -> float:
    """Return how much better than the mean of 12 recipes their best scored one is on the test with the other seed."""
    generator = np.random.default_rng(0)
    gains = []
    for _ in range(DRAWS):
        drawn, seed = generator.choice(half, CHOICE, replace=False), int(generator.integers(2))
        chosen = drawn[np.argmax(scores[drawn, seed])]
        gains.append(tests[chosen, 1 - seed] - tests[drawn, 1 - seed].mean())
    return float(np.mean(gains))


def main() -> None:
    """Train, ask, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+")
    parser.add_argument("--weights", required=True)
    parser.add_argument("--random", type=int, default=106)
    parser.add_argument("--out", type=Path, default=Path("runs/early"))
    parser.add_argument("--json", type=Path, default=Path("docs/results/early_scores.json"))
    arguments = parser.parse_args()
    found = {
        name: worth(train_all(name, arguments.weights, arguments.random, arguments.out)) for name in arguments.data
    }
    arguments.json.write_text(json.dumps(found, indent=1) + "\n")
    for name, content in found.items():
        print(f"{name}: {content['recipes']} recipes, {content['mean_epochs']:.1f} epochs on average")
        for row in content["by_epochs"]:
            print(
                f"  {row['epochs']:2} epochs: rank {row['rank_correlation']:+.2f}, gain {100 * row['gain']:+.2f} points"
            )


if __name__ == "__main__":
    main()
