"""What a worker in another process tells the one that asked: epochs, sentences, and a result or an error."""

import traceback
from collections.abc import Callable
from typing import Any

from biotune.errors import BioTuneError
from biotune.executors.base import BuildEvaluate, Evaluate, Hooks, Seat
from biotune.records import FAILURES, Task

Message = tuple[str, Any]
"""A kind with its content: ``begun`` with nothing, ``epoch`` with its number, ``say`` with a sentence, ``result`` with
an Evaluation, ``failed`` with that of one process for which others wait in vain, or ``error`` with an exception."""

ENDS = ("result", "failed", "error")
"""The kinds that end a task."""

REMEMBERED = 256
"""Tasks of which a worker may still hold a paused training; more would not fit its memory in any case."""


class Seen:
    """The trainings that a worker has begun, the latest ``REMEMBERED``."""

    def __init__(self) -> None:
        self._seen: dict[str, None] = {}

    def __contains__(self, training: str) -> bool:
        return training in self._seen

    def add(self, training: str) -> None:
        """Note that a training begins or goes on."""
        self._seen[training] = None
        if len(self._seen) > REMEMBERED:
            del self._seen[next(iter(self._seen))]


class Answering:
    """Builds a worker for the first task, and tells what becomes of this one and all others.

    Args:
        build: builds the worker.
        seat: the place of this process among those of the run.
        tell: receives messages; the last one about a task is its result or an error.
    """

    def __init__(self, build: BuildEvaluate, seat: Seat, tell: Callable[[Message], None]) -> None:
        self._build = build
        self._seat = seat
        self._tell = tell
        self._evaluate: Evaluate | None = None
        self._told: tuple[str, int] | None = None

    def answer(self, task: Task) -> None:
        """Train a task."""
        try:
            if self._evaluate is None:
                hooks = Hooks(self._on_epoch, say=lambda text: self._tell(("say", text)))
                self._evaluate = self._build(hooks, self._seat)
            result = self._evaluate(task)
            is_missed = self._seat.ranks > 1 and result.outcome in FAILURES
            answer: Message = ("failed" if is_missed else "result", result)
        except Exception as error:  # whatever it is, it belongs to whoever asked for the task
            answer = ("error", _portable(error))
        self._tell(answer)

    def _on_epoch(self, task: Task, epoch: int) -> None:
        """Tell an epoch once, though this is called before every step."""
        if self._told != (task.key, epoch):
            self._told = (task.key, epoch)
            self._tell(("epoch", epoch))


def _portable(error: Exception) -> Exception:
    """Return an error that can be sent: with the worker's traceback as its cause."""
    trace = "".join(traceback.format_exception(error))
    known = isinstance(error, BioTuneError)
    portable = type(error)(str(error)) if known else RuntimeError(f"{type(error).__name__}: {error}")
    portable.add_note(f"In the worker process:\n{trace}")
    return portable
