"""Which networks there are, and which one a name means."""

import difflib
from dataclasses import dataclass
from typing import Literal

import timm
import torchvision

from biotune.errors import InputError

Library = Literal["timm", "torchvision"]
LIBRARIES: tuple[Library, ...] = ("timm", "torchvision")
"""In the order in which a name without prefix is looked up."""


@dataclass(frozen=True)
class ModelName:
    """A network of a library.

    Args:
        library: ``timm`` or ``torchvision``.
        architecture: the library's own name; timm's may carry a tag of pretrained weights, as in ``resnet50.a1_in1k``.
    """

    library: Library
    architecture: str

    def __str__(self) -> str:
        return f"{self.library}:{self.architecture}"


def model_names(contains: str = "") -> tuple[str, ...]:
    """Return the canonical names, such as ``timm:resnet50``, that contain a text: timm's first."""
    return tuple(f"{library}:{name}" for library in LIBRARIES for name in _architectures(library) if contains in name)


def resolve_name(name: str) -> ModelName:
    """Return the network that a name means.

    Args:
        name: ``timm:NAME``, ``torchvision:NAME``, or ``NAME`` alone: timm's if it has one, else torchvision's.

    Returns:
        The library and the name within it.

    Raises:
        InputError: no library has this name, or its tag is unknown; the message holds the nearest names.
    """
    prefix, colon, architecture = name.rpartition(":")
    if colon and prefix not in LIBRARIES:
        raise InputError(f"'{name}' names the unknown library '{prefix}'; write timm:NAME or torchvision:NAME.")
    for library in LIBRARIES:
        if prefix in ("", library) and _has(library, architecture):
            return ModelName(library, architecture)
    raise InputError(f"there is no network '{name}'{_nearest(prefix, architecture)}; `biotune models` lists them.")


def _architectures(library: Library) -> list[str]:
    if library == "timm":
        return list(timm.list_models())
    return list(torchvision.models.list_models(module=torchvision.models))


def _has(library: Library, architecture: str) -> bool:
    base, _, tag = architecture.partition(".")
    if base not in _architectures(library):
        return False
    return not tag or (library == "timm" and architecture in timm.list_pretrained(f"{base}.*"))


def _nearest(prefix: str, architecture: str) -> str:
    base = architecture.lower().replace("-", "_").partition(".")[0]
    candidates = {
        name: library for library in reversed(LIBRARIES) if prefix in ("", library) for name in _architectures(library)
    }
    near = difflib.get_close_matches(base, sorted(candidates), n=3)
    if candidates.get(base) == "timm" and "." in architecture:
        near = timm.list_pretrained(f"{base}.*")[:3]
    shown = ", ".join(f"{candidates.get(name, 'timm')}:{name}" for name in near)
    return f"; the nearest are {shown}" if shown else ""
