"""BioTune's presets on the table of the task; what is exported is what counts.

In this process rather than by the command line, so that Python and PyTorch are started once, as for every entry.
"""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.alternatives.task import TABLE, Outcome, Task
from biotune import tune
from biotune.results import Summary
from biotune.results.answers import TestAnswers


def run_quick(task: Task, seed: int, epochs: int = 0) -> Outcome:
    """Do what ``biotune tune --preset quick`` does."""
    return _tune(task, seed, "quick", epochs)


def run_standard(task: Task, seed: int, epochs: int = 0) -> Outcome:
    """Do what ``biotune tune --preset standard`` does."""
    return _tune(task, seed, "standard", epochs)


def _tune(task: Task, seed: int, preset: str, epochs: int) -> Outcome:
    side = "auto" if task.automatic else task.image_size
    model = {"name": task.network, "weights": task.weights, "image_size": side, "resize": task.resize}
    options: dict[str, Any] = {"baselines": "none", "device": "cpu", "threads": task.threads}
    options |= {"epochs": epochs} if epochs else {}
    with tempfile.TemporaryDirectory(prefix="biotune-bench-") as folder:
        run = Path(folder) / "run"
        tune(task.folder / TABLE, out=run, model=model, preset=preset, seed=seed, **options)
        return _outcome(run, task)


def _outcome(run: Path, task: Task) -> Outcome:
    """Return the answers of the exported network, and the mean accuracy of all final trainings."""
    summary = Summary.read(run / "summary.json")
    answers = TestAnswers.read(run / "answers.json")
    predicted = np.array(answers.predicted["biotune"])
    accuracies = (predicted == np.array(answers.truth)).mean(axis=1)
    own = int(np.abs(accuracies - (summary.exported.test or 0.0)).argmin())  # the training that was exported
    order = {image: place for place, image in enumerate(answers.images)}
    places = [order[f"images/{file}"] for file, _, _ in task.parts["test"]]
    chosen = {
        "image_size": summary.model.image_size,
        "multipliers": [block.multiplier for block in summary.recipe.blocks],
        "final_trainings": accuracies.tolist(),
        "mean_of_final_trainings": float(accuracies.mean()),
    }
    return Outcome(tuple(predicted[own, places].tolist()), chosen)
