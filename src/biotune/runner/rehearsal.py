"""How long workers take for a run: its phases are gone through with pretended trainings, on a clock of its own.

Search, race, sweep, limits and desk are those of a run, so that tasks are handed out by the same rules.
"""

import heapq
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from biotune.executors.messages import Seen
from biotune.randomness import Stream
from biotune.records import GIVEN, EpochRecord, Evaluation, Task
from biotune.runner.baselines import baseline
from biotune.runner.certain import expect_baselines, expect_search
from biotune.runner.final import train
from biotune.runner.searched import chosen_recipe, searched
from biotune.runner.session import Session, Tasks
from biotune.runner.setup import Setup
from biotune.runner.testing import score_out_of_fold
from biotune.runner.unit import first_model
from biotune.runs.events import silent
from biotune.runs.folder import STORE, StopSignal
from biotune.runs.store import RunStore
from biotune.settings.sections import BASELINES
from biotune.trials.counting import Counter
from biotune.trials.desk import Desk, Keeper
from biotune.trials.ledger import Ledger
from biotune.trials.weights import KeptWeights
from biotune.trials.worker import Worker

MANY = 1024
"""So many workers that none is ever waited for: what is left is the longest chain of trainings."""

Pretend = Callable[[Task], Evaluation]
"""Gives a task's result without training it; its ``seconds`` are those from ``first_epoch`` on."""


@dataclass(frozen=True)
class Rehearsed:
    """How long workers take for a run, without their start, tests and report.

    Args:
        seconds: from the first training to the end of the last.
        trained: seconds of all trainings together.
        waits: phase -> seconds in which the run waits for its results; the sum is ``seconds``.
    """

    seconds: float
    trained: float
    waits: Mapping[str, float]


class PretendedWorkers:
    """An executor whose tasks take time on its own clock alone.

    A task goes to the free worker that trained its beginning, as in a pool; another one begins it from the start.

    Args:
        capacity: how many workers.
        pretend: gives the results.
    """

    def __init__(self, capacity: int, pretend: Pretend) -> None:
        self.capacity = capacity
        self.now = 0.0
        self.trained = 0.0
        self._pretend = pretend
        self._free = [Seen() for _ in range(capacity)]
        self._running: list[tuple[float, int, Task, Evaluation, Seen]] = []
        self._begun = 0

    def has_begun(self, task: Task) -> bool:
        """Return whether a free worker has trained the beginning of a task."""
        return any(task.training in worker for worker in self._free)

    def submit(self, task: Task) -> None:
        """Begin a task on a free worker."""
        place = max(range(len(self._free)), key=lambda at: task.training in self._free[at])
        worker = self._free.pop(place)
        goes_on = not task.first_epoch or task.training in worker
        worker.add(task.training)
        result = self._pretend(task)
        seconds = result.seconds if goes_on else result.seconds * len(result.curve) / self._own_epochs(task, result)
        self.trained += seconds
        self._begun += 1
        heapq.heappush(self._running, (self.now + seconds, self._begun, task, result, worker))

    def wait(self) -> tuple[Task, Evaluation]:
        """Move the clock to the end of the task that ends first."""
        self.now, _, task, result, worker = heapq.heappop(self._running)
        self._free.append(worker)
        return task, result

    def close(self) -> None:
        """Forget what was not finished."""
        self._running.clear()

    @staticmethod
    def _own_epochs(task: Task, result: Evaluation) -> int:
        return max(1, len(result.curve) - task.first_epoch)


class _Timing(Desk):
    """A desk that notes how long each phase waits."""

    def __init__(self, store: RunStore, ledger: Ledger, workers: PretendedWorkers, weights: KeptWeights) -> None:
        super().__init__(store, ledger, workers, weights)
        self.waits: defaultdict[str, float] = defaultdict(float)
        self._workers = workers

    def take_one(self) -> None:
        before = self._workers.now
        super().take_one()
        self.waits[self.ledger.shown] += self._workers.now - before


def rehearse(
    setup: Setup, worker: Worker, counter: Counter, workers: int, pretend: Pretend, config_hash: str = ""
) -> Rehearsed:
    """Go through the trainings of a new run.

    Args:
        setup: what the run works with.
        worker: trains nothing.
        counter: counts the work of tasks, on the worker's network.
        workers: how many trainings are done at a time.
        pretend: gives the results of tasks.
        config_hash: of the tasks, see ``Task``.

    Returns:
        How long they take.
    """
    with TemporaryDirectory() as name, RunStore(Path(name) / STORE) as store:
        ledger = Ledger(setup.config, store, silent)
        executor = PretendedWorkers(workers, pretend)
        desk = _Timing(store, ledger, executor, KeptWeights(Path(name)))
        tasks = Tasks(setup.config, config_hash, counter, worker.spec.data)
        session = Session(setup, Path(name), store, worker, counter, desk, tasks, silent, StopSignal())
        if setup.config.method.name == "search":
            _tune(session)
        else:
            method = setup.config.method.name
            score_out_of_fold(session, train(session, method, session.given_recipe if method == GIVEN else None))
        return Rehearsed(executor.now, executor.trained, dict(desk.waits))


def _tune(session: Session) -> None:
    """Ask for all that a run with a search asks for, in its order."""
    expect_search(session)
    expect_baselines(session, session.config.final.baselines)
    first_model(session, Keeper())
    found = searched(session, Keeper())
    chosen = chosen_recipe(session, found)
    for name in BASELINES:
        if name in found.baselines:
            baseline(session, name, chosen.winner, swept=chosen.swept)
    score_out_of_fold(session, chosen.winner)


def by_work(counter: Counter, epoch_s: float) -> Pretend:
    """Return what pretends trainings that take as long as their work says, and find anything.

    Args:
        counter: counts work.
        epoch_s: seconds of an epoch of full fine-tuning.

    Returns:
        Gives results: of two candidates any is the better one, and stays it from rung to rung.
    """

    def pretend(task: Task) -> Evaluation:
        last = task.last_epoch or task.epochs
        work = counter.work_of(task, last) - (counter.work_of(task, task.first_epoch) if task.first_epoch else 0.0)
        fitness = float(Stream(int(task.training, 16), "rehearsal").uniform())
        curve = tuple(EpochRecord(epoch, 0.0) for epoch in range(last))
        return Evaluation("ok", fitness, last - 1, curve, seconds=work * epoch_s)

    return pretend


def by_store(store: RunStore, otherwise: Pretend) -> Pretend:
    """Return what gives the results of a finished run, with their seconds.

    Args:
        store: of a run of one worker.
        otherwise: gives those of tasks that several workers begin beyond the end of a sweep.

    Returns:
        Gives results.
    """

    def pretend(task: Task) -> Evaluation:
        return store.result(task) or otherwise(task)

    return pretend
