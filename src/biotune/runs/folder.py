"""The run folder: which run it belongs to, which process works in it, and the names of its files."""

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from biotune.errors import DamagedStateError, InputError, InterruptedRunError
from biotune.runs.events import Message, Observer, silent
from biotune.runs.files import guarded, tidy, write_atomic
from biotune.settings.config import RunConfig
from biotune.settings.resolve import differences, load_config

CONFIG, STORE, RECIPE, MODEL = "config.toml", "run.sqlite", "recipe.yaml", "model.safetensors"
LABELS, PREPROCESSING, SUMMARY, HISTORY, ANSWERS, ANSWER_TABLE, PROBABILITIES, REPORT = (
    "labels.json",
    "preprocessing.json",
    "summary.json",
    "history.json",
    "answers.json",
    "answers.csv",
    "probabilities.npz",
    "report.html",
)
CHECKPOINTS, MEMBERS, OWNER, MANIFEST = "checkpoints", "members", ".owner.json", "manifest.json"
LEARNED = "learned.bin"
"""Which images the run learns from or chooses by: digests of 16 bytes each, see ``learned``."""
FAMILIARITY = "familiarity.safetensors"
"""What the exported network makes of images that it learned from, so that ``predict`` can tell unlike ones."""
UNFINISHED, NEXT_MODEL = "unfinished.json", "model.next.safetensors"
_DIGEST = 16
_PATIENCE_S = 0.5
"""How long to wait for a lock, chosen by hand: ``is_locked`` in another process holds it for a moment only."""
_TURN = threading.RLock()


def member_path(folder: Path, seed: int) -> Path:
    """Return where the network of a further final seed lies, which votes together with the exported one."""
    return folder / MEMBERS / f"seed-{seed}.safetensors"


def is_begun(folder: Path) -> bool:
    """Return whether a process began a run in a folder, though it may have been killed before it stored anything."""
    return (folder / CONFIG).is_file() or (folder / OWNER).is_file()


def require_begun(folder: Path) -> None:
    """Refuse a folder in which no run was begun."""
    if not is_begun(folder):
        raise InputError(f"'{folder}' holds no run of biotune; give the folder that --out named.")


def holds_work(folder: Path) -> bool:
    """Return whether a folder is that of a run or of a comparison, as far as its files tell."""
    marks = ((STORE,), (OWNER,), (CONFIG, RECIPE), ("plan.json",))
    return any(all((folder / name).is_file() for name in names) for names in marks)


def is_output(folder: Path) -> bool:
    """Return whether biotune wrote a folder: that of a run, of a comparison, or what ``check`` found."""
    return holds_work(folder) or all((folder / name).is_file() for name in ("quarantine.csv", "duplicates.csv"))


def require_no_work(folder: Path) -> None:
    """Refuse the folder of a run or a comparison, whose files what other commands write must not replace."""
    with guarded(f"look into '{folder}'"):
        is_taken = holds_work(folder)
    if is_taken:
        raise InputError(
            f"'{folder}' holds a run or a comparison of biotune, whose files must stay as they are; choose another "
            "folder with --out."
        )


def write_learned(folder: Path, digests: Iterable[bytes]) -> None:
    """Note the images that a run learns from or chooses by, by the SHA-256 of each; once, since they stay the same."""
    if not (folder / LEARNED).exists():
        write_atomic(folder / LEARNED, b"".join(sorted({digest[:_DIGEST] for digest in digests})))


def learned(folder: Path) -> Callable[[bytes], bool] | None:
    """Return whether a run knows an image, given its SHA-256; None where the folder is older and does not say."""
    try:
        content = (folder / LEARNED).read_bytes()
    except OSError:
        return None
    known = {content[start : start + _DIGEST] for start in range(0, len(content), _DIGEST)}
    return lambda digest: digest[:_DIGEST] in known


def require_idle(folder: Path) -> None:
    """Refuse a folder that is not a run folder or in use by another process, before anything slow is done.

    It may be missing. Raises InputError: the folder holds something else, or another process works in it.
    """
    _require_ours(folder)
    if folder.is_dir() and is_locked(folder):
        raise _busy(folder)


def _require_ours(folder: Path) -> None:
    """Refuse a folder that is not a run folder, without touching it."""
    with guarded(f"look into '{folder}'"):
        is_claimed = (folder / CONFIG).exists()
        others = [] if is_claimed or not folder.is_dir() else [path.name for path in folder.iterdir()]
    if is_claimed and not load_config(folder / CONFIG)[1]:
        raise _cut_short(folder / CONFIG, "resolved")
    if foreign := sorted(name for name in others if not name.startswith(".")):
        raise InputError(
            f"'{folder}' is not empty and not a run of biotune (it holds '{foreign[0]}'); choose a new folder with "
            "--out."
        )


def _cut_short(path: Path, entry: str) -> DamagedStateError:
    return DamagedStateError(f"'{path}' lacks the entry '{entry}'; restore a copy or start a new run with --out.")


def _busy(folder: Path) -> InputError:
    return InputError(
        f"another process works in '{folder}'{_owner_words(folder / OWNER)}; wait for it, or choose another --out."
    )


