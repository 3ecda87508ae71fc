r"""What usual ways to fine-tune are worth, far from the pretraining and near to it: what a search should start with.

Trains each recipe to its end with the same seeds; the recipes of one seed share its fresh head and its order of images.
Rows are appended to OUT/NETWORK-NAME.jsonl, so that the same command continues.

    python benchmarks/start.py mnist5000 usps_gpml mfeat_digits digits8 dermo_patches --model timm:test_resnet \
        --weights runs/fashion/model.safetensors --image-size 32 --seeds 4
    python benchmarks/start.py ufoai_textures fashion_mnist --model tf_efficientnet_lite0 --image-size 64 \
        --preset quick --seeds 2

The weights of the first network are made as benchmarks/early_scores.py says.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from biotune.fitness import Evaluator
from biotune.records import Task
from biotune.runner.setup import set_up
from biotune.runs.config import RunConfig, resolve
from biotune.runs.events import silent

FIRST_SEED = 10


def recipes(num_blocks: int) -> dict[str, tuple[float, ...]]:
    """Return recipes by what they train."""
    body, half = num_blocks - 1, num_blocks // 2
    return {
        "all x1": (1.0,) * num_blocks,
        "all x1, head x0.3": (1.0,) * body + (0.3,),
        "all x3": (3.0,) * num_blocks,
        "all x3, head x1": (3.0,) * body + (1.0,),
        "all x3, head x0.3": (3.0,) * body + (0.3,),
        "all x3, head frozen": (3.0,) * body + (0.0,),
        "all x0.3": (0.3,) * num_blocks,
        "all x0.3, head x3": (0.3,) * body + (3.0,),
        "last half x1": (0.0,) * half + (1.0,) * (num_blocks - half),
        "last half x3, head x1": (0.0,) * half + (3.0,) * (body - half) + (1.0,),
        "last block and head x1": (0.0,) * (body - 1) + (1.0, 1.0),
        "head x1": (0.0,) * body + (1.0,),
        "head x3": (0.0,) * body + (3.0,),
    }


def train_all(config: RunConfig, seeds: int, out: Path) -> list[dict[str, Any]]:
    """Return one row per recipe and seed, trained now or earlier."""
    torch.set_num_threads(1)
    work = out / f"{config.model.name.replace(':', '-')}-{config.data.source}"
    work.mkdir(parents=True, exist_ok=True)
    setup = set_up(config, work, silent)
    evaluator = Evaluator(setup.config, setup.loaded, setup.data, work / "checkpoints")
    test = setup.data.open_test(setup.loaded.preprocessing)
    path = work.with_suffix(".jsonl")
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    known = {(row["recipe"], row["seed"]) for row in rows}
    for seed in range(FIRST_SEED, FIRST_SEED + seeds):
        for label, multipliers in recipes(len(setup.loaded.partition)).items():
            if (label, seed) in known:
                continue
            task = Task("recipe", multipliers, None, seed, config.training.epochs, "start", keep_weights=True)
            accuracy = 0.0
            if evaluator(task).outcome == "ok":
                accuracy = float((evaluator.test_logits(task, test).argmax(axis=1) == test.labels).mean())
                evaluator.checkpoint(task).unlink()
            rows.append({"recipe": label, "seed": seed, "test": accuracy})
            with path.open("a") as file:
                file.write(json.dumps(rows[-1]) + "\n")
    return [row for row in rows if FIRST_SEED <= row["seed"] < FIRST_SEED + seeds]


def summary(rows: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Return, for each recipe, the mean test accuracy, its standard error over seeds, and their number."""
    found = {}
    for label in dict.fromkeys(row["recipe"] for row in rows):
        tests = np.array([row["test"] for row in rows if row["recipe"] == label])
        error = float(tests.std(ddof=1) / np.sqrt(len(tests)))
        found[label] = {"test": float(tests.mean()), "standard_error": error, "seeds": len(tests)}
    return found


def main() -> None:
    """Train, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+")
    parser.add_argument("--model", required=True)
    parser.add_argument("--weights", default="auto")
    parser.add_argument("--image-size", type=int, required=True)
    parser.add_argument("--preset", default="standard")
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--out", type=Path, default=Path("runs/start"))
    parser.add_argument("--json", type=Path, default=Path("docs/results/start.json"))
    arguments = parser.parse_args()
    for name in arguments.data:
        config = resolve(
            arguments.preset,
            {
                "model": {"name": arguments.model, "weights": arguments.weights, "image_size": arguments.image_size},
                "data": {"source": name, "train_images": 160, "validation_images": 240, "test_images": 1000},
                "compute": {"device": "cpu", "threads": 1},
            },
        )
        found = summary(train_all(config, arguments.seeds, arguments.out))
        content = json.loads(arguments.json.read_text()) if arguments.json.exists() else {}
        content.setdefault(arguments.model, {})[name] = found
        arguments.json.write_text(json.dumps(content, indent=1) + "\n")
        for label, one in found.items():
            print(f"{name}, {label}: {100 * one['test']:.1f} ±{100 * one['standard_error']:.1f}")


if __name__ == "__main__":
    main()
