"""How many epochs ``standard`` should plan: whole runs with its earlier plan of 30 epochs, and with the present one.

The cosine brings the rate down over the planned epochs, and early stopping may end a training before it is down. For
each data set and plan, one run without baselines: the search, three final trainings, their test accuracy. Finished runs
are kept; a larger --root-seeds adds to them.

    python -m benchmarks.planned_epochs mnist5000 fashion_mnist mfeat_digits usps_gpml dermo_patches ufoai_textures \
        --model tf_efficientnet_lite0 --image-size 64
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.datasets import register
from benchmarks.recipe_rows import add_network, network, small_data
from biotune.report.comparison_rows import written_multipliers
from biotune.runner.run import run
from biotune.statistics import mean_and_standard_error

PLANS: dict[str, dict[str, Any]] = {
    "before": {"epochs": 30, "search": {"population": 8, "rungs": (0.1, 0.25)}},
    "now": {},
}
"""What differs from ``standard``: ``before`` judged after 3 and 8 epochs too, and tried one recipe less at first."""


def tuned(name: str, model: dict[str, Any], plan: str, root_seed: int, folder: Path) -> dict[str, Any]:
    """Return test accuracies of the final trainings, their epochs, and the recipe, of one run."""
    config = small_data(name, model, final={"baselines": ()}, **PLANS[plan])
    summary = run(config.model_copy(update={"seed": root_seed}), folder)
    history = json.loads((folder / "history.json").read_text(encoding="utf-8"))
    epochs = [len(curve["validation_accuracy"]) for curve in history["curves"] if curve["method"] == "biotune"]
    multipliers = [block.multiplier for block in summary.recipe.blocks]
    tests = summary.test.per_seed if summary.test else ()
    return {"tests": list(tests), "epochs": epochs, "multipliers": multipliers}


def pooled(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the mean test accuracy with its standard error over all final trainings, and what was chosen."""
    mean, error = mean_and_standard_error([test for one in runs for test in one["tests"]])
    chosen = [written_multipliers(one["multipliers"]) for one in runs]
    epochs = float(np.mean([epochs for one in runs for epochs in one["epochs"]]))
    return {"test": mean, "standard_error": error, "epochs": epochs, "chosen": chosen}


def main() -> None:
    """Run, pool, write."""
    register()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_network(parser)
    parser.add_argument("--root-seeds", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("runs/planned-epochs"))
    parser.add_argument("--json", type=Path, default=Path("docs/results/planned_epochs.json"))
    arguments = parser.parse_args()
    model, found = network(arguments), dict[str, Any]()
    for name in arguments.data:
        for plan in PLANS:
            seeds = range(arguments.root_seeds)
            runs = [tuned(name, model, plan, seed, arguments.out / f"{name}-{plan}-{seed}") for seed in seeds]
            found.setdefault(name, {})[plan] = pooled(runs)
            print(f"{name}, {plan}: {100 * found[name][plan]['test']:.1f} %")
    content = {"model": arguments.model, "root_seeds": arguments.root_seeds, "data": found}
    arguments.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
