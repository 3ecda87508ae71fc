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
from contextlib import contextmanager, nullcontext
from typing import Any

from biotune.errors import InputError
from biotune.executors.base import Resources

AUTO = "auto"
"""The address of the cluster that this machine belongs to."""
CONNECT_S = 10.0
"""How long the head of a cluster may take to answer."""
_SETTINGS = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
"""An empty frame of HTTP/2 (RFC 9113, section 6.5): three bytes of length, type, flags, and a stream."""
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
        if self._address:
            _require_reachable(self._address)
        with nullcontext() if self._address else _only_here():
            ray = importlib.import_module("ray")
            if not ray.is_initialized():
                self._is_ours = True
                _quieten(ray)
                with _handler_kept():
                    self._connect(ray)
        return ray

    def require(self) -> None:
        """Refuse an address without a cluster; Ray alone knows whether there is one on this machine (``auto``)."""
        if self._address == AUTO:
            self.open()
            self.close()
        elif self._address:
            _require_reachable(self._address)

    def close(self) -> None:
        """Disconnect, and end a cluster that was started here."""
        if self._is_ours:
            importlib.import_module("ray").shutdown()
            self._is_ours = False
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _connect(self, ray: Any) -> None:
        common = {"configure_logging": False, "log_to_driver": False, "namespace": "biotune"}
        try:
            ray.init(self._address or "local", **({} if self._address else self._here()), **common)
        except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
            self.close()
            reason = " ".join(str(error).split()).rstrip(".")
            if not self._address:
                raise InputError(
                    f"Ray cannot be started on this machine: {reason}; try --workers without it."
                ) from None
            raise InputError(
                f"the Ray cluster at '{self._address}' cannot be used: {reason}; give the address of its head, "
                "HOST:PORT, or auto on a machine of the cluster."
            ) from None

    def _here(self) -> dict[str, Any]:
        """Return what a cluster of this machine is started with."""
        self._folder = tempfile.mkdtemp(prefix="biotune-ray-")
        return {
            "num_cpus": self._resources.workers * self._resources.threads,
            "num_gpus": None if self._resources.gpus else 0,
            "include_dashboard": False,
            "object_store_memory": OBJECT_STORE_BYTES,
            "_temp_dir": self._folder,
            "_node_ip_address": "127.0.0.1",
            "_system_config": {"worker_niceness": 0},  # Ray's 15 leaves trainings nothing beside other programs
        }


@contextmanager
def _only_here() -> Iterator[None]:
    """Let Ray listen on the loopback interface; it reads this variable when it is imported."""
    name = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
    earlier = os.environ.get(name)
    os.environ[name] = "0"
    try:
        yield
    finally:
        del os.environ[name]
        if earlier is not None:
            os.environ[name] = earlier


def _require_reachable(address: str) -> None:
    """Refuse an address at which no server of Ray's kind listens: Ray itself would try for minutes."""
    if address == AUTO:
        return
    host, _, port = address.rpartition(":")
    try:
        is_there = _answers(host.strip("[]"), int(port))
    except (OSError, ValueError, OverflowError):
        is_there = False
    if not is_there:
        raise InputError(
            f"no Ray cluster answers at '{address}' (--address); give HOST:PORT of its head, or auto on a machine "
            "of the cluster."
        )


def _answers(host: str, port: int) -> bool:
    """Return whether a server speaks HTTP/2, as gRPC does: it answers a first frame of settings by one of its own."""
    with socket.create_connection((host, port), CONNECT_S) as connection:
        if os.environ.get("RAY_USE_TLS", "0") != "0":
            return True  # it would have to be encrypted
        connection.settimeout(CONNECT_S)
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _SETTINGS)
        header = connection.recv(len(_SETTINGS))
        return len(header) == len(_SETTINGS) and header[3] == _SETTINGS[3]


def _quieten(ray: Any) -> None:
    """Let Ray print nothing: of lost machines, it would tell on standard output, where results are printed as JSON."""
    logging.getLogger("ray").setLevel(logging.CRITICAL)
    ray._private.worker._worker_logs_enabled = False


@contextmanager
def _handler_kept() -> Iterator[None]:
    """Keep what SIGTERM does: Ray would let it end the process at once."""
    earlier = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, earlier)
