"""What is trained when: what is asked for comes first, what is expected fills the gaps."""

from collections import deque
from dataclasses import replace

import pytest

from biotune.records import Evaluation, Task
from biotune.runs.events import Progress
from biotune.runs.store import RunStore
from biotune.trials.desk import Desk, Order
from biotune.trials.ledger import Ledger
from biotune.trials.weights import KeptWeights
from tiny import tiny_config

ASKED = [Task("asked", None, None, seed, 2, "hash") for seed in range(3)]
EXPECTED = [Task("expected", None, None, seed, 2, "hash") for seed in range(3)]


class Noting:
    """An executor that finishes tasks in the order in which they began, and notes that order."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.begun: list[Task] = []
        self.seeds_of_free_worker: set[int] = set()
        self._running: deque[Task] = deque()

    def has_begun(self, task: Task) -> bool:
        return task.seed in self.seeds_of_free_worker

    def submit(self, task: Task) -> None:
        self.begun.append(task)
        self._running.append(task)
        assert len(self._running) <= self.capacity

    def wait(self) -> tuple[Task, Evaluation]:
        return self._running.popleft(), Evaluation("ok", 0.5, seconds=1.0)

    def close(self) -> None:
        self._running.clear()


@pytest.fixture
def desk(tmp_path):
    """A maker of desks; each tells the events that it observes."""
    with RunStore(tmp_path / "run.sqlite") as store:

        def make(capacity: int) -> tuple[Desk, Noting, list]:
            events: list = []
            executor = Noting(capacity)
            ledger = Ledger(tiny_config("images"), store, events.append)
            return Desk(store, ledger, executor, KeptWeights(tmp_path)), executor, events

        yield make


def test_free_workers_begin_with_what_is_expected(desk):
    """Three tasks on two workers leave one free while the last one trains; and one for as long as it is alone."""
    two, executor, events = desk(2)
    two.expect("later", EXPECTED)
    two.run("now", ASKED)
    assert executor.begun == [*ASKED, EXPECTED[0]]
    assert {event.phase for event in events if isinstance(event, Progress)} == {"now"}
    assert two.ledger.trainings("later") == 0
    assert two.run("later", EXPECTED) == [Evaluation("ok", 0.5, seconds=1.0)] * 3
    assert executor.begun == [*ASKED, *EXPECTED]
    assert two.ledger.trainings("later") == 3


def test_one_worker_trains_nothing_before_it_is_asked_for(desk):
    one, executor, _ = desk(1)
    one.expect("later", EXPECTED)
    one.run("now", ASKED)
    assert executor.begun == ASKED


def test_what_was_trained_ahead_is_not_expected_to_take_time_any_more(desk):
    two, _, _ = desk(2)
    two.ledger.plan("later", 3)
    two.expect("later", EXPECTED)
    two.run("now", ASKED[:1])
    two.run("now", ASKED[1:2])
    assert two.ledger.seconds_left() == pytest.approx(2.0, abs=0.1)


def test_a_task_that_is_expected_twice_is_trained_once(desk):
    two, executor, _ = desk(2)
    two.expect("later", EXPECTED[:1])
    two.expect("later", EXPECTED[:2])
    two.run("now", ASKED)
    two.run("later", EXPECTED)
    assert len(executor.begun) == 6


def test_a_free_worker_goes_on_with_what_it_began(desk):
    """Any worker may begin the first one; the third one is for the worker that is free."""
    two, executor, _ = desk(2)
    executor.seeds_of_free_worker = {2}
    later = [replace(task, first_epoch=1) for task in ASKED]
    assert len(two.run("now", later)) == 3
    assert executor.begun == [later[2], later[0], later[1]]


def test_a_training_from_the_start_is_nobodys(desk):
    two, executor, _ = desk(2)
    executor.seeds_of_free_worker = {2}
    two.run("now", ASKED)
    assert executor.begun == ASKED


def test_what_a_limit_will_probably_leave_out_waits_until_it_is_asked_for(desk):
    """The third task begins early; the second one, whose result nobody asks for before, does not."""
    two, executor, _ = desk(2)
    queue = two.queue("now", [Order(task, is_likely=task is not ASKED[1]) for task in ASKED])
    queue.obtain(ASKED[0])
    assert executor.begun == [ASKED[0], ASKED[2]]
    queue.obtain(ASKED[1])
    assert executor.begun == [ASKED[0], ASKED[2], ASKED[1]]
