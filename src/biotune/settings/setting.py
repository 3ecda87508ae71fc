"""Metadata of a setting, beside its type and default: its meaning, its option, and whether it may change."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, SchemaValidator, core_schema

SEARCH, NETWORK, DATA, TRAINING, RUN = "Search", "Network", "Data", "Training", "Run"
"""The panels of ``--help``."""

AUTO = "auto"
"""Of a setting: what a run decides itself, once, before it opens its folder."""

TRAINING_COMMANDS = ("tune", "train", "compare")
RUN_COMMANDS = ("tune", "train")
WITH_REFINE = (*TRAINING_COMMANDS, "refine")
SEARCH_COMMANDS = ("tune", "compare")


@dataclass(frozen=True)
class Option:
    """How a setting is given on the command line, and as a keyword to ``biotune.tune``.

    Args:
        panel: heading below which ``--help`` lists it; empty for the first list.
        commands: the commands that have it.
        name: the keyword, if it differs from the name of the field; ``data_root`` becomes ``--data-root``.
        short: a second spelling of one letter, such as ``-m``.
        read: turns typed text into the value; needed if the value is not a text, a number or a truth value.
        sets: further fields of the same section that the option changes, with their values.
        default: words about the default, if the value alone does not explain it.
        main: whether ``--help`` lists it; the others are listed by ``--help-all``.
    """

    panel: str
    commands: tuple[str, ...] = TRAINING_COMMANDS
    name: str = ""
    short: str = ""
    read: Callable[[str], Any] | None = None
    sets: Mapping[str, Any] = field(default_factory=dict)
    default: str = ""
    main: bool = False


@dataclass(frozen=True)
class Setting:
    """The meaning of a setting, its option, and when it may change.

    Args:
        help: a phrase without a full stop, for ``--help`` and for docs/settings.md, which add the allowed values.
        option: how commands take it; None if only ``config.toml`` and the sections of ``biotune.tune`` set it.
        page: page of docs/ that says more, as a link from there.
        may_change: whether a run can be continued with another value. True only if no result of a training depends
            on it: such a setting is not part of the key under which results are stored.
        is_limit: whether it only decides when a run ends; such a limit may change.
        later: whether it was added when stored results existed already. At its default it is not part of their key, so
            that they stay valid.
    """

    help: str
    option: Option | None = None
    page: str = ""
    may_change: bool = False
    is_limit: bool = False
    later: bool = False


@dataclass(frozen=True)
class OrAuto:
    """Lets a whole number also be the text ``auto``, with the errors of a number.

    Args:
        least: smallest number.
        most: largest number.
        besides: a smaller number that is allowed too, as it has a meaning of its own.
    """

    least: int
    most: int
    besides: int | None = None

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        """Return the check that pydantic makes."""
        return core_schema.no_info_wrap_validator_function(
            lambda value, number: value if value == AUTO or self._is_besides(value) else number(value),
            core_schema.int_schema(ge=self.least, le=self.most),
            serialization=core_schema.plain_serializer_function_ser_schema(lambda value: value),
        )

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Return both for the JSON schema."""
        number = {"type": "integer", "minimum": self.least, "maximum": self.most}
        other = [] if self.besides is None else [{"enum": [self.besides], "type": "integer"}]
        return {"anyOf": [{"enum": [AUTO], "type": "string"}, *other, number]}

    def _is_besides(self, value: Any) -> bool:
        return type(value) is int and value == self.besides


@dataclass(frozen=True)
class OneOf:
    """Restricts a text to the names of a registry, with the errors of a ``Literal``.

    Args:
        names: at least one; read whenever a text is checked, so that a name may be registered later.
    """

    names: Iterable[str]

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        """Return the check that pydantic makes."""
        return core_schema.no_info_plain_validator_function(
            lambda value: SchemaValidator(core_schema.literal_schema(list(self.names))).validate_python(value)
        )

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Return the names for the JSON schema."""
        return {"enum": list(self.names), "type": "string"}
