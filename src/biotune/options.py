"""Options of methods and searches: how ``name:option=value,...`` becomes a checked object, and how it is written."""

import difflib
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from biotune.errors import InputError


class Checked(BaseModel):
    """Values that users give: none unknown, none infinite, and no truth value where a number is due."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_value_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse what pydantic takes for 0 or 1."""
        kind = cls.model_fields[str(info.field_name)].annotation
        is_number = not _takes(kind, bool) and (_takes(kind, int) or _takes(kind, float))
        if is_number and _has_truth_value(value):
            raise PydanticCustomError("truth_value", "input should be a number, not true or false")
        return value


def _takes(kind: Any, wanted: type) -> bool:
    """Return whether a type is ``wanted``, or made of it."""
    return kind is wanted or any(_takes(part, wanted) for part in get_args(kind))


def _has_truth_value(value: Any) -> bool:
    return isinstance(value, bool) or (isinstance(value, list | tuple) and any(map(_has_truth_value, value)))


class Options(Checked):
    """Options that a method or a search has of its own: each field has a default, a description and bounds."""


Own = TypeVar("Own", bound=Options)


def split(text: str, kind: str, registry: Mapping[str, object]) -> tuple[str, dict[str, str]]:
    """Return the name, of those in a registry, and the options of ``name`` or ``name:option=value,...``, as typed.

    ``kind`` says in one word what is named: ``method`` or ``search``. Raises InputError: unknown name, or options that
    cannot be read; in one sentence.
    """
    name, _, rest = text.partition(":")
    if name not in registry:
        hint = _did_you_mean(name, registry)
        raise InputError(f"the {kind} '{name}' is unknown{hint}; choose one of {', '.join(registry)}.")
    given: dict[str, str] = {}
    for part in filter(None, rest.split(",")):
        option, sign, value = (piece.strip() for piece in part.partition("="))
        if not sign or option in given:
            raise InputError(f"'{part}' in the {kind} '{text}' cannot be read; write {name}:option=value,option=value.")
        given[option] = value
    return name, given


def checked(kind: type[Own], given: Mapping[str, Any], where: str) -> Own:
    """Return the options that were given, as an instance of ``kind``; ``where`` says whose they are, for errors.

    Raises InputError: unknown option, or a value out of range; in one sentence.
    """
    try:
        return kind.model_validate(dict(given))
    except ValidationError as error:
        raise InputError(_problem(where, kind, error.errors()[0])) from None


def written(name: str, options: Options) -> str:
    """Return the one spelling: options in a fixed order, those at their default left out."""
    changed = options.model_dump(exclude_defaults=True)
    parts = [f"{option}={_written(value)}" for option, value in changed.items()]
    return f"{name}:{','.join(parts)}" if parts else name


def described(kind: type[Options]) -> Iterator[tuple[str, str, str, str]]:
    """Yield name, default, allowed values and meaning of every option."""
    for option, row in kind.model_json_schema().get("properties", {}).items():
        yield option, _written(row["default"]), _allowed(row), row["description"]


def _problem(where: str, kind: type[Options], item: Any) -> str:
    rows = kind.model_json_schema().get("properties", {})
    option = str(item["loc"][0])
    if item["type"] == "extra_forbidden":
        takes = f"it takes {', '.join(rows)}" if rows else "it takes none"
        return f"the {where} has no option '{option}'{_did_you_mean(option, rows)}; {takes}."
    return f"the option '{option}' of the {where} cannot be '{item['input']}'; give {_allowed(rows[option])}."


def _did_you_mean(word: str, known: Mapping[str, object]) -> str:
    near = difflib.get_close_matches(word, known, 1)
    return f" (did you mean '{near[0]}'?)" if near else ""


def _allowed(row: dict[str, Any]) -> str:
    """Return the range of an option in words, from its JSON schema."""
    if "enum" in row:
        return " or ".join(row["enum"])
    if row["type"] == "boolean":
        return "true or false"
    kind = "a whole number" if row["type"] == "integer" else "a number"
    low = f"from {row['minimum']:g}" if "minimum" in row else f"above {row['exclusiveMinimum']:g}"
    high = f"to {row['maximum']:g}" if "maximum" in row else f"below {row['exclusiveMaximum']:g}"
    return f"{kind} {low} {high}"


def _written(value: Any) -> str:
    """Return a value as one types it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        short = f"{value:g}"
        return short if float(short) == value else repr(value)
    return str(value)
