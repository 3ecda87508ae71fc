"""What the phases of a run have taken, what is still planned, and how that is told."""

import time
from dataclasses import dataclass

from biotune.records import Evaluation, Task
from biotune.runs.events import Message, Observer, Progress
from biotune.runs.store import PLAN, RunStore
from biotune.runs.time_left import seconds_left, within_budget
from biotune.settings.config import RunConfig
from biotune.trials.failures import DIVERGED, why


@dataclass
class _Running:
    """A training that is being done."""

    phase: str
    detail: str
    started: float


class Ledger:
    """The books of a run.

    A training is booked when its turn in the order of asking has come, not when it is finished: sums over a phase are
    then the same for any number of workers.

    Args:
        config: the run's configuration.
        store: the open store.
        observer: receives progress.
        started: when the run was opened, by ``time.monotonic``; None for now.

    ``further`` is how many data sets follow this one; the time left assumes that each takes as long. ``shown`` is the
    phase that is waited for: of others, which free workers have begun meanwhile, no progress is told.
    """

    def __init__(self, config: RunConfig, store: RunStore, observer: Observer, started: float | None = None) -> None:
        self.further = 0
        self.shown = ""
        self._config = config
        self._store = store
        self._observer = observer
        self._booked: dict[str, dict[str, tuple[Task, Evaluation]]] = {}
        self._plan: dict[str, int] = {}
        self._running: dict[str, _Running] = {}
        self._ahead: dict[str, tuple[str, float]] = {}
        self._started = time.monotonic() if started is None else started
        self._earlier_seconds = store.seconds() / self.workers

    @property
    def workers(self) -> int:
        """How many trainings are done at a time."""
        return self._config.compute.workers

    @property
    def used_seconds(self) -> float:
        """Seconds that the run has taken: of this call by the clock, of earlier ones those stored, over the workers."""
        return self._earlier_seconds + time.monotonic() - self._started

    def book(self, phase: str, task: Task, evaluation: Evaluation) -> None:
        """Count a training, stored or new, to a phase."""
        self._booked.setdefault(phase, {})[task.key] = (task, evaluation)
        self._ahead.pop(task.key, None)

    def rows(self, phase: str) -> list[tuple[Task, Evaluation]]:
        """Return the trainings of a phase (one that two phases share counts in both)."""
        return list(self._booked.get(phase, {}).values())

    def trainings(self, phase: str) -> int:
        """Return the number of trainings of a phase."""
        return len(self.rows(phase))

    def epochs(self, phase: str) -> int:
        """Return how many epochs were finished in a phase; a training that had ended before finishes none."""
        return sum(max(0, len(result.curve) - task.first_epoch) for task, result in self.rows(phase))

    def spent(self, *phases: str) -> float:
        """Return the training seconds of phases."""
        return sum(result.seconds for phase in phases for _, result in self.rows(phase))

    def plan(self, phase: str, trainings: int) -> None:
        """Announce how many trainings a phase will need in all, for the time that is left; kept for ``status``."""
        if self._plan.get(phase) != trainings:
            self._plan[phase] = trainings
            self._store.set_fact(PLAN, self._plan)

    def begin(self, phase: str, detail: str, task: Task) -> None:
        """Tell that a training begins."""
        self._running[task.key] = _Running(phase, detail, time.monotonic())
        self._tell(self._running[task.key], 0.0)

    def on_epoch(self, task: Task, epoch: int) -> None:
        """Tell that an epoch of a running training begins."""
        if task.key in self._running:
            self._tell(self._running[task.key], epoch / task.epochs)

    def end(self, task: Task, evaluation: Evaluation) -> None:
        """Note that a training is finished; it is booked later. If it failed, or a final one diverged, that is told."""
        running = self._running.pop(task.key)
        self._ahead[task.key] = running.phase, evaluation.seconds
        if reason := why(evaluation):
            self._observer(Message(f"A training failed ({reason}); it counts as the worst.", warning=True))
        if evaluation.outcome == "diverged" and task.keep_weights:
            self._observer(Message(f"A final training diverged ({DIVERGED}); it gives no network.", warning=True))

    def seconds_left(self) -> float | None:
        """Return the expected seconds of all trainings to come, None before the first one; see ``runs.time_left``."""
        taken = {phase: [result.seconds for _, result in rows.values()] for phase, rows in self._booked.items()}
        for phase, seconds in self._ahead.values():
            taken.setdefault(phase, []).append(seconds)
        now = time.monotonic()
        running = [(one.phase, now - one.started) for one in self._running.values()]
        left = seconds_left(self._plan, taken, self._config.data.folds, running, self._config.searched_share())
        if left is not None:
            left = (left + self.further * (left + sum(map(sum, taken.values())))) / self.workers
        return within_budget(left, self._config.budget.seconds, self.used_seconds)

    def _tell(self, running: _Running, fraction: float) -> None:
        if running.phase != self.shown:
            return
        done = self.trainings(running.phase)
        total = max(self._plan.get(running.phase, 0), done + 1)
        left = self.seconds_left()
        self._observer(Progress(running.phase, done, total, running.detail, fraction, left))
