"""What all results have in common: immutable typed data whose fields are described."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from biotune.errors import DamagedStateError, InputError

NamedValues = dict[str, bool | int | float | str]
"""Named values of a recipe: settings of a training that it brings along."""


class Part(BaseModel):
    """A piece of a result. The description of a field is its line in the tables of docs/."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    def to_json(self) -> dict[str, Any]:
        """Return JSON-able data."""
        return self.model_dump(mode="json", by_alias=True)


class Document(Part):
    """A result that is a file of its own."""

    VERSION: ClassVar[int]
    """Version of the format that is written; older ones are still read."""

    schema_version: int

    @classmethod
    def from_json(cls, content: Mapping[str, Any], name: str) -> Self:
        """Return the result that JSON data holds, of this version of the format or an older one.

        What an older format lacks is filled in by the validators of the parts, next to the fields; ``name`` is for
        messages. Raises InputError: a newer version of biotune wrote it; DamagedStateError: a key is missing or has a
        wrong type.
        """
        version = content.get("schema_version", 0)
        if isinstance(version, int) and version > cls.VERSION:
            raise InputError(f"'{name}' has format {version}, which only a newer version of biotune can read.")
        try:
            return cls.model_validate({**content, "schema_version": cls.VERSION})
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(map(str, first["loc"]))
            raise DamagedStateError(f"'{name}' is damaged ({key}: {first['msg']}).") from None

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return the result that a file holds.

        Raises InputError: a newer version of biotune wrote it; DamagedStateError: the file is damaged.
        """
        try:
            content = path.read_bytes()
        except OSError as error:
            raise DamagedStateError(f"'{path}' is damaged ({error}).") from None
        return cls.parse(content, str(path))

    @classmethod
    def parse(cls, content: bytes, name: str) -> Self:
        """Return the result that the content of a file holds; ``name`` is for messages, and it raises as ``read``."""
        try:
            data = json.loads(content.decode())
        except RecursionError:
            raise DamagedStateError(f"'{name}' is damaged (it has too many levels).") from None
        except ValueError as error:
            raise DamagedStateError(f"'{name}' is damaged ({error}).") from None
        if not isinstance(data, dict):
            raise DamagedStateError(f"'{name}' is damaged (it does not hold an object).")
        return cls.from_json(data, name)
