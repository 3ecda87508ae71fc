"""What a promise is, and what its cases work with."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import tomli_w

import tiny
from forked import Ended, Forked, Preparation

RESULTS = ("history.json", "recipe.yaml", "model.safetensors", "labels.json", "preprocessing.json", "answers.json")
"""The files that must not depend on what happened to a run, wherever they lie in its folder."""


LONGEST = 600
"""Seconds that a command may take: far more than any here needs on a busy machine."""


@dataclass(frozen=True)
class Case:
    """Cases that were tried together.

    Args:
        name: what was done.
        fault: what went wrong; empty if the promise was held.
        count: how many cases it stands for.
    """

    name: str
    fault: str = ""
    count: int = 1


@dataclass
class Scene:
    """Where cases work: a folder, small images, and how commands are started.

    Args:
        root: an empty folder.
    """

    root: Path
    _made: int = field(default=0, repr=False)

    def __post_init__(self) -> None:
        self.images = tiny.write_classes(self.root / "images" / "colours")
        self.settings = self.root / "tiny.toml"
        final = {**tiny.TINY["final"], "data": "training"}
        self.settings.write_text(tomli_w.dumps({**tiny.TINY, "final": final}))

    @cached_property
    def trained(self) -> Path:
        """The folder of a finished run, whose validation images its network did not learn from."""
        folder = self.root / "trained"
        self.call("train", self.images, "--method", "full", "--config", self.settings, "--out", folder)
        return folder

    def fresh(self, name: str = "run") -> Path:
        """Return a path that nothing lies at."""
        self._made += 1
        return self.root / "made" / f"{self._made:05}" / name

    def start(self, *arguments: object, prepare: Preparation | None = None) -> Forked:
        """Start a command in a process of its own."""
        return Forked(arguments, self.root / "logs", prepare)

    def call(self, *arguments: object, prepare: Preparation | None = None, seconds: float = LONGEST) -> Ended:
        """Run a command to its end; after so many seconds it is killed."""
        return self.start(*arguments, prepare=prepare).wait(seconds)

    def undisturbed(self, *arguments: object, out: Path, prepare: Preparation | None = None) -> dict[str, bytes]:
        """Run a command that nothing disturbs, and return its results."""
        ended = self.call(*arguments, "--out", out, prepare=prepare)
        if fault := misbehaved(ended, (0,)):
            raise RuntimeError(f"nothing disturbed it, and yet: {fault}")
        return results(out)

    def drop(self, folder: Path) -> None:
        """Remove a folder that ``fresh`` gave, to save room."""
        shutil.rmtree(folder.parent, ignore_errors=True)


Cases = Callable[[Scene, int], Iterator[Case]]


@dataclass(frozen=True)
class Promise:
    """A promise.

    Args:
        words: what is promised, and against what.
        cases: yields about as many cases as it is asked for.
        kind: which number of cases it takes, one of ``NUMBERS`` in ``torture.__main__``.
    """

    words: str
    cases: Cases
    kind: str


def results(folder: Path) -> dict[str, bytes]:
    """Return what must not depend on what happened to a run or a comparison, by path within its folder."""
    kept = [path for name in (*RESULTS, "seed-*.safetensors") for path in folder.rglob(name)]
    return {str(path.relative_to(folder)): path.read_bytes() for path in kept}


def difference(found: dict[str, bytes], expected: dict[str, bytes]) -> str:
    """Return which results are missing or others than they should be; empty for none."""
    names = sorted(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name))
    return f"other results: {', '.join(names)}" if names else ""


def misbehaved(ended: Ended, codes: Sequence[int]) -> str:
    """Return what is wrong with how a command ended; empty if it gave one of these codes, and no traceback."""
    last = (ended.err.strip().splitlines() or ["(silent)"])[-1][:300]
    if "Traceback" in ended.err:
        return f"a traceback: {last}"
    return "" if ended.code in codes else f"exit code {ended.code}: {last}"
