"""What every executor does: it takes tasks, and gives their results back as they are finished."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from biotune.records import Evaluation, Task

Evaluate = Callable[[Task], Evaluation]
"""Trains one task. Its result depends on the task alone, so it does not matter who does it, or how often."""


@dataclass(frozen=True)
class Hooks:
    """What a worker calls while it works; each may raise to stop it.

    Args:
        on_epoch: called with a task and the number of its epoch, from 0, before every training step.
        check: called often; raises if the user wants to stop.
        say: receives a sentence that the user should know.
    """

    on_epoch: Callable[[Task, int], None] = lambda _task, _epoch: None
    check: Callable[[], None] = lambda: None
    say: Callable[[str], None] = lambda _sentence: None


BuildEvaluate = Callable[[Hooks, int], Evaluate]
"""Builds a worker in another process, from its hooks and its number; can be pickled."""


@dataclass(frozen=True)
class Work:
    """What an executor trains with.

    Args:
        evaluate: trains a task in this process.
        elsewhere: returns what builds a worker in another process; raises InputError, in one sentence, where the
            network or the images are only in this process.
    """

    evaluate: Evaluate
    elsewhere: Callable[[], BuildEvaluate]


class Executor(Protocol):
    """Runs tasks, a few at a time.

    It is built from ``(work, workers, hooks)``. The caller submits at most ``capacity`` tasks before it waits for one
    of them, and no task twice at a time. After ``close`` no process of the executor is left.
    """

    @property
    def capacity(self) -> int:
        """How many tasks can be submitted at a time."""

    def submit(self, task: Task) -> None:
        """Take a task."""

    def wait(self) -> tuple[Task, Evaluation]:
        """Return one of the submitted tasks with its result, as soon as any is finished.

        Raises whatever ended the training of a task, with the text that it had in the worker; and InterruptedRunError
        when ``hooks.check`` raises it.
        """

    def close(self) -> None:
        """End at once, whatever is running."""
