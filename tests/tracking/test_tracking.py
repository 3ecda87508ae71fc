"""Other tools that show a run: they hear everything once, and whatever they do, the run does not notice."""

import json
import re
import textwrap
import time
from collections import Counter

import pytest

import tiny
from biotune.errors import InputError, InterruptedRunError
from biotune.runs.events import Message
from biotune.runs.folder import StopSignal
from biotune.settings.resolve import differences
from biotune.settings.tracking import TRACKER_NAMES, read_tracker
from biotune.tracking import TRACKERS, mirror, processes
from biotune.tracking.base import Tracker
from biotune.tracking.mirror import follow

HEARD = []


class Recorder(Tracker):
    """Remembers what it is told, and by which step."""

    def open(self, identity, points):
        HEARD.append(("open", identity, points))
        return identity or f"run of {self.name}"

    def settings(self, values):
        HEARD.append(("settings", dict(values)))

    def point(self, group, step, values):
        HEARD.append((group, step, values))

    def closing(self, closing):
        HEARD.append(("closing", closing))

    def close(self, *, finished):
        HEARD.append(("close", finished))


@pytest.fixture
def heard(monkeypatch):
    monkeypatch.setitem(TRACKERS, "tensorboard", Recorder)
    HEARD.clear()
    return HEARD


@pytest.fixture
def run_folder(finished, tmp_path):
    return finished.copy(tmp_path / "photos")


def test_the_names_of_the_settings_are_those_of_the_registry():
    assert tuple(TRACKERS) == TRACKER_NAMES


def test_a_tracker_hears_everything_of_a_finished_run_once(run_folder, finished, heard):
    history = json.loads((run_folder / "history.json").read_text())
    assert follow(run_folder, "tensorboard") == "run of photos"

    settings = next(row[1] for row in heard if row[0] == "settings")
    assert settings["training.epochs"] == "2"
    assert settings["resolved.model"] == tiny.NETWORK
    searched = [row for row in heard if row[0] == "search"]
    assert [row[1] for row in searched] == [row["sequence"] for row in history["candidates"]]
    assert [row[2]["fitness"] for row in searched] == [row["fitness"] for row in history["candidates"]]
    first = history["candidates"][0]
    multipliers = [value for name, value in searched[0][2].items() if name.startswith("multiplier ")]
    assert multipliers == first["multipliers"]
    assert searched[0][2]["cpu_seconds"] > 0
    ends = [row["fitness"] for row in history["candidates"] if row["finished"] and row["outcome"] == "ok"]
    assert searched[-1][2]["best_fitness"] == max(ends)
    told = {}
    for group, epoch, values in (row for row in heard if row[0].startswith("training/")):
        told.setdefault(group, []).append((epoch, values["train_loss"]))
    for curve in history["curves"]:
        epochs = list(enumerate(curve["train_loss"]))
        # a training that two entries share is stored once, for the first
        assert epochs in [rows for group, rows in told.items() if group.endswith(f" {curve['seed']}")]
    final = next(curve for curve in history["curves"] if curve["label"] == "biotune")
    assert f"training/final {final['seed']}" in told
    closing = next(row[1] for row in heard if row[0] == "closing")
    assert closing.figures["biotune accuracy"] == finished.summary["test"]["accuracy"]
    assert closing.figures["biotune vote accuracy"] == finished.summary["vote"]["metrics"]["accuracy"]
    assert [path.name for path in closing.files] == ["report.html", "recipe.yaml"]
    assert heard[-1] == ("close", True)

    points = len(searched) + sum(row[0].startswith("training/") for row in heard)
    heard.clear()
    follow(run_folder, "tensorboard")
    assert heard == [("open", "run of photos", points), ("close", True)]


def test_another_destination_gets_everything_again(run_folder, heard):
    follow(run_folder, "tensorboard")
    told = len(heard)
    heard.clear()
    follow(run_folder, "tensorboard", "elsewhere")
    assert heard[0] == ("open", "", 0)
    assert len(heard) == told


def test_a_damaged_note_of_what_was_heard_begins_anew(run_folder, heard):
    follow(run_folder, "tensorboard")
    (run_folder / "tracking" / "tensorboard.json").write_text("[1, 2")
    heard.clear()
    follow(run_folder, "tensorboard")
    assert heard[0] == ("open", "", 0)


def test_a_stopped_and_continued_run_is_heard_once(images, tmp_path, heard, no_report):
    config, folder, stop, seen = tiny.tiny_config(images), tmp_path / "run", StopSignal(), []

    def watch(event):
        seen.append(event)
        stop.requested = len([one for one in seen if "Generation 1" in getattr(one, "text", "")]) > 0

    with pytest.raises(InterruptedRunError):
        tiny.run(config, folder, observer=watch, stop=stop)
    follow(folder, "tensorboard")
    assert heard[-1] == ("close", False)
    before = len([row for row in heard if row[0] == "search"])
    assert before > 0
    tiny.run(config, folder)
    follow(folder, "tensorboard")
    told = Counter((row[0], row[1]) for row in heard if row[0] == "search" or row[0].startswith("training/"))
    assert set(told.values()) == {1}
    history = json.loads((folder / "history.json").read_text())
    assert sum(name == "search" for name, _ in told) == len(history["candidates"]) > before
    assert sum(row[0] == "settings" for row in heard) == 1


def test_a_tool_that_does_not_answer_is_given_up(run_folder, heard, monkeypatch):
    monkeypatch.setattr(mirror, "ANSWER_S", 0.05)
    monkeypatch.setattr(Recorder, "settings", lambda self, values: time.sleep(30))
    with pytest.raises(InputError, match="did not answer within"):
        follow(run_folder, "tensorboard")


