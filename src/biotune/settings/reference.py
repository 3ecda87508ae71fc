"""The reference of all settings, docs/settings.md: ``python -m biotune.settings.reference > docs/settings.md``."""

import sys
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from biotune.settings.config import SETTINGS, RunConfig
from biotune.settings.setting import TRAINING_COMMANDS
from biotune.settings.table import Row
from biotune.settings.words import allowed, default_of

INTRODUCTION = """\
# Settings

There are three ways to give a setting; a later one wins over an earlier one:

1. a preset: `--preset quick`, or `biotune.tune(..., preset="quick")`;
2. a file: `biotune tune DATA --config FILE`. Every run writes its settings, as they were resolved, to `config.toml`.
   Such a file holds every setting of its preset, so `--preset` is refused beside it. Its section `resolved` is ignored;
3. an option, where the table names one: `--epochs 10`, or `biotune.tune(..., epochs=10)`. In Python, a section can be
   given as a dictionary too: `biotune.tune(..., training={"cosine_epochs": 100})`. Settings without an option can be
   given in a file or by their section only.

*Option* names the commands that have it where these are not `tune`, `train` and `compare`. *Default* is that of the
preset `standard`; where another preset differs, it is named. *May change* says whether a run can be
[continued](resume.md#what-may-change) with another value.

This page is made from the code: `python -m biotune.settings.reference > docs/settings.md`.
"""
_HEAD = "| setting | option | value | default | may change | meaning |\n|---|---|---|---|---|---|\n"


def page() -> str:
    """Return the text of docs/settings.md."""
    whole = RunConfig.model_json_schema()
    schemas = whole["$defs"]
    parts = [INTRODUCTION]
    for section, rows in groupby(SETTINGS.values(), lambda row: row.section):
        kind: Any = RunConfig.model_fields[section].annotation if section else RunConfig
        heading = f"## {section}" if section else "## Outside any section"
        schema = schemas[kind.__name__] if section else whole
        parts.append(f"{heading}\n\n{kind.__doc__}\n\n{_HEAD}{''.join(_lines(rows, schema['properties']))}")
    return "\n".join(parts)


def _lines(rows: Iterator[Row], schemas: dict[str, Any]) -> Iterator[str]:
    for row in rows:
        cells = (f"`{row.key}`", _option(row), allowed(schemas[row.field]), default_of(row) or "empty")
        yield f"| {' | '.join(cells)} | {'yes' if row.may_change else 'no'} | {_meaning(row)} |\n"


def _option(row: Row) -> str:
    option = row.setting.option
    if option is None:
        return ""
    spellings = ", ".join(f"`{name}`" for name in (row.spelling, option.short) if name)
    return spellings if option.commands == TRAINING_COMMANDS else f"{spellings} ({', '.join(option.commands)})"


def _meaning(row: Row) -> str:
    where = row.setting.page
    return row.setting.help + (f"; see [{where.partition('#')[0]}]({where})" if where else "")


if __name__ == "__main__":
    sys.stdout.write(page())
