"""Reads durations and lists as users type them, and merges layers of values."""

import re
from collections.abc import Mapping
from typing import Any

from biotune.errors import InputError


def read_duration(text: str) -> float:
    """Return the seconds, above 0, of a duration such as ``90``, ``45s``, ``30m`` or ``1h30m``.

    Raises InputError: the text is not a duration above 0.
    """
    number = r"([0-9]+(?:\.[0-9]+)?)"
    match = re.fullmatch(rf"(?:{number}h)?(?:{number}m)?(?:{number}s)?|{number}", text.strip())
    hours, minutes, *seconds = [float(part or 0) for part in match.groups()] if match else (0.0, 0.0)
    total = hours * 3600 + minutes * 60 + sum(seconds)
    if total <= 0:
        raise InputError(f"the duration '{text}' cannot be read; write seconds, or for example 45s, 30m or 1h30m.")
    return total


def read_side(text: str) -> int | str:
    """Return an input size in pixels, or ``auto``; raises InputError for anything else."""
    try:
        return text if text == "auto" else int(text.encode("ascii"))
    except ValueError:
        raise InputError(f"the image size '{text}' cannot be read; give pixels, such as 96, or auto.") from None


def read_workers(text: str) -> int | str:
    """Return a number of workers, or ``auto``; raises InputError for anything else."""
    try:
        return text if text == "auto" else int(text.encode("ascii"))
    except ValueError:
        raise InputError(f"the number of workers '{text}' cannot be read; give a number, such as 4, or auto.") from None


def read_names(text: str) -> tuple[str, ...]:
    """Return the names of a list such as ``full,linear_probe``; none of the text ``none``.

    Raises InputError: a name is empty, or ``none`` stands beside others.
    """
    names = tuple(name.strip() for name in text.split(","))
    if names == ("none",):
        return ()
    if "" in names or "none" in names:
        raise InputError(f"the list '{text}' cannot be read; give names separated by commas, or none alone.")
    return names


def merged(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Merge nested tables; if several have a value, the last one wins."""
    result: dict[str, Any] = {}
    for layer in layers:
        for name, value in layer.items():
            both = isinstance(value, Mapping) and isinstance(result.get(name), Mapping)
            result[name] = merged(result[name], value) if both else value
    return result
