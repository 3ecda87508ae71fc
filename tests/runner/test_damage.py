"""Files of a run that were cut short or altered are mended or refused, never continued from."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest

from biotune.errors import DamagedStateError, InputError, InterruptedRunError
from biotune.runs.events import Message
from biotune.runs.folder import StopSignal
from biotune.runs.manifest import changed_results
from biotune.settings.config import RunConfig
from damaged import cut, flip
from tiny import run, tiny_config

FRACTIONS = (0.0, 0.003, 0.1, 0.37, 0.62, 0.85, 0.999)
CHANGES = {"search": {"population": 2, "generations": 1}, "final": {"seeds": 1, "candidates": 1, "baselines": ()}}


class StopAt:
    """An observer that stops a run when a sentence is said."""

    def __init__(self, sentence: str) -> None:
        self.sentence, self.stop = sentence, StopSignal()

    def __call__(self, event: object) -> None:
        if isinstance(event, Message) and self.sentence in event.text:
            self.stop.requested = True


@pytest.fixture(scope="module")
def config(images):
    return tiny_config(images, CHANGES)


@pytest.fixture(scope="module")
def stopped(config, tmp_path_factory) -> Path:
    """A run that was stopped before the test: everything is trained, nothing is written; not to be changed."""
    folder, stop = tmp_path_factory.mktemp("stopped") / "run", StopAt("The recipe is chosen")
    with pytest.raises(InterruptedRunError):
        run(config, folder, observer=stop, stop=stop.stop)
    return folder


@pytest.fixture(scope="module")
def undisturbed(config, stopped, tmp_path_factory) -> dict[str, bytes]:
    folder = shutil.copytree(stopped, tmp_path_factory.mktemp("undisturbed") / "run")
    run(config, folder)
    return results(folder)


def results(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in ("history.json", "model.safetensors", "recipe.yaml")}


def outcome(config: RunConfig, folder: Path, undisturbed: dict[str, bytes]) -> str | None:
    """Continue a run; return None if it gives what it should, or what the refusal names."""
    try:
        run(config, folder)
    except (DamagedStateError, InputError) as error:
        names = [name for name in ("run.sqlite", "config.toml") if str(folder / name) in str(error)]
        return names[0] if names else "another run" if f"'{folder}' holds another run" in str(error) else str(error)
    return None if results(folder) == undisturbed else "another result"


@pytest.mark.parametrize("fraction", FRACTIONS)
@pytest.mark.parametrize("damage", [cut, flip])
def test_a_damaged_store(damage, fraction, stopped, undisturbed, config, no_report, tmp_path):
    folder = shutil.copytree(stopped, tmp_path / "run")
    damage(folder / "run.sqlite", fraction)
    assert outcome(config, folder, undisturbed) in (None, "run.sqlite")


@pytest.mark.parametrize("fraction", FRACTIONS[:-1])
@pytest.mark.parametrize("damage", [cut, flip])
def test_a_damaged_configuration(damage, fraction, stopped, undisturbed, config, no_report, tmp_path):
    folder = shutil.copytree(stopped, tmp_path / "run")
    damage(folder / "config.toml", fraction)
    assert outcome(config, folder, undisturbed) in (None, "config.toml", "another run")


@pytest.mark.parametrize("damage", [cut, flip])
@pytest.mark.parametrize("fraction", [0.0, 0.5, 0.99])
def test_damaged_weights_are_trained_again(damage, fraction, stopped, undisturbed, config, no_report, tmp_path):
    folder = shutil.copytree(stopped, tmp_path / "run")
    for path in (folder / "checkpoints").iterdir():
        damage(path, fraction)
    run(config, folder)
    assert results(folder) == undisturbed


RESULTS = (
    "summary.json", "recipe.yaml", "model.safetensors", "labels.json", "preprocessing.json", "history.json",
    "answers.json", "answers.csv", "probabilities.npz", "familiarity.safetensors", "report.html", "learned.bin",
    "members",
)  # fmt: skip


def one_of(folder: Path, name: str) -> Path:
    """The file of this name, or one within the folder of this name."""
    path = folder / name
    return next(iter(sorted(path.iterdir()))) if path.is_dir() else path


def test_the_manifest_names_every_result(finished):
    known = json.loads((finished.folder / "manifest.json").read_text())["files"]
    assert {name.partition("/")[0] for name in known} == set(RESULTS)
    for name, digest in known.items():
        assert hashlib.sha256((finished.folder / name).read_bytes()).hexdigest() == digest


@pytest.mark.parametrize("name", RESULTS)
def test_one_changed_character_is_noticed_and_mended(name, finished, images, no_report, tmp_path):
    """All results are as before; of the summary, all but the time when it was written."""
    folder = finished.copy(tmp_path / "run")
    flip(one_of(folder, name), 0.5)
    changed, said = one_of(folder, name).read_bytes(), []
    run(tiny_config(images), folder, observer=said.append)
    path = one_of(folder, name).relative_to(folder).as_posix()
    assert (folder / f"{path}.changed").read_bytes() == changed
    assert any(
        f"Not as the run left them, so kept as NAME.changed and written again: {path}." == getattr(event, "text", "")
        for event in said
    )
    assert results(folder) == results(finished.folder)
    assert changed_results(folder) == []
    if name not in ("summary.json", "report.html"):
        assert one_of(folder, name).read_bytes() == one_of(finished.folder, name).read_bytes()
    assert json.loads((folder / "summary.json").read_text())["test"] == finished.summary["test"]


@pytest.mark.parametrize("name", ["summary.json", "model.safetensors", "labels.json", "preprocessing.json", "members"])
def test_a_changed_result_is_named_by_who_reads_it(name, finished, images, cli, tmp_path):
    folder = finished.copy(tmp_path / "run")
    path = one_of(folder, name)
    flip(path, 0.5)
    ended = cli("predict", folder, images / "red" / "000.png")
    assert (ended.code, ended.out) == (4, "")
    assert f"'{path}' is not as the run left it; run the same command again" in ended.err


@pytest.mark.parametrize("name", ["summary.json", "model.safetensors", "labels.json", "members"])
@pytest.mark.parametrize("kind", ["pipe", "folder", "loop", "deep"])
def test_what_is_no_file_is_named_and_does_not_block(name, kind, finished, images, cli, tmp_path):
    folder = finished.copy(tmp_path / "run")
    path = one_of(folder, name)
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "loop":
        path.symlink_to(path)
    else:
        path.write_text("[" * 100_000)
        (folder / "manifest.json").unlink()  # as in a folder of an older version
    ended = cli("predict", folder, images / "red" / "000.png")
    assert ended.code in (2, 4)
    assert ended.err.startswith("biotune: ")
    assert str(path if kind != "loop" or name != "summary.json" else folder) in ended.err


def test_a_folder_without_a_manifest_is_read_as_before(finished, images, cli, tmp_path):
    folder = finished.copy(tmp_path / "run")
    (folder / "manifest.json").unlink()
    assert cli("predict", folder, images / "red" / "000.png").code == 0
    (folder / "labels.json").write_text("{")
    assert f"'{folder / 'labels.json'}' is damaged" in cli("predict", folder, images / "red" / "000.png").err


def test_a_damaged_manifest_is_named(finished, images, cli, tmp_path):
    folder = finished.copy(tmp_path / "run")
    (folder / "manifest.json").write_text("[]")
    ended = cli("predict", folder, images / "red" / "000.png")
    assert (ended.code, f"'{folder / 'manifest.json'}' is damaged; delete it" in ended.err) == (4, True)


@pytest.mark.parametrize("name", ["model.safetensors", "report.html", "recipe.yaml", "summary.json"])
def test_a_lost_result_is_written_again(name, finished, images, no_report, tmp_path):
    folder = finished.copy(tmp_path / "run")
    (folder / name).unlink()
    run(tiny_config(images), folder)
    assert results(folder) == results(finished.folder)
