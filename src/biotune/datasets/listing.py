"""From images that are listed one by one to an image set; classes are matched by name over all splits."""

import os
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from biotune.datasets.image_set import IMAGE, ImageReader, ImageSet
from biotune.errors import InputError
from biotune.wording import listed, plural, quoted

SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
"""How a split may be named, in lower case, and which one it is."""


class Listing:
    """Labelled images, collected one after the other in columns, so that a million of them stay small."""

    def __init__(self, name: str, grouped: bool = False) -> None:
        self.name = name
        self.ids: list[str] = []
        self._classes: list[str] = []
        self._splits: list[str] = []
        self._groups: list[str] | None = [] if grouped else None
        self._texts: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self.ids)

    def add(self, image_id: str, class_name: str, split: str = "", group: str = "") -> None:
        """Add an image by its unique id, often a path; an empty group stands for a group of its own."""
        self.ids.append(readable(image_id))
        self._classes.append(self._shared(class_name))
        self._splits.append(split)
        if self._groups is not None:
            self._groups.append(self._shared(group) if group else group_of_one(self.ids[-1]))

    def _shared(self, text: str) -> str:
        """Return the one copy of a text that occurs often, as it is written."""
        if text not in self._texts:
            self._texts[text] = written(text)
        return self._texts[text]

    def image_set(
        self,
        *,
        files: Sequence[Path] | None = None,
        arrays: NDArray[np.uint8] | None = None,
        reader: ImageReader | None = None,
        class_names: Sequence[str] = (),
        empty_classes: Iterable[str] = (),
        notes: tuple[str, ...] = (),
        kind: str = IMAGE,
    ) -> ImageSet:
        """Return the images as a set, in the order in which they were added.

        They are ``files``, one per image, ``arrays`` with the pixels of all, or behind a ``reader``. ``class_names``
        gives the order of the classes; empty: sorted, by value if all of them are whole numbers. ``empty_classes`` are
        kept though they have no image; others without one are left out. ``kind`` is ``IMAGE`` or ``TEXT``.

        Raises InputError: an image of a class that is none of ``class_names``, or two of them are the same.
        """
        present = {*self._classes, *map(self._shared, empty_classes)}
        known = class_list(class_names)
        if known and (unknown := sorted(present.difference(known))):
            raise InputError(
                f"the label '{unknown[0]}' is none of the {len(known)} classes that the data set names "
                f"({listed(known)}); add it to their names, or leave its {kind}s out."
            )
        names = tuple(name for name in known if name in present) if known else sorted_names(present)
        labels = {class_name: label for label, class_name in enumerate(names)}
        return ImageSet(
            name=self.name,
            ids=tuple(self.ids),
            labels=np.array([labels[class_name] for class_name in self._classes], dtype=np.int64),
            class_names=names,
            splits=tuple(self._splits),
            groups=None if self._groups is None else tuple(self._groups),
            files=files,
            arrays=arrays,
            reader=reader,
            notes=notes,
            kind=kind,
        )


def group_of_one(image_id: str) -> str:
    """Return what the group of an image is called that is in no group with others."""
    return f"only {image_id}"


def readable(name: str) -> str:
    """Return a file name as text that every writer accepts: bytes that are not UTF-8 are written as escapes."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return os.fsencode(name).decode("utf-8", errors="backslashreplace")
    return name


def written(text: str) -> str:
    """Return the name of a class or group as it is written everywhere: readable, and normalised (Unicode NFC)."""
    return readable(unicodedata.normalize("NFC", text))


def class_list(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names that a data set gives its classes, by label, as they are written.

    Raises InputError: two of them are the same.
    """
    label_of: dict[str, int] = {}
    for label, name in enumerate(map(written, names)):
        if name in label_of:
            raise InputError(
                f"the classes {label_of[name]} and {label} of the data set are both called '{name}'; give each a name "
                "of its own (.classes of a PyTorch data set), or their images one label if they are one class."
            )
        label_of[name] = label
    return tuple(label_of)


def names_alike(class_names: Iterable[str]) -> str:
    """Return a sentence about classes whose names differ in capitals, blanks or invisible characters; often empty."""
    groups: dict[str, list[str]] = {}
    for name in class_names:
        shown = "".join("" if _is_invisible(char) else char for char in unicodedata.normalize("NFKC", name))
        groups.setdefault(shown.casefold(), []).append(_with_escapes(name))
    alike = [names for key, names in groups.items() if len(names) > 1 and len(key) > 1]  # single letters may be meant
    if not alike:
        return ""
    return (
        f"{plural(sum(map(len, alike)), 'class', 'classes')} whose names look alike ({quoted(alike[0])}): they "
        "differ in capitals, blanks or invisible characters only; give the images of one class one name."
    )


def _is_invisible(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp", "Zs")


def _with_escapes(name: str) -> str:
    """Return a name with escapes for invisible characters other than the blank."""
    return "".join(ascii(char)[1:-1] if _is_invisible(char) and char != " " else char for char in name)


def sorted_names(names: set[str]) -> tuple[str, ...]:
    """Return class names in their order: by value if all are whole numbers, else by text."""
    if all(name.isascii() and name.isdigit() for name in names):
        return tuple(sorted(names, key=lambda name: (int(name), name)))
    return tuple(sorted(names))
