"""Several tasks at a time, each in a process of this machine, or in several that train it together."""

import contextlib
import os
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing import connection, get_context, parent_process
from pathlib import Path
from typing import Any

from biotune.errors import BioTuneError, InputError
from biotune.executors.base import BuildEvaluate, Hooks, Resources, Seat, Work
from biotune.executors.messages import Answering, Message, Seen
from biotune.records import Evaluation, Task

LOOK_EVERY_S = 0.1
"""How often the pool looks at the stop signal while it waits: a tenth of a second is at once for a person."""
PATIENCE_S = 3.0
"""How long a process may take to end when it is asked to; then it is killed."""
DEATH_S = 1.0
"""How long the death of a process may take to be noticed, after others have told that they miss it."""
TRIES = 2
"""A process can die by no fault of the task (the system was short of memory): each task gets a second one."""
_AGAIN = ("killed", "oom")
"""The outcomes after which a task gets it."""


class Pool:
    """Keeps a few workers; each is built once and trains one task after the other.

    A worker is a process, or one for each device of a training. They are started with the first task (``spawn``:
    nothing is inherited from threads or CUDA), and do not outlive this process, however it ends. A task goes to the
    worker that trained its beginning, if that one is free.

    Args:
        work: says how a worker is built.
        resources: how many workers, and how many processes for each.
        hooks: called in this process with what the workers tell.
    """

    def __init__(self, work: Work, resources: Resources, hooks: Hooks) -> None:
        self.capacity = resources.workers
        self._resources = resources
        self._build = work.elsewhere()
        self._hooks = hooks
        self._workers: list[_Worker] = []

    def has_begun(self, task: Task) -> bool:
        """Return whether a free worker has trained the beginning of a task."""
        return any(task.training in worker.seen for worker in self._free())

    def submit(self, task: Task) -> None:
        """Send a task to a free worker."""
        if not self._workers:
            self._workers = [self._worker(number) for number in range(self.capacity)]
        max(self._free(), key=lambda worker: task.training in worker.seen).send(task)

    def wait(self) -> tuple[Task, Evaluation]:
        """Return the next result that any worker gives."""
        while True:
            self._hooks.check()
            for worker, kind, content in self._news():
                if kind == "result":
                    return worker.finished(), content
                if kind in {"lost", "failed"}:
                    if (found := self._replace(worker, content)) is not None:
                        return found
                elif kind == "error":
                    raise content
                else:
                    self._tell(worker, kind, content)

    def close(self) -> None:
        """End all processes, also in the middle of a step."""
        for worker in self._workers:
            worker.end()
        for worker in self._workers:
            worker.join()
        self._workers = []

    def _worker(self, number: int) -> "_Worker":
        return _Worker(self._build, number, self._resources.devices)

    def _free(self) -> "list[_Worker]":
        return [worker for worker in self._workers if worker.task is None]

    def _news(self) -> "Iterator[tuple[_Worker, str, Any]]":
        """Yield what busy workers tell, and of one that is silent for too long that it failed."""
        busy = {pipe: worker for worker in self._workers if worker.task is not None for pipe in worker.pipes}
        for pipe in connection.wait(list(busy), LOOK_EVERY_S):
            worker = busy[pipe]  # type: ignore[index]
            if worker.task is not None:  # another of its processes was lost a moment ago
                yield worker, *worker.receive(pipe)  # type: ignore[arg-type]
        for worker in self._workers:
            if worker.task is not None and self._resources.is_late(worker.seconds):
                yield worker, "failed", Evaluation("timeout", 0.0)

    def _tell(self, worker: "_Worker", kind: str, content: Any) -> None:
        if kind == "say":
            self._hooks.say(content)
        elif kind == "epoch" and worker.task is not None:
            self._hooks.on_epoch(worker.task, content)

    def _replace(self, worker: "_Worker", result: Evaluation) -> tuple[Task, Evaluation] | None:
        """Start other processes in the place of a worker's; return its task with its result, unless they try it again.

        They do if the outcome is one ``_AGAIN``, and they have not done so yet.
        """
        task, seconds = worker.finished(), worker.seconds
        worker.end()
        code = worker.join()
        if result.outcome == "killed" and not worker.has_begun and (code or 0) > 0:
            raise InputError(
                f"a worker process ended before it had begun (exit code {code}); see what it printed. A script that "
                "asks for several workers must be a file with its calls under if __name__ == '__main__', since each "
                "worker imports it."
            )
        self._workers[worker.number] = again = self._worker(worker.number)
        if result.outcome in _AGAIN and worker.tries < TRIES:
            again.send(task, worker.tries + 1)
            return None
        cause = f"exit code {code}" if result.outcome == "killed" else result.cause
        return task, replace(result, seconds=seconds, cause=cause)


