"""A disk that refuses at the end of a run: one sentence, nothing lost, and the same command goes on."""

import errno
import importlib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from matplotlib.figure import Figure

import tiny
from biotune.errors import InputError
from biotune.runs.events import Message
from biotune.runs.status import run_status
from biotune.settings.config import RunConfig
from faulty_disk import CHANGES, ERRORS, Change, FaultyDisk, faulty
from pretended import never, pretend

UNLINKED = ("unlink", "unfinished.json")
BRIEF = {"search": tiny.BRIEF["search"], "final": {"seeds": 2, "candidates": 1, "baselines": ()}}
WRITTEN = (
    "history.json",
    "recipe.yaml",
    "model.safetensors",
    "labels.json",
    "preprocessing.json",
    "answers.json",
    "answers.csv",
)


@pytest.fixture(scope="module", autouse=True)
def one_empty_figure():
    """Draw nothing, which takes most of the time; what is drawn is written nevertheless."""
    page = importlib.import_module("biotune.report.run_page")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page, "draw_figures", lambda *_: {"comparison": Figure()})
        yield


@dataclass(frozen=True)
class Ended:
    """A run whose last file could not be removed; not to be changed, but for copies of it."""

    folder: Path
    config: RunConfig

    def same_command(self, folder: Path) -> list[str]:
        """Continue a copy; return the warnings, or the error as the only one."""
        heard: list[str] = []

        def hear(event: Any) -> None:
            if isinstance(event, Message) and event.warning:
                heard.append(event.text)

        try:
            tiny.run(self.config, folder, observer=hear)
        except InputError as error:
            return [str(error)]
        return heard

    def assert_same(self, folder: Path) -> None:
        """Check that a folder is finished and holds what this one holds."""
        assert run_status(folder).status == "finished"
        for name in (*WRITTEN, *(f"members/{path.name}" for path in self.folder.glob("members/*"))):
            assert (folder / name).read_bytes() == (self.folder / name).read_bytes(), name
        left = {path.name for path in self.folder.iterdir()} - {"checkpoints", "unfinished.json"}
        assert {path.name for path in folder.iterdir()} == left


@pytest.fixture(scope="module")
def ended(tmp_path_factory, images) -> Ended:
    run = Ended(tmp_path_factory.mktemp("runs") / "ended", tiny.tiny_config(images, BRIEF))
    with faulty(FaultyDisk(run.folder, UNLINKED.__eq__, errno.EROFS)):
        text = f"cannot remove '{run.folder / 'unfinished.json'}': Read-only file system; make its disk writable or "
        assert run.same_command(run.folder)[-1].startswith(text)
    assert run_status(run.folder).status == "stopped"
    return run


@pytest.fixture
def folder(ended, tmp_path) -> Path:
    return shutil.copytree(ended.folder, tmp_path / "run")


REMOVING = ("unlink", "mkdir", "rmdir")
EVERY = [pytest.param(CHANGES, n, stays, marks=pytest.mark.slow) for n in range(len(ERRORS)) for stays in (False, True)]


@pytest.mark.parametrize(("names", "first", "stays"), [(REMOVING, 0, False), *EVERY])
def test_every_change_of_the_end_may_be_refused(names, first, stays, ended, folder, monkeypatch):
    """Each fault hits a later change, in the folder that the one before left, until none is left to refuse."""
    pretend(monkeypatch, never)
    met: set[Change] = set()
    for step in count(first):
        with faulty(FaultyDisk(folder, once(met, names), ERRORS[step % len(ERRORS)], stays)) as disk:
            heard = ended.same_command(folder)
        if not disk.refused:
            break
        assert_said(heard, folder, disk)
        if run_status(folder).status == "finished":  # nothing that matters was refused
            assert ended.same_command(folder) == []
            ended.assert_same(folder)
            shutil.rmtree(folder)
            shutil.copytree(ended.folder, folder)
    ended.assert_same(folder)
    assert {("mkdir", "figures"), ("unlink", ".owner.json"), ("rmdir", "checkpoints"), UNLINKED} < met


def once(met: set[Change], names: Sequence[str]) -> Callable[[Change], bool]:
    """Return a function that refuses the first change of these names that is not among ``met``, and adds it."""
    left = [True]

    def is_wrong(change: Change) -> bool:
        if not left or change in met or change[0] not in names:
            return False
        met.add(change)
        left.clear()
        return True

    return is_wrong


def assert_said(heard: list[str], folder: Path, disk: FaultyDisk) -> None:
    """Check that sentences name what was refused, and why; without one, the refusal did not matter."""
    paths = [folder / path for _, path in disk.refused]
    told = [text for text in heard if disk.reason in text]
    for text in told:
        assert any(f"'{name}'" in text for path in paths for name in (path, path.parent)), text
    if not told:
        assert run_status(folder).status == "finished", heard
        assert not any(path.is_file() for path in paths), disk.refused


def test_a_disk_that_turns_read_only_at_the_end_is_one_sentence_of_the_command(ended, folder, images, tmp_path, cli):
    settings = tmp_path / "brief.toml"
    settings.write_text(tomli_w.dumps({**tiny.TINY, **{n: {**tiny.TINY[n], **part} for n, part in BRIEF.items()}}))
    command = ("tune", images, "--config", settings, "--out", folder)
    with faulty(FaultyDisk(folder, UNLINKED.__eq__, errno.EROFS, stays=True)):
        refused = cli(*command)
    status = run_status(folder).status
    with faulty(FaultyDisk(folder, ("unlink", ".owner.json").__eq__, errno.EROFS)):
        finished = cli(*command)

    assert (refused.code, refused.out, status) == (2, "", "stopped")
    assert refused.err.splitlines()[-1].startswith(f"biotune: cannot remove '{folder / 'unfinished.json'}': Read-only")
    assert finished.code == 0
    assert f"Cannot remove '{folder / '.owner.json'}': Read-only file system; nothing reads it" in finished.err
    assert "Traceback" not in refused.err + finished.err
    assert (folder / ".owner.json").exists()
    assert cli(*command).code == 0
    ended.assert_same(folder)
