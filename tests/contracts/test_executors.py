"""What every executor does, whatever it is; a new entry of the registry is tested without a line."""

import os
import time
from dataclasses import replace

import psutil
import pytest

import clusters
import toys
from biotune.errors import InputError, InterruptedRunError
from biotune.executors import EXECUTORS, Hooks

BUILDERS = {**EXECUTORS, "threads": toys.Threads}
"""Those of the registry, and one as somebody might add it."""


@pytest.fixture(scope="module", autouse=True)
def cluster():
    """One for all tests, since it takes seconds to start."""
    with clusters.connected():
        yield


@pytest.fixture
def executor():
    with toys.making_executors() as make:
        yield make


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("name", BUILDERS)
def test_every_task_comes_back_with_its_result(name, workers, executor):
    assert toys.run(executor(BUILDERS[name], workers), toys.TASKS) == toys.RESULTS


@pytest.mark.parametrize("name", BUILDERS)
def test_it_knows_which_trainings_a_free_worker_has_begun(name, executor):
    working = executor(BUILDERS[name], 2)
    first = replace(toys.TASKS[0], last_epoch=1)
    toys.run(working, [first])
    assert working.has_begun(replace(toys.TASKS[0], first_epoch=1))


@pytest.mark.parametrize("name", BUILDERS)
def test_what_a_worker_tells_arrives(name, executor):
    epochs, said = [], []
    hooks = Hooks(on_epoch=lambda task, epoch: epochs.append((task, epoch)), say=said.append)
    toys.run(executor(BUILDERS[name], 2, hooks), toys.TASKS)
    assert sorted(said) == ["done 1", "done 2", "done 3"]
    assert {(task.seed, epoch) for task, epoch in epochs} == {(seed, epoch) for seed in (1, 2, 3) for epoch in (0, 1)}


@pytest.mark.parametrize("name", BUILDERS)
@pytest.mark.parametrize(
    ("method", "kind", "text"),
    [
        ("fail", RuntimeError, "out of memory"),
        ("refuse", InputError, r"^this cannot be trained; choose another\."),
    ],
)
def test_a_failure_carries_its_text_and_where_it_happened(method, kind, text, name, executor):
    working = executor(BUILDERS[name])
    working.submit(replace(toys.TASKS[0], method=method))
    with pytest.raises(kind, match=text) as failure:
        working.wait()
    told = "".join(getattr(failure.value, "__notes__", ())) + str(failure.traceback[-1])
    assert "toys.py" in told


@pytest.mark.parametrize("name", BUILDERS)
def test_a_stop_ends_it_within_seconds(name, executor, tmp_path):
    begun = tmp_path / "begun"

    def check() -> None:
        if begun.exists():
            raise InterruptedRunError("stopped")

    working = executor(BUILDERS[name], hooks=Hooks(check=check))
    working.submit(replace(toys.TASKS[0], method=f"forever:{begun}"))
    with pytest.raises(InterruptedRunError):
        working.wait()
    start = time.monotonic()
    working.close()
    assert time.monotonic() - start < 5
    pid = int(begun.read_text())
    assert pid == os.getpid() or not psutil.pid_exists(pid)
