"""A named data set: where it is stored, how it gets there, and how its parts become one image set."""

import importlib.util
import os
import shlex
import tarfile
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from platformdirs import user_cache_path

from biotune.datasets.image_set import ImageSet
from biotune.errors import InputError
from biotune.user_files import user_path

DIGITS = tuple("0123456789")
"""Class names of every set of digits, so that a network trained on one can be scored on another."""

_DAMAGE = (
    *(OSError, EOFError, RuntimeError, ValueError, LookupError, TypeError, AssertionError),
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error),
)
"""Errors that readers raise for files that are truncated, damaged or of another kind than their name says."""

_NAMES_SHOWN = 3
"""Missing files that an error names."""

Finder = Callable[[Path], Path | None]
"""Function from the data root to the place of the data, None if they are missing."""


class LabelledFile(NamedTuple):
    """One image of a data set of files."""

    file: Path
    class_name: str
    split: str
    group: str = ""


@dataclass(frozen=True)
class DatasetInfo:
    """A named data set.

    Args:
        name: the name that users write.
        description: one line.
        images: number of images.
        classes: number of classes.
        source: ``package`` if a command installs it; ``download`` if it is fetched at first use, or by hand.
        bring: the command, or where to fetch it from; ``{root}`` stands for the data root.
        find: takes the data root; returns the place of the data, None if they are missing. It reads no image.
        read: takes that place; returns the images.
        fetch: downloads the data into the data root; None if only the user can.
    """

    name: str
    description: str
    images: int
    classes: int
    source: Literal["package", "download"]
    bring: str
    find: Finder
    read: Callable[[Path], ImageSet]
    fetch: Callable[[Path], None] | None = None

    def load(self, root: str | Path | None = None) -> ImageSet:
        """Return the images, with their official splits; ``root`` is as for ``data_root``.

        Raises InputError: the data are missing and cannot be fetched, or they cannot be read.
        """
        folder = data_root(root)
        place = self.find(folder)
        notes: tuple[str, ...] = ()
        if place is None and self.fetch is not None:
            self.fetch(folder)
            place = self.find(folder)
            notes = (f"Fetched '{self.name}' into '{folder}'.",)
        if place is None:
            raise InputError(f"the data set '{self.name}' is not here; {self.how(folder)}.")
        try:
            images = self.read(place)
        except InputError:
            raise
        except _DAMAGE as error:
            raise InputError(
                f"the files of the data set '{self.name}' in '{place}' are damaged or incomplete "
                f"({' '.join(str(error).split())}); remove them, then {self.how(folder)}."
            ) from None
        return replace(images, notes=(*images.notes, *notes))

    def how(self, root: str | Path | None = None) -> str:
        """Return what the user has to do to get the data, as the end of a sentence."""
        bring = self.bring_into(data_root(root))
        if self.source == "package":
            return f"run: {bring}"
        if self.fetch is not None:
            return f"run the command again to fetch it from {bring}"
        return f"unpack the files of {bring} into '{data_root(root) / self.name}'"

    def bring_into(self, root: Path) -> str:
        """Return the command, or where to fetch the data from, for a data root."""
        return self.bring.replace("{root}", shlex.quote(str(root)))

    def to_json(self, root: Path, place: Path | None) -> dict[str, object]:
        """Return the row of ``biotune datasets``; ``place`` is the result of ``find``."""
        return {
            "name": self.name,
            "description": self.description,
            "images": self.images,
            "classes": self.classes,
            "source": self.source,
            "install": self.bring_into(root),
            "installed": place is not None,
            "place": None if place is None else str(place),
        }


def data_root(chosen: str | Path | None = None) -> Path:
    """Return the folder of downloaded data: ``chosen``, BIOTUNE_DATA or ``biotune/data`` in the user's cache folder.

    It need not exist. Raises InputError: it is not a folder.
    """
    if folder := chosen or os.environ.get("BIOTUNE_DATA"):
        path = user_path(folder, "folder of the data sets (--data-root or BIOTUNE_DATA)")
        if path.exists() and not path.is_dir():
            raise InputError(
                f"'{path}' (--data-root or BIOTUNE_DATA) is not a folder; give the folder of the data sets."
            )
        return path
    return user_cache_path("biotune", appauthor=False) / "data"


def in_package(inside: str) -> Finder:
    """Return a finder of a file or folder of an installed package, which is not imported: ``sklearn/datasets/data``."""

    def find(_root: Path) -> Path | None:
        module, _, rest = inside.partition("/")
        spec = importlib.util.find_spec(module)
        folders = spec.submodule_search_locations if spec else None
        return first_existing(*(Path(folder, rest) for folder in folders or ()))

    return find


def first_existing(*paths: Path) -> Path | None:
    """Return the first path that exists, or None."""
    return next((path for path in paths if path.exists()), None)


def in_memory(
    name: str, class_names: Sequence[str], parts: Mapping[str, tuple[NDArray[np.uint8], NDArray[np.int64]]]
) -> ImageSet:
    """Make an image set from the arrays of each split; the id of an image is ``<name>/<index>``.

    The pixels of a split have the shape (n, height, width, 1 or 3), its labels (n,).
    """
    labels = np.concatenate([part for _, part in parts.values()]).astype(np.int64)
    return ImageSet(
        name=name,
        ids=tuple(f"{name}/{index}" for index in range(len(labels))),
        labels=labels,
        class_names=tuple(class_names),
        splits=tuple(split for split, (_, part) in parts.items() for _ in range(len(part))),
        arrays=np.concatenate([pixels for pixels, _ in parts.values()]),
    )


def from_files(name: str, root: Path, class_names: Sequence[str], rows: Sequence[LabelledFile]) -> ImageSet:
    """Make an image set from files in ``root``; an image's id is its path relative to it.

    Either all images have a group or none has. Raises InputError: some of the files are missing; counts them and names
    a few.
    """
    if lacking := _lacking([row.file for row in rows]):
        shown = ", ".join(path.name for path in lacking[:_NAMES_SHOWN])
        raise InputError(
            f"{len(lacking)} of the {len(rows)} images of the data set '{name}' are not in '{root}' (for example "
            f"{shown}); unpack its archives again, completely."
        )
    label_of = {class_name: label for label, class_name in enumerate(class_names)}
    return ImageSet(
        name=name,
        ids=tuple(row.file.relative_to(root).as_posix() for row in rows),
        labels=np.array([label_of[row.class_name] for row in rows], dtype=np.int64),
        class_names=tuple(class_names),
        splits=tuple(row.split for row in rows),
        groups=tuple(row.group for row in rows) if any(row.group for row in rows) else None,
        files=tuple(row.file for row in rows),
    )


def _lacking(files: Sequence[Path]) -> list[Path]:
    """Return the files that do not exist; every folder is listed once, which is faster than checking each file."""
    names_in: dict[Path, set[str]] = defaultdict(set)
    for folder in {file.parent for file in files}:
        if folder.is_dir():
            names_in[folder] = set(os.listdir(folder))  # noqa: PTH208 - names alone, for tens of thousands of files
    return [file for file in files if file.name not in names_in[file.parent]]
