"""What the executor of a run may use of a machine or a cluster."""

from biotune.errors import InputError
from biotune.executors import Resources
from biotune.settings.compute import ComputeConfig


def resources_of(compute: ComputeConfig) -> Resources:
    """Return what an executor may use, of settings whose device and threads are resolved.

    Raises InputError: Ray is to give each worker a GPU, and the settings name one of them.
    """
    kind, _, number = compute.device.partition(":")
    if number and compute.executor == "ray":
        raise InputError(
            f"the device '{compute.device}' is one of several, and Ray gives each worker its own; "
            f"choose --device {kind}."
        )
    return Resources(
        compute.workers, compute.threads, compute.gpus_per_worker if kind == "cuda" else 0.0, compute.address
    )
