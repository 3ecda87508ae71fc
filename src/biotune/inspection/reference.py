"""The table of keys in docs/check.md: ``python -m biotune.inspection.reference`` prints it."""

import sys
from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel

from biotune.inspection.findings import Findings

_SAME = {"leaks": "duplicates", "label_conflicts": "duplicates"}
"""Lists that hold the same objects as another one: their keys are documented there."""


def key_table() -> str:
    """Return the table: every key of the findings and what it means."""
    rows = [f"| `{key}` | {text} |\n" for key, text in _rows(Findings, "")]
    return f"| key | content |\n|---|---|\n{''.join(rows)}"


def _rows(model: type[BaseModel], path: str) -> Iterator[tuple[str, str]]:
    for name, field in model.model_fields.items():
        if field.description is None:
            continue
        key = f"{path}{field.alias or name}"
        yield key, field.description
        for inner, suffix in _models_in(field.annotation):
            if key not in _SAME:
                yield from _rows(inner, f"{key}{suffix}.")


def _models_in(annotation: Any) -> Iterator[tuple[type[BaseModel], str]]:
    """Yield the models of an annotation, with what stands for an element: ``[]`` in a list, the kind in a mapping."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation, ""
    origin = getattr(annotation, "__origin__", None)
    suffix = {tuple: "[]", dict: ".SPLIT"}.get(origin, "") if origin is not None else ""
    for argument in get_args(annotation):
        for model, inside in _models_in(argument):
            yield model, suffix + inside


if __name__ == "__main__":
    sys.stdout.write(key_table())
