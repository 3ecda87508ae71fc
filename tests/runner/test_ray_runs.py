"""Runs on a Ray cluster: another place, the same run."""

import os
import shutil
import signal
import time

import psutil
import pytest
import tomli_w
from test_resume import stored_trainings
from test_workers import RACED, contents

import clusters
from biotune.comparison import ComparePlan, compare, parse_entries
from biotune.errors import InputError
from biotune.runner import run
from biotune.runs.events import Message, Progress
from biotune.settings.reading import merged
from tiny import BRIEF, TINY, tiny_config


def on_ray(workers: int = 2, address: str = "") -> dict[str, dict[str, object]]:
    return {"compute": {**TINY["compute"], "executor": "ray", "workers": workers, "address": address}}


def test_a_run_on_a_cluster_is_the_run_of_one_process(images, no_report, tmp_path):
    events = []
    run(tiny_config(images, BRIEF), tmp_path / "one")
    with clusters.connected():
        run(tiny_config(images, BRIEF, on_ray()), tmp_path / "ray", observer=events.append)
    assert contents(tmp_path / "one") == contents(tmp_path / "ray")
    steps = [event for event in events if isinstance(event, Progress) and event.phase == "search"]
    assert {event.fraction for event in steps} > {0.0}


@pytest.mark.slow
def test_images_whose_file_a_machine_does_not_find_are_sent(images, no_report, tmp_path):
    def forget(event) -> None:
        if isinstance(event, Message):
            shutil.rmtree(os.environ["BIOTUNE_CACHE"], ignore_errors=True)

    run(tiny_config(images, BRIEF), tmp_path / "one")
    with clusters.connected():
        run(tiny_config(images, BRIEF, on_ray()), tmp_path / "ray", observer=forget)
    assert contents(tmp_path / "one") == contents(tmp_path / "ray")


def test_one_of_several_gpus_cannot_be_named(images, tmp_path, monkeypatch):
    monkeypatch.setattr("biotune.runner.setup.with_device", lambda config, folder: config)
    config = tiny_config(images, {"compute": {"device": "cuda:1", "executor": "ray"}})
    with pytest.raises(InputError, match=r"^the device 'cuda:1' is one of several, .*; choose --device cuda\.$"):
        run(config, tmp_path / "run")


def test_a_run_that_finds_no_cluster_leaves_no_folder(images, tmp_path):
    with pytest.raises(InputError, match=r"^no Ray cluster answers at '127\.0\.0\.1:1' \(--address\); give HOST:PORT"):
        run(tiny_config(images, on_ray(2, "127.0.0.1:1")), tmp_path / "new" / "run")
    assert not (tmp_path / "new").exists()


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2, 4])
def test_the_history_is_the_same_for_any_number_of_workers(workers, images, no_report, tmp_path):
    run(tiny_config(images, RACED), tmp_path / "one")
    with clusters.machines(workers) as cluster:
        run(tiny_config(images, RACED, on_ray(workers, cluster.address)), tmp_path / "ray")
    assert contents(tmp_path / "one") == contents(tmp_path / "ray")


@pytest.mark.slow
@pytest.mark.parametrize("when", range(1, 6))
def test_a_machine_lost_in_mid_generation_changes_nothing(when, images, no_report, tmp_path):
    """Another one joins."""
    run(tiny_config(images, RACED), tmp_path / "one")
    epochs, lost = [], []
    with clusters.machines(2) as cluster:

        def lose(event) -> None:
            if isinstance(event, Progress) and event.phase == "search" and event.fraction:
                epochs.append(event)
            if len(epochs) == when and not lost:
                lost.append(max(cluster.worker_nodes, key=id))
                cluster.remove_node(*lost, allow_graceful=False)
                cluster.add_node(num_cpus=1, wait=False)

        run(tiny_config(images, RACED, on_ray(2, cluster.address)), tmp_path / "ray", observer=lose)
    assert lost
    assert contents(tmp_path / "one") == contents(tmp_path / "ray")


@pytest.mark.slow
def test_a_comparison_runs_on_a_cluster(images, no_report, tmp_path):
    for name, changes in (("one", {}), ("ray", on_ray())):
        config = tiny_config(images, BRIEF, changes)
        plan = ComparePlan(config, (str(images),), parse_entries("biotune,full,llrd"), tuned=False)
        compare(plan, tmp_path / name)
    answers = [(tmp_path / name / "colours" / "answers.json").read_bytes() for name in ("one", "ray")]
    assert answers[0] == answers[1]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_a_run_that_is_stopped(number, fork, images, tmp_path):
    toml = tmp_path / "ray.toml"
    toml.write_text(tomli_w.dumps({**TINY, **on_ray()}))
    command = fork("tune", images, "--config", toml, "--out", tmp_path / "run")
    command.wait_for(lambda: stored_trainings(tmp_path / "run") >= 2, 60)
    processes = psutil.Process(command.process.pid).children(recursive=True)
    assert sum("ray::RayWorker" in " ".join(process.cmdline()) for process in processes) == 2
    begun = time.monotonic()
    command.send(number)
    ended = command.wait()
    assert ended.code == (-number if number == signal.SIGKILL else 3)
    _, alive = psutil.wait_procs(processes, timeout=120)
    assert not alive
    assert number == signal.SIGKILL or time.monotonic() - begun < 10  # agents of Ray notice a kill after a minute
    again = fork("tune", images, "--config", toml, "--workers", "1", "--executor", "auto", "--out", tmp_path / "run")
    assert again.wait().code == 0


@pytest.mark.slow
def test_a_lost_head_changes_nothing(fork, images, tmp_path):
    """The command may even end its work before Ray gives up; where it does not, the same one continues."""
    run(tiny_config(images, RACED), tmp_path / "one")
    for is_lost in (True, False):
        with clusters.machines(2) as cluster:
            toml = tmp_path / f"{is_lost}.toml"
            toml.write_text(tomli_w.dumps(merged(merged(TINY, RACED), on_ray(2, cluster.address))))
            command = fork("tune", images, "--config", toml, "--out", tmp_path / "run")
            if is_lost:
                command.wait_for(lambda: stored_trainings(tmp_path / "run") >= 5, 240)
                cluster.remove_node(cluster.head_node, allow_graceful=False)
            ended = command.wait(180)
    assert ended.code == 0
    assert contents(tmp_path / "one") == contents(tmp_path / "run")
