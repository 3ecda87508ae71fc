"""Several workers: another time, the same run."""

import signal
import sqlite3
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from test_resume import FILES, stored_trainings

from biotune.api import tune
from biotune.errors import InputError
from biotune.executors import EXECUTORS, InProcess
from biotune.models import Backbone
from biotune.runner import run
from biotune.runs.events import Progress
from biotune.runs.store import RunStore
from biotune.settings.reading import merged
from biotune.settings.sections import BASELINES
from small_network import Small
from tiny import BRIEF, EARLY, TINY, tiny_config

RACED = {
    "search": {"rungs": (0.25, 0.5), "max_work": 0.0, "population": 4, "generations": 1},
    "training": {"epochs": 4, "learning_rate": 0.01},
    "final": {"seeds": 2, "candidates": 2, "baselines": ("full", "full_tuned")},
}
TWO = {"compute": {**TINY["compute"], "workers": 2}}


class Ahead(InProcess):
    """Two workers that give the latest task first: the least orderly pool that there can be."""

    capacity = 2

    def wait(self):
        task = self._waiting.pop()
        return task, self._evaluate(task)


@pytest.fixture
def unordered(monkeypatch):
    monkeypatch.setitem(EXECUTORS, "unordered", Ahead)
    return {"compute": {**TINY["compute"], "workers": 2, "executor": "unordered"}}


def contents(folder: Path) -> dict[str, bytes]:
    names = (*FILES, "answers.json")
    return {name: (folder / name).read_bytes() for name in names if (folder / name).exists()}


def test_two_processes_give_the_run_of_one(images, no_report, tmp_path):
    events, before = [], set(psutil.Process().children())
    run(tiny_config(images, RACED), tmp_path / "one")
    run(tiny_config(images, RACED, TWO), tmp_path / "two", observer=events.append)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    steps = [event for event in events if isinstance(event, Progress) and event.phase == "search"]
    assert {event.fraction for event in steps} > {0.0}
    left = set(psutil.Process().children()) - before
    assert [child.cmdline() for child in left if "resource_tracker" not in " ".join(child.cmdline())] == []


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"search": {**RACED["search"], "max_work": 3.0, "generations": 50}},
        {"search": {**RACED["search"], "out_of_fold_below": 200}},
        {"data": {"test_fraction": 0.0}},
    ],
)
def test_the_order_of_finishing_changes_nothing(changes, unordered, images, no_report, tmp_path):
    run(tiny_config(images, RACED, changes), tmp_path / "one")
    run(tiny_config(images, RACED, changes, unordered), tmp_path / "two")
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def trained(folder: Path) -> list[tuple[str, str]]:
    """Return phase and key of every stored training, in the order in which they were finished."""
    with sqlite3.connect(folder / "run.sqlite") as store:
        return list(store.execute("SELECT phase, key FROM trainings ORDER BY rowid"))


@pytest.mark.parametrize("changes", [{}, EARLY])
def test_phases_that_do_not_depend_on_each_other_run_side_by_side(changes, unordered, images, no_report, tmp_path):
    """Baselines fill the gaps that the search leaves, and nothing is trained in vain."""
    changes = merged(changes, {"final": {"baselines": BASELINES, "candidates": 1}})
    for name, workers in (("one", {}), ("two", unordered)):
        run(tiny_config(images, RACED, changes, workers), tmp_path / name)
    one, two = trained(tmp_path / "one"), trained(tmp_path / "two")
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert {key for _, key in one} == {key for _, key in two}
    assert "linear_probe" not in before_the_last_of_search(one)
    assert "linear_probe" in before_the_last_of_search(two)


def before_the_last_of_search(rows: list[tuple[str, str]]) -> list[str]:
    """Return the phases of what was finished before the last candidate of the search."""
    phases = [phase for phase, _ in rows]
    return phases[: len(phases) - phases[::-1].index("search")]


def test_under_a_limit_of_time_every_phase_waits_for_its_turn(unordered, images, no_report, tmp_path):
    """What there is time for is decided by what was trained before."""
    limited = {"budget": {"seconds": 600.0}, "final": {**RACED["final"], "baselines": ("full", "linear_probe")}}
    run(tiny_config(images, RACED, unordered, limited), tmp_path / "run")
    phases = [phase for phase, _ in trained(tmp_path / "run")]
    assert phases.index("linear_probe") > phases.index("final")


