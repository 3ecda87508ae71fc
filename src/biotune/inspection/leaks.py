"""Which pictures are in several parts of a run, which makes scores too good; no file is opened here."""

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from biotune.datasets.image_set import IMAGE
from biotune.errors import InputError
from biotune.inspection.duplicates import Duplicates, exact_copies, find_duplicates
from biotune.inspection.findings import SPLITS_IN_ORDER
from biotune.inspection.near_duplicates import Thumbnails, thumbnail
from biotune.pixels.cache import cache_folder
from biotune.pixels.learning_data import Leak, LearningData, Side
from biotune.runs.files import write_atomic

_FORMAT = 1


def with_leaks(data: LearningData) -> LearningData:
    """Return the data with the pictures that are in several of its parts, and a warning about them."""
    leaks = find_leaks(data, cache_folder())
    if not leaks:
        return data
    warnings = (leak_note(leaks, data.kind), *data.remarks.warnings)
    return replace(data, remarks=replace(data.remarks, leaks=leaks, warnings=warnings))


def find_leaks(data: LearningData, folder: Path) -> tuple[Leak, ...]:
    """Look for copies (see ``find_duplicates``) and return those that are in several parts, by their first image.

    The decoded pixels are compared, as the network sees them; texts count as copies if they are equal. What was found
    of images is kept in the folder of the cache, beside
    the entries and under the same rules.
    """
    sides = data.sides
    digests = np.concatenate([side.decoded.facts.digests for side in sides])
    readable = np.flatnonzero(digests.any(axis=1))
    ids = [image_id for side in sides for image_id in side.images.ids]
    parts = _parts(data)
    classes = [side.images.class_names[label] for side in sides for label in side.images.labels]
    leaks = []
    same = _copies(sides, digests, readable, folder) if data.kind == IMAGE else exact_copies(digests[readable])
    for group in same:
        rows = readable[list(group.rows)]
        if len({parts[row] for row in rows}) > 1:
            named = (tuple(column[row] for row in rows) for column in (ids, parts, classes))
            leaks.append(Leak(group.kind, *named))
    return tuple(leaks)


def _parts(data: LearningData) -> list[str]:
    """Return the part of every readable or unreadable image, side after side."""
    selected = data.sides[0]
    parts = np.full(len(selected.rows), "train", dtype=object)
    parts[selected.readable[data.validation]] = "validation"
    return [*parts.tolist(), *("test" for side in data.sides[1:] for _ in side.rows)]


def leak_note(leaks: Sequence[Leak], kind: str = IMAGE) -> str:
    """Return the sentence for the user; there is at least one leak, of images or texts."""
    first = leaks[0]
    other = next(place for place, part in enumerate(first.splits) if part != first.splits[0])
    pairs = sorted(
        {tuple(sorted(set(leak.splits), key=SPLITS_IN_ORDER.index)) for leak in leaks},
        key=lambda names: [SPLITS_IN_ORDER.index(name) for name in names],
    )
    between = ", ".join(" and ".join(names) for names in pairs)
    what, closer = ("picture", " 'biotune check' looks closer.") if kind == IMAGE else (kind, "")
    return (
        f"{len(leaks):,} {what}{'s are' if len(leaks) > 1 else ' is'} in several parts ({between}), for example "
        f"{first.paths[0]} and {first.paths[other]}: scores will be too good.{closer}"
    )


def _copies(
    sides: Sequence[Side], digests: NDArray[np.uint8], readable: NDArray[np.int64], folder: Path
) -> list[Duplicates]:
    """Return groups of readable images, from the folder or by a search."""
    hashes = np.concatenate([side.decoded.facts.hashes for side in sides])
    key = hashlib.sha256(json.dumps([_FORMAT, *(side.decoded.content for side in sides)]).encode())
    key.update(digests.tobytes() + hashes.tobytes())
    path = folder / f"{key.hexdigest()}.json"
    if (known := _read(path)) is not None:
        return known
    copies = find_duplicates(digests[readable], hashes[readable], lambda rows: _thumbnails(sides, readable[rows]))
    with suppress(InputError, OSError):  # a folder that cannot be written: it is searched again next time
        write_atomic(path, json.dumps([[group.kind, group.rows] for group in copies]))
    return copies


def _read(path: Path) -> list[Duplicates] | None:
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return [Duplicates(kind, tuple(rows)) for kind, rows in content]


def _thumbnails(sides: Sequence[Side], rows: NDArray[np.int64]) -> Thumbnails:
    """Return small pictures of decoded images, counted side after side."""
    starts = np.cumsum([0, *(len(side.images) for side in sides)])
    places = np.searchsorted(starts, rows, side="right") - 1
    return np.stack(
        [
            thumbnail(Image.fromarray(sides[place].decoded.images[np.array([row - starts[place]])][0]))
            for place, row in zip(places, rows, strict=True)
        ]
    )
