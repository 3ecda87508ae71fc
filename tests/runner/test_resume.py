"""Killed anywhere and started again, a run gives what it gives undisturbed."""

import functools
import json
import random
import signal
import sqlite3
import time
from pathlib import Path

import pytest

from biotune.classifier import load_run
from biotune.errors import InputError
from biotune.runs.unfinished import read_model
from forked import die_at_write, without_report
from pretended import never, pretend
from tiny import BRIEF, CLASSES, run, tiny_config, write_classes

FILES = ("history.json", "recipe.yaml", "model.safetensors", "labels.json", "preprocessing.json")
SCORES = ("exported", "validation", "test", "recipe", "data", "protocol")
KILLED = -signal.SIGKILL


@pytest.fixture
def assert_same(finished):
    """A check that a run folder holds what the undisturbed run holds, and nothing half written."""

    def check(folder: Path) -> None:
        members = [str(path.relative_to(finished.folder)) for path in finished.folder.glob("members/*")]
        assert len(members) == len(list(folder.glob("members/*"))) == 1
        for name in (*FILES, *members):
            assert (folder / name).read_bytes() == (finished.folder / name).read_bytes(), name
        summary = json.loads((folder / "summary.json").read_text())
        assert {key: summary[key] for key in SCORES} == {key: finished.summary[key] for key in SCORES}
        baselines = {name: entry["test"] for name, entry in summary["baselines"].items()}
        assert baselines == {name: entry["test"] for name, entry in finished.summary["baselines"].items()}
        assert not list(folder.glob("**/*.tmp")) + list(folder.glob("checkpoints"))

    return check


def stored_trainings(folder: Path) -> int:
    """Return how many trainings are stored, 0 before there is a store."""
    try:
        with sqlite3.connect(f"file:{folder / 'run.sqlite'}?mode=ro", uri=True) as connection:
            return int(connection.execute("SELECT count(*) FROM trainings").fetchone()[0])
    except sqlite3.Error:
        return 0


def assert_usable(folder: Path) -> None:
    """From the first stored training on there is a model that loads, and never a recipe of another one."""
    if stored_trainings(folder):
        classifier, found = load_run(folder), read_model(folder)
        assert classifier.class_names == CLASSES
        if found is not None and (folder / "recipe.yaml").exists():
            about, content = found
            in_place = (folder / "model.safetensors").read_bytes() == content
            assert ((folder / "recipe.yaml").read_text() == about.recipe) or not in_place


@pytest.mark.parametrize("chain", range(2))
def test_killed_at_chosen_writes(chain, fork, images, tiny_toml, tmp_path, assert_same):
    """Each link dies a few writes further on, on either side of a commit or a rename, until one reaches the end."""
    out, generator, codes = tmp_path / "run", random.Random(chain), []
    while not codes or codes[-1] == KILLED:
        without = () if chain == 0 else (without_report,)
        moment = functools.partial(die_at_write, generator.randint(16, 90) + 2 * len(codes), *without)
        codes.append(fork("tune", images, "--config", tiny_toml, "--out", out, prepare=moment).wait().code)
        assert_usable(out)
    assert (codes[-1], set(codes[:-1])) == (0, {KILLED})
    assert len(codes) > 5
    assert_same(out)


def test_killed_at_random_times(fork, images, tiny_toml, tmp_path, assert_same):
    """Six kills, each a random while after a further training was stored."""
    out, generator = tmp_path / "run", random.Random(0)
    for _ in range(6):
        command = fork("tune", images, "--config", tiny_toml, "--out", out)
        goal = stored_trainings(out) + generator.randint(1, 4)
        command.wait_for(lambda goal=goal: stored_trainings(out) >= goal)
        time.sleep(generator.uniform(0, 0.08))
        command.process.kill()
        assert command.wait().code == KILLED
        assert_usable(out)
    assert fork("tune", images, "--config", tiny_toml, "--out", out, prepare=without_report).wait().code == 0
    assert_same(out)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_run_that_the_same_command_continues(number, fork, images, tiny_toml, tmp_path, assert_same):
    out = tmp_path / "run"
    command = fork("tune", images, "--config", tiny_toml, "--out", out)
    command.wait_for(lambda: stored_trainings(out) >= 4)
    command.send(number)
    begun = time.monotonic()
    ended = command.wait()

    assert (ended.code, ended.out) == (3, "")
    assert time.monotonic() - begun < 10
    expected = f"biotune: stopped; everything finished so far is stored. Continue with: biotune tune {images} --config"
    assert expected in ended.err
    assert "Traceback" not in ended.err
    assert fork("tune", images, "--config", tiny_toml, "--out", out, prepare=without_report).wait().code == 0
    assert_same(out)


