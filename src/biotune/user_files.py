"""Opens the paths and the small files that users give: regular files of bounded size and depth, or one sentence."""

import errno
import os
import re
import stat
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from biotune.errors import InputError

LARGEST_TEXT = 2**20
"""Bytes of a recipe or a file of settings, at most; those that BioTune writes have some thousands."""

DEEPEST = 32
"""Levels of a recipe or a file of settings, at most; those that BioTune writes have four."""

LFS_POINTER = b"version https://git-lfs."
"""How a file begins that Git LFS leaves in the place of one that it has not fetched."""

_NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
_KEY = r"""(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')"""
_DEEP_KEY = re.compile(rf"(?<![\w-]){_KEY}(?:[ \t]*+\.[ \t]*+{_KEY}){{{DEEPEST}}}")
"""A dotted key of TOML with more parts than ``DEEPEST``: the parser's memory grows with the square of their number."""


def user_path(given: str | Path, what: str = "path") -> Path:
    """Return a path as a user wrote it, with the home folder in the place of ``~``; it need not exist.

    Raises InputError: it is empty, holds a zero byte, is too long, cannot be reached, or there is no such home folder;
    ``what`` names it in the message.
    """
    text = str(given)
    if not text:
        raise InputError(f"the {what} is empty; give a path, or leave the option out.")
    try:
        path = Path(text).expanduser()
        path.lstat()
    except RuntimeError:
        raise InputError(
            f"the {what} '{text}' begins with '~', but there is no such home folder; write it in full."
        ) from None
    except ValueError:
        raise InputError(f"the {what} holds a zero byte; remove it.") from None
    except OSError as error:
        if error.errno not in _NOT_THERE:
            shown = text if len(text) <= 80 else f"{text[:60]}...{text[-17:]}"
            raise InputError(f"the {what} '{shown}' cannot be used: {error.strerror}; give another.") from None
    return path


def without_blocking(name: str, flags: int) -> int:
    """Open a file as ``open(..., opener=...)`` asks for, but never wait for the other end of a pipe."""
    return os.open(name, flags | getattr(os, "O_NONBLOCK", 0))


def read_text(path: Path, what: str) -> str:
    """Return the text of a regular file in UTF-8 of at most ``LARGEST_TEXT`` bytes; a pipe cannot block.

    Raises InputError: it is missing, something else or too large; ``what`` names it in the message.
    """
    try:
        with open(path, "rb", opener=without_blocking) as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise InputError(f"{what} '{path}' is not a regular file; give a file.")
            content = stream.read(LARGEST_TEXT + 1)
    except OSError as error:
        raise InputError(f"cannot read {what} '{path}': {error.strerror}.") from None
    if len(content) > LARGEST_TEXT:
        raise InputError(f"{what} '{path}' has more than {LARGEST_TEXT:,} bytes; give the right file.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{what} '{path}' is not a text in UTF-8; give the right file, or save it in UTF-8.") from None


def parse_toml(text: str, source: str) -> dict[str, Any]:
    """Return the content of a TOML text; raises InputError, which names the source, for everything that is not TOML."""
    if _DEEP_KEY.search(text):
        raise InputError(f"{source} is not TOML that can be used: a key has more than {DEEPEST} parts.")
    return _parsed(tomllib.loads, text, source, "TOML")  # type: ignore[no-any-return]


def parse_yaml(text: str, source: str) -> Any:
    """Return the content of a YAML text without aliases, which could stand for gigabytes.

    Raises InputError, which names the source, for everything else.
    """
    return _parsed(_safe_yaml, text, source, "YAML")


def _safe_yaml(text: str) -> Any:
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if isinstance(event, yaml.AliasEvent):
            raise yaml.YAMLError("it holds an alias")
        if depth > DEEPEST:
            raise yaml.YAMLError(f"it has more than {DEEPEST} levels")
    return yaml.safe_load(text)


def _parsed(parse: Callable[[str], Any], text: str, source: str, kind: str) -> Any:
    try:
        return parse(text)
    except RecursionError:
        raise InputError(f"{source} is not {kind} that can be used: it has too many levels.") from None
    except Exception as error:  # numbers and dates that do not exist meet the parsers with errors of almost any kind
        problem = getattr(error, "problem", None) or (str(error) or type(error).__name__).splitlines()[0]
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise InputError(
            f"{source} is not {kind} ({problem[:120]}{where}); correct it, or give another file."
        ) from None
