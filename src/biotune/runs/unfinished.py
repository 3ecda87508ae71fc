"""The best model so far of an unfinished run: it exists from the first training on and is replaced atomically.

``unfinished.json`` names the model by the digest of its weights and holds everything else about it: writing this file
replaces the old model by the new one. The new weights are written before it, and moved to their place after it.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from biotune.errors import DamagedStateError
from biotune.runs import folder as files
from biotune.runs.files import move_atomic, remove, write_atomic, write_json

_ATTEMPTS = 5
"""Tries to read a model while the run may replace it, chosen by hand: replacing takes far less time than a training."""


@dataclass(frozen=True)
class Unfinished:
    """The content of ``unfinished.json``.

    Args:
        what: which model it is, in words.
        fitness: fitness on the validation images; 0 where it learnt from them.
        weights: SHA-256 of the safetensors file, hexadecimal.
        recipe: text of ``recipe.yaml``.
        labels: class names by output index.
        preprocessing: ``Preprocessing.to_json()``.
        data: name of the data set.
    """

    what: str
    fitness: float
    weights: str
    recipe: str
    labels: list[str]
    preprocessing: dict[str, Any]
    data: str

    def sentence(self, folder: Path) -> str:
        """Return a sentence saying that the run is not finished, and which model it has."""
        scored = f" (fitness {self.fitness:.4f} on the validation images)" if self.fitness else ""
        return f"The run in '{folder}' is not finished; its best model so far is {self.what}{scored}."


def digest(content: bytes) -> str:
    """Return the SHA-256 of a safetensors file, as in ``Unfinished.weights``."""
    return hashlib.sha256(content).hexdigest()


def replace_model(folder: Path, content: bytes, about: Unfinished) -> None:
    """Put a model into a run folder, which the caller has locked.

    A kill at any moment leaves the old model or the new one, complete: the content of a safetensors file, and all else
    about the model.
    """
    write_atomic(folder / files.NEXT_MODEL, content)
    write_json(folder / files.UNFINISHED, asdict(about))
    settle(folder)


def settle(folder: Path) -> None:
    """Make the files of a run folder agree with ``unfinished.json``, also after a kill; without it, do nothing.

    The recipe never accompanies other weights: it is removed before they are replaced and written afterwards.
    """
    about = about_model(folder)
    if about is None:
        return
    following = folder / files.NEXT_MODEL
    if following.exists() and digest(following.read_bytes()) == about.weights:
        remove(folder / files.RECIPE)
        move_atomic(following, folder / files.MODEL)
    remove(following)
    write_json(folder / files.LABELS, about.labels)
    write_json(folder / files.PREPROCESSING, about.preprocessing)
    write_atomic(folder / files.RECIPE, about.recipe)


def about_model(folder: Path) -> Unfinished | None:
    """Return the content of ``unfinished.json``, None if there is no such file, or the folder is none.

    Raises DamagedStateError: the file is damaged.
    """
    path = folder / files.UNFINISHED
    try:
        return Unfinished(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        if not folder.is_dir():  # a file, or a link that leads back to itself
            return None
        raise DamagedStateError(f"'{path}' is damaged ({error}); delete it and continue the run.") from None


def read_model(folder: Path) -> tuple[Unfinished, bytes] | None:
    """Return the model of an unfinished run, None if there is none; safe while the run is going on.

    It is the content of ``unfinished.json`` and that of the safetensors file. Raises DamagedStateError: a file is
    missing or damaged.
    """
    for _ in range(_ATTEMPTS):  # the run may replace the model between two reads
        about = about_model(folder)
        if about is None:
            return None
        for path in (folder / files.MODEL, folder / files.NEXT_MODEL):
            content = path.read_bytes() if path.exists() else b""
            if digest(content) == about.weights:
                return about, content
    raise DamagedStateError(f"'{folder / files.MODEL}' is missing or damaged; continue the run, or start a new one.")
