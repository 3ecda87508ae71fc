"""The run folder: whose it is, who works in it, and where each file lies."""

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from biotune.errors import InputError, InterruptedRunError
from biotune.runs.config import RunConfig, differences, load_config
from biotune.runs.files import write_atomic

CONFIG, STORE, RECIPE, MODEL = "config.toml", "run.sqlite", "recipe.yaml", "model.safetensors"
LABELS, PREPROCESSING, SUMMARY, HISTORY, REPORT = (
    "labels.json",
    "preprocessing.json",
    "summary.json",
    "history.json",
    "report.html",
)
CHECKPOINTS = "checkpoints"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the run folder exclusively; the lock dies with its owner.

    Args:
        folder: made if missing.

    Raises:
        InputError: another process works in it; names process, host and start time.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"cannot make the run folder '{folder}': {error.strerror}; choose another with --out."
        ) from None
    lock, owner = FileLock(folder / ".lock"), folder / ".owner.json"
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise InputError(
            f"another process works in '{folder}'{_owner_words(owner)}; wait for it, or choose another --out."
        ) from None
    except OSError as error:
        raise InputError(f"cannot lock '{folder}': {error.strerror}; choose a folder on a writable disk.") from None
    try:
        started = time.strftime("%Y-%m-%d %H:%M:%S")
        write_atomic(owner, json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "started": started}))
        yield
    finally:
        owner.unlink(missing_ok=True)
        lock.release()


def is_locked(folder: Path) -> bool:
    """Return whether a process works in a run folder now."""
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    lock.release()
    return False


def _owner_words(path: Path) -> str:
    try:
        data = json.loads(path.read_text())
        return f" (process {data['pid']} on {data['host']}, since {data['started']})"
    except (OSError, ValueError, KeyError):
        return ""


def claim(folder: Path, config: RunConfig, facts: dict[str, Any]) -> bool:
    """Make the folder this run's, or check that it is already.

    Args:
        folder: locked by the caller.
        config: of the run that wants to work here.
        facts: what the configuration was resolved with; they must not change either.

    Returns:
        True if an earlier call of the same run left results to continue from.

    Raises:
        InputError: the folder holds something else, or another run; every difference is named.
    """
    path = folder / CONFIG
    if not path.exists():
        foreign = sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))
        if foreign:
            raise InputError(
                f"'{folder}' is not empty and no run of biotune ({foreign[0]}, ...); choose a new folder with --out."
            )
        write_atomic(path, config.to_toml(facts))
        return False
    earlier, earlier_facts = load_config(path)
    changed = differences(earlier, config)
    changed += [f"{k} (was {earlier_facts.get(k)!r}, now {v!r})" for k, v in facts.items() if earlier_facts.get(k) != v]
    if changed:
        raise InputError(
            f"'{folder}' holds another run: {'; '.join(changed)}. Repeat the first command to continue it, "
            "or choose a new folder with --out."
        )
    write_atomic(path, config.to_toml(facts))
    return True


class StopSignal:
    """A request to stop, set by a signal handler or a budget and looked at between steps."""

    def __init__(self) -> None:
        self.requested = False

    def check(self) -> None:
        """Raise InterruptedRunError if a stop was requested."""
        if self.requested:
            raise InterruptedRunError("stopped; everything finished so far is stored.")
