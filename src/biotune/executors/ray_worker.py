"""A worker on a Ray cluster: an actor, which builds its worker once and trains one task after the other."""

import contextlib
import os
import socket
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from biotune.executors.base import Evaluate, Hooks, Seat
from biotune.executors.messages import ENDS, Answering, Message
from biotune.records import Task
from biotune.version import __version__

OMP = "OMP_NUM_THREADS"


@dataclass(frozen=True)
class Surroundings:
    """Where a process works.

    Args:
        folder: the current folder, from which relative paths lead.
        imports: where modules are looked for, as in ``sys.path``.
        omp: the variable OMP_NUM_THREADS; None where it is not set.
    """

    folder: str
    imports: tuple[str, ...]
    omp: str | None

    @classmethod
    def here(cls) -> "Surroundings":
        """Return those of this process."""
        return cls(str(Path.cwd()), tuple(sys.path), os.environ.get(OMP))

    def take_on(self) -> None:
        """Work there, where that is possible; Ray starts its processes in other folders, with other variables."""
        with contextlib.suppress(OSError):  # a machine that lacks the folder lacks the run too, and is told so
            os.chdir(self.folder)
        sys.path.extend(one for one in self.imports if one not in sys.path)
        if self.omp is None:
            os.environ.pop(OMP, None)
        else:
            os.environ[OMP] = self.omp


@dataclass(frozen=True)
class Place:
    """Which process a worker is, and with which packages it works.

    Args:
        host: name of the machine.
        pid: number of the process there.
        versions: package -> version, of those that results depend on.
    """

    host: str
    pid: int
    versions: dict[str, str]

    @classmethod
    def here(cls) -> "Place":
        """Return that of this process."""
        packages = {name: version(name) for name in ("torch", "torchvision", "timm", "numpy")}
        return cls(socket.gethostname(), os.getpid(), {"biotune": __version__, **packages})


class RayWorker:
    """What Ray runs as an actor.

    One thread of its own builds the worker and trains, so that epochs are told while a training goes on; the number of
    threads that PyTorch uses holds for the thread that sets it.

    Args:
        build: a list with the reference of what builds the worker; in a list, Ray does not open it, so that nothing
            heavy is imported before ``surroundings`` are taken on.
        number: which worker of the run it is, from 0.
        surroundings: those of the process that the run belongs to.
    """

    def __init__(self, build: list[Any], number: int, surroundings: Surroundings) -> None:
        surroundings.take_on()
        self._tasks: SimpleQueue[Task] = SimpleQueue()
        self._told: SimpleQueue[Message] = SimpleQueue()
        threading.Thread(target=self._work, args=(build[0], number), daemon=True).start()

    def place(self) -> Place:
        """Return where this worker is; Ray answers when it has started it."""
        return Place.here()

    def train(self, task: Task) -> Iterator[Message]:
        """Train a task, and yield what is told of it; the first message says that it has begun."""
        yield ("begun", None)
        self._tasks.put(task)
        while True:
            message = self._told.get()
            yield message
            if message[0] in ENDS:
                return

    def _work(self, build: Any, number: int) -> None:
        def opened(hooks: Hooks, seat: Seat) -> Evaluate:
            evaluate: Evaluate = import_module("ray").get(build)(hooks, seat)
            return evaluate

        answering = Answering(opened, Seat(number), self._told.put)
        try:
            while True:
                answering.answer(self._tasks.get())
        finally:
            os._exit(1)  # without this thread the worker would be waited for, for ever
