"""A setting in words: what it may be and what it is by default."""

from collections.abc import Iterable
from typing import Any

from biotune.settings.presets import PRESETS
from biotune.settings.table import Row


def written(value: Any) -> str:
    """Return a value as one types it; empty for an empty text or list."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"{value:g}"
    return value if isinstance(value, str) else ", ".join(map(written, value))


def any_of(names: Iterable[str]) -> str:
    """Return ``a, b or c``."""
    *first, last = names
    return f"{', '.join(first)} or {last}" if first else last


def default_of(row: Row) -> str:
    """Return the default of a setting, and that of each preset that has another: ``20; quick: 12``.

    Args:
        row: of a setting.

    Returns:
        Words; empty for an empty default on which there is nothing to say.
    """
    option = row.setting.option
    plain = "" if option is not None and option.read is not None else written(row.default)
    first = ", ".join(filter(None, (plain, "" if option is None else option.default)))
    others: dict[str, list[str]] = {}
    for preset, changes in PRESETS.items():
        value = written(changes.get(row.section, {}).get(row.field, row.default))
        if value != written(row.default):
            others.setdefault(value, []).append(preset)
    return "; ".join(filter(None, (first, *(f"{', '.join(names)}: {value}" for value, names in others.items()))))
