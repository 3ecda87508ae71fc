r"""Compares common ways to fine-tune on data far from the pretraining and close to it: what should a search start with?

Trains each recipe to the end with the same seeds; trainings with one seed share the fresh head and the order of images.
Rows are appended to OUT/NETWORK-NAME.jsonl, so the same command continues.

    python -m benchmarks.start mnist5000 usps_gpml mfeat_digits digits8 dermo_patches --model timm:test_resnet \
        --weights runs/fashion/model.safetensors --image-size 32 --epochs 30 --seeds 4
    python -m benchmarks.start ufoai_textures fashion_mnist --model tf_efficientnet_lite0 --image-size 64 \
        --preset quick --seeds 2

benchmarks/early_scores.py says how the weights of the first network are made.
"""

import argparse
import json
from pathlib import Path

from benchmarks.datasets import register
from benchmarks.recipe_rows import add_network, network, small_data, trained
from biotune.settings.config import RunConfig
from biotune.statistics import mean_and_standard_error

FIRST_SEED = 10
"""Any other seeds than the 0, 1, 2, ... of ordinary runs."""


def recipes(num_blocks: int) -> dict[str, tuple[float, ...]]:
    """Return name -> recipe; the name says what is trained."""
    body, half = num_blocks - 1, num_blocks // 2
    return {
        "all x1": (1.0,) * num_blocks,
        "all x1, head x0.3": (1.0,) * body + (0.3,),
        "all x3": (3.0,) * num_blocks,
        "all x3, head x1": (3.0,) * body + (1.0,),
        "all x3, head x0.3": (3.0,) * body + (0.3,),
        "all x3, head frozen": (3.0,) * body + (0.0,),
        "all x3, last and head frozen": (3.0,) * (body - 1) + (0.0, 0.0),
        "all x10, head frozen": (10.0,) * body + (0.0,),
        "all x10, last x1, head frozen": (10.0,) * (body - 1) + (1.0, 0.0),
        "all x10, last and head frozen": (10.0,) * (body - 1) + (0.0, 0.0),
        "all x0.3": (0.3,) * num_blocks,
        "all x0.3, head x3": (0.3,) * body + (3.0,),
        "last half x1": (0.0,) * half + (1.0,) * (num_blocks - half),
        "last half x3, head x1": (0.0,) * half + (3.0,) * (body - half) + (1.0,),
        "last block and head x1": (0.0,) * (body - 1) + (1.0, 1.0),
        "head x1": (0.0,) * body + (1.0,),
        "head x3": (0.0,) * body + (3.0,),
    }


def train_all(config: RunConfig, seeds: int, out: Path) -> dict[str, list[float]]:
    """Return the test accuracies of every recipe, one per seed, trained now or earlier."""
    work = out / f"{config.model.name.replace(':', '-')}-{config.data.source}"
    rows = trained(config, lambda blocks: recipes(blocks).values(), range(FIRST_SEED, FIRST_SEED + seeds), work)
    labels = recipes(len(next(iter(rows))))
    return {label: [row["test"] or 0.0 for row in rows[recipe]] for label, recipe in labels.items()}


def summary(tests: list[float]) -> dict[str, float]:
    """Return the mean test accuracy, its standard error over seeds, and their number."""
    mean, error = mean_and_standard_error(tests)
    return {"test": mean, "standard_error": error or 0.0, "seeds": len(tests)}


def main() -> None:
    """Train the recipes, write and print the results."""
    register()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_network(parser)
    parser.add_argument("--preset", default="standard")
    parser.add_argument("--epochs", type=int, default=0, help="planned epochs; 0 for those of the preset")
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--out", type=Path, default=Path("runs/start"))
    parser.add_argument("--json", type=Path, default=Path("docs/results/start.json"))
    arguments = parser.parse_args()
    for name in arguments.data:
        config = small_data(name, network(arguments), arguments.preset, epochs=arguments.epochs)
        tests = train_all(config, arguments.seeds, arguments.out)
        found = {label: summary(values) for label, values in tests.items()}
        content = json.loads(arguments.json.read_text()) if arguments.json.exists() else {}
        content.setdefault(arguments.model, {})[name] = found
        arguments.json.write_text(json.dumps(content, indent=1) + "\n")
        for label, one in found.items():
            print(f"{name}, {label}: {100 * one['test']:.1f} ±{100 * one['standard_error']:.1f}")


if __name__ == "__main__":
    main()
