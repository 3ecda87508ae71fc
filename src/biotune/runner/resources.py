"""What the executor of a run may use of a machine or a cluster."""

import os

import psutil
import torch

from biotune.errors import InputError
from biotune.executors import Resources
from biotune.machine import num_cores
from biotune.settings.compute import ComputeConfig

WORKER_BYTES = 2 * 2**30
"""Memory that a worker takes besides its recorded outputs, rounded up: PyTorch, the network, paused trainings."""


def num_workers(compute: ComputeConfig, population: int) -> int:
    """Return how many workers ``auto`` stands for on this machine, or the number that was given.

    On GPUs it is one for each, or as many as share it with Ray. On a CPU it is one for each core, since two trainings
    do not wait for each other as two threads of one do; but no more than the memory has room for, and no more than a
    batch has candidates.

    Args:
        compute: with its device resolved; threads are 0 where they are to be shared among the workers.
        population: candidates of a batch.

    Returns:
        The number, at least 1.

    Raises:
        InputError: ``auto`` for a cluster.
    """
    given: int | str = compute.workers
    if isinstance(given, int):
        return given
    if address := _address(compute):
        raise InputError(
            f"--workers auto counts the devices of this machine; for the Ray cluster at '{address}', give a number "
            "('ray status' shows what it has room for)."
        )
    kind, _, number = compute.device.partition(":")
    if kind == "cuda":
        on_each = int(1 / compute.gpus_per_worker) if compute.executor == "ray" else 1
        return 1 if number else torch.cuda.device_count() * on_each
    room = psutil.virtual_memory().total // (WORKER_BYTES + compute.prefix_cache_mib * 2**20)
    return int(max(1, min(num_cores() // max(1, compute.threads), room, population)))


def resources_of(compute: ComputeConfig) -> Resources:
    """Return what an executor may use, of settings whose device and threads are resolved.

    Raises InputError: Ray is to give each worker a GPU, and the settings name one of them; or an address without Ray.
    """
    if compute.address and compute.executor != "ray":
        raise InputError(f"the address '{compute.address}' is one of Ray: add --executor ray, or leave --address out.")
    kind, _, number = compute.device.partition(":")
    if number and compute.executor == "ray":
        raise InputError(
            f"the device '{compute.device}' is one of several, and Ray gives each worker its own; "
            f"choose --device {kind}."
        )
    return Resources(
        compute.workers, compute.threads, compute.gpus_per_worker if kind == "cuda" else 0.0, _address(compute)
    )


def _address(compute: ComputeConfig) -> str:
    """Return the address of the Ray cluster: as given, or the variable that ``ray job submit`` sets; empty for none."""
    return (compute.address or os.environ.get("RAY_ADDRESS", "")) if compute.executor == "ray" else ""
