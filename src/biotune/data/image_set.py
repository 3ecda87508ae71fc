"""What a source of labelled images is, wherever it came from; pixels are not read here."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from biotune.errors import InputError

SPLITS = ("train", "validation", "test", "")
"""What an image can be assigned to; the empty text leaves it to the split."""


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Labelled images, as files or as pixels in memory.

    Args:
        name: of the folder, file or named data set.
        ids: unique and stable: the path relative to the source, or ``<data set>/<index>``; sorted for folders.
        labels: index into ``class_names``, shape (n,).
        class_names: unique; sorted for folders and CSV files.
        splits: ``train``, ``validation``, ``test`` or an empty text for every image.
        groups: images of one group (a patient, a photo) never straddle a split; None: every image is its own group.
        files: one per image, or None.
        arrays: uint8 pixels, shape (n, height, width, 1 or 3), or None; either ``files`` or ``arrays`` is given.
        notes: what was ignored, as sentences for the user.
    """

    name: str
    ids: tuple[str, ...]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    splits: tuple[str, ...]
    groups: tuple[str, ...] | None
    files: tuple[Path, ...] | None
    arrays: NDArray[np.uint8] | None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if (self.files is None) == (self.arrays is None):
            raise InputError(f"the image set '{self.name}' needs either files or arrays, exactly one of them.")
        columns = (self.labels, self.splits, self.groups, self.files, self.arrays)
        lengths = {len(self.ids), *(len(column) for column in columns if column is not None)}
        if len(lengths) > 1:
            raise InputError(f"the columns of the image set '{self.name}' differ in length: {sorted(lengths)}.")
        if unknown := set(self.splits) - set(SPLITS):
            raise InputError(f"unknown split '{min(unknown)}' in the image set '{self.name}': use one of {SPLITS}.")

    def __len__(self) -> int:
        return len(self.ids)

    def image(self, index: int) -> Path | NDArray[np.uint8]:
        """Return where one image comes from: its file, or its pixels of shape (height, width, 1 or 3)."""
        if self.files is not None:
            return self.files[index]
        pixels: NDArray[np.uint8] = self.arrays[index]  # type: ignore[index]  # exactly one of both is given
        return pixels

    def subset(self, indices: Sequence[int] | NDArray[np.int64]) -> "ImageSet":
        """Return the images at ``indices``, in that order, with all class names kept."""
        rows = np.asarray(indices, dtype=np.int64)
        return ImageSet(
            name=self.name,
            ids=tuple(self.ids[row] for row in rows),
            labels=self.labels[rows],
            class_names=self.class_names,
            splits=tuple(self.splits[row] for row in rows),
            groups=None if self.groups is None else tuple(self.groups[row] for row in rows),
            files=None if self.files is None else tuple(self.files[row] for row in rows),
            arrays=None if self.arrays is None else self.arrays[rows],
            notes=self.notes,
        )
