"""Reads every image of a source once and keeps what can be said of it; what it means is said in ``findings``."""

import errno
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

import numpy as np
from numpy.typing import NDArray

from biotune.datasets.image_set import TEXT, ImageSet
from biotune.errors import InputError
from biotune.images.decoding import ImageFacts, UnreadableImageError
from biotune.inspection.duplicates import Duplicates, find_duplicates
from biotune.inspection.near_duplicates import SIDE, Thumbnails, thumbnail
from biotune.pixels.cache_entry import Quarantined
from biotune.pixels.reading import Progress, read_all
from biotune.wording import file_size

Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Inspection:
    """What reading all n images of a source showed.

    Args:
        image_set: the source.
        readable: rows of the images that can be used, ascending, shape (m,).
        quarantined: the others, in order, with the reasons.
        widths: in pixels, upright, of the readable images, shape (m,).
        heights: in pixels, upright, shape (m,).
        formats: number of readable images by format; ``pixels`` for those that are not files.
        modes: number by the way the pixels are stored.
        notes: number by what was done to the pixels.
        noted: the first rows with each note, at most four.
        duplicates: groups of copies, by rows of the source.
    """

    image_set: ImageSet
    readable: Rows
    quarantined: tuple[Quarantined, ...]
    widths: NDArray[np.int32]
    heights: NDArray[np.int32]
    formats: dict[str, int]
    modes: dict[str, int]
    notes: dict[str, int]
    noted: dict[str, tuple[int, ...]]
    duplicates: tuple[Duplicates, ...]


_FIRST_ROWS = 4


def inspect(image_set: ImageSet, progress: Progress | None = None) -> Inspection:
    """Decode every image once, in parallel, and look for duplicates.

    What is kept takes 0.1 KiB an image; see ``find_duplicates`` for the search. Thumbnails, 3 KiB each, are in a
    temporary file until it is done. ``progress`` is called with (images done, images in all), from the calling thread.

    Raises InputError: the set holds texts.
    """
    if image_set.kind == TEXT:
        raise InputError(
            f"'{image_set.name}' holds texts; biotune check looks at images alone. A run names the texts that cannot "
            "be read, and those that are in several of its parts."
        )
    count = len(image_set)
    sizes = np.zeros((count, 2), dtype=np.int32)
    hashes = np.zeros((2, count, 32), dtype=np.uint8)
    counted = Counter[str](), Counter[str](), Counter[str]()
    noted: dict[str, tuple[int, ...]] = {}
    quarantined: list[Quarantined] = []
    with _scratch(max(count, 1) * SIDE * SIDE * 3) as scratch:
        pictures = np.memmap(scratch, dtype=np.uint8, mode="r+", shape=(max(count, 1), SIDE, SIDE, 3))
        for row, result in read_all(image_set, lambda image, facts: (facts, thumbnail(image))):
            if isinstance(result, UnreadableImageError):
                quarantined.append(Quarantined(image_set.ids[row], result.reason))
            else:
                facts, pictures[row] = result
                sizes[row] = facts.width, facts.height
                hashes[:, row] = np.frombuffer(facts.digest + facts.difference_hash, dtype=np.uint8).reshape(2, 32)
                for counter, names in zip(counted, _names(facts), strict=True):
                    counter.update(names)
                for note in facts.notes:
                    noted[note] = (*noted.get(note, ()), row)[:_FIRST_ROWS]
            if progress is not None:
                progress(row + 1, count)
        readable = np.flatnonzero(sizes[:, 0] > 0)
        duplicates = _duplicates(readable, hashes, pictures)
    formats, modes, notes = (dict(counter.most_common()) for counter in counted)
    return Inspection(
        image_set=image_set,
        readable=readable,
        quarantined=tuple(quarantined),
        widths=sizes[readable, 0],
        heights=sizes[readable, 1],
        formats=formats,
        modes=modes,
        notes=notes,
        noted=noted,
        duplicates=duplicates,
    )


@contextmanager
def _scratch(size: int) -> Iterator[IO[bytes]]:
    """Yield a temporary file with room for so many bytes: a full disk would end a mapped file by a signal."""
    try:
        with tempfile.TemporaryFile(prefix="biotune-") as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
            else:
                file.truncate(size)
            yield file
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise InputError(
            f"the folder for temporary files, '{tempfile.gettempdir()}', has no room for {file_size(size)} of "
            "thumbnails; make room, or name another folder in TMPDIR."
        ) from None


def _names(facts: ImageFacts) -> tuple[tuple[str, ...], ...]:
    return (facts.format or "pixels",), (facts.mode,), facts.notes


def _duplicates(readable: Rows, hashes: NDArray[np.uint8], pictures: Thumbnails) -> tuple[Duplicates, ...]:
    """Search among the readable images; return groups by rows of the source."""
    digests, hashes = hashes[0, readable], hashes[1, readable]
    groups = find_duplicates(digests, hashes, lambda rows: np.asarray(pictures[readable[rows]]))
    return tuple(Duplicates(group.kind, tuple(readable[list(group.rows)].tolist())) for group in groups)
