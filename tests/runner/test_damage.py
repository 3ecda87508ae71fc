"""Files of a run that were cut short or altered are mended or refused, never continued from."""

import random
import shutil
from pathlib import Path

import pytest

from biotune.errors import DamagedStateError, InputError, InterruptedRunError
from biotune.runs.events import Message
from biotune.runs.folder import StopSignal
from biotune.settings.config import RunConfig
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


def cut(path: Path, fraction: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * fraction)])


def flip(path: Path, fraction: float) -> None:
    content = bytearray(path.read_bytes())
    place = min(int(len(content) * fraction), len(content) - 1)
    content[place] ^= 1 << random.Random(place).randrange(8)
    path.write_bytes(content)


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


def test_a_damaged_summary(finished, images, tmp_path):
    folder = finished.copy(tmp_path / "run")
    cut(folder / "summary.json", 0.5)
    with pytest.raises(DamagedStateError, match=r"summary\.json' is damaged"):
        run(tiny_config(images), folder)


@pytest.mark.parametrize("name", ["model.safetensors", "report.html", "recipe.yaml", "summary.json"])
def test_a_lost_result_is_written_again(name, finished, images, no_report, tmp_path):
    folder = finished.copy(tmp_path / "run")
    (folder / name).unlink()
    run(tiny_config(images), folder)
    assert results(folder) == results(finished.folder)
