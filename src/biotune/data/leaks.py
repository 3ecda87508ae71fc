"""Which pictures are in several parts of a run, so that scores are too good; no file is opened here."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from biotune.data.cache import Decoded
from biotune.data.duplicates import Duplicates, find_duplicates
from biotune.data.image_set import ImageSet
from biotune.data.likeness import Thumbnails, thumbnail
from biotune.errors import InputError
from biotune.runs.files import write_atomic

_FORMAT = 1
_PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class Leak:
    """Copies of one picture in several parts.

    Args:
        kind: ``exact`` if all have the same bytes, else ``near``.
        paths: ids of the images.
        splits: the part of each: ``train``, ``validation`` or ``test``.
        classes: the class of each.
    """

    kind: str
    paths: tuple[str, ...]
    splits: tuple[str, ...]
    classes: tuple[str, ...]


def find_leaks(sides: Sequence[tuple[ImageSet, Decoded]], parts: Sequence[str], folder: Path) -> tuple[Leak, ...]:
    """Look for copies (see ``find_duplicates``) and return those that are in several parts.

    The decoded pixels are compared, as the network sees them. What was found is kept in the folder of the cache, beside
    the entries and under the same rules.

    Args:
        sides: image sets with their decoded images.
        parts: the part of every image, side after side.
        folder: of the cache.

    Returns:
        The leaks, ordered by their first image.
    """
    digests = np.concatenate([decoded.facts.digests for _, decoded in sides])
    readable = np.flatnonzero(digests.any(axis=1))
    ids = [image_id for image_set, _ in sides for image_id in image_set.ids]
    classes = [image_set.class_names[label] for image_set, _ in sides for label in image_set.labels]
    leaks = []
    for group in _copies(sides, digests, readable, folder):
        rows = readable[list(group.rows)]
        if len({parts[row] for row in rows}) > 1:
            named = (tuple(column[row] for row in rows) for column in (ids, parts, classes))
            leaks.append(Leak(group.kind, *named))
    return tuple(leaks)


def leak_note(leaks: Sequence[Leak]) -> str:
    """Return the sentence for the user, or an empty text where there is nothing to say."""
    if not leaks:
        return ""
    first = leaks[0]
    other = next(place for place, part in enumerate(first.splits) if part != first.splits[0])
    pairs = sorted(
        {tuple(sorted(set(leak.splits), key=_PARTS.index)) for leak in leaks},
        key=lambda names: [_PARTS.index(name) for name in names],
    )
    between = ", ".join(" and ".join(names) for names in pairs)
    return (
        f"{len(leaks):,} picture{'s are' if len(leaks) > 1 else ' is'} in several parts ({between}), for example "
        f"{first.paths[0]} and {first.paths[other]}: scores will be too good. 'biotune check' looks closer."
    )


def _copies(
    sides: Sequence[tuple[ImageSet, Decoded]], digests: NDArray[np.uint8], readable: NDArray[np.int64], folder: Path
) -> list[Duplicates]:
    """Return groups of readable images, from the folder or by a search."""
    looks = np.concatenate([decoded.facts.looks for _, decoded in sides])
    key = hashlib.sha256(json.dumps([_FORMAT, *(decoded.content for _, decoded in sides)]).encode())
    key.update(digests.tobytes() + looks.tobytes())
    path = folder / f"{key.hexdigest()}.json"
    if (known := _read(path)) is not None:
        return known
    found = find_duplicates(digests[readable], looks[readable], lambda rows: _thumbnails(sides, readable[rows]))
    try:
        write_atomic(path, json.dumps([[group.kind, group.rows] for group in found]))
    except (InputError, OSError):  # a folder that cannot be written: it is searched again next time
        return found
    return found


def _read(path: Path) -> list[Duplicates] | None:
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return [Duplicates(kind, tuple(rows)) for kind, rows in content]


def _thumbnails(sides: Sequence[tuple[ImageSet, Decoded]], rows: NDArray[np.int64]) -> Thumbnails:
    """Return small pictures of decoded images, counted side after side."""
    starts = np.cumsum([0, *(len(image_set) for image_set, _ in sides)])
    places = np.searchsorted(starts, rows, side="right") - 1
    return np.stack(
        [
            thumbnail(Image.fromarray(sides[place][1].images[np.array([row - starts[place]])][0]))
            for place, row in zip(places, rows, strict=True)
        ]
    )
