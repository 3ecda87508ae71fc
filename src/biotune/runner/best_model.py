"""The best model that a run knows by validation: in its folder from the first training on, so that it can be used."""

import math
from dataclasses import replace
from pathlib import Path

import safetensors.torch

from biotune.errors import DamagedStateError
from biotune.records import Evaluation, Task
from biotune.runner.setup import Setup
from biotune.runs import folder as files
from biotune.runs.store import MAIN_SEARCH
from biotune.runs.unfinished import Unfinished, about_model, digest, replace_model, settle
from biotune.trials.desk import Keeper
from biotune.trials.weights import portable
from biotune.trials.worker import Worker


class BestModel(Keeper):
    """Puts a model into the run folder whenever a training on all training images is better than all before it.

    It does so before the result is stored, so that what is stored is never better than what can be used. A finished
    run that is continued under a larger budget keeps its finished model until it has chosen again.

    Args:
        folder: the run folder.
        setup: what the run works with.
        worker: loads the weights that were kept.
    """

    def __init__(self, folder: Path, setup: Setup, worker: Worker) -> None:
        self._folder = folder
        self._setup = setup
        self._worker = worker
        try:
            settle(folder)
            about = about_model(folder)
        except DamagedStateError:
            about = None
        self.bar = -math.inf if about is None else about.fitness
        if (folder / files.SUMMARY).exists():
            self.close()

    def offer(self, phase: str, detail: str, task: Task, result: Evaluation) -> None:
        """Take the model of a training if it is better by validation; weights kept for this alone are deleted."""
        if result.outcome == "ok" and result.fitness > self.bar and self._worker.weights.has(task):
            put_model(self._folder, self._setup, self._worker, task, result.fitness, _words(phase, detail, task))
            self.bar = result.fitness
        if not task.keep_weights:
            self._worker.weights.remove(task)

    def close(self) -> None:
        """Take no further model: the run has chosen."""
        self.bar = math.inf


def put_model(folder: Path, setup: Setup, worker: Worker, task: Task, fitness: float, what: str) -> None:
    """Export the model of a finished task, whose weights were kept, with all that belongs to it.

    ``fitness`` is on validation; ``what`` says in words which model it is.
    """
    content = safetensors.torch.save(portable(worker.load(task).state_dict()))
    recipe = replace(worker.recipe_of(task), model=setup.loaded.name)
    about = Unfinished(
        what,
        fitness,
        digest(content),
        recipe.to_yaml(),
        list(setup.data.class_names),
        setup.loaded.preprocessing.to_json(),
        setup.data.name,
    )
    replace_model(folder, content, about)


def _words(phase: str, detail: str, task: Task) -> str:
    """Return which model a training gave."""
    if phase == "full":
        return "plain full fine-tuning"
    if phase == "probe":
        return "logistic regression on the features of the frozen network"
    if phase == MAIN_SEARCH:
        return f"{detail} of the search" if detail.startswith("generation") else "the first epochs of full fine-tuning"
    return "one of the best recipes, trained again" if detail == "biotune" else f"{detail}, seed {task.seed}"
