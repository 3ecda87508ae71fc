"""What is written from the code: settings.md, the tables of summary.md, compare.md and check.md, and the JSON schemas.

``python -m docs.reference`` writes all of it again.
"""

import json
import re
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.dataclasses import is_pydantic_dataclass
from pydantic.fields import ComputedFieldInfo, FieldInfo

from biotune.inspection.findings import Findings
from biotune.results.answers import TestAnswers
from biotune.results.comparison import ComparedEntry, Comparison
from biotune.results.entry import Vote
from biotune.results.evaluated import Evaluated
from biotune.results.history import History
from biotune.results.part import Document
from biotune.results.refinement import Refinement
from biotune.results.scores import Scores
from biotune.results.summary import Baseline, Data, Model, Protocol, Summary
from biotune.settings.config import SETTINGS, RunConfig
from biotune.settings.setting import TRAINING_COMMANDS
from biotune.settings.table import Row
from biotune.settings.words import default_of
from biotune.wording import listed

_MADE = ("schema_version", "status", "command", "biotune_version", "versions", "created")
_RUN = (*_MADE, "method", "preset", "model", "sizing", "data", "budget")
_FOUND = (
    "search", "final", "out_of_fold", "full_finetune_seconds", "full_finetune_cpu_seconds", "recipe", "validation",
    "test", "vote", "exported", "operating_point",
)  # fmt: skip

TABLES: dict[str, tuple[type[Any], str, tuple[str, ...]]] = {
    "scores": (Scores, "scores", ()),
    "run": (Summary, "", _RUN),
    "found": (Summary, "", _FOUND),
    "baseline": (Baseline, "baselines.NAME", ()),
    "protocol": (Protocol, "protocol", ()),
    "refinement": (Refinement, "refinement", ()),
    "history": (History, "", ()),
    "answers": (TestAnswers, "", ()),
    "evaluate": (Evaluated, "", ()),
    "comparison": (Comparison, "", ()),
    "entry": (ComparedEntry, "entry", ()),
    "vote": (Vote, "vote", ()),
    "check": (Findings, "", ()),
}
"""Name of a table in the pages -> the type that it describes, what its keys begin with, and the fields, if not all."""

PAGES = ("summary.md", "compare.md", "check.md")
SCHEMAS: dict[str, type[Document]] = {
    "summary.json": Summary,
    "history.json": History,
    "answers.json": TestAnswers,
    "comparison.json": Comparison,
}

_SAME = ("leaks", "label_conflicts")
"""Lists of the same objects as another one: their keys are documented there."""
_ELSEWHERE = (Scores, ComparedEntry, Vote)
"""Types with a table of their own."""
_ALSO_IN_SUMMARY = (Model, Data, Protocol)
"""Parts of a comparison that the tables of a run describe."""

_TABLE = re.compile(r"(<!-- table: (\w+), written by docs.reference -->\n).*?(<!-- end of table -->)", re.DOTALL)


def table(name: str) -> str:
    """Return a table in Markdown.

    Args:
        name: a key of ``TABLES``.

    Returns:
        Lines that end with a line break.
    """
    kind, prefix, only = TABLES[name]
    lines = [f"| `{key}` | {meaning} |\n" for key, meaning in _rows(kind, prefix, only)]
    return f"| key | content |\n|---|---|\n{''.join(lines)}"


def page(text: str) -> str:
    """Return the text of a page with its tables written again."""
    return _TABLE.sub(lambda found: f"{found[1]}\n{table(found[2])}\n{found[3]}", text)


def schema(kind: type[Document]) -> str:
    """Return the JSON schema of a file as text."""
    return json.dumps(kind.model_json_schema(mode="serialization"), indent=2, ensure_ascii=False) + "\n"


