"""BioTune's presets: ``biotune tune`` on the table of the task; what is exported is what counts."""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.alternatives.task import TABLE, Outcome, Task
from biotune.results import Summary
from biotune.results.answers import TestAnswers


def run_quick(task: Task, seed: int, epochs: int = 0) -> Outcome:
    """Run ``biotune tune --preset quick``."""
    return _tune(task, seed, "quick", epochs)


def run_standard(task: Task, seed: int, epochs: int = 0) -> Outcome:
    """Run ``biotune tune --preset standard``."""
    return _tune(task, seed, "standard", epochs)


def _tune(task: Task, seed: int, preset: str, epochs: int) -> Outcome:
    with tempfile.TemporaryDirectory(prefix="biotune-bench-") as folder:
        run = Path(folder) / "run"
        options = {
            "out": run, "preset": preset, "baselines": "none", "model": task.network, "weights": task.weights,
            "image-size": task.image_size, "resize": task.resize, "threads": task.threads, "seed": seed,
            "device": "cpu", **({"epochs": epochs} if epochs else {}),
        }  # fmt: skip
        typed = [text for name, value in options.items() for text in (f"--{name}", str(value))]
        command = [sys.executable, "-m", "biotune", "tune", str(task.folder / TABLE), *typed]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
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
        "multipliers": [block.multiplier for block in summary.recipe.blocks],
        "final_trainings": accuracies.tolist(),
        "mean_of_final_trainings": float(accuracies.mean()),
    }
    return Outcome(tuple(predicted[own, places].tolist()), chosen)
