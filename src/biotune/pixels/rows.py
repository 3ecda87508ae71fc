"""Decoded images and encoded texts as the trainer asks for them: rows, stored or decoded when they are needed."""

import warnings
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from biotune.datasets.image_set import ImageSet
from biotune.errors import InputError
from biotune.images.decoding import UnreadableImageError, decode_with_facts
from biotune.images.resizing import resize
from biotune.pixels.facts_table import FactsTable
from biotune.pixels.reading import num_threads
from biotune.records import Preprocessing

Indices = NDArray[np.int64]
_Decoding = list[Future[NDArray[np.uint8]]]


class ImageRows(Protocol):
    """Images, or texts, that are looked up by their indices, as in a NumPy array."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Images, height, width and 3; texts and the length of a row."""

    def __len__(self) -> int:
        """Return the number of images."""

    def __getitem__(self, rows: Indices, /) -> NDArray[Any]:
        """Return the pixels of images, uint8 (len(rows), height, width, 3), or tokens, int32 (len(rows), length)."""


class ChosenImages:
    """Some of many images, in a given order: those that could be read, say. Nothing is copied."""

    def __init__(self, whole: ImageRows, rows: Indices) -> None:
        self._whole = whole
        self._rows = rows

    def by_reference(self) -> "ChosenImages":
        """See the function of this name."""
        return ChosenImages(by_reference(self._whole), self._rows)

    def in_memory(self) -> "ChosenImages":
        """See the function of this name."""
        return ChosenImages(in_memory(self._whole), self._rows)

    @property
    def shape(self) -> tuple[int, ...]:
        """Images, height, width and 3."""
        return (len(self._rows), *self._whole.shape[1:])

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, rows: Indices, /) -> NDArray[Any]:
        return self._whole[self._rows[rows]]

    def expect(self, parts: Sequence[Indices]) -> None:
        """Announce the batches to come, in order."""
        expect(self._whole, [self._rows[rows] for rows in parts])


@dataclass(frozen=True, eq=False)
class TokenRows:
    """Encoded texts in memory, int32 tokens of shape (n, length): small enough to be sent to another process."""

    tokens: NDArray[np.int32]

    @property
    def shape(self) -> tuple[int, ...]:
        """Texts and the length of a row."""
        return self.tokens.shape

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, rows: Indices, /) -> NDArray[np.int32]:
        return self.tokens[rows]


class StoredImages:
    """Images in a NumPy file, which is mapped when they are first needed: pickled, it is its path and nothing else."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._pixels: NDArray[np.uint8] | None = None

    def __reduce__(self) -> tuple[object, ...]:
        return StoredImages, (self._path,)

    @property
    def shape(self) -> tuple[int, ...]:
        """Images, height, width and 3."""
        return self._open().shape

    def __len__(self) -> int:
        return len(self._open())

    def __getitem__(self, rows: Indices, /) -> NDArray[np.uint8]:
        return self._open()[rows]

    def _open(self) -> NDArray[np.uint8]:
        if self._pixels is None:
            self._pixels = np.load(self._path, mmap_mode="r")
        return self._pixels


def by_reference(images: ImageRows) -> ImageRows:
    """Return the same images in a form that can be sent to another process without their pixels.

    They are known by the path of the file that holds them, or by the files that they are decoded from; texts are sent
    as they are.
    Raises InputError: they are decoded whenever they are needed from something that only this process has.
    """
    if isinstance(images, np.memmap) and images.filename is not None:
        return StoredImages(Path(images.filename))
    if isinstance(images, ChosenImages):
        return images.by_reference()
    if isinstance(images, TokenRows) or (isinstance(images, ImagesOnDemand) and images.are_files):
        return images
    raise InputError(
        "these images are in the memory of this process, so that other processes cannot read them; keep the decoded "
        "images on disk (--cache-gib), or use --workers 1 without --executor and --devices-per-training."
    )


def in_memory(images: ImageRows) -> ImageRows:
    """Return the same images, those of a file in memory, where they are sent as one array."""
    if isinstance(images, ChosenImages):
        return images.in_memory()
    return np.asarray(images) if isinstance(images, np.memmap) else images


class ImagesOnDemand:
    """Images that are decoded again whenever they are asked for, with the pixels that a file of them would hold.

    Threads decode; at most one announced batch waits. An image whose content is no longer what it was when it was first
    decoded is refused, since results would then depend on when it was read.
    """

    def __init__(self, image_set: ImageSet, preprocessing: Preprocessing, facts: FactsTable) -> None:
        self._image_set = image_set
        self._preprocessing = preprocessing
        self._digests = facts.digests
        self._pool = ThreadPoolExecutor(num_threads(), thread_name_prefix="decode")
        self._plan = deque[Indices]()
        self._ahead: _Decoding = []
        self._facts = facts
        # Not ``quiet``, which holds for everything: these threads may decode at any time until the end of the run.
        warnings.filterwarnings("ignore", module=r"(PIL|pydicom|tifffile)\.")

    def __reduce__(self) -> tuple[object, ...]:
        return ImagesOnDemand, (self._image_set, self._preprocessing, self._facts)

    @property
    def are_files(self) -> bool:
        """Whether each image is a file of its own."""
        return self._image_set.files is not None

    @property
    def shape(self) -> tuple[int, ...]:
        """Images, height, width and 3."""
        size = self._preprocessing.image_size
        return len(self), size, size, 3

    def __len__(self) -> int:
        return len(self._image_set)

    def __getitem__(self, rows: Indices, /) -> NDArray[np.uint8]:
        if self._plan and np.array_equal(self._plan[0], rows):
            decoding = self._ahead
            self._plan.popleft()
            self._ahead = self._begin(self._plan[0]) if self._plan else []
        else:
            decoding = self._begin(rows)
        pixels = np.empty((len(rows), *self.shape[1:]), dtype=np.uint8)
        for place, future in zip(pixels, decoding, strict=True):
            place[...] = future.result()
        return pixels

    def expect(self, parts: Sequence[Indices]) -> None:
        """Announce the batches to come, in order; each is decoded while the one before it is worked on."""
        for future in self._ahead:
            future.cancel()
        self._plan = deque(parts)
        self._ahead = self._begin(parts[0]) if parts else []

    def _begin(self, rows: Indices) -> _Decoding:
        return [self._pool.submit(self._decode, row) for row in rows.tolist()]

    def _decode(self, row: int) -> NDArray[np.uint8]:
        try:
            image, facts = decode_with_facts(self._image_set.image(row))
        except UnreadableImageError:
            facts = None
        if facts is None or facts.digest != self._digests[row].tobytes():
            raise InputError(
                f"the image '{self._image_set.ids[row]}' is no longer what it was when it was first decoded; bring the "
                "old file back, or begin a new run."
            )
        return resize(image, self._preprocessing)


def expect(images: ImageRows, parts: Sequence[Indices]) -> None:
    """Announce which batches will be asked for, in order, where that saves time."""
    if isinstance(images, ChosenImages | ImagesOnDemand):
        images.expect(parts)