def test_what_a_tool_raises_becomes_a_sentence(run_folder, heard, monkeypatch):
    def refuse(self, values):
        raise ZeroDivisionError("no\nroom")

    monkeypatch.setattr(Recorder, "settings", refuse)
    with pytest.raises(InputError, match=r"^ZeroDivisionError: no room$"):
        follow(run_folder, "tensorboard")


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no run of biotune"):
        follow(tmp_path, "optuna")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["mlfow", "", "mlflow:", ":x"])
def test_an_unknown_tracker_is_refused_before_a_run_begins(text):
    with pytest.raises(InputError, match="is unknown; give tensorboard, mlflow, wandb or optuna"):
        read_tracker(text)


def test_a_destination_may_hold_colons():
    assert read_tracker("mlflow:http://host:5000") == ("mlflow", "http://host:5000")


def test_a_tracker_is_given_once(images):
    with pytest.raises(InputError, match="'optuna' is given twice"):
        tiny.tiny_config(images, {"tracking": {"to": ("optuna", "optuna:sqlite:///a.db")}})


def test_a_run_may_be_continued_with_other_trackers(images):
    config = tiny.tiny_config(images)
    assert differences(config, tiny.tiny_config(images, {"tracking": {"to": ("mlflow",)}})) == []


PRETENCES = {
    "raises": ("raise RuntimeError('the server is down')", "RuntimeError: the server is down"),
    "is missing": ("raise ImportError('No module named mlflow')", r"install it: pip install 'biotune\[mlflow\]'"),
    "leaves": ("import os; os._exit(7)", "exit code 7"),
    "hangs": ("import time; time.sleep(600)", "needed more than"),
}


@pytest.fixture
def pretended_mlflow(tmp_path, monkeypatch):
    """Lets the tracker find a package ``mlflow`` of a line of code."""

    def write(code):
        folder = tmp_path / "packages"
        folder.mkdir()
        (folder / "mlflow.py").write_text(textwrap.dedent(code))
        monkeypatch.syspath_prepend(folder)
        monkeypatch.setenv("PYTHONPATH", str(folder), prepend=":")

    return write


@pytest.fixture(scope="module")
def plain(images, tmp_path_factory):
    """A brief run that nobody follows."""
    folder = tmp_path_factory.mktemp("plain") / "run"
    return folder, tiny.run(tiny.tiny_config(images, tiny.BRIEF), folder)


@pytest.mark.parametrize("case", PRETENCES)
def test_no_tracker_can_fail_a_run(case, images, plain, tmp_path, pretended_mlflow, monkeypatch, no_report):
    code, reason = PRETENCES[case]
    pretended_mlflow(code)
    monkeypatch.setattr(processes, "PATIENCE_S", 1.0 if case == "hangs" else 300.0)  # of a busy machine
    said = []
    changes = {"tracking": {"to": ("mlflow",)}}
    found = tiny.run(tiny.tiny_config(images, tiny.BRIEF, changes), tmp_path / "run", observer=said.append)
    warnings = [one.text for one in said if isinstance(one, Message) and "Tracking" in one.text]
    assert len(warnings) == 1
    assert re.search(reason, warnings[0])
    assert f"biotune track {tmp_path / 'run'} --to mlflow" in warnings[0]
    assert found["test"] == plain[1]["test"]
    assert (tmp_path / "run" / "history.json").read_bytes() == (plain[0] / "history.json").read_bytes()


def test_a_stopped_run_does_not_wait_for_a_tracker_that_hangs(images, tmp_path, pretended_mlflow, monkeypatch):
    pretended_mlflow("import time; time.sleep(600)")
    monkeypatch.setattr(processes, "INTERRUPTED_S", 0.2)
    stop, said = StopSignal(), []

    def watch(event):
        said.append(event)
        stop.requested = True

    config = tiny.tiny_config(images, tiny.BRIEF, {"tracking": {"to": ("mlflow",)}})
    began = time.monotonic()
    with pytest.raises(InterruptedRunError):
        tiny.run(config, tmp_path / "run", observer=watch, stop=stop)
    assert time.monotonic() - began < 30
    assert not [one.text for one in said if isinstance(one, Message) and "Track" in one.text]


def test_a_run_is_followed_while_it_works(images, tmp_path, no_report, monkeypatch):
    """By Optuna, whose package the tests have."""
    optuna = pytest.importorskip("optuna")
    monkeypatch.setattr(processes, "PATIENCE_S", 300.0)  # of a busy machine
    said = []
    config = tiny.tiny_config(images, tiny.BRIEF, {"tracking": {"to": ("optuna",)}})
    tiny.run(config, tmp_path / "run", observer=said.append)
    assert not [one.text for one in said if isinstance(one, Message) and "Tracking" in one.text]
    study = optuna.load_study(study_name="run", storage=f"sqlite:///{tmp_path / 'run' / 'optuna.db'}")
    history = json.loads((tmp_path / "run" / "history.json").read_text())
    assert [trial.value for trial in study.trials if trial.state.name == "COMPLETE"] == [
        row["fitness"] for row in history["candidates"] if row["finished"] and row["outcome"] == "ok"
    ]


def test_the_command_says_where_the_run_is(run_folder, heard, cli):
    ended = cli("track", run_folder, "--to", "tensorboard")
    assert (ended.code, ended.out) == (0, f"{run_folder} is in tensorboard: run of photos\n")
    ended = cli("track", run_folder, "--to", "tensorboard", "--json")
    assert json.loads(ended.out) == {"tracker": "tensorboard", "identity": "run of photos"}
    ended = cli("track", run_folder, "--to", "nothing")
    assert ended.code == 2
    assert "'nothing' is unknown" in ended.err