def test_an_allowance_ends_sweeps_and_searches_at_the_same_place(unordered, images, no_report, tmp_path):
    """Only what can finish begins, so nothing is trained beyond it either."""
    from biotune.comparison import ComparePlan, compare, parse_entries

    results, trained = {}, {}
    for name, changes in (("one", {}), ("two", unordered)):
        config = tiny_config(images, RACED, {"search": {**RACED["search"], "generations": 0}}, changes)
        plan = ComparePlan(config, (str(images),), parse_entries("biotune,full,llrd,random"), tuned=True)
        results[name] = compare(plan, tmp_path / name).to_json()
        with RunStore(tmp_path / name / "colours" / "run.sqlite", read_only=True) as store:
            trained[name] = {phase: len(store.trainings(phase)) for phase in ("random", "sweep full", "sweep llrd")}
            results[name]["candidates"] = store.candidates("random")
    answers = [(tmp_path / name / "colours" / "answers.json").read_bytes() for name in results]
    assert answers[0] == answers[1]
    assert results["one"]["candidates"] == results["two"]["candidates"]
    assert trained["two"] == trained["one"]
    sweeps = [
        {key: row["tuned"] and row["tuned"]["sweep"] for key, row in r["methods"].items()} for r in results.values()
    ]
    assert sweeps[0] == sweeps[1]


def test_the_number_of_workers_may_change_when_a_run_is_continued(unordered, images, no_report, tmp_path):
    run(tiny_config(images, RACED), tmp_path / "one")
    for most, changes in ((2, unordered), (5, {}), (0, unordered)):
        run(tiny_config(images, RACED, changes, {"budget": {"max_evaluations": most}}), tmp_path / "two")
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def kills(folder: Path) -> None:
    """Kill a worker once."""
    for process in psutil.Process().children():
        if "spawn_main" in " ".join(process.cmdline()) and not (folder / "killed").exists():
            (folder / "killed").touch()
            process.kill()


def test_a_killed_worker_changes_nothing(images, no_report, tmp_path):
    run(tiny_config(images, RACED, BRIEF), tmp_path / "one")

    def observe(event) -> None:
        if isinstance(event, Progress) and event.phase == "search" and event.fraction:
            kills(tmp_path)

    run(tiny_config(images, RACED, BRIEF, TWO), tmp_path / "two", observer=observe)
    assert (tmp_path / "killed").exists()
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_no_worker_outlives_a_run_that_is_stopped(number, fork, images, tmp_path):
    import tomli_w

    toml = tmp_path / "two.toml"
    toml.write_text(tomli_w.dumps({**TINY, **TWO}))
    command = fork("tune", images, "--config", toml, "--out", tmp_path / "run")
    command.wait_for(lambda: stored_trainings(tmp_path / "run") >= 2, 240)
    workers = psutil.Process(command.process.pid).children(recursive=True)
    assert len([process for process in workers if "spawn_main" in " ".join(process.cmdline())]) == 2
    begun = time.monotonic()
    command.send(number)
    ended = command.wait()
    assert ended.code == (3 if number == signal.SIGINT else -number)
    _, alive = psutil.wait_procs(workers, timeout=5)
    assert not alive
    assert time.monotonic() - begun < 10


def test_what_only_this_process_has_is_refused(images, tmp_path):
    backbone = Backbone(Small(), image_size=12, head="classifier")
    compute = {"threads": 1, "device": "cpu", "workers": 2}
    with pytest.raises(InputError, match=r"the network module:Small is in the memory of this process, so that other "):
        tune(images, out=tmp_path / "run", model=backbone, compute=compute)
    pixels = np.zeros((60, 24, 24, 3), np.uint8) + np.arange(60, dtype=np.uint8)[:, None, None, None]
    data = pixels, [f"class {row % 3}" for row in range(60)]
    with pytest.raises(
        InputError, match=r"keep the decoded images on disk \(--cache-gib\), or use --workers 1 without "
    ):
        tune(data, out=tmp_path / "other", model=TINY["model"], compute=compute, cache={"limit_gib": 0})


def test_an_unknown_executor_is_named(images):
    with pytest.raises(
        InputError, match=r"executor' cannot be 'dask': input should be 'auto', 'in_process', 'pool' or "
    ):
        tiny_config(images, {"compute": {**TINY["compute"], "executor": "dask"}})
