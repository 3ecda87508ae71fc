"""Where tasks run."""

from collections.abc import Callable

from biotune.executors.base import Evaluate, Executor, Hooks, NotHereError, Resources, Seat, Work
from biotune.executors.in_process import InProcess
from biotune.executors.pool import Pool
from biotune.executors.ray_cluster import RayCluster
from biotune.executors.ray_connection import RayConnection


def _automatic(work: Work, resources: Resources, hooks: Hooks) -> Executor:
    is_one = resources.workers == resources.devices == 1
    return EXECUTORS["in_process" if is_one else "pool"](work, resources, hooks)


EXECUTORS: dict[str, Callable[[Work, Resources, Hooks], Executor]] = {
    "auto": _automatic,
    "in_process": InProcess,
    "pool": Pool,
    "ray": RayCluster,
}
"""Name in ``compute.executor`` -> what builds the executor. ``auto`` takes the pool for more than one worker or
device."""


def require(executor: str, resources: Resources) -> None:
    """Refuse, before anything slow is done, an executor that cannot work here.

    Raises InputError: it needs a package that is not installed, or there is no cluster at its address.
    """
    if executor == "ray":
        RayConnection(resources).require()


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
    "Seat",
    "Work",
    "require",
]
