"""Toy tasks, their worker (which processes import by name), and what tests of executors do with them."""

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import psutil

from biotune.errors import InputError
from biotune.executors import Evaluate, Executor, Hooks, Resources, Seat, Work
from biotune.records import Evaluation, Task

TASKS = [Task("plain", None, None, seed, 2, "hash") for seed in (3, 1, 2)]
RESULTS = {seed: Evaluation("ok", seed / 10) for seed in (3, 1, 2)}
"""By seed; seconds, which differ from run to run, are left out."""
BAD = {
    "starve": Evaluation("oom", 0.0),
    "break": Evaluation("error", 0.0, cause="Traceback ...\nRuntimeError: broken"),
}


def toy(hooks: Hooks, seat: Seat) -> Evaluate:
    """Return a worker whose tasks say in their method what happens; the fitness is a tenth of the seed.

    Of several ranks only the last one has a fault; the others wait for it, or notice that it died.
    """

    def evaluate(task: Task) -> Evaluation:
        name, _, text = task.method.partition(":")
        if seat.rank < seat.ranks - 1:
            if name == "die" and text and not Path(text).exists():
                while not Path(text).exists():
                    time.sleep(0.01)
                raise RuntimeError("connection closed by peer")
            if name in {"fail", "refuse", *BAD} or task.method == "die":
                time.sleep(60)
            text = f"{text} {seat.rank}"
        if name == "slow":
            time.sleep(float(text))
        elif name == "fail":
            raise RuntimeError("out of memory")
        elif name in BAD:
            return BAD[name]
        elif name == "refuse":
            raise InputError("this cannot be trained; choose another.")
        elif name == "die" and seat.rank == seat.ranks - 1 and (not text or _first_time(Path(text))):
            os.kill(os.getpid(), signal.SIGKILL)
        elif name == "forever":
            Path(text).write_text(str(os.getpid()))
            for epoch in range(10**6):
                hooks.check()
                hooks.on_epoch(task, epoch)
                time.sleep(0.01)
        for epoch in range(task.epochs):
            hooks.on_epoch(task, epoch)
        hooks.say(f"done {task.seed}")
        return Evaluation("ok", task.seed / 10, seconds=float(os.getpid()))

    return evaluate


def _first_time(path: Path) -> bool:
    if path.exists():
        return False
    path.touch()
    return True


class Threads:
    """The simplest executor that runs several tasks at a time."""

    def __init__(self, work: Work, resources: Resources, hooks: Hooks) -> None:
        del hooks  # the worker of this process has them
        self.capacity = resources.workers
        self._evaluate = work.evaluate
        self._threads = ThreadPoolExecutor(resources.workers)
        self._running: dict[Future[Evaluation], Task] = {}

    def has_begun(self, task: Task) -> bool:
        return True  # all threads share a worker

    def submit(self, task: Task) -> None:
        self._running[self._threads.submit(self._evaluate, task)] = task

    def wait(self) -> tuple[Task, Evaluation]:
        done = wait(self._running, return_when=FIRST_COMPLETED).done.pop()
        return self._running.pop(done), done.result()

    def close(self) -> None:
        self._threads.shutdown(cancel_futures=True)


Make = Callable[..., Executor]


@contextmanager
def making_executors() -> Iterator[Make]:
    """Yield a maker of executors of toy tasks; none may leave a process behind."""
    made: list[Executor] = []

    def make(
        build: Callable[[Work, Resources, Hooks], Executor],
        workers: int = 2,
        hooks: Hooks | None = None,
        devices: int = 1,
        seconds: float = 0.0,
    ) -> Executor:
        hooks, resources = hooks or Hooks(), Resources(workers, devices=devices, seconds=seconds)
        made.append(build(Work(toy(hooks, Seat(0)), lambda: toy, lambda: toy), resources, hooks))
        return made[-1]

    before = _ours()
    yield make
    for one in made:
        one.close()
    limit = time.monotonic() + 10
    while left := _ours() - before:
        assert time.monotonic() < limit, left
        time.sleep(0.05)


def _ours() -> set[int]:
    """The children of this process, without those of Python itself and those that a cluster of all tests keeps."""
    kept = ("resource_tracker", "ray::IDLE")
    children = psutil.Process().children(recursive=True)
    return {one.pid for one in children if not any(name in _line(one) for name in kept)}


def _line(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


def run(executor: Executor, tasks: Sequence[Task]) -> dict[int, Evaluation]:
    """Give all tasks, as many at a time as there is room for; return the results by seed."""
    waiting, running, found = list(tasks), 0, {}
    while waiting or running:
        while waiting and running < executor.capacity:
            executor.submit(waiting.pop(0))
            running += 1
        task, result = executor.wait()
        running -= 1
        found[task.seed] = replace(result, seconds=0.0, cpu_seconds=0.0)
    return found
