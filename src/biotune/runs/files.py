"""Writes files of a run folder atomically and durably; nothing else writes them."""

import json
import os
from pathlib import Path
from typing import Any

from biotune.errors import InputError


def write_atomic(path: Path, content: bytes | str) -> None:
    """Write a file so that a kill at any moment leaves the old content or the new, never a part.

    Its folder must exist; text is stored as UTF-8. Raises InputError: the disk is full or read-only; says how many
    bytes are needed.
    """
    data = content.encode() if isinstance(content, str) else content
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise InputError(
            f"cannot write '{path}' ({len(data):,} bytes): {error.strerror}; make room or choose another folder, "
            "then run the same command again."
        ) from None


def move_atomic(path: Path, target: Path) -> None:
    """Move a finished file within its folder, replacing an existing one; durable when this returns."""
    path.replace(target)
    _sync_folder(target.parent)


def write_json(path: Path, data: Any) -> None:
    """Write indented JSON atomically; NaN is refused."""
    write_atomic(path, json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
