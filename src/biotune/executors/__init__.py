"""Where tasks run."""

from collections.abc import Callable

from biotune.executors.base import Evaluate, Executor, Hooks, Work
from biotune.executors.in_process import InProcess
from biotune.executors.pool import Pool


def _automatic(work: Work, workers: int, hooks: Hooks) -> Executor:
    return EXECUTORS["pool" if workers > 1 else "in_process"](work, workers, hooks)


EXECUTORS: dict[str, Callable[[Work, int, Hooks], Executor]] = {
    "auto": _automatic,
    "in_process": InProcess,
    "pool": Pool,
}
"""Name in ``compute.executor`` -> what builds the executor. ``auto`` takes the pool for more than one worker."""

__all__ = ["EXECUTORS", "Evaluate", "Executor", "Hooks", "InProcess", "Pool", "Work"]
