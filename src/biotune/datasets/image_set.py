"""A set of labelled images or texts, wherever they come from; they are not read here."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from biotune.errors import InputError
from biotune.images.decoding import ImageSource

Item = TypeVar("Item")

IMAGE, TEXT = "image", "text"
"""What a set holds, in a word that messages use too."""

SPLITS = ("train", "validation", "test", "")
"""What an image can be assigned to; the empty text leaves it to the split."""


class ImageReader(Protocol):
    """Images or texts that are neither files nor one array: each is read when it is needed, from any thread."""

    @property
    def fingerprint(self) -> str:
        """A text that changes whenever an image does; part of the key of the decoded images."""

    def read(self, row: int) -> ImageSource:
        """Return one image."""


@dataclass(frozen=True)
class FilesBelow(Sequence[Path]):
    """Files under one folder, kept as short texts: a million of them take no more memory than their names.

    The names are relative to the root; absolute ones stand for themselves.
    """

    root: Path
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return FilesBelow(self.root, self.names[index])
        return self.root / self.names[index]

    def at(self, rows: NDArray[np.int64]) -> "FilesBelow":
        """Return the files at ``rows``, in that order."""
        return FilesBelow(self.root, tuple(self.names[row] for row in rows))


@dataclass(frozen=True)
class ChosenRows:
    """Some images of a reader, in the order of the rows, shape (n,)."""

    whole: ImageReader
    rows: NDArray[np.int64]

    @property
    def fingerprint(self) -> str:
        """Of the whole, and which rows are chosen."""
        return f"{self.whole.fingerprint} {hashlib.sha256(self.rows.tobytes()).hexdigest()}"

    def read(self, row: int) -> ImageSource:
        """Return one of the chosen images."""
        return self.whole.read(int(self.rows[row]))


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Labelled images, as files, as pixels in memory, or behind a reader; or texts, as files or behind a reader.

    Args:
        name: of the folder, file or named data set.
        ids: unique and stable: the path relative to the source, or ``<data set>/<index>``; sorted for folders.
        labels: index into ``class_names``, shape (n,).
        class_names: unique; sorted for folders and CSV files.
        splits: ``train``, ``validation``, ``test`` or an empty text for every image.
        groups: images of one group (a patient, a photo) never straddle a split; None: every image is its own group.
        files: one per image, or None.
        arrays: uint8 pixels, shape (n, height, width, 1 or 3), or None.
        notes: what was ignored, as sentences for the user.
        reader: reads image i by ``read(i)``, or None; exactly one of ``files``, ``arrays`` and ``reader`` is given.
        kind: ``IMAGE`` or ``TEXT``; files and reader then give the content of texts in UTF-8.
    """

    name: str
    ids: tuple[str, ...]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    splits: tuple[str, ...]
    groups: tuple[str, ...] | None = None
    files: Sequence[Path] | None = None
    arrays: NDArray[np.uint8] | None = None
    notes: tuple[str, ...] = ()
    reader: ImageReader | None = None
    kind: str = IMAGE

    def __post_init__(self) -> None:
        if sum(column is not None for column in (self.files, self.arrays, self.reader)) != 1:
            raise InputError(f"the image set '{self.name}' needs exactly one of files, arrays and a reader.")
        columns = (self.labels, self.splits, self.groups, self.files, self.arrays)
        lengths = {len(self.ids), *(len(column) for column in columns if column is not None)}
        if len(lengths) > 1:
            raise InputError(f"the columns of the image set '{self.name}' differ in length: {sorted(lengths)}.")
        if unknown := set(self.splits) - set(SPLITS):
            raise InputError(f"unknown split '{min(unknown)}' in the image set '{self.name}': use one of {SPLITS}.")

    def __len__(self) -> int:
        return len(self.ids)

    def image(self, index: int) -> ImageSource:
        """Return where one image comes from: its file, its content, or its pixels."""
        if self.files is not None:
            return self.files[index]
        if self.reader is not None:
            return self.reader.read(index)
        pixels: NDArray[np.uint8] = self.arrays[index]  # type: ignore[index]  # exactly one of the three is given
        return pixels

    def subset(self, indices: Sequence[int] | NDArray[np.int64]) -> "ImageSet":
        """Return the images at ``indices``, in that order, with all class names kept."""
        rows = np.asarray(indices, dtype=np.int64)
        return replace(
            self,
            ids=tuple(self.ids[row] for row in rows),
            labels=self.labels[rows],
            splits=tuple(self.splits[row] for row in rows),
            groups=_at(self.groups, rows),
            files=self.files.at(rows) if isinstance(self.files, FilesBelow) else _at(self.files, rows),
            arrays=None if self.arrays is None else self.arrays[rows],
            reader=None if self.reader is None else ChosenRows(self.reader, rows),
        )


def _at(column: Sequence[Item] | None, rows: NDArray[np.int64]) -> tuple[Item, ...] | None:
    return None if column is None else tuple(column[row] for row in rows)
