"""Describes the default of a setting in words."""

from collections.abc import Mapping
from typing import Any

from biotune.settings.presets import PRESETS
from biotune.settings.table import Row


def written(value: Any) -> str:
    """Return a value as users type it; empty for an empty text or list."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"{value:g}"
    if isinstance(value, Mapping):
        return ", ".join(_named(name, part) for name, part in value.items())
    return value if isinstance(value, str) else ", ".join(map(written, value))


def _named(name: str, value: Any) -> str:
    """Return ``name=value``, or ``name:option=value,...`` for the options of a search."""
    if isinstance(value, Mapping):
        return f"{name}:{','.join(_named(option, part) for option, part in value.items())}"
    return f"{name}={written(value)}"


def default_of(row: Row) -> str:
    """Return the default of a setting, and the values of presets with another: ``20; quick: 12``.

    The text is empty for an empty default without an explanation.
    """
    option = row.setting.option
    plain = "" if option is not None and option.read is not None else written(row.default)
    first = ", ".join(filter(None, (plain, "" if option is None else option.default)))
    others: dict[str, list[str]] = {}
    for preset, changes in PRESETS.items():
        value = written(changes.get(row.section, {}).get(row.field, row.default))
        if value != written(row.default):
            others.setdefault(value or "none", []).append(preset)
    if others and not first:
        first = "none"
    return "; ".join(filter(None, (first, *(f"{', '.join(names)}: {value}" for value, names in others.items()))))
