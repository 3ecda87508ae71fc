"""A rehearsal asks for the trainings of a run, and says how long workers would take for them."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from biotune.records import EpochRecord, Evaluation, Task
from biotune.runner import run
from biotune.runner.estimate import estimate_run
from biotune.runner.rehearsal import MANY, PretendedWorkers, by_store, by_work, rehearse
from biotune.runner.setup import Setup, set_up
from biotune.runs.events import silent
from biotune.runs.store import RunStore
from biotune.settings.resolve import result_hash
from biotune.settings.sections import BASELINES
from biotune.trials.counting import Counter
from biotune.trials.spec import WorkerSpec, trial_data
from biotune.trials.worker import Worker
from tiny import BRIEF, tiny_config

FIRST = Task("full", None, None, 1, 4, "hash", last_epoch=2)
LATER = replace(FIRST, first_epoch=2, last_epoch=4)
OTHER = Task("full", None, None, 2, 4, "hash")
SECONDS = {FIRST.key: 2.0, LATER.key: 3.0, OTHER.key: 4.0}

FEW = {
    "search": {"rungs": (0.5, 1.0), "max_work": 0.0, "population": 4, "generations": 1},
    "training": {"epochs": 4, "learning_rate": 0.01, "stopping": "planned"},
    "final": {"seeds": 2, "candidates": 1, "data": "all", "baselines": BASELINES},
}


def pretend(task: Task) -> Evaluation:
    epochs = task.last_epoch or task.epochs
    curve = tuple(EpochRecord(epoch, 0.0) for epoch in range(epochs))
    return Evaluation("ok", 0.5, epochs - 1, curve, seconds=SECONDS[task.key])


def test_the_task_that_ends_first_comes_first():
    workers = PretendedWorkers(2, pretend)
    workers.submit(OTHER)
    workers.submit(FIRST)
    assert workers.wait()[0] is FIRST
    workers.submit(LATER)
    assert (workers.wait()[0], workers.now) == (OTHER, 4.0)
    assert (workers.wait()[0], workers.now) == (LATER, 5.0)
    assert workers.trained == 9.0


def test_a_training_that_another_worker_takes_up_begins_again():
    """Four epochs at 1.5 s each, in place of the last two."""
    workers = PretendedWorkers(2, pretend)
    workers.submit(FIRST)
    workers.wait()
    workers.submit(replace(FIRST, seed=1))  # keeps the worker that knows the training
    workers.submit(LATER)
    workers.wait()
    assert workers.wait()[0] is LATER
    assert workers.now == 2.0 + 6.0


def opened(config) -> tuple[Setup, Worker, Counter]:
    setup = set_up(config, None, silent, dry=True)
    data = trial_data(setup.data, setup.config)
    spec = WorkerSpec(setup.config, len(setup.data.class_names), setup.loaded.weights_sha256, data, Path())
    worker = Worker(spec, setup.loaded)
    return setup, worker, Counter(worker)


@pytest.mark.parametrize("changes", [{}, {"search": {**FEW["search"], "max_work": 3.0, "generations": 5}}])
def test_it_asks_for_the_trainings_of_the_run(changes, images, no_report, tmp_path):
    """With the results of a run, one worker takes as long as its trainings took, and several take less."""
    config = tiny_config(images, FEW, changes)
    run(config, tmp_path / "run")
    setup, worker, counter = opened(config)
    unknown = []

    def otherwise(task: Task) -> Evaluation:
        unknown.append(task)
        return by_work(counter, 0.01)(task)

    with RunStore(tmp_path / "run" / "run.sqlite", read_only=True) as store:
        known, key = by_store(store, otherwise), result_hash(setup.config, setup.facts)
        one = rehearse(setup, worker, counter, 1, known, key)
        assert one.seconds == pytest.approx(store.seconds())
        assert not unknown
        two, many = (rehearse(setup, worker, counter, workers, known, key) for workers in (2, MANY))
    assert one.seconds > two.seconds > many.seconds
    for found in (one, two, many):
        assert math.fsum(found.waits.values()) == pytest.approx(found.seconds)
        assert found.trained >= one.trained - 1e-9


def test_a_rehearsal_without_results_takes_the_work_of_the_trainings(images):
    """A method without a search: two final trainings of four epochs, a second each."""
    config = tiny_config(images, FEW, {"method": {"name": "full"}})
    setup, worker, counter = opened(config)
    one, two = (rehearse(setup, worker, counter, workers, by_work(counter, 1.0)) for workers in (1, 2))
    images_of_both = len(setup.data.train) + len(setup.data.validation)
    assert one.seconds == pytest.approx(2 * 4 * images_of_both / len(setup.data.train))
    assert two.seconds == pytest.approx(one.seconds / 2)


def test_an_estimate_says_what_workers_gain(images):
    plain = estimate_run(tiny_config(images, FEW), None, silent)
    assert (plain.workers, plain.speedup, plain.chain) == (1, 1.0, {})
    assert "workers" not in plain.sentence()
    both = estimate_run(tiny_config(images, FEW, {"compute": {"threads": 1, "workers": 2}}), None, silent)
    assert 1.3 < both.speedup <= 2.0
    assert {"search", "sweep"} <= set(both.chain)
    assert f"The 2 workers are {both.speedup:.1f} times as fast as one; the longest chain" in both.sentence()
    assert both.disk_bytes > plain.disk_bytes


def test_a_brief_run_is_rehearsed_without_baselines(images):
    estimate = estimate_run(tiny_config(images, BRIEF, {"compute": {"threads": 1, "workers": 2}}), None, silent)
    assert set(estimate.chain) <= {"probe", "search", "final"}
