"""Trainings that only pretend: they go where the real ones go, through the registry of executors."""

from collections.abc import Callable

import pytest

from biotune.executors import EXECUTORS, InProcess
from biotune.records import EpochRecord, Evaluation, Task
from biotune.trials.worker import Worker

Pretence = Callable[[Worker, Task], Evaluation]


def pretend(monkeypatch: pytest.MonkeyPatch, evaluate: Pretence) -> None:
    """Let a function evaluate all tasks of runs with one worker."""

    class Pretending(InProcess):
        def wait(self) -> tuple[Task, Evaluation]:
            task = self._waiting.popleft()
            return task, evaluate(self._evaluate.__self__, task)

    monkeypatch.setitem(EXECUTORS, "in_process", Pretending)


def never(_worker: Worker, task: Task) -> Evaluation:
    """Fail: everything is stored already."""
    pytest.fail(f"trained again: {task}")


def scored(score: float, seconds: float = 1.0) -> Evaluation:
    """Return the result of one epoch."""
    return Evaluation("ok", score, 0, (EpochRecord(0, 1.0, 1.0, score, score, score),), seconds, 10)


def keep_weights(worker: Worker, task: Task) -> None:
    """Leave the weights of a task, as if it had been trained."""
    worker.restore(task.seed)
    state = worker.model.state_dict()
    worker.weights.save(task, state, {name: tensor + 1 for name, tensor in state.items()})
