"""What is to be labelled: images or texts without labels, as files, folders, tables, or in memory."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from biotune.datasets.folders import SUFFIXES, TEXT_SUFFIXES, Ignored, images_below, readable
from biotune.datasets.image_set import IMAGE, TEXT
from biotune.datasets.text_tables import texts_of_csv
from biotune.errors import InputError
from biotune.images.decoding import ImageSource

_SUFFIXES = {IMAGE: SUFFIXES, TEXT: TEXT_SUFFIXES}


@dataclass(frozen=True)
class Named:
    """An image or a text, and what it is called in answers."""

    name: str
    source: ImageSource


def named(number: int, given: Any, kind: str = IMAGE) -> Named:
    """Return what an image or a text is called in answers, and where it comes from; InputError for something else.

    A text (``str``) is the path of an image; of texts, it is the text itself.
    """
    if isinstance(given, Named):
        return given
    if isinstance(given, str) and kind == TEXT:
        given = given.encode("utf-8", errors="replace")
    if isinstance(given, str | Path):
        return Named(readable(str(given)), Path(given))
    if isinstance(given, Image.Image) and kind == IMAGE:
        given = np.asarray(given.convert("RGB"))
    if isinstance(given, bytes) or (isinstance(given, np.ndarray) and kind == IMAGE):
        return Named(f"{kind} {number}", given)
    if kind == TEXT:
        raise InputError(f"a text is a {type(given).__name__}; give a text, or the path of its file as a pathlib.Path.")
    raise InputError(
        f"an image is a {type(given).__name__}; give a path, the bytes of a file, uint8 pixels or an image of Pillow."
    )


def to_label(paths: Sequence[str | Path], kind: str = IMAGE) -> tuple[list[Named], str]:
    """Return images or texts as named, with every folder replaced by those inside it and its sub-folders.

    Those of a folder are sorted by path; those named one by one are taken whatever their ending. For texts, a ``.csv``
    file stands for the texts of its column ``text``. A sentence, which may be empty, counts what else the folders hold.

    Raises InputError: a folder or table that cannot be read, or that holds none.
    """
    ignored: Ignored = Counter()
    found = [one for path in map(Path, paths) for one in _below(path, kind, ignored)]
    counts = ", ".join(f"{what} ({count})" for what, count in sorted(ignored.items()))
    return found, f"ignored in the folders: {counts}." if counts else ""


def _below(path: Path, kind: str, ignored: Ignored) -> Iterator[Named]:
    if kind == TEXT and path.suffix.lower() == ".csv":
        for number, text in enumerate(texts_of_csv(path), 1):
            yield Named(f"{readable(str(path))}, row {number}", text.encode("utf-8", errors="replace"))
        return
    if not path.is_dir():
        yield named(0, path, kind)
        return
    suffixes = _SUFFIXES[kind]
    inside = sorted(images_below(path, ignored, suffixes))
    if not inside:
        raise InputError(f"the folder '{path}' holds no {kind}s (files that end in {' '.join(sorted(suffixes))}).")
    for name in inside:
        yield named(0, path / name, kind)
