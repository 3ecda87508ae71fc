"""Several tasks at a time, each in a process of this machine."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from multiprocessing import connection, get_context, parent_process
from typing import Any

from biotune.errors import BioTuneError
from biotune.executors.base import BuildEvaluate, Hooks, Resources, Work
from biotune.executors.messages import Answering, Seen
from biotune.records import Evaluation, Task

LOOK_EVERY_S = 0.1
"""How often the pool looks at the stop signal while it waits: a tenth of a second is at once for a person."""
PATIENCE_S = 3.0
"""How long a process may take to end when it is asked to; then it is killed."""
TRIES = 2
"""A process can die by no fault of the task (the system was short of memory): each task gets a second one."""


class Pool:
    """Keeps a few processes; each builds a worker once and trains one task after the other.

    The processes are started with the first task (``spawn``: nothing is inherited from threads or CUDA). They do not
    outlive this one, however it ends. A task goes to the process that trained its beginning, if that one is free.

    Args:
        work: says how a worker is built.
        resources: one process for each worker.
        hooks: called in this process with what the workers tell.
    """

    def __init__(self, work: Work, resources: Resources, hooks: Hooks) -> None:
        self.capacity = resources.workers
        self._build = work.elsewhere()
        self._hooks = hooks
        self._processes: list[_Process] = []

    def submit(self, task: Task) -> None:
        """Send a task to a free process."""
        if not self._processes:
            self._processes = [_Process(self._build, number) for number in range(self.capacity)]
        free = [process for process in self._processes if process.task is None]
        max(free, key=lambda process: task.training in process.seen).send(task)

    def wait(self) -> tuple[Task, Evaluation]:
        """Return the next result that any process gives."""
        while True:
            self._hooks.check()
            for process in self._ready():
                try:
                    kind, content = process.pipe.recv()
                except (EOFError, OSError):
                    self._replace(process)
                    continue
                if kind == "result":
                    return process.finished(), content
                if kind == "error":
                    raise content
                self._tell(process, kind, content)

    def close(self) -> None:
        """End all processes, also in the middle of a step."""
        for process in self._processes:
            process.end()
        for process in self._processes:
            process.join()
        self._processes = []

    def _ready(self) -> "Iterator[_Process]":
        busy = {process.pipe: process for process in self._processes if process.task is not None}
        yield from (busy[pipe] for pipe in connection.wait(list(busy), LOOK_EVERY_S))  # type: ignore[index]

    def _tell(self, process: "_Process", kind: str, content: Any) -> None:
        if kind == "say":
            self._hooks.say(content)
        elif process.task is not None:
            self._hooks.on_epoch(process.task, content)

    def _replace(self, process: "_Process") -> None:
        """Start another process in the place of a dead one, with its task."""
        task, tries = process.task, process.tries + 1
        process.end()
        code = process.join()
        if task is None or tries > TRIES:
            raise BioTuneError(
                f"a worker process died {TRIES} times over the same training (exit code {code}); if memory is short, "
                "run the same command with fewer --workers."
            )
        again = _Process(self._build, process.number)
        self._processes[process.number] = again
        again.send(task, tries)


class _Process:
    """One process with its pipe, the task that it works on, and the trainings that it has seen."""

    def __init__(self, build: BuildEvaluate, number: int) -> None:
        context = get_context("spawn")
        self.number = number
        self.pipe, theirs = context.Pipe()
        self.task: Task | None = None
        self.tries = 0
        self.seen = Seen()
        arguments = (build, number, theirs)
        self._process = context.Process(target=_work, args=arguments, name=f"worker {number}", daemon=True)
        self._process.start()
        theirs.close()

    def send(self, task: Task, tries: int = 1) -> None:
        self.task, self.tries = task, tries
        self.seen.add(task.training)
        with contextlib.suppress(OSError):  # a process that is dead already: noticed when its answer is waited for
            self.pipe.send(task)

    def finished(self) -> Task:
        """Return the task, and be free for the next one."""
        task, self.task = self.task, None
        if task is None:
            raise BioTuneError("a worker sent a result that nobody asked for.")
        return task

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


def _work(build: BuildEvaluate, number: int, pipe: "connection.Connection[Any, Any]") -> None:
    """What a worker process does: build the worker, then evaluate tasks until the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C reaches every process of a terminal; ours decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    answering = Answering(build, number, pipe.send)
    with contextlib.suppress(EOFError, OSError):  # the pipe was closed
        while True:
            answering.answer(pipe.recv())


def _end_with_parent() -> None:
    """End this process as soon as the one that started it has ended, even by ``kill -9``."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
