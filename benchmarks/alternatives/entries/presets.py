"""BioTune's presets on the table of the task; what ``biotune predict`` answers is what counts.

In this process rather than by the command line, so that Python and PyTorch are started once, as for every entry.
"""

import tempfile
from pathlib import Path
from typing import Any

from benchmarks.alternatives.task import IMAGES, TABLE, Outcome, Task
from biotune import TuneResult, tune


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
        result = tune(task.folder / TABLE, out=run, model=model, preset=preset, seed=seed, **options)
        return _outcome(result, task)


def _outcome(result: TuneResult, task: Task) -> Outcome:
    """Return what ``biotune predict`` answers on the test images; and the accuracies of single networks."""
    summary = result.summary
    files = [task.folder / IMAGES / file for file, _, _ in task.parts["test"]]
    predicted = tuple(int(answer.label) for answer in result.predict(files))
    chosen = {
        "image_size": summary.model.image_size,
        "multipliers": [block.multiplier for block in summary.recipe.blocks],
        "values": summary.recipe.values,
        "companions": [one.model_dump(mode="json") for one in summary.final.companions],
        "final_trainings": summary.test.per_seed if summary.test else (),
        "work": [part.cost_in_full_finetunes for part in (summary.search, summary.final) if part],
        "candidates": summary.search.evaluations if summary.search else 0,
        "generations": summary.search.generations if summary.search else 0,
    }
    return Outcome(predicted, chosen)
