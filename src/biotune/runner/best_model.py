"""The best model that a run knows by validation: in its folder from the first training on, so that it can be used."""

import math
from dataclasses import replace

import safetensors.torch
import torch

from biotune.errors import DamagedStateError
from biotune.records import Evaluation, Task
from biotune.runner.session import Session
from biotune.runs import folder as files
from biotune.runs.store import MAIN_SEARCH
from biotune.runs.unfinished import Unfinished, about_model, digest, replace_model, settle


class BestModel:
    """Puts a model into the run folder whenever a training on all training images is better than all before it.

    It does so before the result is stored, so that what is stored is never better than what can be used. A finished
    run that is continued under a larger budget keeps its finished model until the new choice.

    Args:
        session: of the run.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        try:
            settle(session.folder)
            about = about_model(session.folder)
        except DamagedStateError:
            about = None
        self._set_bar(-math.inf if about is None else about.fitness)
        if (session.folder / files.SUMMARY).exists():
            self._set_bar(math.inf)
        session.on_result = self.offer

    def offer(self, phase: str, detail: str, task: Task, result: Evaluation) -> None:
        """Take the model of a training if it is better by validation; weights kept for this alone are deleted.

        Args:
            phase: of the training.
            detail: as shown with the progress.
            task: the training.
            result: of it.
        """
        evaluator = self._session.evaluator
        if result.outcome == "ok" and result.fitness > self._bar and evaluator.has_weights(task):
            put_model(self._session, task, result.fitness, _words(phase, detail, task))
            self._set_bar(result.fitness)
        if not task.keep_weights:
            evaluator.checkpoint(task).unlink(missing_ok=True)

    def close(self) -> None:
        """Take no further model: the run has chosen."""
        self._set_bar(math.inf)

    def _set_bar(self, fitness: float) -> None:
        self._bar = self._session.evaluator.keep_above = fitness


def put_model(session: Session, task: Task, fitness: float, what: str) -> None:
    """Export the model of a finished task with kept weights, with all that belongs to it.

    Args:
        session: of the run.
        task: the training.
        fitness: of it.
        what: which model it is, in words.
    """
    state = session.evaluator.load(task).state_dict()
    # Copies, since tied tensors share their memory and safetensors refuses that.
    portable = {name: tensor.cpu().clone(memory_format=torch.contiguous_format) for name, tensor in state.items()}
    content = safetensors.torch.save(portable)
    recipe = replace(session.evaluator.recipe_of(task), model=session.loaded.name)
    about = Unfinished(
        what,
        fitness,
        digest(content),
        recipe.to_yaml(),
        list(session.data.class_names),
        session.loaded.preprocessing.to_json(),
        session.data.name,
    )
    replace_model(session.folder, content, about)


def _words(phase: str, detail: str, task: Task) -> str:
    """Return which model a training gave."""
    if phase == "full":
        return "plain full fine-tuning"
    if phase == MAIN_SEARCH:
        return f"{detail} of the search"
    return "one of the best recipes, trained anew" if detail == "biotune" else f"{detail}, seed {task.seed}"
