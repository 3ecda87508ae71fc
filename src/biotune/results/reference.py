"""The tables of docs/summary.md and docs/compare.md and the JSON schemas, from the types.

``python -m biotune.results.reference docs`` writes them anew.
"""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.dataclasses import is_pydantic_dataclass
from pydantic.fields import ComputedFieldInfo, FieldInfo

from biotune.results.answers import TestAnswers
from biotune.results.comparison import ComparedEntry, Comparison
from biotune.results.evaluated import Evaluated
from biotune.results.history import History
from biotune.results.part import Document
from biotune.results.scores import Scores
from biotune.results.summary import Baseline, Data, Model, Protocol, Summary

_MADE = ("schema_version", "status", "command", "biotune_version", "versions", "created")
_RUN = (*_MADE, "method", "preset", "model", "data", "budget")
_FOUND = (
    "search", "final", "out_of_fold", "full_finetune_seconds", "recipe", "validation", "test", "exported",
)  # fmt: skip

TABLES: dict[str, tuple[type[Any], str, tuple[str, ...]]] = {
    "scores": (Scores, "scores", ()),
    "run": (Summary, "", _RUN),
    "found": (Summary, "", _FOUND),
    "baseline": (Baseline, "baselines.NAME", ()),
    "protocol": (Protocol, "protocol", ()),
    "history": (History, "", ()),
    "answers": (TestAnswers, "", ()),
    "evaluate": (Evaluated, "", ()),
    "comparison": (Comparison, "", ()),
    "entry": (ComparedEntry, "entry", ()),
}
"""Name of a table in the pages -> the type that it describes, what its keys begin with, and the fields, if not all."""

PAGES = ("summary.md", "compare.md")
SCHEMAS: dict[str, type[Document]] = {
    "summary.json": Summary,
    "history.json": History,
    "answers.json": TestAnswers,
    "comparison.json": Comparison,
}

_ELSEWHERE = (Scores, ComparedEntry)
"""Types with a table of their own."""
_ALSO_IN_SUMMARY = (Model, Data, Protocol)
"""Parts of a comparison that the tables of a run describe."""

_TABLE = re.compile(
    r"(<!-- table: (\w+), written by biotune.results.reference -->\n).*?(<!-- end of table -->)", re.DOTALL
)


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
    """Return the text of a page with its tables written anew."""
    return _TABLE.sub(lambda found: f"{found[1]}\n{table(found[2])}\n{found[3]}", text)


def schema(kind: type[Document]) -> str:
    """Return the JSON schema of a file as text."""
    return json.dumps(kind.model_json_schema(mode="serialization"), indent=2, ensure_ascii=False) + "\n"


def _rows(kind: type[Any], prefix: str, only: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    for name, field in _fields(kind):
        if only and name not in only:
            continue
        key = f"{prefix}.{name}".lstrip(".")
        annotation = field.annotation if isinstance(field, FieldInfo) else field.return_type
        if field.description:
            yield key, field.description
        inner, place = _inner(annotation)
        described = inner in _ELSEWHERE or (
            (issubclass(kind, Comparison) or prefix == "datasets[]") and inner in _ALSO_IN_SUMMARY
        )
        if inner is not None and not described:
            yield from _rows(inner, f"{key}{place}")


def _fields(kind: type[Any]) -> Iterator[tuple[str, FieldInfo | ComputedFieldInfo]]:
    """Yield the fields of a model or a pydantic dataclass, the computed ones last."""
    yield from kind.__pydantic_fields__.items()
    for name, decorator in kind.__pydantic_decorators__.computed_fields.items():
        yield name, decorator.info


def _inner(annotation: Any) -> tuple[type[Any] | None, str]:
    """Return the type with fields of its own that an annotation holds, if any, and how a key goes on to it."""
    if isinstance(annotation, type) and get_origin(annotation) is None:
        has_fields = issubclass(annotation, BaseModel) or is_pydantic_dataclass(annotation)
        return (annotation, "") if has_fields else (None, "")
    origin, arguments = get_origin(annotation), get_args(annotation)
    for argument in arguments:
        inner, place = _inner(argument)
        if inner is not None:
            return inner, {tuple: "[]", dict: ".NAME"}.get(origin, "") + place
    return None, ""


def main(folder: Path) -> None:
    """Write the tables of the pages in a folder anew, and the schemas below it."""
    for name in PAGES:
        path = folder / name
        path.write_text(page(path.read_text(encoding="utf-8")), encoding="utf-8")
    for name, kind in SCHEMAS.items():
        (folder / "schemas").mkdir(exist_ok=True)
        (folder / "schemas" / name).write_text(schema(kind), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
