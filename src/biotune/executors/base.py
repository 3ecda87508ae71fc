"""Running tasks: here, one after the other, in this process."""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from biotune.records import Evaluation, Task


class Executor(Protocol):
    """Runs tasks in any order."""

    def run(self, tasks: Sequence[Task]) -> Iterator[tuple[int, Evaluation]]:
        """Yield (index of the task, its result), each as soon as it is there."""


class InProcess:
    """Runs tasks one by one in the calling process.

    Args:
        evaluate: a pure function of the task.
    """

    def __init__(self, evaluate: Callable[[Task], Evaluation]) -> None:
        self.evaluate = evaluate

    def run(self, tasks: Sequence[Task]) -> Iterator[tuple[int, Evaluation]]:
        """Yield results in the order of the tasks."""
        for index, task in enumerate(tasks):
            yield index, self.evaluate(task)
