r"""How well the score after some epochs predicts the test accuracy of a recipe: why candidates race over epochs.

Trains 144 recipes (38 common ones, 106 random ones) to the end, with two seeds each. For every number of epochs k it
then asks: if the best validation score up to epoch k with one seed chose among recipes, how good would the choice be on
the test images with the other seed? The same is asked for trainings on half of the images with equal work, and for a
surrogate that predicts the scores of recipes from those of others. Rows are appended to OUT/NAME.jsonl, so the same
command continues.

    biotune train fashion_mnist --model timm:test_resnet --weights random --image-size 32 --epochs 8 --batch-size 128 \
        --learning-rate 0.003 --validation-fraction 0.05 --seeds 1 --threads 1 --method full --out runs/fashion
    python -m benchmarks.early_scores mnist5000 usps_gpml --weights runs/fashion/model.safetensors --out runs/early \
        --json docs/results/early_scores.json
"""

import argparse
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

from benchmarks.datasets import register
from benchmarks.recipe_rows import Recipe, Row, small_data, trained
from biotune.space import BlockSpace

EPOCHS = (1, 2, 3, 5, 8, 12, 30)
"""Numbers of epochs whose scores are tried; 30 is the whole training."""

CHOICE, DRAWS = 12, 4000
"""Recipes of one choice, about a generation of a search; and how often a choice is drawn."""

SEEDS = (0, 1)
SLICED = (1, 3, 5, 8)
"""Numbers of epochs whose work is spent on half of the images instead."""

KNOWN, OFFERED, RUNG, SURROGATES = (8, 16, 32), 8, 9, 200
"""Recipes that the surrogate knows, recipes that it chooses among, epochs of the scores, and number of repetitions."""

Pairs = dict[Recipe, list[Row]]
Table = NDArray[np.float64]
Indices = NDArray[np.int64]


def recipes(num_blocks: int, random: int) -> list[tuple[float, ...]]:
    """Return common ways to fine-tune at four rates, then decoded random genes."""
    all_recipes: list[tuple[float, ...]] = [
        (1.0,) * num_blocks,
        tuple(0.75 ** (num_blocks - 1 - index) for index in range(num_blocks)),
        (0.0, *(0.5,) * (num_blocks - 2), 3.0),
    ]
    for rate in (0.3, 1.0, 3.0, 10.0):
        all_recipes += [(0.0,) * first + (rate,) * (num_blocks - first) for first in range(num_blocks)]
        all_recipes.append(tuple(rate * 0.5 ** (num_blocks - 1 - index) for index in range(num_blocks)))
        all_recipes += [(rate,) * (num_blocks - 1) + (0.3 * rate,), (0.3 * rate,) * (num_blocks - 1) + (rate,)]
    space, generator = BlockSpace.unnamed(num_blocks), np.random.default_rng(0)
    wanted = len(all_recipes) + random
    while len(all_recipes) < wanted:
        genes = generator.random(space.num_genes)
        all_recipes += [space.decode(genes).multipliers] if space.is_feasible(genes) else []
    return list(dict.fromkeys(tuple(round(value, 6) for value in recipe) for recipe in all_recipes))


def ask_all(name: str, weights: str, random: int, out: Path) -> dict[str, Any]:
    """Train all recipes, unless an earlier call did, and return all figures."""
    model = {"name": "timm:test_resnet", "weights": weights, "image_size": 32}
    rows = trained(
        small_data(name, model, epochs=EPOCHS[-1]), lambda blocks: recipes(blocks, random), SEEDS, out / name
    )
    pairs = {recipe: pair for recipe, pair in rows.items() if all(row["test"] for row in pair)}  # without diverged ones
    half = small_data(name, model, train_images=80, epochs=EPOCHS[-1])
    parts = trained(half, lambda _blocks: pairs, SEEDS, out / f"{name}-half", 2 * max(SLICED))
    return {**worth(pairs), "by_half_of_the_images": slices(pairs, parts), "surrogate": surrogate(pairs)}


def _tests(pairs: Pairs) -> Table:
    return np.array([[row["test"] for row in pair] for pair in pairs.values()])


def _best_scores(pairs: Pairs, epochs: int) -> Table:
    return np.array([[max(row["scores"][:epochs], default=0.0) for row in pair] for pair in pairs.values()])


