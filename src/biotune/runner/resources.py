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
    devices = compute.devices_per_training
    if kind == "cuda":
        on_each = int(1 / compute.gpus_per_worker) if compute.executor == "ray" else 1
        return 1 if number else max(1, torch.cuda.device_count() * on_each // devices)
    room = psutil.virtual_memory().total // (devices * (WORKER_BYTES + compute.prefix_cache_mib * 2**20))
    return int(max(1, min(num_cores() // max(devices, compute.threads), room, population)))


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
    if compute.devices_per_training > 1:
        _require_devices(compute)
    return Resources(
        compute.workers,
        compute.threads,
        compute.devices_per_training,
        compute.gpus_per_worker if kind == "cuda" else 0.0,
        _address(compute),
        int(compute.memory_per_worker * 2**30),
        compute.training_timeout,
    )


def _require_devices(compute: ComputeConfig) -> None:
    """Raise InputError where no training can be shared by as many devices as the settings ask for."""
    devices, (kind, _, number) = compute.devices_per_training, compute.device.partition(":")
    asked = f"--devices-per-training {devices}"
    if compute.executor in {"ray", "in_process"}:
        raise InputError(
            f"{asked} needs processes of this machine that work together, which --executor {compute.executor} does not "
            "have; leave --executor out."
        )
    if kind not in {"cpu", "cuda"} or number:
        raise InputError(
            f"{asked} works on several processors or GPUs, not on '{compute.device}'; choose --device cpu or cuda."
        )
    if kind == "cuda" and devices > (there := torch.cuda.device_count()):
        raise InputError(f"{asked} needs {devices} GPUs, and this machine has {there}; ask for at most {there}.")
    if 0 < compute.micro_batch < 2 * devices:
        raise InputError(
            f"the micro-batch of {compute.micro_batch} images is too small to be shared by {devices} devices; give at "
            f"least {2 * devices} (--micro-batch), or fewer devices (--devices-per-training)."
        )


def _address(compute: ComputeConfig) -> str:
    """Return the address of the Ray cluster: as given, or the variable that ``ray job submit`` sets; empty for none."""
    return (compute.address or os.environ.get("RAY_ADDRESS", "")) if compute.executor == "ray" else ""
