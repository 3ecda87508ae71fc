"""The table of all settings, read from the sections: nothing here is written a second time."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from biotune.settings.setting import OneOf, Setting


@dataclass(frozen=True)
class Row:
    """One setting.

    Args:
        key: its place in ``config.toml``, such as ``training.epochs``, or ``seed`` outside any section.
        kind: its Python type without bounds, such as ``int`` or a ``Literal``.
        default: its value in the preset ``standard``.
        setting: the metadata of its field.
        choices: the allowed names, if the value is a name; else empty.
    """

    key: str
    kind: Any
    default: Any
    setting: Setting
    choices: tuple[str, ...]

    @property
    def section(self) -> str:
        """The table of ``config.toml``; empty for a setting outside any."""
        return self.key.rpartition(".")[0]

    @property
    def field(self) -> str:
        """The name inside its section."""
        return self.key.rpartition(".")[2]

    @property
    def keyword(self) -> str:
        """The name of the option, as in Python; empty if there is none."""
        return "" if self.setting.option is None else self.setting.option.name or self.field

    @property
    def spelling(self) -> str:
        """The option as typed, such as ``--image-size``."""
        return f"--{self.keyword.replace('_', '-')}"

    @property
    def may_change(self) -> bool:
        """Whether a run can be continued with another value."""
        return self.setting.may_change or self.setting.is_limit

    def has_option(self, command: str) -> bool:
        """Return whether a command takes the setting as an option."""
        return self.setting.option is not None and command in self.setting.option.commands

    def value(self, config: BaseModel) -> Any:
        """Return the value of the setting in a whole configuration."""
        return getattr(getattr(config, self.section) if self.section else config, self.field)


def rows_of(model: type[BaseModel], section: str = "") -> Iterator[Row]:
    """Yield the settings of a configuration or of a section, in the order of their definition."""
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from rows_of(kind, name)
        else:
            key = f"{section}.{name}" if section else name
            yield Row(key, kind, field.get_default(call_default_factory=True), _meaning(field, key), _choices(field))


def _meaning(field: FieldInfo, key: str) -> Setting:
    settings = [item for item in field.metadata if isinstance(item, Setting)]
    if len(settings) != 1:
        raise TypeError(f"the setting '{key}' needs one Setting(...) beside its type.")
    return settings[0]


def _choices(field: FieldInfo) -> tuple[str, ...]:
    """Return the allowed names of a setting, or of each of its items."""
    for item in field.metadata:
        if isinstance(item, OneOf):
            return tuple(item.names)
    for kind in (field.annotation, *get_args(field.annotation)[:1]):
        if get_origin(kind) is Literal:
            return get_args(kind)
    return ()
