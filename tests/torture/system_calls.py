"""Every system call that changes a file of a small search, refused: what no hook in Python sees is refused too.

``system_calls.c`` stands between the process and its C library, so SQLite and the writers of weights meet it as well.
"""

import ctypes
import errno
import functools
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from forked import without_work
from torture.faults import brief_command, continued
from torture.promise import Case, Promise, Scene, misbehaved

SOURCE = Path(__file__).with_name("system_calls.c")
EVERYTHING = 10**9
"""More changes than a run makes."""


@dataclass(frozen=True)
class Refusal:
    """How a disk refuses.

    Args:
        number: the error; 0 kills the process instead.
        stays: whether it refuses all further changes too.
        removal: whether it refuses to remove files.
    """

    number: int
    stays: bool = True
    removal: bool = True


WAYS = {
    "die": Refusal(0),
    "ENOSPC": Refusal(errno.ENOSPC, removal=False),
    "EIO once": Refusal(errno.EIO, stays=False),
    "EROFS": Refusal(errno.EROFS),
}


def compiler() -> str | None:
    """Return the path of a C compiler; None without any."""
    return shutil.which("cc") or shutil.which("gcc")


def compiled(folder: Path) -> Path | None:
    """Compile ``system_calls.c`` into a folder; None where there is no C compiler."""
    program = compiler()
    if program is None:
        return None
    library = folder / "system_calls.so"
    subprocess.run([program, "-O1", "-shared", "-fPIC", "-o", library, SOURCE, "-ldl"], check=True)
    return library


@contextmanager
def watched(folder: Path) -> Iterator[None]:
    """Let every process that is started from now on meet the library, which is compiled into a folder."""
    before, library = os.environ.get("LD_PRELOAD"), compiled(folder)
    if library is not None:
        os.environ["LD_PRELOAD"] = ":".join(filter(None, (str(library), before)))
    try:
        yield
    finally:
        if before is None:
            os.environ.pop("LD_PRELOAD", None)
        else:
            os.environ["LD_PRELOAD"] = before


def refuse_call(folder: Path, before: int, refusal: Refusal, log: Path) -> None:
    """Let a change of this process fail that comes after so many others, and note it in a log."""
    without_work()
    watch = ctypes.CDLL(None).watch_changes
    watch(
        os.fsencode(folder),
        ctypes.c_long(before),
        refusal.number,
        int(refusal.stays),
        int(refusal.removal),
        os.fsencode(log),
    )


def refused_calls(scene: Scene, count: int) -> Iterator[Case]:
    """Refuse change 0, 1, 2, ... of a small search in each of four ways; ``count`` bounds how many are tried.

    What holds is what holds in ``faults.faulted``.
    """
    if not is_between():
        return
    command = brief_command(scene)
    expected = scene.undisturbed(*command, out=scene.fresh(), prepare=without_work)
    for before in range(count):
        met = False
        for way, refusal in WAYS.items():
            out, log = scene.fresh(), scene.root / "refused.txt"
            log.unlink(missing_ok=True)
            prepare = functools.partial(refuse_call, out, before, refusal, log)
            ended = scene.call(*command, "--out", out, prepare=prepare)
            first = log.read_text().splitlines()[:1]
            met = met or bool(first)
            fault = misbehaved(ended, (-9,) if way == "die" and first else (0, 2))
            name = f"change {before} ({first[0] if first else 'none'}), {way}"
            yield continued(scene, command, out, name, fault, expected)
        if not met:
            return


def is_between() -> bool:
    """Return whether processes started from here meet the library."""
    return SOURCE.stem in os.environ.get("LD_PRELOAD", "")


PROMISES = (
    Promise("a system call that dies or that the disk refuses: nothing finished is lost", refused_calls, "changes"),
)
