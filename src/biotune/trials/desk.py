"""The desk hands tasks to workers, stores what they find, and gives results back in the order of asking."""

import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from biotune.errors import BioTuneError
from biotune.executors import Executor
from biotune.records import INFEASIBLE, Evaluation, Task
from biotune.runs.store import RunStore
from biotune.trials.failures import Failures
from biotune.trials.ledger import Ledger
from biotune.trials.weights import KeptWeights

AHEAD = 2
"""A queue may begin so many tasks for each worker beyond the one that is waited for: enough that no worker is idle
while a long training is waited for, few enough that a limit which ends it wastes little."""

RESTORED = "restored weights"
"""Phase of trainings whose results are stored already."""


@dataclass(frozen=True)
class Order:
    """One task of a queue.

    Args:
        task: to be trained, or known already.
        detail: shown with the progress.
        is_likely: False where a limit will probably leave it out, so that it only begins when it is asked for.
    """

    task: Task
    detail: str = ""
    is_likely: bool = True


class Keeper:
    """Decides which weights are kept beside those that tasks ask for; this one keeps none.

    ``bar`` is the fitness above which a training on all training images leaves its weights.
    """

    bar = math.inf

    def offer(self, phase: str, detail: str, task: Task, result: Evaluation) -> None:
        """Look at a finished training; called before its result is stored."""


class Desk:
    """Trains what is not stored yet.

    A result is stored as soon as it is there, but it is booked, and returned, in the order of the tasks. So whatever is
    decided from results and sums over phases is the same for any number of workers.

    Args:
        store: the open store.
        ledger: where trainings are booked.
        executor: trains.
        weights: those that trainings have left.
    """

    def __init__(self, store: RunStore, ledger: Ledger, executor: Executor, weights: KeptWeights) -> None:
        self.keeper = Keeper()
        self.ledger = ledger
        self._store = store
        self._executor = executor
        self._weights = weights
        self._running: dict[str, tuple[str, Order]] = {}
        self._expected: deque[tuple[str, Order]] = deque()
        self._failures = Failures()

    def run(self, phase: str, tasks: Sequence[Task], detail: str = "") -> list[Evaluation]:
        """Train what is not stored yet, on all workers at a time; return one result per task, in their order.

        Equal tasks are trained once. The cost is booked under the name of the phase; ``detail`` is shown with the
        progress.
        """
        queue = self.queue(phase, [Order(task, detail) for task in tasks])
        return [queue.obtain(task) for task in tasks]

    def queue(self, phase: str, orders: Sequence[Order]) -> "Queue":
        """Return a queue from which one result after the other can be obtained; nothing is trained yet."""
        return Queue(self, phase, orders)

    def expect(self, phase: str, tasks: Iterable[Task], detail: str = "") -> None:
        """Name tasks that a phase will ask for in any case, for workers that would have nothing to do until then.

        They begin in this order, after all that has been asked for. What they find is stored, but booked, and seen by
        anybody, only when it is asked for.
        """
        self._expected.extend((phase, Order(task, detail)) for task in tasks)

    def ensure_weights(self, tasks: Sequence[Task]) -> None:
        """Train finished tasks again whose weights are gone or damaged (same result, by determinism)."""
        lacking = [task for task in tasks if not self._weights.has(task)]
        waiting = list(lacking)
        self.ledger.shown = RESTORED
        while waiting or any(self.is_running(task) for task in lacking):
            while waiting and self.has_room:
                self.begin(RESTORED, Order(waiting.pop(0)))
            self.take_one()

    @property
    def capacity(self) -> int:
        """How many trainings are done at a time."""
        return self._executor.capacity

    @property
    def has_room(self) -> bool:
        """Whether a worker is free."""
        return len(self._running) < self._executor.capacity

    def known(self, task: Task) -> Evaluation | None:
        """Return a result that needs no training, or None."""
        return INFEASIBLE if task.is_infeasible else self._store.result(task)

    def is_running(self, task: Task) -> bool:
        """Return whether a worker trains a task now."""
        return task.key in self._running

    def knows_beginning(self, task: Task) -> bool:
        """Return whether a free worker has trained the beginning of a task that continues it."""
        return task.first_epoch > 0 and self._executor.has_begun(task)

    def begin(self, phase: str, order: Order) -> None:
        """Hand a task to a free worker."""
        task, bar = order.task, self.keeper.bar
        self.ledger.begin(phase, order.detail, task)
        self._running[task.key] = (phase, order)
        self._executor.submit(replace(task, keep_above=bar) if task.fold is None else task)

    def take_one(self) -> None:
        """Wait for the next result of any worker, and store it; meanwhile free workers begin with what is expected."""
        self._begin_expected()
        task, evaluation = self._executor.wait()
        phase, order = self._running.pop(task.key)
        try:
            self._failures.count(task, evaluation)
        except BioTuneError:
            self._store.forget_trainings(self._failures.row)
            raise
        if phase != RESTORED:
            self.keeper.offer(phase, order.detail, order.task, evaluation)
            self._store.add_result(phase, order.task, evaluation)
        self.ledger.end(task, evaluation)

    def _begin_expected(self) -> None:
        while self.has_room and self._expected:
            phase, order = self._expected.popleft()
            if not self.is_running(order.task) and self.known(order.task) is None:
                self.begin(phase, order)


class Queue:
    """Tasks whose results are obtained one after the other.

    While one is waited for, free workers begin with those behind it, as far as ``AHEAD`` says. With one worker, nothing
    is trained before it is asked for. Whoever asks may stop at any time: what was begun beyond that is stored when it
    is finished, since it may be wanted later, but it is not booked, and nobody sees it.

    Args:
        desk: trains and stores the tasks.
        phase: name under which the cost is booked.
        orders: the tasks, in the order in which their results will be asked for.
    """

    def __init__(self, desk: Desk, phase: str, orders: Sequence[Order]) -> None:
        self._desk = desk
        self._phase = phase
        self._orders = list(orders)
        self._places: dict[str, int] = {}
        for place, order in enumerate(self._orders):
            self._places.setdefault(order.task.key, place)

    def obtain(self, task: Task) -> Evaluation:
        """Return the result of a task of the queue; train it first if it is not stored yet."""
        self._desk.ledger.shown = self._phase
        while (evaluation := self._desk.known(task)) is None:
            self._begin_from(self._places[task.key])
            self._desk.take_one()
        if evaluation != INFEASIBLE:
            self._desk.ledger.book(self._phase, task, evaluation)
        return evaluation

    def _begin_from(self, place: int) -> None:
        """Begin with the task at a place, and with those behind it for which workers are free.

        First come those of which a free worker has trained the beginning: another one would start from the first epoch.
        """
        desk = self._desk
        ahead = AHEAD * desk.capacity if desk.capacity > 1 else 1
        waiting = [
            order
            for number, order in enumerate(self._orders[place : place + ahead])
            if (order.is_likely or not number) and not desk.is_running(order.task) and desk.known(order.task) is None
        ]
        while waiting and desk.has_room:
            order = next((one for one in waiting if desk.knows_beginning(one.task)), waiting[0])
            desk.begin(self._phase, order)
            waiting = [one for one in waiting if not desk.is_running(one.task)]
