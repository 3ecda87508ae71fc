"""What is to be labelled: images or texts without labels, as files, folders, tables, or in memory."""

import glob
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from biotune.datasets.folders import SUFFIXES, TEXT_SUFFIXES, Ignored, images_below
from biotune.datasets.image_set import IMAGE, TEXT
from biotune.datasets.in_memory import to_source
from biotune.datasets.listing import readable
from biotune.datasets.pandas_columns import by_position
from biotune.datasets.text_tables import texts_of_csv
from biotune.errors import InputError
from biotune.images.decoding import ImageSource, UnreadableImageError
from biotune.wording import printable

_SUFFIXES = {IMAGE: SUFFIXES, TEXT: TEXT_SUFFIXES}


@dataclass(frozen=True)
class Named:
    """An image or a text, what it is called in answers, and the reason where it is known already to be unreadable."""

    name: str
    source: ImageSource
    reason: str = ""

    def opened(self) -> ImageSource:
        """Return where it comes from; raises UnreadableImageError where it is known to be unreadable."""
        if self.reason:
            raise UnreadableImageError(self.name, self.reason)
        return self.source


def named(number: int, given: Any, kind: str = IMAGE) -> Named:
    """Return what an image or a text is called in answers, and where it comes from; InputError for something else.

    A text (``str``) is the path of an image; of texts, it is the text itself.
    """
    if isinstance(given, Named):
        return given
    if isinstance(given, str) and kind == TEXT:
        given = given.encode("utf-8", errors="replace")
    if isinstance(given, str) and not given:  # its Path would be the current folder
        return Named(f"{kind} {number}", b"", "its path is empty")
    if isinstance(given, str | Path):
        return Named(readable(str(given)), Path(given))
    if kind == IMAGE and (isinstance(given, Image.Image | np.ndarray) or hasattr(given, "detach")):
        try:
            given = to_source(given)
        except UnreadableImageError as error:
            return Named(f"{kind} {number}", b"", error.reason)
    if isinstance(given, bytes | np.ndarray):
        return Named(f"{kind} {number}", given)
    if kind == TEXT:
        raise InputError(f"a text is a {type(given).__name__}; give a text, or the path of its file as a pathlib.Path.")
    raise InputError(
        f"an image is a {type(given).__name__}; give a path, the bytes of a file, uint8 pixels or an image of Pillow."
    )


def listed(given: Any, kind: str = IMAGE) -> Iterable[Any]:
    """Return one by one what a program gives to be labelled, as ``named`` takes it.

    Args:
        given: one image or several of them: a path, of a folder too; the bytes of a file; pixels or a stack of them; an
            image of Pillow; a column of a table, or a table of one column or with a column ``path``; anything that
            yields images. An array of shape (n, height, width) is a stack, unless the last is 1, 3 or 4: these are the
            channels of one image; so is the first of a tensor. The same of texts, where a ``str`` is a text and the
            column is called ``text``.
        kind: ``IMAGE`` or ``TEXT``.

    Returns:
        The images, or texts.

    Raises:
        InputError: none of these, or a folder that holds none.
    """
    if isinstance(given, str) and not given and kind == IMAGE:
        raise InputError("the path of the images is empty; give a file or a folder, '.' for the current one.")
    if isinstance(given, Path) or (isinstance(given, str) and kind == IMAGE):
        return to_label([given], kind)[0]
    if isinstance(given, str | bytes | Image.Image | Named) or _is_one_image(given):
        return [given]
    given = by_position(given, kind)
    if not isinstance(given, Iterable):
        raise InputError(f"{kind}s are a {type(given).__name__}; give a path, a list of {kind}s, or a table of paths.")
    return given


def _is_one_image(given: Any) -> bool:
    """Whether an array or a tensor holds one image: two axes, or three with channels, in tensors first or last."""
    shape = tuple(given.shape) if hasattr(given, "dtype") and hasattr(given, "shape") else ()
    channels = (shape[0], shape[-1]) if len(shape) == 3 and hasattr(given, "detach") else shape[2:]
    return len(shape) == 2 or (len(shape) == 3 and not {1, 3, 4}.isdisjoint(channels))


def to_label(paths: Sequence[str | Path], kind: str = IMAGE) -> tuple[list[Named], str]:
    """Return images or texts as named, with every folder replaced by those inside it and its sub-folders.

    Those of a folder are sorted by path; those named one by one are taken whatever their ending. For texts, a ``.csv``
    file stands for the texts of its column ``text``. A pattern that no shell has replaced stands for what it matches.
    A sentence, which may be empty, counts what else the folders hold.

    Raises InputError: a folder or table that cannot be read, or that holds none; a pattern that matches nothing.
    """
    ignored: Ignored = Counter()
    found = [one for given in paths for path in _matching(str(given)) for one in _below(path, kind, ignored)]
    counts = ", ".join(f"{what} ({count})" for what, count in sorted(ignored.items()))
    return found, f"ignored in the folders: {counts}." if counts else ""


def _matching(given: str) -> list[Path]:
    """Return what a pattern with ``*``, ``?`` or ``[]`` matches, sorted; else, or if it is there, the path itself."""
    if not glob.has_magic(given) or os.path.lexists(given):
        return [Path(given)]
    if not (found := sorted(glob.glob(given, recursive=True))):  # noqa: PTH207 Path.glob refuses absolute ones
        raise InputError(f"no file matches '{printable(given, 200)}'; check the pattern, or give a folder.")
    return [Path(path) for path in found]


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
