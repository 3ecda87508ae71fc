"""What the pool adds to the contract of executors: processes that work side by side, and are replaced."""

from dataclasses import replace

import pytest

import toys
from biotune.errors import BioTuneError
from biotune.executors import EXECUTORS, Hooks, InProcess, Pool, Resources, Work


@pytest.fixture
def pool():
    with toys.making_executors() as make:
        yield make(Pool, 2)


def test_it_is_taken_for_several_workers():
    work = Work(toys.toy(Hooks(), 0), lambda: toys.toy, lambda: toys.toy)
    assert isinstance(EXECUTORS["auto"](work, Resources(2), Hooks()), Pool)
    assert isinstance(EXECUTORS["auto"](work, Resources(1), Hooks()), InProcess)


def test_tasks_run_beside_each_other(pool):
    """The first one is slow, and does not hold up the others."""
    for task in (replace(toys.TASKS[0], method="slow:20"), toys.TASKS[1]):
        pool.submit(task)
    assert pool.wait()[0].seed == 1
    pool.submit(toys.TASKS[2])
    assert pool.wait()[0].seed == 2


def test_a_killed_worker_is_replaced_and_its_task_repeated_once(pool, tmp_path):
    dying = replace(toys.TASKS[0], method=f"die:{tmp_path / 'died'}")
    assert toys.run(pool, [dying, *toys.TASKS[1:]]) == toys.RESULTS
    pool.submit(replace(toys.TASKS[0], method="die"))
    with pytest.raises(BioTuneError, match=r"a worker process died 2 times over the same training \(exit code -9\); "):
        pool.wait()


def test_a_training_goes_on_where_it_paused(pool):
    """In the process that may still hold it, if that one is free."""
    first = replace(toys.TASKS[0], last_epoch=1)
    for task in (first, toys.TASKS[1]):
        pool.submit(task)
    seconds = {task.key: result.seconds for task, result in (pool.wait(), pool.wait())}
    pool.submit(replace(toys.TASKS[0], first_epoch=1))
    assert pool.wait()[1].seconds == seconds[first.key]
