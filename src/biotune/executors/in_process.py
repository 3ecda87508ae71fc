"""One task at a time, in this process."""

from collections import deque

from biotune.executors.base import Hooks, Resources, Work
from biotune.records import Evaluation, Task


class InProcess:
    """Trains each task when it is waited for.

    Args:
        work: gives the worker of this process.
        resources: one worker, whatever is asked for.
        hooks: the worker has them already.
    """

    capacity = 1

    def __init__(self, work: Work, resources: Resources, hooks: Hooks) -> None:
        del resources, hooks
        self._evaluate = work.evaluate
        self._waiting: deque[Task] = deque()

    def has_begun(self, task: Task) -> bool:
        """Return True: there is one worker."""
        del task
        return True

    def submit(self, task: Task) -> None:
        """Take a task."""
        self._waiting.append(task)

    def wait(self) -> tuple[Task, Evaluation]:
        """Train the task that was submitted first."""
        task = self._waiting.popleft()
        return task, self._evaluate(task)

    def close(self) -> None:
        """Forget what was not trained."""
        self._waiting.clear()