def _better_half(tests: Table) -> Indices:
    return np.argsort(-tests.mean(axis=1))[: len(tests) // 2]


def worth(pairs: Pairs) -> dict[str, Any]:
    """Return how well early scores of one seed predict the test with the other, for the better half of the recipes."""
    tests = _tests(pairs)
    table = [{"epochs": epochs, **_said(_best_scores(pairs, epochs), tests)} for epochs in EPOCHS]
    lengths = [len(row["scores"]) for pair in pairs.values() for row in pair]
    return {"recipes": len(pairs), "mean_epochs": float(np.mean(lengths)), "by_epochs": table}


def slices(pairs: Pairs, parts: Pairs) -> list[dict[str, Any]]:
    """Return the same for trainings on half of the images with twice as many epochs, which is equal work."""
    tests = _tests(pairs)
    return [{"epochs": 2 * epochs, **_said(_best_scores(parts, 2 * epochs), tests)} for epochs in SLICED]


def _said(scores: Table, tests: Table) -> dict[str, float]:
    half = _better_half(tests)
    correlation = float(np.mean([spearmanr(scores[half, s], tests[half, 1 - s])[0] for s in SEEDS]))
    return {"rank_correlation": correlation, "gain": gain(scores, tests, half)}


def surrogate(pairs: Pairs) -> list[dict[str, Any]]:
    """Return the gain of a Gaussian process that chooses among 8 good recipes by the scores of others after 9 epochs.

    For comparison: the gain by the recipes' own scores after 9 epochs, with the other seed, and by the best choice.
    """
    inputs = np.array([_features(recipe) for recipe in pairs])
    tests, scores = _tests(pairs), _best_scores(pairs, RUNG)
    half, generator = _better_half(tests), np.random.default_rng(0)
    table = []
    for known in KNOWN:
        gains = []
        for _ in range(SURROGATES):
            seed = int(generator.integers(2))
            offered = generator.choice(half, OFFERED, replace=False)
            seen = generator.choice(np.setdiff1d(np.arange(len(tests)), offered), known, replace=False)
            kernel = ConstantKernel(1.0) * RBF(2.0) + WhiteKernel(0.1)
            model = GaussianProcessRegressor(kernel, normalize_y=True).fit(inputs[seen], scores[seen, seed])
            mean = tests[offered].mean(axis=1)
            guessed = mean[np.argmax(model.predict(inputs[offered]))] - mean.mean()
            other = tests[offered, 1 - seed]
            scored = other[np.argmax(scores[offered, seed])] - other.mean()
            gains.append((guessed, scored, mean.max() - mean.mean()))
        names = ("surrogate", "own_score", "best")
        table.append({"known": known, **dict(zip(names, map(float, np.mean(gains, axis=0)), strict=True))})
    return table


def _features(recipe: tuple[float, ...]) -> list[float]:
    return [float(value > 0) for value in recipe] + [math.log10(value) if value else 0.0 for value in recipe]


def gain(scores: Table, tests: Table, half: Indices) -> float:
    """Return by how much the best scored of 12 recipes beats their mean, on the test images with the other seed."""
    generator = np.random.default_rng(0)
    gains = []
    for _ in range(DRAWS):
        drawn, seed = generator.choice(half, CHOICE, replace=False), int(generator.integers(2))
        chosen = drawn[np.argmax(scores[drawn, seed])]
        gains.append(tests[chosen, 1 - seed] - tests[drawn, 1 - seed].mean())
    return float(np.mean(gains))


def main() -> None:
    """Train the recipes, compute the figures, write and print them."""
    register()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+")
    parser.add_argument("--weights", required=True)
    parser.add_argument("--random", type=int, default=106)
    parser.add_argument("--out", type=Path, default=Path("runs/early"))
    parser.add_argument("--json", type=Path, default=Path("docs/results/early_scores.json"))
    arguments = parser.parse_args()
    found = {name: ask_all(name, arguments.weights, arguments.random, arguments.out) for name in arguments.data}
    arguments.json.write_text(json.dumps(found, indent=1) + "\n")
    for name, content in found.items():
        print(f"{name}: {content['recipes']} recipes, {content['mean_epochs']:.1f} epochs on average")
        for row in content["by_epochs"]:
            _show(row, "")
        for row in content["by_half_of_the_images"]:
            _show(row, " of half of the images")
        for row in content["surrogate"]:
            shown = ", ".join(f"{key} {100 * row[key]:+.2f}" for key in ("surrogate", "own_score", "best"))
            print(f"  {row['known']} known: {shown} points")


def _show(row: dict[str, Any], what: str) -> None:
    rank, points = row["rank_correlation"], 100 * row["gain"]
    print(f"  {row['epochs']:2} epochs{what}: rank {rank:+.2f}, gain {points:+.2f} points")


if __name__ == "__main__":
    main()
