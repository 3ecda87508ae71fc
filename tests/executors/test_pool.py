"""What the pool adds to the contract of executors: processes that work side by side, and are replaced."""

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

import biotune
import toys
from biotune.errors import InputError, InterruptedRunError
from biotune.executors import EXECUTORS, Hooks, InProcess, Pool, Resources, Seat, Work, base


@pytest.fixture
def make():
    with toys.making_executors() as maker:
        yield maker


@pytest.fixture
def pool(make):
    return make(Pool, 2)


def test_it_is_taken_for_several_workers():
    work = Work(toys.toy(Hooks(), Seat(0)), lambda: toys.toy, lambda: toys.toy)
    assert isinstance(EXECUTORS["auto"](work, Resources(2), Hooks()), Pool)
    assert isinstance(EXECUTORS["auto"](work, Resources(1, devices=2), Hooks()), Pool)
    assert isinstance(EXECUTORS["auto"](work, Resources(1), Hooks()), InProcess)


def test_tasks_run_beside_each_other(pool):
    """The first one is slow, and does not hold up the others."""
    for task in (replace(toys.TASKS[0], method="slow:20"), toys.TASKS[1]):
        pool.submit(task)
    assert pool.wait()[0].seed == 1
    pool.submit(toys.TASKS[2])
    assert pool.wait()[0].seed == 2


@pytest.mark.parametrize("devices", [1, 3])
def test_a_killed_worker_is_replaced_and_its_task_repeated_once(devices, make, tmp_path):
    """Also where others of the same worker only notice that one of them is dead."""
    pool = make(Pool, 2, devices=devices)
    dying = replace(toys.TASKS[0], method=f"die:{tmp_path / 'died'}")
    assert toys.run(pool, [dying, *toys.TASKS[1:]]) == toys.RESULTS
    pool.submit(replace(toys.TASKS[0], method="die"))
    task, result = pool.wait()
    assert (task.seed, result.outcome, result.fitness, result.cause) == (3, "killed", 0.0, "exit code -9")
    assert toys.run(pool, toys.TASKS) == toys.RESULTS


def test_a_script_whose_calls_are_not_guarded_is_told_so(tmp_path):
    """Each worker imports it, and would start workers of its own: Python ends it before it begins."""
    script = tmp_path / "script.py"
    script.write_text(
        "import toys\nfrom biotune.executors import Hooks, Pool, Resources, Seat, Work\n"
        "pool = Pool(Work(toys.toy(Hooks(), Seat(0)), lambda: toys.toy, lambda: toys.toy), Resources(1), Hooks())\n"
        "pool.submit(toys.TASKS[0])\npool.wait()\n"
    )
    places = os.pathsep.join([str(Path(__file__).parents[1]), str(Path(biotune.__file__).parents[1])])
    there = {**os.environ, "PYTHONPATH": places}
    done = subprocess.run([sys.executable, script], env=there, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode
    assert done.stderr.splitlines()[-1].startswith("biotune.errors.InputError: a worker process ended before it had")


def test_a_training_goes_on_where_it_paused(pool):
    """In the process that may still hold it, if that one is free."""
    first = replace(toys.TASKS[0], last_epoch=1)
    for task in (first, toys.TASKS[1]):
        pool.submit(task)
    seconds = {task.key: result.seconds for task, result in (pool.wait(), pool.wait())}
    pool.submit(replace(toys.TASKS[0], first_epoch=1))
    assert pool.wait()[1].seconds == seconds[first.key]


def test_only_the_first_of_several_ranks_tells(make):
    epochs, said = [], []
    hooks = Hooks(on_epoch=lambda task, epoch: epochs.append((task.seed, epoch)), say=said.append)
    assert toys.run(make(Pool, 1, hooks, devices=3), toys.TASKS) == toys.RESULTS
    assert epochs == [(seed, epoch) for seed in (3, 1, 2) for epoch in (0, 1)]
    assert said == ["done 3", "done 1", "done 2"]


@pytest.mark.parametrize(
    ("method", "kind", "text"), [("fail", RuntimeError, "out of memory"), ("refuse", InputError, "^this cannot be")]
)
def test_the_failure_of_any_rank_is_that_of_all(method, kind, text, make):
    """The others may wait for it meanwhile."""
    working = make(Pool, 1, devices=2)
    working.submit(replace(toys.TASKS[0], method=method))
    with pytest.raises(kind, match=text):
        working.wait()


def test_without_memory_all_ranks_begin_again_once(make):
    """Then the task counts as one that needs too much, and the next one is trained by new processes."""
    working = make(Pool, 1, devices=2)
    working.submit(replace(toys.TASKS[0], method="starve"))
    task, result = working.wait()
    assert (task.seed, result.outcome, result.fitness) == (3, "oom", 0.0)
    assert result.seconds > 0
    assert toys.run(working, toys.TASKS) == toys.RESULTS


def test_the_error_of_one_rank_is_the_result_of_all(make):
    """The others wait for it in vain, and are replaced; nobody tries again."""
    working = make(Pool, 1, devices=2)
    working.submit(replace(toys.TASKS[0], method="break"))
    task, result = working.wait()
    assert (task.seed, result.outcome, result.reason) == (3, "error", "RuntimeError: broken")
    assert toys.run(working, toys.TASKS) == toys.RESULTS


def test_a_worker_that_is_silent_for_too_long_is_replaced(make, monkeypatch):
    """Others go on meanwhile."""
    monkeypatch.setattr(base, "GRACE_S", 2.0)
    working = make(Pool, 2, seconds=1.0)
    for task in (replace(toys.TASKS[0], method="slow:600"), toys.TASKS[1]):
        working.submit(task)
    assert working.wait()[1].outcome == "ok"
    task, result = working.wait()
    assert (task.seed, result.outcome, result.fitness) == (3, "timeout", 0.0)
    assert 3.0 < result.seconds < 60.0
    assert toys.run(working, toys.TASKS) == toys.RESULTS


def test_a_stop_ends_all_ranks(make, tmp_path):
    begun = tmp_path / "begun"

    def check() -> None:
        if len(list(tmp_path.iterdir())) == 2:
            raise InterruptedRunError("stopped")

    working = make(Pool, 1, Hooks(check=check), devices=2)
    working.submit(replace(toys.TASKS[0], method=f"forever:{begun}"))
    with pytest.raises(InterruptedRunError):
        working.wait()
    start = time.monotonic()
    working.close()
    assert time.monotonic() - start < 5
    assert not any(psutil.pid_exists(int(path.read_text())) for path in tmp_path.iterdir())
