"""``manifest.json``: the digest of every result of a finished run or comparison, checked by whoever reads one of them.

Of a run, it is written just before the summary, which makes the run finished. Folders of older versions have none and
are not checked. While a run goes on, ``unfinished.json`` says itself which model belongs to it.
"""

import hashlib
import json
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from biotune.errors import DamagedStateError
from biotune.runs import folder as files
from biotune.runs.files import json_text, move_atomic, remove, write_atomic, write_json
from biotune.user_files import without_blocking

_RESULTS = (
    files.RECIPE, files.MODEL, files.LABELS, files.PREPROCESSING, files.LEARNED, files.HISTORY, files.ANSWERS,
    files.ANSWER_TABLE, files.PROBABILITIES, files.FAMILIARITY, files.REPORT,
)  # fmt: skip
_VERSION = 1


def finish(folder: Path, summary: Any) -> None:
    """Write the manifest and the summary of a run, which are its last results: now it is finished.

    Args:
        folder: the run folder, locked by the caller, with all other results.
        summary: content of ``summary.json``, JSON-able.

    Raises:
        InputError: the disk is full or read-only.
    """
    text = json_text(summary).encode()
    write_manifest(folder, _present(folder), {files.SUMMARY: hashlib.sha256(text).hexdigest()})
    write_atomic(folder / files.SUMMARY, text)
    remove(folder / files.UNFINISHED)


def write_manifest(folder: Path, names: Iterable[str], further: Mapping[str, str] = MappingProxyType({})) -> None:
    """Write the digests of files of a folder, which are there, and ``further`` ones.

    Raises InputError: the disk is full or read-only.
    """
    digests = {name: _digest(folder / name) for name in names}
    write_json(folder / files.MANIFEST, {"schema_version": _VERSION, "files": {**digests, **further}})


def read_result(folder: Path, name: str) -> bytes:
    """Return the content of a result of a finished run.

    Args:
        folder: the run folder.
        name: path of the file within it, with forward slashes.

    Returns:
        Its bytes.

    Raises:
        DamagedStateError: the file is missing, is no regular file, or is not as the run left it.
    """
    path = folder / name
    try:
        content = _content(path)
    except OSError as error:
        raise DamagedStateError(f"'{path}' is missing or cannot be read ({error.strerror}){_ADVICE}") from None
    known = _digests(folder)
    if known is not None and known.get(name) != hashlib.sha256(content).hexdigest():
        raise DamagedStateError(f"'{path}' is not as the run left it{_ADVICE}")
    return content


_ADVICE = "; run the same command again to write it again, or restore a copy."


def changed_results(folder: Path) -> list[str]:
    """Return the results of a finished run that are missing or not as it left them; none where there is no manifest."""
    known = _digests(folder)
    if known is None:
        return []
    return [name for name, digest in known.items() if _digest(folder / name) != digest]


def put_aside_changed(folder: Path) -> list[str]:
    """Move the results that are not as the run left them aside, so that it writes them again; return their names.

    What someone may have written by hand stays, as ``NAME.changed``. The summary goes first, and with it the mark of a
    finished run.

    Raises InputError: one cannot be moved or removed.
    """
    changed = changed_results(folder)
    if changed:
        for name in sorted(changed, key=lambda name: name != files.SUMMARY):
            path = folder / name
            if os.path.lexists(path):
                move_atomic(path, path.with_name(f"{path.name}.changed"))
        for name in (files.SUMMARY, files.MANIFEST):
            remove(folder / name)
    return changed


def _digests(folder: Path) -> dict[str, Any] | None:
    """Return what the manifest says; None without one, or while a run goes on.

    Raises DamagedStateError: it cannot be read.
    """
    path = folder / files.MANIFEST
    if not path.exists() or (folder / files.UNFINISHED).exists():
        return None
    try:
        found = json.loads(_content(path))["files"]
        return {str(name): digest for name, digest in found.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise DamagedStateError(f"'{path}' is damaged; delete it, and run the same command again.") from None


def _present(folder: Path) -> Iterator[str]:
    """Yield the results that are there, as paths within the folder."""
    yield from (name for name in _RESULTS if (folder / name).is_file())
    yield from (f"{files.MEMBERS}/{path.name}" for path in sorted((folder / files.MEMBERS).glob("*.safetensors")))


def _digest(path: Path) -> str | None:
    """Return the SHA-256 of a file, hexadecimal; None where it cannot be read."""
    try:
        return hashlib.sha256(_content(path)).hexdigest()
    except OSError:
        return None


def _content(path: Path) -> bytes:
    """Return the content of a regular file; a pipe does not block. Raises OSError."""
    with open(path, "rb", opener=without_blocking) as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise OSError(0, "it is no regular file")
        return stream.read()
