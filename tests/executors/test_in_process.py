"""Where tasks run."""

import pytest

from biotune.executors import InProcess
from biotune.records import Evaluation, Task

TASKS = [Task("full", (), None, seed, 1, "hash") for seed in (3, 1, 2)]


def evaluate(task: Task) -> Evaluation:
    return Evaluation("ok", task.seed / 10)


def test_every_result_comes_with_the_index_of_its_task():
    assert list(InProcess(evaluate).run(TASKS)) == [(i, evaluate(task)) for i, task in enumerate(TASKS)]


def test_no_tasks_no_results():
    assert list(InProcess(evaluate).run([])) == []


def test_a_result_is_there_before_the_next_task_begins():
    begun = []

    def noted(task: Task) -> Evaluation:
        begun.append(task.seed)
        return evaluate(task)

    results = InProcess(noted).run(TASKS)
    assert next(results) == (0, evaluate(TASKS[0]))
    assert begun == [3]


def test_a_failure_is_the_callers():
    def fail(_task: Task) -> Evaluation:
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        list(InProcess(fail).run(TASKS))
