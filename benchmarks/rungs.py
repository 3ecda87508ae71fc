r"""When a race should look, and what its start is worth: the first batch of a search, from trainings to their end.

Trains the eight recipes that a search starts with, and the eight of an earlier start, with the same seeds. Then one
seed runs the race of a first batch: all recipes up to the first rung, the better third up to the last one. A second
seed decides between the two leaders there, as the final phase does. What this chooses is worth its mean test accuracy
with the other seeds. Every ordered pair of seeds counts. Rows are those of benchmarks/start.py; give the same OUT to
share them.

    python benchmarks/rungs.py mnist5000 usps_gpml mfeat_digits digits8 dermo_patches \
        --weights runs/fashion/model.safetensors

The weights are made as benchmarks/early_scores.py says.
"""

import argparse
import json
import math
from collections.abc import Sequence
from itertools import chain, permutations
from pathlib import Path

import numpy as np

from biotune.genotype import informed_multipliers
from biotune.runner.racing import KEPT
from biotune.runs.config import FinalConfig, SearchConfig
from recipe_rows import Recipe, Row, small_data, trained

SEEDS = range(10, 14)
POPULATION, FINALISTS = SearchConfig().population, FinalConfig().candidates
RUNGS = ((2, 9), (3, 7), (3, 8), (3, 9), (4, 8), (4, 9), (8,))

Rows = dict[Recipe, list[Row]]


def starts(num_blocks: int) -> dict[str, list[Recipe]]:
    """Return the first recipes of a search now, and before the fastest blocks under a frozen head were among them."""
    now = informed_multipliers(num_blocks)
    added = (10.0,) * (num_blocks - 2) + (1.0, 0.0)
    before = [recipe for recipe in now if recipe != added]
    return {"before": before[:POPULATION], "now": now[:POPULATION]}


def all_recipes(num_blocks: int) -> list[Recipe]:
    """Return the recipes of both starts, each once."""
    return list(dict.fromkeys(chain.from_iterable(starts(num_blocks).values())))


def choice(rows: Rows, rungs: Sequence[int], first: int, second: int) -> tuple[Recipe, int]:
    """Return what the race of one seed, and a second seed for its leaders, choose; and how many epochs that trained."""
    running, before, epochs = list(rows), 0, 0
    for rung in rungs:
        reached = {recipe: _score(rows[recipe][first], rung) for recipe in running}
        epochs += sum(_epochs(rows[recipe][first], rung) - _epochs(rows[recipe][first], before) for recipe in running)
        running = sorted(running, key=lambda recipe: -reached[recipe])
        if rung != rungs[-1]:
            running, before = running[: math.ceil(KEPT * len(rows))], rung
    finalists = running[:FINALISTS]
    epochs += sum(_epochs(rows[recipe][second], rungs[-1]) for recipe in finalists)
    return max(finalists, key=lambda recipe: reached[recipe] + _score(rows[recipe][second], rungs[-1])), epochs


def _score(row: Row, epochs: int) -> float:
    return max(row["scores"][:epochs], default=0.0)


def _epochs(row: Row, most: int) -> int:
    return min(most, len(row["scores"]))


def worth(rows: Rows, rungs: Sequence[int]) -> tuple[float, float]:
    """Return the mean test accuracy of what is chosen, with seeds that did not choose it, and the mean epochs."""
    tests, epochs = [], []
    seeds = range(len(SEEDS))
    for first, second in permutations(seeds, 2):
        chosen, trained_epochs = choice(rows, rungs, first, second)
        tests.append(np.mean([rows[chosen][seed]["test"] or 0.0 for seed in seeds if seed not in (first, second)]))
        epochs.append(trained_epochs)
    return float(np.mean(tests)), float(np.mean(epochs))


def main() -> None:
    """Train, ask, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+")
    parser.add_argument("--weights", required=True)
    parser.add_argument("--out", type=Path, default=Path("runs/start"))
    parser.add_argument("--json", type=Path, default=Path("docs/results/rungs.json"))
    arguments = parser.parse_args()
    model = {"name": "timm:test_resnet", "weights": arguments.weights, "image_size": 32}
    found: dict[str, dict[str, dict[str, dict[str, float]]]] = {}
    for name in arguments.data:
        work = arguments.out / f"timm-test_resnet-{name}"
        rows = trained(small_data(name, model), all_recipes, SEEDS, work)
        for label, start in starts(len(next(iter(rows)))).items():
            for rungs in RUNGS:
                test, epochs = worth({recipe: rows[recipe] for recipe in start}, rungs)
                one = found.setdefault(label, {}).setdefault(", ".join(map(str, rungs)), {})
                one[name] = test
                one[f"{name} epochs"] = epochs
    for label, by_rungs in found.items():
        for rungs, values in by_rungs.items():
            values["test"] = float(np.mean([values[name] for name in arguments.data]))
            values["epochs"] = float(np.mean([values.pop(f"{name} epochs") for name in arguments.data]))
            print(f"{label}, rungs {rungs}: {100 * values['test']:.2f} with {values['epochs']:.0f} epochs")
    arguments.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
