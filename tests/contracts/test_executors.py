"""What every executor does, whatever it is; a new entry of the registry is tested without a line."""

import os
import time
from dataclasses import replace

import psutil
import pytest

import toys
from biotune.errors import BioTuneError, InputError, InterruptedRunError
from biotune.executors import EXECUTORS, Hooks, Work
from biotune.records import Task

TASKS = [Task("plain", None, None, seed, 2, "hash") for seed in (3, 1, 2)]
FORKED = [name for name in EXECUTORS if name != "in_process"]


@pytest.fixture
def executor(request):
    """A maker of executors of toy tasks; each must leave no process behind."""
    made = []

    def make(name: str, workers: int = 2, hooks: Hooks | None = None):
        hooks = hooks or Hooks()
        work = Work(toys.toy(hooks, 0), lambda: toys.toy)
        made.append(EXECUTORS[name](work, workers, hooks))
        return made[-1]

    before = {process.pid for process in psutil.Process().children(recursive=True)}
    yield make
    for one in made:
        one.close()
    assert {process.pid for process in psutil.Process().children(recursive=True)} - before <= _helpers()


def _helpers() -> set[int]:
    """Processes of Python itself, which end with this one."""
    return {p.pid for p in psutil.Process().children() if "resource_tracker" in " ".join(p.cmdline())}


def run(executor, tasks):
    """Give all tasks, as many at a time as there is room for; return the fitness by seed."""
    waiting, running, found = list(tasks), 0, {}
    while waiting or running:
        while waiting and running < executor.capacity:
            executor.submit(waiting.pop(0))
            running += 1
        task, result = executor.wait()
        running -= 1
        found[task.seed] = result.fitness
    return found


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("name", EXECUTORS)
def test_every_task_comes_back_with_its_result(name, workers, executor):
    assert run(executor(name, workers), TASKS) == {3: 0.3, 1: 0.1, 2: 0.2}


@pytest.mark.parametrize("name", EXECUTORS)
def test_what_a_worker_tells_arrives(name, executor):
    epochs, said = [], []
    hooks = Hooks(on_epoch=lambda task, epoch: epochs.append((task, epoch)), say=said.append)
    run(executor(name, 2, hooks), TASKS)
    assert sorted(said) == ["done 1", "done 2", "done 3"]
    assert {(task.seed, epoch) for task, epoch in epochs} == {(seed, epoch) for seed in (1, 2, 3) for epoch in (0, 1)}


@pytest.mark.parametrize("name", EXECUTORS)
@pytest.mark.parametrize(
    ("method", "kind", "text"),
    [
        ("fail", RuntimeError, "out of memory"),
        ("refuse", InputError, r"^this cannot be trained; choose another\."),
    ],
)
def test_a_failure_carries_its_text_and_where_it_happened(method, kind, text, name, executor):
    working = executor(name)
    working.submit(replace(TASKS[0], method=method))
    with pytest.raises(kind, match=text) as failure:
        working.wait()
    told = "".join(getattr(failure.value, "__notes__", ())) + str(failure.traceback[-1])
    assert "toys.py" in told


@pytest.mark.parametrize("name", EXECUTORS)
def test_a_stop_ends_it_within_seconds(name, executor, tmp_path):
    begun = tmp_path / "begun"

    def check() -> None:
        if begun.exists():
            raise InterruptedRunError("stopped")

    working = executor(name, hooks=Hooks(check=check))
    working.submit(replace(TASKS[0], method=f"forever:{begun}"))
    with pytest.raises(InterruptedRunError):
        working.wait()
    start = time.monotonic()
    working.close()
    assert time.monotonic() - start < 5
    pid = int(begun.read_text())
    assert pid == os.getpid() or not psutil.pid_exists(pid)


@pytest.mark.parametrize("name", FORKED)
def test_tasks_run_beside_each_other(name, executor):
    """The first one is slow, and does not hold up the others."""
    working = executor(name)
    for task in (replace(TASKS[0], method="slow:20"), TASKS[1]):
        working.submit(task)
    assert working.wait()[0].seed == 1
    working.submit(TASKS[2])
    assert working.wait()[0].seed == 2


@pytest.mark.parametrize("name", FORKED)
def test_a_killed_worker_is_replaced_and_its_task_repeated_once(name, executor, tmp_path):
    working = executor(name)
    assert run(working, [replace(TASKS[0], method=f"die:{tmp_path / 'died'}"), *TASKS[1:]]) == {3: 0.3, 1: 0.1, 2: 0.2}
    working.submit(replace(TASKS[0], method="die"))
    with pytest.raises(BioTuneError, match=r"a worker process died 2 times over the same training \(exit code -9\); "):
        working.wait()


@pytest.mark.parametrize("name", FORKED)
def test_a_training_goes_on_where_it_paused(name, executor):
    """In the process that may still hold it, if that one is free."""
    working = executor(name)
    first = replace(TASKS[0], last_epoch=1)
    for task in (first, TASKS[1]):
        working.submit(task)
    seconds = {task.key: result.seconds for task, result in (working.wait(), working.wait())}
    working.submit(replace(TASKS[0], first_epoch=1))
    assert working.wait()[1].seconds == seconds[first.key]
