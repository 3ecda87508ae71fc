"""Which networks there are, and which one a name means."""

import difflib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import timm
import torchvision

from biotune.errors import InputError

Library = Literal["timm", "torchvision", "hf", "image", "text"]
LIBRARIES: tuple[Library, ...] = ("timm", "torchvision")
"""The libraries that list their networks, in the order in which a name without prefix is looked up."""

OWN_NETWORKS: dict[str, tuple[str, ...]] = {"image": ("mlp",), "text": ("lstm", "mean")}
"""The small networks that BioTune builds itself, ``image:NAME`` and ``text:NAME``."""

TOKENIZER = "tokenizer.json"
"""What a folder of ``transformers`` holds beside a network of texts, as its fast tokenizers save themselves."""

_IMAGE_PROCESSOR = "preprocessor_config.json"
"""What a folder holds beside a network of images, those of images and texts included."""

OWN = "module"
"""Stands for the library in the canonical name of a module that was given in Python."""


@dataclass(frozen=True)
class ModelName:
    """A network of a library.

    Args:
        library: ``timm``, ``torchvision``, ``hf`` (Hugging Face ``transformers``), or BioTune's own, ``image`` and
            ``text``.
        architecture: the library's own name; timm's may carry a tag of pretrained weights, as in ``resnet50.a1_in1k``;
            that of ``hf`` is the absolute path of a folder, or a name on the hub.
    """

    library: Library
    architecture: str

    def __str__(self) -> str:
        return f"{self.library}:{self.architecture}"


def model_names(contains: str = "") -> tuple[str, ...]:
    """Return the canonical names, such as ``timm:resnet50``, that contain a text, ignoring case; timm's come first."""
    names = [f"{library}:{name}" for library in LIBRARIES for name in _architectures(library)]
    names += [f"{library}:{name}" for library, own in OWN_NETWORKS.items() for name in own]
    return tuple(name for name in names if contains.lower() in name)


def resolve_name(name: str) -> ModelName:
    """Return the library of the network that a name means, and the name within it.

    A name is ``timm:NAME``, ``torchvision:NAME``, ``hf:FOLDER``, ``hf:ORG/NAME``, ``image:NAME``, ``text:NAME``, or
    ``NAME`` alone: timm's if it has one, else torchvision's, else that of ``image``; case is ignored but for ``hf``.
    Raises InputError: no library has this name, or its tag is unknown; the message holds the nearest names.
    """
    prefix, colon, architecture = name.partition(":")
    if not colon:
        prefix, architecture = "", name
    if prefix == OWN:
        raise InputError(f"'{name}' is a module that only Python can give: biotune.tune(data, model=...).")
    if prefix in ("image", "text"):
        return ModelName("image" if prefix == "image" else "text", _own(prefix, architecture))
    if prefix == "hf":
        return ModelName("hf", _folder_or_repository(architecture))
    if colon and prefix not in LIBRARIES:
        raise InputError(
            f"'{name}' names the unknown library '{prefix}'; write timm:NAME, torchvision:NAME or hf:FOLDER, or "
            "text:NAME for texts."
        )
    for library in LIBRARIES:
        if prefix in ("", library) and _has(library, architecture.lower()):
            return ModelName(library, architecture.lower())
    if not colon and name.lower() in OWN_NETWORKS["image"]:
        return ModelName("image", name.lower())
    raise InputError(f"there is no network '{name}'{_nearest(prefix, architecture)}; `biotune models` lists them.")


def takes_texts(name: str) -> bool:
    """Return whether a name means a network of texts; of ``hf:FOLDER``, the files in the folder say so."""
    prefix, _, rest = name.partition(":")
    folder = Path(rest).expanduser()
    return prefix == "text" or (
        prefix == "hf" and (folder / TOKENIZER).is_file() and not (folder / _IMAGE_PROCESSOR).is_file()
    )


def _own(library: str, name: str) -> str:
    if name.lower() not in OWN_NETWORKS[library]:
        names = " and ".join(f"{library}:{known}" for known in OWN_NETWORKS[library])
        raise InputError(f"there is no network '{library}:{name}'; those of {library}s: {names}.")
    return name.lower()


def _folder_or_repository(text: str) -> str:
    """The absolute path of a folder that exists, else a name of the form ORG/NAME."""
    folder = Path(text).expanduser()
    if text and folder.is_dir():
        return str(folder.resolve())
    if not text:
        raise InputError("'hf:' names no network; write hf:FOLDER, or hf:ORG/NAME for the Hugging Face hub.")
    if not re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", text):
        raise InputError(f"there is no folder '{text}'; write hf:FOLDER, or hf:ORG/NAME for the Hugging Face hub.")
    return text


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
    base, tag, _ = architecture.partition(".")
    candidates = {
        name: library for library in reversed(LIBRARIES) if prefix in ("", library) for name in _architectures(library)
    }
    if tag and candidates.get(base) == "timm":
        near = timm.list_pretrained(f"{base}.*")[:3]
    else:
        names = {_letters(name): name for name in sorted(candidates)}
        near = [names[letters] for letters in difflib.get_close_matches(_letters(base), names, n=3)]
    shown = ", ".join(f"{candidates.get(name, 'timm')}:{name}" for name in near)
    return f"; the nearest are {shown}" if shown else ""


def _letters(name: str) -> str:
    """The name as people remember it: without capitals, hyphens and underscores."""
    return name.lower().replace("-", "").replace("_", "")
