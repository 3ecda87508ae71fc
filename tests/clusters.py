"""Ray clusters of this machine for tests: several machines of a cluster are several raylets."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from biotune.executors import RayConnection, Resources

HEAD = {"num_cpus": 0, "include_dashboard": False, "_system_config": {"worker_niceness": 0}}
"""No room for workers; and Ray's 15 would let these starve where several tests run."""


@contextmanager
def connected(workers: int = 4) -> Iterator[None]:
    """Start a cluster with room for so many workers, which all executors of this process then use and leave running."""
    connection = RayConnection(Resources(workers))
    connection.open()
    yield
    connection.close()


@contextmanager
def machines(count: int) -> Iterator[Any]:
    """Yield a cluster with a head that has no room for workers, and so many machines with room for one each."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args=HEAD)
    for _ in range(count):
        cluster.add_node(num_cpus=1)
    yield cluster
    cluster.shutdown()
