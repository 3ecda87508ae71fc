"""What the phases of a run have taken, what is still planned, and how that is told."""

import time
from dataclasses import dataclass

from biotune.records import Evaluation, Task
from biotune.runs.events import Observer, Progress
from biotune.runs.store import PLAN, RunStore
from biotune.runs.time_left import seconds_left, within_budget
from biotune.settings.config import RunConfig


@dataclass
class _Current:
    """The training that is running."""

    phase: str = ""
    done: int = 0
    total: int = 0
    detail: str = ""
    started: float = 0.0


class Ledger:
    """The books of a run, shared by its sessions.

    Args:
        config: of the run.
        store: the open store.
        observer: receives progress.

    ``further`` is how many data sets come after this one: the time that is left supposes that each takes as long.
    """

    def __init__(self, config: RunConfig, store: RunStore, observer: Observer) -> None:
        self.further = 0
        self._config = config
        self._store = store
        self._observer = observer
        self._booked: dict[str, dict[str, tuple[Task, Evaluation]]] = {}
        self._plan: dict[str, int] = {}
        self._current = _Current()
        self._started = time.monotonic()
        self._earlier_seconds = store.seconds()

    @property
    def used_seconds(self) -> float:
        """Time that the run has taken so far, in this call and in earlier ones."""
        return self._earlier_seconds + time.monotonic() - self._started

    def rows(self, phase: str) -> list[tuple[Task, Evaluation]]:
        """Return the trainings of a phase (one that two phases share stands in both)."""
        return list(self._booked.get(phase, {}).values())

    def book(self, phase: str, task: Task, evaluation: Evaluation) -> None:
        """Count a training, stored or new, to a phase."""
        self._booked.setdefault(phase, {})[task.key] = (task, evaluation)

    def plan(self, phase: str, trainings: int) -> None:
        """Announce how many trainings a phase will need in all, for the time that is left; kept for ``status``."""
        if self._plan.get(phase) != trainings:
            self._plan[phase] = trainings
            self._store.set_fact(PLAN, self._plan)

    def begin(self, phase: str, detail: str) -> None:
        """Tell that a training begins."""
        done = len(self.rows(phase))
        self._current = _Current(phase, done, max(self._plan.get(phase, 0), done + 1), detail, time.monotonic())
        self._tell(0.0)

    def on_epoch(self, epoch: int, epochs: int) -> None:
        """Tell that an epoch of the running training begins."""
        self._tell(epoch / epochs)

    def end(self) -> None:
        """Note that no training is running."""
        self._current.started = 0.0

    def seconds_left(self) -> float | None:
        """Return the expected seconds of all trainings to come, None before the first one; see ``runs.time_left``."""
        taken = {phase: [result.seconds for _, result in rows.values()] for phase, rows in self._booked.items()}
        current = self._current
        running = (current.phase, time.monotonic() - current.started) if current.started else ("", 0.0)
        left = seconds_left(self._plan, taken, self._config.data.folds, running, self._config.searched_share())
        if left is not None:
            left += self.further * (left + sum(map(sum, taken.values())))
        return within_budget(left, self._config.budget.seconds, self.used_seconds)

    def _tell(self, fraction: float) -> None:
        current, left = self._current, self.seconds_left()
        self._observer(Progress(current.phase, current.done, current.total, current.detail, fraction, left))