_Pipe = connection.Connection


class _Worker:
    """The processes that train one task together, often a single one; and the trainings that they have seen."""

    def __init__(self, build: BuildEvaluate, number: int, devices: int) -> None:
        self.number = number
        self.task: Task | None = None
        self.tries = 0
        self.began = 0.0
        self.has_begun = False
        self.seen = Seen()
        self._folder = tempfile.TemporaryDirectory(prefix="biotune-") if devices > 1 else None
        meeting = Path(self._folder.name) / "ranks" if self._folder else None
        self._processes = [_Process(build, Seat(number, rank, devices, meeting)) for rank in range(devices)]

    @property
    def seconds(self) -> float:
        """Seconds since it was given its task."""
        return time.perf_counter() - self.began

    @property
    def pipes(self) -> "list[_Pipe]":
        return [process.pipe for process in self._processes]

    def send(self, task: Task, tries: int = 1) -> None:
        self.task, self.tries, self.began = task, tries, time.perf_counter()
        self.seen.add(task.training)
        for pipe in self.pipes:
            with contextlib.suppress(OSError):  # a process that is dead already: noticed when its answer is waited for
                pipe.send(task)

    def receive(self, pipe: "_Pipe") -> Message:
        """Return what one process tells; of the kind ``lost`` where it, or one that the others miss, is dead."""
        lost: Message = "lost", Evaluation("killed", 0.0)
        try:
            message: Message = pipe.recv()
        except (EOFError, OSError):
            return lost
        self.has_begun = True
        sentinels = [process.sentinel for process in self._processes]
        if message[0] in {"error", "failed"} and len(sentinels) > 1 and connection.wait(sentinels, DEATH_S):
            return lost
        return message

    def finished(self) -> Task:
        """Return the task, and be free for the next one."""
        task, self.task = self.task, None
        if task is None:
            raise BioTuneError("a worker sent a result that nobody asked for.")
        return task

    def end(self) -> None:
        for process in self._processes:
            process.end()

    def join(self) -> int | None:
        """Wait for the end and return the exit code, of several processes that of one which did not end by itself."""
        codes = [process.join() for process in self._processes]
        if self._folder:
            self._folder.cleanup()
        return next((code for code in codes if code != -signal.SIGTERM), codes[0])


class _Process:
    """One process with its pipe."""

    def __init__(self, build: BuildEvaluate, seat: Seat) -> None:
        context = get_context("spawn")
        self.pipe, theirs = context.Pipe()
        name = f"worker {seat.number}" + (f" rank {seat.rank}" if seat.ranks > 1 else "")
        self._process = context.Process(target=_work, args=(build, seat, theirs), name=name, daemon=True)
        self._process.start()
        theirs.close()

    @property
    def sentinel(self) -> int:
        """Ready when the process has ended."""
        return self._process.sentinel

    def end(self) -> None:
        self.pipe.close()
        self._process.terminate()

    def join(self) -> int | None:
        """Wait for the end and return the exit code."""
        self._process.join(PATIENCE_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        return self._process.exitcode


def _work(build: BuildEvaluate, seat: Seat, pipe: "connection.Connection[Any, Any]") -> None:
    """What a worker process does: build the worker, then evaluate tasks until the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C reaches every process of a terminal; ours decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()

    def tell(message: Message) -> None:
        if seat.rank == 0 or message[0] in {"error", "failed"}:  # the others would say the same
            pipe.send(message)

    tell(("begun", None))
    answering = Answering(build, seat, tell)
    with contextlib.suppress(EOFError, OSError):  # the pipe was closed
        while True:
            answering.answer(pipe.recv())


def _end_with_parent() -> None:
    """End this process as soon as the one that started it has ended, even by ``kill -9``."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
