"""Every write of a small search refused: nothing finished is lost, and the same command goes on."""

import contextlib
import errno
import functools
import os
import pathlib
import signal
import sqlite3
from collections.abc import Iterator

import tomli_w

import tiny
from forked import die_at_write, without_work
from torture.promise import Case, Promise, Scene, difference, misbehaved, results

REFUSALS = {
    "ENOSPC": (errno.ENOSPC, "database or disk is full"),
    "EIO": (errno.EIO, "disk I/O error"),
    "EROFS": (errno.EROFS, "attempt to write a readonly database"),
}
"""What a disk answers, as the system and as SQLite say it."""


def refuse_at_write(number: int, way: str) -> None:
    """Let the n-th write of this process, and all after it, fail: a move to the final place or a commit."""
    from biotune.runs.store import RunStore

    without_work()
    code, sentence = REFUSALS[way]
    left = number
    transaction, replace = RunStore._transaction, pathlib.Path.replace

    def is_refused() -> bool:
        nonlocal left
        left -= 1
        return left < 0

    @contextlib.contextmanager
    def refusing_transaction(store: RunStore) -> Iterator[None]:
        with transaction(store):
            yield
            if is_refused():
                raise sqlite3.OperationalError(sentence)

    def refusing_replace(path: pathlib.Path, target: pathlib.Path) -> pathlib.Path:
        if is_refused():
            raise OSError(code, os.strerror(code), str(target))
        return replace(path, target)

    RunStore._transaction, pathlib.Path.replace = refusing_transaction, refusing_replace


def brief_command(scene: Scene) -> tuple[object, ...]:
    """Return a search of less than a second, without its folder."""
    settings = scene.root / "brief.toml"
    brief = {name: {**tiny.TINY[name], **part} for name, part in tiny.BRIEF.items()}
    settings.write_text(tomli_w.dumps({**tiny.TINY, **brief}))
    return "tune", scene.images, "--config", settings


def continued(
    scene: Scene, command: tuple[object, ...], out: pathlib.Path, name: str, fault: str, expected: dict[str, bytes]
) -> Case:
    """Give a command that was faulted once more, in its folder; ``fault`` says what its first end did wrong."""
    before = stored(out)
    again = scene.call(*command, "--out", out, prepare=without_work)
    fault = fault or misbehaved(again, (0,)) or difference(results(out), expected)
    fault = fault or ("a stored training is lost" if not before <= stored(out) else "")
    if not fault:
        scene.drop(out)
    return Case(name, fault and f"{fault} (in {out})")


def faulted(scene: Scene, count: int) -> Iterator[Case]:
    """Fail at write 0, 1, 2, ... of a small search in each of four ways; ``count`` bounds how many writes are tried.

    A refused write is exit code 2 and one sentence, or a warning where nothing was lost. The same command then gives
    what an undisturbed one gives, and trains nothing a second time that was stored.
    """
    command = brief_command(scene)
    expected = scene.undisturbed(*command, out=scene.fresh(), prepare=without_work)
    for number in range(count):
        ended_early = False
        for way in ("die", *REFUSALS):
            out = scene.fresh()
            prepare = (
                functools.partial(die_at_write, 2 * number + 1 + number % 2, without_work)  # before it, or after
                if way == "die"
                else functools.partial(refuse_at_write, number, way)
            )
            ended = scene.call(*command, "--out", out, prepare=prepare)
            ended_early = ended_early or ended.code != 0
            allowed = (0, -signal.SIGKILL if way == "die" else 2)
            yield continued(scene, command, out, f"write {number}, {way}", misbehaved(ended, allowed), expected)
        if not ended_early:
            return


def stored(out: pathlib.Path) -> set[tuple[object, ...]]:
    """Return the keys of the stored trainings and the time that each took: another time means that it was repeated."""
    if not (out / "run.sqlite").exists():
        return set()
    with contextlib.closing(sqlite3.connect(f"file:{out / 'run.sqlite'}?mode=ro", uri=True)) as connection:
        try:
            return set(connection.execute("SELECT * FROM trainings").fetchall())
        except sqlite3.Error:
            return set()


PROMISES = (
    Promise(
        "a write that dies or that the disk refuses (ENOSPC, EIO, EROFS): nothing finished is lost", faulted, "faults"
    ),
)