def never_looks_at_the_stop_signal() -> None:
    """Make the first Ctrl+C useless, as in a step that takes minutes."""
    from biotune.runs.folder import StopSignal

    StopSignal.check = lambda _stop: None


def test_a_second_interrupt_ends_at_once(fork, images, tiny_toml, tmp_path):
    out = tmp_path / "run"
    command = fork("tune", images, "--config", tiny_toml, "--out", out, prepare=never_looks_at_the_stop_signal)
    command.wait_for(lambda: stored_trainings(out) >= 1)
    command.send(signal.SIGINT)
    command.wait_for(lambda: command.has_written("press Ctrl+C again"))
    command.send(signal.SIGINT)
    begun = time.monotonic()
    ended = command.wait()
    assert (ended.code, ended.out) == (3, "")
    assert "biotune: stopped at once; everything finished before is stored. Continue with: biotune tune" in ended.err
    assert time.monotonic() - begun < 2


def test_one_process_a_folder(fork, images, tiny_toml, tmp_path, cli):
    """The second process is refused while the first one lives, even if it hangs; a lock does not outlive its owner."""
    out = tmp_path / "run"
    first = fork("tune", images, "--config", tiny_toml, "--out", out)
    first.wait_for(lambda: stored_trainings(out) >= 1)
    first.send(signal.SIGSTOP)
    begun = time.monotonic()
    second = fork("tune", images, "--config", tiny_toml, "--out", out).wait()
    waited = time.monotonic() - begun
    status = json.loads(cli("status", out, "--json").out)
    first.process.kill()
    first.wait()

    assert (second.code, second.out) == (2, "")
    assert f"another process works in '{out}' (process {first.process.pid} on " in second.err
    assert waited < 2
    assert status["status"] == "running"
    assert json.loads(cli("status", out, "--json").out)["status"] == "stopped"
    assert "run the same command to continue" in cli("status", out).out
    third = fork("tune", images, "--config", tiny_toml, "--out", out)
    third.wait_for(lambda: third.has_written("Continuing the run"))


def test_a_finished_run_answers_at_once(finished, cli, images, tiny_toml, monkeypatch):
    pretend(monkeypatch, never)
    again = cli("tune", images, "--config", tiny_toml, "--out", finished.folder, "--json")
    assert (again.code, json.loads(again.out)) == (0, finished.summary)


@pytest.mark.parametrize(
    ("option", "named"),
    [
        (("--seed", 1), r"seed (was 0, now 1)"),
        (("--epochs", 3), r"training.epochs (was 2, now 3)"),
        (("--threads", 2), r"compute.threads (was 1, now 2)"),
        (("--precision", "bfloat16"), r"compute.precision (was 'float32', now 'bfloat16')"),
        (("--test-fraction", 0.3), r"data.test_fraction (was 0.2, now 0.3)"),
        (("--image-size", 48), r"model.image_size (was 32, now 48)"),
        (("--model", "test_resnet"), r"model.name (was 'timm:test_efficientnet', now 'test_resnet')"),
    ],
)
def test_a_changed_option_is_refused_by_name(option, named, finished, cli, images, tiny_toml):
    refused = cli("tune", images, "--config", tiny_toml, "--out", finished.folder, *option)
    assert (refused.code, refused.out) == (2, "")
    assert f"holds another run: {named}" in refused.err
    assert "Repeat the first command to continue it, or choose a new folder with --out." in refused.err


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("an image is replaced", "pixels of the images changed"),
        ("an image is renamed", "there are other images, names or classes"),
    ],
)
def test_changed_images_are_refused(change, said, no_report, tmp_path):
    images = write_classes(tmp_path / "images")
    run(tiny_config(images, BRIEF), tmp_path / "run")
    moved = images / CLASSES[0] / "000.png"
    if change == "an image is replaced":
        moved.write_bytes((images / CLASSES[1] / "001.png").read_bytes())
    else:
        moved.rename(moved.with_name("zzz.png"))
    with pytest.raises(InputError, match=f"holds another run: .*{said}"):
        run(tiny_config(images, BRIEF), tmp_path / "run")


def test_a_larger_limit_continues_the_same_trajectory(images, no_report, tmp_path, assert_same):
    folder, candidates = tmp_path / "run", {}
    for limit in (1, 6, 9, 0):
        run(tiny_config(images, {"budget": {"max_evaluations": limit}}), folder)
        candidates[limit] = json.loads((folder / "history.json").read_text())["candidates"]
    assert [len(candidates[limit]) for limit in (1, 6, 9, 0)] == [1, 6, 9, 14]
    assert all(candidates[0][: len(part)] == part for part in candidates.values())
    assert_same(folder)
