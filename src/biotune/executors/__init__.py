"""Where tasks run."""

from collections.abc import Callable

from biotune.executors.base import Evaluate, Executor, Hooks, NotHereError, Resources, Work
from biotune.executors.in_process import InProcess
from biotune.executors.pool import Pool
from biotune.executors.ray_cluster import RayCluster
from biotune.executors.ray_connection import RayConnection


def _automatic(work: Work, resources: Resources, hooks: Hooks) -> Executor:
    return EXECUTORS["pool" if resources.workers > 1 else "in_process"](work, resources, hooks)


EXECUTORS: dict[str, Callable[[Work, Resources, Hooks], Executor]] = {
    "auto": _automatic,
    "in_process": InProcess,
    "pool": Pool,
    "ray": RayCluster,
}
"""Name in ``compute.executor`` -> what builds the executor. ``auto`` takes the pool for more than one worker."""


def require(executor: str, resources: Resources) -> None:
    """Refuse, before anything slow is done, an executor that cannot work here.

    Raises InputError: it needs a package that is not installed, or another address.
    """
    if executor == "ray":
        RayConnection(resources)


__all__ = [
    "EXECUTORS",
    "Evaluate",
    "Executor",
    "Hooks",
    "InProcess",
    "NotHereError",
    "Pool",
    "RayCluster",
    "RayConnection",
    "Resources",
    "Work",
    "require",
]
