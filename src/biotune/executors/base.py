"""What every executor does: it takes tasks, and gives their results back as they are finished."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from biotune.errors import BioTuneError
from biotune.records import Evaluation, Task

Evaluate = Callable[[Task], Evaluation]
"""Trains one task. Its result depends on the task alone, so it does not matter who does it, or how often."""


@dataclass(frozen=True)
class Hooks:
    """What a worker calls while it works; each may raise to stop it.

    Args:
        on_epoch: called with a task and the number of its epoch, from 0, before every training step.
        check: called often; raises if the user wants to stop.
        say: receives a sentence that the user should know.
    """

    on_epoch: Callable[[Task, int], None] = lambda _task, _epoch: None
    check: Callable[[], None] = lambda: None
    say: Callable[[str], None] = lambda _sentence: None


@dataclass(frozen=True)
class Seat:
    """The place of a process among those of a run.

    Args:
        number: which worker of the run it is, from 0.
        rank: which of the processes of this worker it is, from 0; that one tells what they do.
        ranks: how many processes train a task of this worker together.
        meeting: file by which several find each other, new for each group of them; None for a single one.
    """

    number: int
    rank: int = 0
    ranks: int = 1
    meeting: Path | None = None


BuildEvaluate = Callable[[Hooks, Seat], Evaluate]
"""Builds a worker in another process, from its hooks and its seat; can be pickled."""


class NotHereError(BioTuneError):
    """A worker cannot be built on this machine, since it does not have the file of the decoded images."""


@dataclass(frozen=True)
class Work:
    """What an executor trains with.

    Args:
        evaluate: trains a task in this process.
        elsewhere: returns what builds a worker in another process; raises InputError, in one sentence, where the
            network or the images are only in this process. What it returns raises NotHereError on a machine that does
            not have the images.
        with_images: returns the same with the images in it, for such a machine.
    """

    evaluate: Evaluate
    elsewhere: Callable[[], BuildEvaluate]
    with_images: Callable[[], BuildEvaluate]


GRACE_S = 60.0
"""How much longer than allowed a training may take before its process is ended: to load, or to end a step."""


@dataclass(frozen=True)
class Resources:
    """What an executor may use.

    Args:
        workers: trainings at a time, at least 1.
        threads: CPU threads of one training.
        devices: devices of one training, each with a process of its own.
        gpus: GPUs of one training: 0, 1, or a share of one; with several devices, of each.
        address: of the Ray cluster, empty for one that is started on this machine.
        memory_bytes: memory of one worker, by which a cluster finds room for it; 0 to look at CPUs and GPUs alone.
        seconds: that a training may take; 0 for no limit. Workers end it themselves, at a step; an executor with other
            processes ends one that is silent for ``GRACE_S`` more.
    """

    workers: int = 1
    threads: int = 1
    devices: int = 1
    gpus: float = 0.0
    address: str = ""
    memory_bytes: int = 0
    seconds: float = 0.0

    def is_late(self, seconds: float) -> bool:
        """Return whether a training has taken so long that its process must hang."""
        return 0 < self.seconds < seconds - GRACE_S


class Executor(Protocol):
    """Runs tasks, a few at a time.

    It is built from ``(work, resources, hooks)``. The caller submits at most ``capacity`` tasks before it waits for one
    of them, and no task twice at a time. After ``close`` no process of the executor is left.
    """

    @property
    def capacity(self) -> int:
        """How many tasks can be submitted at a time."""

    def has_begun(self, task: Task) -> bool:
        """Return whether a free worker has trained the beginning of a task, as far as is known."""

    def submit(self, task: Task) -> None:
        """Take a task."""

    def wait(self) -> tuple[Task, Evaluation]:
        """Return one of the submitted tasks with its result, as soon as any is finished.

        Where the process that trains it dies, others try it again; if they die too, its outcome is ``killed``.

        Raises whatever ended the training of a task, with the text that it had in the worker; and InterruptedRunError
        when ``hooks.check`` raises it.
        """

    def close(self) -> None:
        """End at once, whatever is running."""
