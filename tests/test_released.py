"""Folders that released versions left, opened by today's: see ``tests/release.py``."""

import csv
import json
import re
import zipfile
from pathlib import Path

import pytest

import tiny
from biotune.api import load_run
from biotune.runs.store import RunStore
from biotune.version import __version__

PACKED = sorted((Path(__file__).parent / "released").glob("*.zip"))
RUNS = [path for path in PACKED if path.stem.startswith("run-")]


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """Unpacks a folder beside the images that it was made from; not to be changed by more than one test."""
    root = tmp_path_factory.mktemp("released")
    tiny.write_classes(root / "colours")

    def unpack(path: Path) -> Path:
        folder = root / path.stem
        if not folder.exists():
            with zipfile.ZipFile(path) as packed:
                packed.extractall(folder)
        return folder / path.stem.partition("-")[0]

    return unpack


def test_the_present_version_is_among_them():
    assert {f"{kind}-{__version__}" for kind in ("run", "comparison")} <= {path.stem for path in PACKED}
    assert sum(path.stat().st_size for path in PACKED if __version__ in path.stem) < 256 * 1024


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.stem)
def test_a_run_still_answers(path, unpacked, cli):
    folder = unpacked(path)
    images = folder.parent.parent / "colours"
    with (folder / "answers.csv").open(encoding="utf-8", newline="") as stream:
        known = {row["path"]: row["answer"] for row in csv.DictReader(stream)}
    predicted, scored = cli("predict", folder, images), cli("evaluate", folder, images, "--json")

    assert predicted.code == scored.code == 0, (predicted.err, scored.err)
    answers = {
        str(Path(row["path"]).relative_to(images)): row["label"] for row in csv.DictReader(predicted.out.splitlines())
    }
    assert len(answers) == 60
    assert known
    assert {name: answers[name] for name in known} == known
    assert json.loads(scored.out)["images"] == 12  # those that it did not learn from
    assert load_run(folder).class_names == tiny.CLASSES


@pytest.mark.parametrize("path", PACKED, ids=lambda path: path.stem)
def test_its_tables_are_printed(path, unpacked, cli):
    status, report = cli("status", unpacked(path)), cli("report", unpacked(path))
    assert status.code == report.code == 0, (status.err, report.err)
    assert "finished" in status.out
    assert "Accuracy in %" in report.out


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.stem)
def test_its_store_is_read(path, unpacked):
    with RunStore(unpacked(path) / "run.sqlite", read_only=True) as store:
        assert store.num_candidates() == len(store.candidates()) > 3
        assert len(store.trainings("search")) > 3


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.stem)
def test_its_command_goes_on_or_is_refused_in_a_sentence(path, unpacked, cli, monkeypatch):
    """Results of another version may not be mixed with today's; then the sentence says so."""
    folder = unpacked(path)
    monkeypatch.chdir(folder.parent.parent)
    (command,) = re.findall(r"^biotune (.*)", json.loads((folder / "summary.json").read_text())["command"])
    (folder.parent.parent / "tiny.toml").write_bytes((folder / "config.toml").read_bytes())
    ended = cli(*(str(folder) if word == folder.name else word for word in command.split()))
    assert ended.code in (0, 2), ended.err
    assert ended.code == 0 or re.search(r"biotune: '.*' holds another", ended.err), ended.err
