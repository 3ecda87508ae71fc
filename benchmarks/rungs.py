r"""At which epochs a race should compare, and what its start is worth: the first batch of a search, replayed.

Trains the recipes that a search starts with, and those of an earlier start, to the end with the same seeds. Then one
seed replays the race of a first batch: all recipes up to the first rung, the better third up to the last one. A second
seed decides between the two leaders, as the final phase does. The value of this choice is its mean test accuracy with
the other seeds, averaged over all ordered pairs of seeds. Rows are those of benchmarks/start.py: give the same OUT to
share them, and another one for another number of planned epochs.

    python -m benchmarks.rungs mnist5000 usps_gpml mfeat_digits digits8 dermo_patches --model timm:test_resnet \
        --weights runs/fashion/model.safetensors --image-size 32 --seeds 4      (and with --epochs 30)
    python -m benchmarks.rungs mnist5000 usps_gpml mfeat_digits fashion_mnist dermo_patches ufoai_textures \
        --model tf_efficientnet_lite0 --image-size 64 --preset quick --seeds 3      (and with squeezenet1_1)

benchmarks/early_scores.py says how the weights of the first network are made.
"""

import argparse
import json
import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain, permutations
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.datasets import register
from benchmarks.recipe_rows import Recipe, Row, add_network, network, small_data, trained
from biotune.settings.config import KEPT
from biotune.settings.resolve import resolve
from biotune.settings.sections import FinalConfig
from biotune.space.start import informed_multipliers

FIRST_SEED = 10
"""As in benchmarks/start.py."""

FINALISTS = FinalConfig().candidates
RUNGS = {
    "standard": ((2, 9), (3, 7), (3, 8), (3, 9), (4, 8), (4, 9), (4, 10), (5, 10), (8,)),
    "quick": ((3, 6), (4, 8), (4, 12), (6, 12), (6,), (12,)),
}
"""Preset -> epochs of the rungs that are tried."""

EARLIER_POPULATION = 8
"""Population of the presets at the earlier start."""

Rows = dict[Recipe, list[Row]]
Choose = Callable[[Rows, int, int], tuple[Recipe, int]]


def starts(num_blocks: int, preset: str) -> dict[str, list[Recipe]]:
    """Return the first recipes of a search, now and before the last ones were added."""
    now = informed_multipliers(num_blocks)
    body = num_blocks - 2
    added = [(3.0,) * body + (0.3, 0.0)]
    if preset == "standard":
        added.append((10.0,) * body + (1.0, 0.0))
    before = [recipe for recipe in now if recipe not in added]
    return {"before": before[:EARLIER_POPULATION], "now": now[: resolve(preset, {}).search.population]}


def all_recipes(num_blocks: int, preset: str) -> list[Recipe]:
    """Return the recipes of both starts, each once."""
    return list(dict.fromkeys(chain.from_iterable(starts(num_blocks, preset).values())))


def choice(rows: Rows, first: int, second: int, rungs: Sequence[int]) -> tuple[Recipe, int]:
    """Return the choice by a race with one seed and a second seed for its leaders, and the epochs that it took."""
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


def choice_by_test(rows: Rows, first: int, second: int) -> tuple[Recipe, int]:
    """Return the best choice by test images after two whole trainings of every recipe, which no search may make."""
    epochs = sum(len(of_recipe[seed]["scores"]) for of_recipe in rows.values() for seed in (first, second))
    return max(rows, key=lambda recipe: _test(rows[recipe][first]) + _test(rows[recipe][second])), epochs


def _test(row: Row) -> float:
    return row["test"] or 0.0


def worth(rows: Rows, choose: Choose) -> tuple[float, float]:
    """Return the mean test accuracy of the choice, with seeds that did not choose it, and the mean epochs."""
    tests, epochs = [], []
    seeds = range(len(next(iter(rows.values()))))
    for first, second in permutations(seeds, 2):
        chosen, trained_epochs = choose(rows, first, second)
        tests.append(np.mean([_test(rows[chosen][seed]) for seed in seeds if seed not in (first, second)]))
        epochs.append(trained_epochs)
    return float(np.mean(tests)), float(np.mean(epochs))


def choices(rows: dict[str, Rows], start: Sequence[Recipe], all_rungs: Sequence[Sequence[int]]) -> Iterator[Any]:
    """Yield the value of each choice of rungs, and of the choice by test images, on each data set and in the mean."""
    ways: dict[str, Choose] = {", ".join(map(str, rungs)): partial(choice, rungs=rungs) for rungs in all_rungs}
    for label, choose in {**ways, "chosen by test": choice_by_test}.items():
        found = {name: worth({recipe: of_set[recipe] for recipe in start}, choose) for name, of_set in rows.items()}
        means = dict(zip(("test", "epochs"), np.mean(list(found.values()), axis=0).tolist(), strict=True))
        yield label, {**{name: test for name, (test, _) in found.items()}, **means}


def on_the_way(rows: dict[str, Rows], start: Sequence[Recipe], epochs: Sequence[int]) -> list[dict[str, Any]]:
    """Return each recipe with its mean validation score after some epochs, and its mean test accuracy."""
    found = []
    for recipe in start:
        every = [row for of_set in rows.values() for row in of_set[recipe]]
        scores = {str(epoch): float(np.mean([_score(row, epoch) for row in every])) for epoch in epochs}
        found.append({"multipliers": recipe, "scores": scores, "test": float(np.mean([_test(row) for row in every]))})
    return found


def main() -> None:
    """Train the recipes, replay the races, write and print the results."""
    register()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_network(parser)
    parser.add_argument("--preset", choices=tuple(RUNGS), default="standard")
    parser.add_argument("--epochs", type=int, default=0, help="planned epochs; 0 for those of the preset")
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--out", type=Path, default=Path("runs/start"))
    parser.add_argument("--json", type=Path, default=Path("docs/results/rungs.json"))
    arguments = parser.parse_args()
    seeds = range(FIRST_SEED, FIRST_SEED + arguments.seeds)
    rows: dict[str, Rows] = {}
    for name in arguments.data:
        work = arguments.out / f"{arguments.model.replace(':', '-')}-{name}"
        config = small_data(name, network(arguments), arguments.preset, epochs=arguments.epochs)
        rows[name] = trained(config, partial(all_recipes, preset=arguments.preset), seeds, work)
    by_start = starts(len(next(iter(rows[arguments.data[0]]))), arguments.preset)
    found = {label: dict(choices(rows, start, RUNGS[arguments.preset])) for label, start in by_start.items()}
    planned = arguments.epochs or resolve(arguments.preset, {}).training.epochs
    ends = sorted({rung for rungs in RUNGS[arguments.preset] for rung in rungs if rung < planned})
    content = json.loads(arguments.json.read_text()) if arguments.json.exists() else {}
    content[f"{arguments.model}, {planned} epochs"] = {
        "model": arguments.model,
        "preset": arguments.preset,
        "epochs": planned,
        "data": arguments.data,
        "seeds": arguments.seeds,
        **found,
        "recipes": on_the_way(rows, by_start["now"], ends),
    }
    arguments.json.write_text(json.dumps(content, indent=1) + "\n")
    for label, by_rungs in found.items():
        for rungs, values in by_rungs.items():
            print(f"{label}, rungs {rungs}: {100 * values['test']:.2f} with {values['epochs']:.0f} epochs")


if __name__ == "__main__":
    main()
