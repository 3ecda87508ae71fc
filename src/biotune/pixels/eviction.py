"""Room in the cache of decoded images: which entries are in use, and which are removed to stay below its limit."""

import os
import re
import secrets
import shutil
import weakref
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

_OURS = re.compile(r"([0-9a-f]{64})\.(?:(?:npy|facts|json)(?:\.tmp)?|lock|[0-9a-f]+\.use)")


class Lease:
    """Keeps an entry from being removed for as long as this object, or its process, lives.

    Raises OSError: the folder cannot be written.
    """

    def __init__(self, folder: Path, key: str) -> None:
        path = folder / f"{key}.{secrets.token_hex(8)}.use"
        lock = FileLock(path, thread_local=False)
        lock.acquire()
        (folder / f"{key}.lock").touch()  # the time of the last use
        self._end = weakref.finalize(self, _end_lease, lock, path, os.getpid())


def _end_lease(lock: FileLock, path: Path, owner: int) -> None:
    if os.getpid() == owner:  # a forked child holds a copy of the parent's lease, which is not its own to end
        path.unlink(missing_ok=True)
        lock.release()


@dataclass(frozen=True)
class Room:
    """Whether a new entry may be written, how many others were removed for it, and the bytes that they took."""

    is_enough: bool
    removed: int
    removed_bytes: int


def make_room(folder: Path, key: str, num_bytes: int, limit_bytes: int) -> Room:
    """Remove the least recently used entries until a new one fits, below the limit and on the disk.

    Entries that a living process uses or writes are never removed. ``key`` and ``num_bytes`` are those of the new
    entry; all entries together may take ``limit_bytes``.
    """
    entries = _entries(folder)
    taken = sum(size for size, _ in entries.values())
    oldest_first = sorted((used, size, other) for other, (size, used) in entries.items() if other != key and size)
    removed = removed_bytes = 0
    for _, size, other in oldest_first:
        if taken + num_bytes <= limit_bytes and num_bytes <= free_bytes(folder):
            break
        if _remove(folder, other):
            taken, removed, removed_bytes = taken - size, removed + 1, removed_bytes + size
    return Room(taken + num_bytes <= limit_bytes, removed, removed_bytes)


def free_bytes(folder: Path) -> int:
    """Return how many bytes the disk of a folder can take."""
    return shutil.disk_usage(folder).free


def _entries(folder: Path) -> dict[str, tuple[int, int]]:
    """Return bytes and the time of the last use of every entry, by key; files of others are not looked at."""
    sizes, used = defaultdict[str, int](int), defaultdict[str, int](int)
    for file in os.scandir(folder):
        if match := _OURS.fullmatch(file.name):
            try:
                status = file.stat(follow_symlinks=False)
            except FileNotFoundError:  # another process removed it
                continue
            sizes[match[1]] += status.st_size
            used[match[1]] = max(used[match[1]], status.st_mtime_ns)
    return {key: (sizes[key], used[key]) for key in sizes}


def _remove(folder: Path, key: str) -> bool:
    """Delete the files of an entry unless a process holds it; its lock file stays, since another may wait for it."""
    files = [file for file in folder.iterdir() if (match := _OURS.fullmatch(file.name)) and match[1] == key]
    leases = [file for file in files if file.suffix == ".use"]
    try:
        with _held([folder / f"{key}.lock", *leases]):
            for file in sorted(files, key=lambda file: file.suffix != ".json"):
                if file.suffix != ".lock":
                    file.unlink(missing_ok=True)
    except Timeout:
        return False
    return True


@contextmanager
def _held(paths: list[Path]) -> Iterator[None]:
    """Hold locks, or raise Timeout at once if another process holds one of them."""
    with ExitStack() as stack:
        for path in paths:
            stack.enter_context(FileLock(path, timeout=0, thread_local=False))
        yield
