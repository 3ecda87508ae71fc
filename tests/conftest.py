"""What the tests of whole runs share; nothing here imports torch before a test asks for it."""

import importlib
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import tomli_w

import tiny
from forked import Ended, Forked

# Before torch is imported: the workers of pytest-xdist share the cores, and two threads of each would wait for each
# other. Runs of tests set their own number of threads.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

CommandLine = Callable[..., Ended]


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """Let Ctrl+C reach the tests, and what they start, where a shell has begun them in the background without it."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def isolated_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep decoded images out of the user's cache."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BIOTUNE_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of three classes with twenty images each; not to be changed."""
    return tiny.write_classes(tmp_path_factory.mktemp("images") / "colours")


@pytest.fixture(scope="session")
def tiny_toml(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny configuration as a file for ``--config``."""
    path = tmp_path_factory.mktemp("config") / "tiny.toml"
    path.write_text(tomli_w.dumps(tiny.TINY))
    return path


@pytest.fixture
def write_images(tmp_path: Path) -> Callable[..., Path]:
    """Write small grey PNG files at paths relative to ``tmp_path / "images"``; return that folder."""
    import numpy as np
    from PIL import Image

    def write(*paths: str) -> Path:
        root = tmp_path / "images"
        for number, path in enumerate(paths):
            file = root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((4, 4), number % 256, dtype=np.uint8)).save(file, format="PNG")
        return root

    return write


@dataclass(frozen=True)
class Finished:
    """A finished run; not to be changed, but for copies of it."""

    folder: Path
    summary: dict[str, Any]

    def copy(self, folder: Path) -> Path:
        return shutil.copytree(self.folder, folder)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, images: Path) -> Finished:
    """One tiny run with everything, done once for all tests that only look at it."""

    folder = tmp_path_factory.mktemp("runs") / "finished"
    return Finished(folder, tiny.run(tiny.tiny_config(images), folder, "biotune tune"))


@pytest.fixture
def no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the drawing of figures, half of the time of a tiny run."""
    monkeypatch.setattr(importlib.import_module("biotune.runner.run"), "write_report", tiny.write_no_report)


@pytest.fixture
def call_main(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    """Calls a main function in this process, with arguments; gives exit code, output and errors."""

    def call(main: Callable[[], None], *arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["biotune", *map(str, arguments)])
        capsys.readouterr()
        code: object = 0
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
        captured = capsys.readouterr()
        assert isinstance(code, int)
        return Ended(code, captured.out, captured.err)

    return call


@pytest.fixture
def cli(call_main: CommandLine) -> CommandLine:
    """The command line in this process: ``cli("status", folder)`` gives exit code, output and errors."""
    from biotune.cli import main

    return partial(call_main, main)


@pytest.fixture
def fork(tmp_path: Path) -> Iterator[Callable[..., Forked]]:
    """Starts commands in processes of their own; none outlives the test."""
    started: list[Forked] = []

    def start(*arguments: object, prepare: Callable[[], None] | None = None) -> Forked:
        started.append(Forked(arguments, tmp_path / "logs", prepare))
        return started[-1]

    yield start
    for command in started:
        command.process.kill()
        command.process.join()