def _rows(kind: type[Any], prefix: str, only: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    for name, field in _fields(kind):
        if only and name not in only:
            continue
        key = f"{prefix}.{field.alias or name}".lstrip(".")
        annotation = field.annotation if isinstance(field, FieldInfo) else field.return_type
        if field.description:
            yield key, field.description
        inner, place = _inner(annotation)
        described = (
            inner in _ELSEWHERE
            or key in _SAME
            or ((issubclass(kind, Comparison) or prefix == "datasets[]") and inner in _ALSO_IN_SUMMARY)
        )
        if inner is not None and not described:
            yield from _rows(inner, f"{key}{place}")


def _fields(kind: type[Any]) -> Iterator[tuple[str, FieldInfo | ComputedFieldInfo]]:
    """Yield the fields of a model or a pydantic dataclass, the computed ones last."""
    yield from kind.__pydantic_fields__.items()
    for name, decorator in kind.__pydantic_decorators__.computed_fields.items():
        yield name, decorator.info


def _inner(annotation: Any) -> tuple[type[Any] | None, str]:
    """Return the type with fields of its own that an annotation holds, if any, and what leads a key to them."""
    if isinstance(annotation, type) and get_origin(annotation) is None:
        has_fields = issubclass(annotation, BaseModel) or is_pydantic_dataclass(annotation)
        return (annotation, "") if has_fields else (None, "")
    origin, arguments = get_origin(annotation), get_args(annotation)
    for argument in arguments:
        inner, place = _inner(argument)
        if inner is not None:
            return inner, {tuple: "[]", dict: ".NAME"}.get(origin, "") + place
    return None, ""


INTRODUCTION = """\
# Settings

There are three ways to give a setting; a later one wins over an earlier one:

1. a preset: `--preset quick`, or `biotune.tune(..., preset="quick")`;
2. a file: `biotune tune DATA --config FILE`. Every run writes its settings, as they were resolved, to `config.toml`.
   Such a file holds every setting of its preset, so `--preset` is refused beside it. Its section `resolved` is ignored;
3. an option, where the table names one: `--epochs 10`, or `biotune.tune(..., epochs=10)`. In Python, a section can be
   given as a dictionary too: `biotune.tune(..., training={"cosine_epochs": 100})`. Settings without an option can be
   given in a file or by their section only.

*Option* names the commands that have it where these are not `tune`, `train` and `compare`. *Default* holds in every
preset that is not named beside it (the default preset is `standard`). *May change* says whether a run can be
[continued](resume.md#what-may-change) with another value.

This page is made from the code: `python -m docs.reference`.
"""
_HEAD = "| setting | option | value | default | may change | meaning |\n|---|---|---|---|---|---|\n"


def settings_page() -> str:
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


def allowed(schema: Mapping[str, Any]) -> str:
    """Return what a setting may be, from its JSON schema: ``a whole number from 1``."""
    if "anyOf" in schema:
        return " or ".join(map(allowed, schema["anyOf"]))
    if "enum" in schema:
        return listed([f"`{name}`" for name in schema["enum"]], len(schema["enum"]), "or")
    if "prefixItems" in schema:
        return f"pair of {listed([allowed(one) for one in schema['prefixItems']], len(schema['prefixItems']))}"
    if schema["type"] == "array":
        return f"list, each {allowed(schema['items'])}"
    words = {
        "integer": "whole number",
        "number": "number",
        "boolean": "true or false",
        "string": "text",
        "object": "table",
    }
    bounds = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "to", "exclusiveMaximum": "below"}
    return " ".join([words[schema["type"]], *(f"{bounds[name]} {schema[name]:g}" for name in bounds if name in schema)])


def main() -> None:
    """Write everything again."""
    folder = Path(__file__).parent
    (folder / "settings.md").write_text(settings_page(), encoding="utf-8")
    for name in PAGES:
        path = folder / name
        path.write_text(page(path.read_text(encoding="utf-8")), encoding="utf-8")
    for name, kind in SCHEMAS.items():
        (folder / "schemas" / name).write_text(schema(kind), encoding="utf-8")


if __name__ == "__main__":
    main()
