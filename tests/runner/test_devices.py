"""Several devices for one training: runs whose trainings are each done by two processes."""

import importlib
import json
import signal
import time
from pathlib import Path

import psutil
import pytest
import tomli_w
from test_resume import FILES, stored_trainings
from test_workers import RACED, contents, kills

from biotune.errors import InputError
from biotune.runner import run
from biotune.runs.events import Message, Progress
from tiny import BRIEF, TINY, tiny_config, write_no_report

STEADY = {
    "search": {**RACED["search"], **BRIEF["search"]},
    "training": {"epochs": 4, "learning_rate": 0.01, "optimizer": "sgd", "statistics": "kept"},
    "final": BRIEF["final"],
}
"""A run in which rounding stays rounding: Adam and the statistics of eight images make more of it."""
TWO = {"compute": {**TINY["compute"], "threads": 2, "devices_per_training": 2}}


@pytest.fixture(scope="module")
def undisturbed(images, tmp_path_factory) -> Path:
    """A finished run, whose candidates paused at a rung."""
    folder = tmp_path_factory.mktemp("devices") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(importlib.import_module("biotune.runner.run"), "write_report", write_no_report)
        run(tiny_config(images, STEADY, TWO), folder)
    return folder


def test_a_killed_rank_changes_nothing(undisturbed, images, no_report, tmp_path):
    told, before = [], set(psutil.Process().children())

    def observe(event) -> None:
        told.append(event)
        if isinstance(event, Progress) and event.phase == "search" and event.fraction:
            kills(tmp_path)

    run(tiny_config(images, STEADY, TWO), tmp_path / "run", observer=observe)
    assert (tmp_path / "killed").exists()
    assert contents(tmp_path / "run") == contents(undisturbed)
    left = set(psutil.Process().children()) - before
    assert [child.cmdline() for child in left if "resource_tracker" not in " ".join(child.cmdline())] == []
    sentences = [event.text for event in told if isinstance(event, Message)]
    assert any(
        text.startswith("Each training is shared by 2 processes of 1 thread: of every batch") for text in sentences
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_no_rank_outlives_a_run_that_is_stopped(number, undisturbed, fork, images, tmp_path):
    toml, folder = tmp_path / "two.toml", tmp_path / "run"
    toml.write_text(tomli_w.dumps({name: {**TINY[name], **STEADY.get(name, {}), **TWO.get(name, {})} for name in TINY}))
    command = fork("tune", images, "--config", toml, "--out", folder)
    command.wait_for(lambda: stored_trainings(folder) >= 2, seconds=120)
    ranks = psutil.Process(command.process.pid).children(recursive=True)
    assert len([process for process in ranks if "spawn_main" in " ".join(process.cmdline())]) == 2
    begun = time.monotonic()
    command.send(number)
    assert command.wait().code == (3 if number == signal.SIGINT else -number)
    _, alive = psutil.wait_procs(ranks, timeout=5)
    assert not alive
    assert time.monotonic() - begun < 10
    if number == signal.SIGKILL:
        assert fork("tune", images, "--config", toml, "--out", folder).wait().code == 0
        assert contents(folder) == contents(undisturbed)


def test_the_scores_are_near_those_of_one_process(undisturbed, images, no_report, tmp_path):
    run(tiny_config(images, STEADY), tmp_path / "one")
    one, two = (json.loads((folder / FILES[0]).read_text()) for folder in (tmp_path / "one", undisturbed))
    assert len(one["candidates"]) == len(two["candidates"])
    for alone, shared in zip(one["candidates"], two["candidates"], strict=True):
        assert shared["multipliers"] == alone["multipliers"]
        assert shared["fitness"] == pytest.approx(alone["fitness"], abs=1e-4)


def test_the_number_of_devices_cannot_change(undisturbed, images, no_report):
    with pytest.raises(InputError, match="devices_per_training"):
        run(tiny_config(images, STEADY), undisturbed)
