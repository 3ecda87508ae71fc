"""Connects to a Ray cluster, or starts one on this machine, which ends with the connection."""

import importlib
import importlib.util
import logging
import os
import shutil
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from biotune.errors import InputError
from biotune.executors.base import Resources

CONNECT_S = 5.0
"""How long the head of a cluster may take to answer."""
OBJECT_STORE_BYTES = 100 * 2**20
"""Of a cluster on this machine, which reads images from their file: little more than the least that Ray allows."""


class RayConnection:
    """A connection to a cluster.

    Args:
        resources: what is needed of it, and its address; without one, a cluster of this machine is started, which
            listens on the loopback interface alone.

    Raises:
        InputError: Ray is not installed, or the address cannot be one.
    """

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._address = resources.address
        self._folder = ""
        self._is_ours = False
        if importlib.util.find_spec("ray") is None:
            raise InputError("the executor ray needs the package ray; install it: pip install 'biotune[ray]'.")
        if "://" in self._address:
            raise InputError(
                f"the address '{self._address}' is one of Ray's client, which cannot train; run the command on a "
                "machine of the cluster, for example by 'ray job submit', with --address auto."
            )

    def open(self) -> Any:
        """Connect, unless this process is connected already.

        Returns:
            The module ``ray``.

        Raises:
            InputError: there is no cluster, or it cannot be used.
        """
        with _only_here() if not self._address else _reachable(self._address):
            ray = importlib.import_module("ray")
            if not ray.is_initialized():
                self._is_ours = True
                _quieten(ray)
                with _handler_kept():
                    self._connect(ray)
        return ray

    def close(self) -> None:
        """Disconnect, and end a cluster that was started here."""
        if self._is_ours:
            importlib.import_module("ray").shutdown()
            self._is_ours = False
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _connect(self, ray: Any) -> None:
        common = {"configure_logging": False, "log_to_driver": False, "namespace": "biotune"}
        if not self._address:
            self._folder = tempfile.mkdtemp(prefix="biotune-ray-")
            used = self._resources
            here = {
                "num_cpus": used.workers * used.threads,
                "num_gpus": None if used.gpus else 0,
                "include_dashboard": False,
                "object_store_memory": OBJECT_STORE_BYTES,
                "_temp_dir": self._folder,
                "_node_ip_address": "127.0.0.1",
                "_system_config": {"worker_niceness": 0},  # Ray's 15 leaves trainings nothing beside other programs
            }
            ray.init("local", **here, **common)
            return
        try:
            ray.init(self._address, **common)
        except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
            self._is_ours = False
            raise InputError(
                f"the Ray cluster at '{self._address}' cannot be used: {' '.join(str(error).split())} Give the address "
                "of its head, HOST:PORT, or auto on a machine of the cluster."
            ) from None


@contextmanager
def _only_here() -> Iterator[None]:
    """Let Ray listen on the loopback interface; it reads this variable when it is imported."""
    name = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
    earlier = os.environ.setdefault(name, "0")
    yield
    if earlier == "0":
        del os.environ[name]


@contextmanager
def _reachable(address: str) -> Iterator[None]:
    """Refuse an address at which nothing listens: Ray itself would try for a minute and then end the process."""
    if address != "auto":
        host, _, port = address.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), CONNECT_S).close()
        except (OSError, ValueError, OverflowError):
            raise InputError(
                f"no Ray cluster answers at '{address}' (--address); give HOST:PORT of its head, or auto on a machine "
                "of the cluster."
            ) from None
    yield


def _quieten(ray: Any) -> None:
    """Let Ray print nothing: of lost machines, it would tell on standard output, where results are printed as JSON."""
    logging.getLogger("ray").setLevel(logging.CRITICAL)
    ray._private.worker._worker_logs_enabled = False


@contextmanager
def _handler_kept() -> Iterator[None]:
    """Keep what SIGTERM does: Ray would let it end the process at once."""
    earlier = signal.getsignal(signal.SIGTERM)
    yield
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, earlier)