@contextmanager
def _in_turn(observer: Observer) -> Iterator[None]:
    """Let one thread of this process work at a time: torch's random state and number of threads are those of all."""
    if not _TURN.acquire(blocking=False):
        observer(Message("Another run of this program is at work; this one begins after it."))
        while not _TURN.acquire(timeout=_PATIENCE_S):  # so that Ctrl+C is noticed, on Windows too
            pass
    try:
        yield
    finally:
        _TURN.release()


@contextmanager
def locked(folder: Path, observer: Observer = silent) -> Iterator[None]:
    """Lock the run folder; the lock ends with its process. Half-written files of a killed process are removed.

    One thread at a time works in run folders; another one waits for it, and says so. The folder is created if missing,
    and removed again if it stays empty; one with other files is not touched.

    Args:
        folder: the run folder.
        observer: hears of a wait, and of files that cannot be removed, which do no harm.

    Raises:
        InputError: the folder holds something else, another process works in it (names process, host and start time),
            or the disk cannot be written.
    """
    _require_ours(folder)
    with _in_turn(observer), _locked(folder, observer):
        yield


@contextmanager
def _locked(folder: Path, observer: Observer) -> Iterator[None]:
    """Make the folder, lock it, and note who works in it."""
    try:
        missing = [path for path in (folder, *folder.parents) if not path.exists()]
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"cannot make the run folder '{folder}': {error.strerror}; choose another with --out."
        ) from None
    lock, owner = FileLock(folder / ".lock"), folder / OWNER
    try:
        lock.acquire(timeout=_PATIENCE_S)
    except Timeout:
        raise _busy(folder) from None
    except OSError as error:
        raise InputError(f"cannot lock '{folder}': {error.strerror}; choose a folder on a writable disk.") from None
    try:
        with guarded(f"look into '{folder}'"):
            leftovers = list(folder.glob("**/.*.tmp"))
        for leftover in leftovers:
            _warn(observer, tidy(leftover))
        started = time.strftime("%Y-%m-%d %H:%M:%S")
        write_atomic(owner, json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "started": started}))
        yield
    finally:
        warning = tidy(owner)
        _remove_unused(folder, missing)
        lock.release()
    _warn(observer, warning)  # after an error, one sentence is enough


def _warn(observer: Observer, warning: str) -> None:
    if warning:
        observer(Message(warning, warning=True))


def _remove_unused(folder: Path, made: list[Path]) -> None:
    """Remove the lock of an otherwise empty folder, and the folders that were created for it, innermost first."""
    with suppress(OSError):  # another process may have begun to use them, or the disk refuses
        if [path.name for path in folder.iterdir()] != [".lock"]:
            return
        (folder / ".lock").unlink()
        for path in made:
            path.rmdir()


def is_locked(folder: Path) -> bool:
    """Return whether a process works in a run folder now."""
    if not (folder / ".lock").exists():
        return False
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    except OSError:
        return False  # the disk cannot be written, so nobody works there
    lock.release()
    return False


def _owner_words(path: Path) -> str:
    try:
        data = json.loads(path.read_text())
        return f" (process {data['pid']} on {data['host']}, since {data['started']})"
    except (OSError, ValueError, KeyError):
        return ""


_CHANGED = {
    "result_version": "this version of BioTune trains in another way",
    "weights": "the weights are different",
    "partition": "the network has other blocks",
    "heads": "the network has another head",
    "inputs": "images are prepared in another way",
    "data": "there are other images, names or classes",
    "pixels": "pixels of the images changed",
    "refined": "the weights to refine are different",
}
"""What to say if a fact changed, for facts that are hashes or long."""


def claim(folder: Path, config: RunConfig, facts: dict[str, Any]) -> bool:
    """Assign a folder to a run, or check that it belongs to it already.

    Args:
        folder: the run folder, locked by the caller.
        config: configuration of the run.
        facts: facts that the configuration was resolved with; they must not change either.

    Returns:
        True if an earlier call of the same run left results to continue from.

    Raises:
        InputError: the folder holds another run; the message names every difference.
        DamagedStateError: the configuration is incomplete.
    """
    path = folder / CONFIG
    if not path.exists():
        write_atomic(path, config.to_toml(facts))
        return False
    earlier, earlier_facts = load_config(path)
    if lost := [name for name in facts if name not in earlier_facts]:
        raise _cut_short(path, lost[0])
    changed = differences(earlier, config)
    changed += [
        _CHANGED.get(name) or f"{name} (was {earlier_facts[name]!r}, now {value!r})"
        for name, value in facts.items()
        if earlier_facts[name] != value
    ]
    if changed:
        raise InputError(
            f"'{folder}' holds another run: {'; '.join(changed)}. Repeat the first command to continue it, "
            "or choose a new folder with --out."
        )
    write_atomic(path, config.to_toml(facts))
    return True


class StopSignal:
    """A request to stop, set by a signal handler or a budget and checked between steps."""

    def __init__(self) -> None:
        self.requested = False

    def check(self) -> None:
        """Raise InterruptedRunError if a stop was requested."""
        if self.requested:
            raise InterruptedRunError("stopped; everything finished so far is stored.")
