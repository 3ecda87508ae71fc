"""The command line in processes of its own, to be killed: forked from a server that has imported torch once."""

import contextlib
import importlib
import itertools
import math
import multiprocessing
import os
import pathlib
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import tiny

Preparation = Callable[[], None]
_NUMBERS = itertools.count()
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["pytest", "biotune.cli", "biotune.runner", "biotune.classifier", "warm"])


@dataclass(frozen=True)
class Ended:
    """What a process left: exit code (negative: a signal's number), standard output and standard error."""

    code: int
    out: str
    err: str


class Forked:
    """One running command."""

    def __init__(self, arguments: Sequence[object], logs: Path, prepare: Preparation | None = None) -> None:
        logs.mkdir(parents=True, exist_ok=True)
        number = next(_NUMBERS)  # several may start before one of them writes
        self._out, self._err = logs / f"{number}.out", logs / f"{number}.err"
        environment = {name: os.environ[name] for name in ("BIOTUNE_CACHE",)}
        values = ([str(value) for value in arguments], environment, self._out, self._err, prepare)
        self.process = _CONTEXT.Process(target=_command, args=values)
        self.process.start()

    def wait(self, seconds: float = 60.0) -> Ended:
        """Wait for the end; after ``seconds`` the process is killed."""
        self.process.join(seconds)
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()
        out, err = (path.read_text() if path.exists() else "" for path in (self._out, self._err))  # an early kill
        return Ended(self.process.exitcode or 0, out, err)

    def wait_for(self, happened: Callable[[], bool], seconds: float = 30.0) -> None:
        """Wait until the process has begun and something has happened, or it has ended."""
        limit = time.monotonic() + seconds
        while not (self._err.exists() and happened()) and self.process.exitcode is None:
            said = self._err.read_text() if self._err.exists() else "it has not begun"
            assert time.monotonic() < limit, f"nothing happened in {seconds} s: {said}"
            time.sleep(0.01)

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        os.kill(self.process.pid or 0, number)

    def has_written(self, text: str) -> bool:
        """Return whether standard error holds a text by now."""
        return self._err.exists() and text in self._err.read_text()


def _command(
    arguments: list[str], environment: dict[str, str], out: Path, err: Path, prepare: Preparation | None
) -> None:
    os.environ.update(environment)
    for path, handle in ((out, 1), (err, 2)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), handle)
    sys.argv = ["biotune", *arguments]
    if prepare is not None:
        prepare()
    from biotune.cli import main

    main()


def without_report() -> None:
    """Leave out the drawing of figures, half of the time of a tiny run."""
    importlib.import_module("biotune.runner.run").write_report = tiny.write_no_report


def without_work() -> None:
    """Leave out the drawing of figures and all training: results and weights depend on the task alone, as they should.

    What is written is what would be written.
    """
    from biotune.records import Evaluation, Task
    from biotune.trials.worker import Worker
    from pretended import keep_weights, scored

    def evaluate(worker: Worker, task: Task) -> Evaluation:
        if task.keep_weights or task.keep_above < math.inf:
            keep_weights(worker, task)
        return scored(int(task.key[:4], 16) / 0xFFFF)

    without_report()
    Worker.evaluate = evaluate


def die_at_write(number: int, first: Preparation = lambda: None) -> None:
    """Let this process die of SIGKILL at its n-th moment before or after a commit or a rename, prepared otherwise."""
    from biotune.runs.store import RunStore

    first()
    left = number

    def tick() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    transaction, replace = RunStore._transaction, pathlib.Path.replace

    @contextlib.contextmanager
    def dying_transaction(store: RunStore) -> Iterator[None]:
        with transaction(store):
            yield
            tick()
        tick()

    def dying_replace(path: Path, target: Path) -> Path:
        tick()
        result = replace(path, target)
        tick()
        return result

    RunStore._transaction = dying_transaction
    pathlib.Path.replace = dying_replace


def watch_files(log: Path) -> None:
    """Write every file that this process opens, and when training begins and the recipe is chosen, to a log."""

    from biotune.runner.session import Session
    from biotune.trials.worker import Worker

    without_report()
    stream = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def note(text: str) -> None:
        os.write(stream, f"{text}\n".encode())

    def audit(event: str, values: tuple[object, ...]) -> None:
        if event == "open" and isinstance(values[0], str | bytes | os.PathLike):
            note(f"open {os.fsdecode(values[0])}")

    evaluate, say = Worker.evaluate, Session.say

    def noted_evaluate(worker: Worker, task: object) -> object:
        note(f"train {task}")
        return evaluate(worker, task)

    def noted_say(session: Session, text: str, warning: bool = False) -> None:
        note(f"say {text}")
        say(session, text, warning)

    Worker.evaluate, Session.say = noted_evaluate, noted_say
    sys.addaudithook(audit)
