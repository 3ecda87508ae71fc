"""Which methods there are, and how ``name:option=value,...`` becomes one."""

import difflib
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import ValidationError

from biotune.errors import InputError
from biotune.methods.auto_rgn import AutoRGN
from biotune.methods.base import FineTuningMethod, MethodOptions, Network
from biotune.methods.fixed import Full, GivenRecipe, LayerDecay, LinearProbe
from biotune.methods.lora import LoRA
from biotune.methods.lp_ft import ProbeThenFull
from biotune.methods.starting_point import L1SP, L2SP
from biotune.methods.unfreezing import GradualFirstLast, GradualLastFirst

METHODS: dict[str, type[FineTuningMethod]] = {
    "full": Full,
    "linear_probe": LinearProbe,
    "lp_ft": ProbeThenFull,
    "l1_sp": L1SP,
    "l2_sp": L2SP,
    "gradual_last_first": GradualLastFirst,
    "gradual_first_last": GradualFirstLast,
    "auto_rgn": AutoRGN,
    "lora": LoRA,
    "llrd": LayerDecay,
    "recipe": GivenRecipe,
}


def make_method(text: str, network: Network, multipliers: Sequence[float] = ()) -> FineTuningMethod:
    """Return the method that a text names, for one network.

    Args:
        text: ``name`` or ``name:option=value,...``.
        network: what is tuned.
        multipliers: one per block, for ``recipe``.

    Returns:
        The method, for one training.

    Raises:
        InputError: unknown name or option, a value out of range, or multipliers that do not fit.
    """
    name, options = parse_method(text)
    return METHODS[name](network, options, multipliers)


def parse_method(text: str) -> tuple[str, MethodOptions]:
    """Return the name and the checked options of ``name`` or ``name:option=value,...``.

    Args:
        text: as typed.

    Returns:
        Name in ``METHODS``, options of its class.

    Raises:
        InputError: unknown name or option, or a value out of range; in one sentence.
    """
    name, _, rest = text.partition(":")
    if name not in METHODS:
        near = difflib.get_close_matches(name, METHODS, 1)
        hint = f" (did you mean '{near[0]}'?)" if near else ""
        raise InputError(f"the method '{name}' is unknown{hint}; choose one of {', '.join(METHODS)}.")
    given: dict[str, str] = {}
    for part in filter(None, rest.split(",")):
        option, sign, value = (piece.strip() for piece in part.partition("="))
        if not sign or option in given:
            raise InputError(f"'{part}' in the method '{text}' cannot be read; write {name}:option=value,option=value.")
        given[option] = value
    try:
        return name, METHODS[name].Options.model_validate(given)
    except ValidationError as error:
        raise InputError(_problem(name, error.errors()[0])) from None


def canonical(text: str) -> str:
    """Return the one spelling of a method: options in a fixed order, those at their default left out.

    Args:
        text: ``name`` or ``name:option=value,...``.

    Returns:
        A text of the same kind.

    Raises:
        InputError: unknown name or option, or a value out of range.
    """
    name, options = parse_method(text)
    changed = options.model_dump(exclude_defaults=True)
    return name + (
        ":" + ",".join(f"{option}={_written(value)}" for option, value in changed.items()) if changed else ""
    )


def options_of(name: str) -> Iterator[tuple[str, str, str, str]]:
    """Yield name, default, allowed values and meaning of every option of a method."""
    schema = METHODS[name].Options.model_json_schema()
    for option, row in schema["properties"].items():
        yield option, _written(row["default"]), _allowed(row), row["description"]


def _problem(name: str, item: Any) -> str:
    rows = METHODS[name].Options.model_json_schema()["properties"]
    option = str(item["loc"][0])
    if item["type"] == "extra_forbidden":
        near = difflib.get_close_matches(option, rows, 1)
        hint = f" (did you mean '{near[0]}'?)" if near else ""
        return f"the method '{name}' has no option '{option}'{hint}; it takes {', '.join(rows)}."
    return f"the option '{option}' of the method '{name}' cannot be '{item['input']}'; give {_allowed(rows[option])}."


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
