"""The simulation of many workers: task times as measured, schedules as in a run."""

import pytest

from benchmarks.simulation import Point, Setting, by_times, draw, measured, simulate, table
from biotune.records import Evaluation, Task
from biotune.runner import run
from biotune.runs.store import RunStore
from tiny import TINY, tiny_config

FEW = {
    "search": {**TINY["search"], "population": 4, "generations": 1, "rungs": (0.5, 1.0)},
    "training": {"epochs": 4, "learning_rate": 0.01},
    "final": {"seeds": 2, "candidates": 1, "baselines": ("full", "full_tuned")},
}
TIMES = [(0.3, 1.2), (4.0, 4.0), (4.0, 6.0)]


class Works:
    """Counts so much work for every task."""

    def __init__(self, work: float) -> None:
        self.work = work

    def work_of(self, task: Task, epochs: int) -> float:
        return self.work


def seconds(work: float) -> set[float]:
    tasks = [Task("full", None, None, seed, 4, "hash") for seed in range(20)]
    pretend = by_times(Works(work), TIMES)
    return {round(pretend(task).seconds, 6) for task in tasks}


@pytest.mark.parametrize(
    ("work", "found"), [(4.0, {4.0, 6.0}), (5.0, {5.0, 7.5}), (100.0, {100.0, 150.0}), (0.3, {1.2}), (0.15, {0.6})]
)
def test_a_training_takes_as_long_as_one_of_like_work_took(work, found):
    """Seconds for each unit of work, of the closest that were measured."""
    assert seconds(work) == found


@pytest.mark.parametrize("asynchronous", [False, True])
def test_more_workers_take_less_time_and_are_less_busy(asynchronous, images):
    setting = Setting("tiny", {**FEW, "data": {"source": str(images)}, "model": TINY["model"]}, "quick", asynchronous)
    one, two, many = simulate(setting, [(1.0, 2.0)], (1, 2, 64))
    assert one.busy == pytest.approx(1.0)
    assert one.trained == pytest.approx(one.seconds)
    assert one.seconds > two.seconds > many.seconds
    assert one.busy > two.busy > many.busy
    assert simulate(setting, [(1.0, 2.0)], (2,)) == [two]


def test_times_come_from_the_trainings_of_a_run(images, no_report, tmp_path):
    run(tiny_config(images, FEW), tmp_path / "run")
    times = measured(tmp_path / "run")
    with RunStore(tmp_path / "run" / "run.sqlite", read_only=True) as store:
        stored: list[Evaluation] = [result for *_, result in store.trainings()]
    assert {seconds for _, seconds in times} <= {round(result.cpu_seconds, 4) for result in stored}
    assert len(times) > len(stored) / 2
    assert max(work for work, _ in times) >= 4.0


def test_the_table_and_the_figure_say_what_was_found():
    found = {"plain": [Point(1, 7200.0, 7200.0, 1.0), Point(2, 4000.0, 7200.0, 0.9)]}
    assert table(found).splitlines() == [
        "| run | hours of one worker | 1 | 2 |",
        "|---|---|---|---|",
        "| plain | 2 | 1.0 (100 %) | 1.8 (90 %) |",
    ]
    (axes,) = draw(found).axes
    (line,) = axes.lines
    assert line.get_xydata().tolist() == [[1.0, 1.0], [2.0, 1.8]]
