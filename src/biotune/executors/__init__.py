"""Where tasks run."""

from collections.abc import Callable

from biotune.executors.base import Evaluate, Executor, Hooks, Work
from biotune.executors.in_process import InProcess
from biotune.executors.pool import Pool

EXECUTORS: dict[str, Callable[[Work, int, Hooks], Executor]] = {
    "in_process": InProcess,
    "pool": Pool,
}
"""Name in ``compute.executor`` -> class. ``auto`` takes the pool for more than one worker."""

__all__ = ["EXECUTORS", "Evaluate", "Executor", "Hooks", "InProcess", "Pool", "Work"]
