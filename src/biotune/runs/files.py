"""Writes, moves and removes files of a run folder; nothing else does.

What is written is whole and durable. Whatever the disk refuses is one sentence that names the path.
"""

import errno
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from biotune.errors import InputError

_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def guarded(doing: str) -> Iterator[None]:
    """Turn what the disk refuses within into a sentence.

    Args:
        doing: what is done to which path, after "cannot".

    Raises:
        InputError: the disk is full, damaged or read-only, or permission is missing.
    """
    try:
        yield
    except OSError as error:
        first = "make room" if error.errno in _FULL else "make its disk writable"
        raise InputError(
            f"cannot {doing}: {error.strerror or error}; {first} or choose another folder, "
            "then run the same command again."
        ) from None


def write_atomic(path: Path, content: bytes | str) -> None:
    """Write a file so that a kill at any moment leaves the old content or the new, never a part.

    Its folder must exist; text is stored as UTF-8. Raises InputError: as ``guarded``; says how many bytes are needed.
    """
    data = content.encode() if isinstance(content, str) else content
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with guarded(f"write '{path}' ({len(data):,} bytes)"):
        try:
            with temporary.open("wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(path)
            _sync_folder(path.parent)
        except OSError:
            with suppress(OSError):  # the next process that locks the folder removes it
                temporary.unlink()
            raise


def move_atomic(path: Path, target: Path) -> None:
    """Move a finished file within its folder, replacing an existing one; durable when this returns.

    Raises InputError: as ``guarded``.
    """
    with guarded(f"write '{target}'"):
        path.replace(target)
        _sync_folder(target.parent)


def make_folder(path: Path) -> None:
    """Make a folder within an existing one, if it is missing. Raises InputError: as ``guarded``."""
    with guarded(f"make the folder '{path}'"):
        path.mkdir(exist_ok=True)


def make_output_folder(path: Path) -> None:
    """Make a folder that the user named, with those above it. Raises InputError: it cannot be made."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder '{path}': {error.strerror}; choose another with --out.") from None


def remove(path: Path) -> None:
    """Remove a file, if there is one, that must not stay. Raises InputError: as ``guarded``."""
    with guarded(f"remove '{path}'"):
        try:
            path.unlink(missing_ok=True)
        except OSError:
            if os.path.lexists(path):  # a read-only disk also refuses to remove what is not there
                raise


def tidy(path: Path) -> str:
    """Remove a file or a folder that nobody reads any more, if there is one; return a warning if it stays, else ''.

    As much of a folder is removed as can be.
    """
    try:
        if not path.is_dir():
            path.unlink(missing_ok=True)
            return ""
        shutil.rmtree(path, ignore_errors=True)
        if path.is_dir():
            shutil.rmtree(path)  # again, for the reason
    except OSError as error:
        if os.path.lexists(path):
            return (
                f"Cannot remove '{path}': {error.strerror or error}; nothing reads it any more, and the same command "
                "removes it the next time."
            )
    return ""


def write_json(path: Path, data: Any) -> None:
    """Write indented JSON atomically; NaN is refused."""
    write_atomic(path, json_text(data))


def json_text(data: Any) -> str:
    """Return indented JSON, as all files of JSON are written; NaN is refused."""
    return json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
