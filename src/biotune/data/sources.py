"""From what a user names as DATA to an image set: which images there are, not what is in them."""

import csv
import difflib
import os
import stat
import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from biotune.data.datasets import DATASETS
from biotune.data.image_set import ImageSet
from biotune.errors import InputError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif"})
"""Files of class folders with these endings, in any case, are taken as images."""

_SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
_CLUTTER = frozenset({"__macosx", "thumbs.db", "desktop.ini"})
_CSV_HEADER = "path,label[,split][,group]"
_CSV_COLUMNS = ("path", "label", "split", "group")
_DATA_IS = (
    "DATA is a folder of class folders, a folder with train/ [val/] [test/] of class folders, "
    f"a .csv file with the header {_CSV_HEADER}, or a named data set ({', '.join(DATASETS)})"
)
_HIDDEN = "hidden files and folders"
_OTHER_TYPE = f"files that are no images (images end in {' '.join(sorted(SUFFIXES))})"
_SPECIAL = "pipes, sockets, devices and broken links"
_LOOP = "links to a folder that was read already"
_OUTSIDE = "images outside the class folders"
_OTHER_FOLDER = "folders beside the splits"


class _Row(NamedTuple):
    id: str
    file: Path
    class_name: str
    split: str
    group: str


def open_source(data: str | Path) -> ImageSet:
    """Find the labelled images of a source; no image is opened.

    A named data set wins over a folder of the same name in the current folder, which is then written ``./name``.
    Classes are matched by name over all splits, after Unicode normalisation (NFC). A folder ``train`` with ``val``,
    ``valid``, ``validation`` or ``test`` beside it (in any case; ``training`` and ``testing`` too) is a split, not a
    class. Links are followed, and every real folder is read once per class.

    Args:
        data: a folder, a ``.csv`` file, or the name of a data set.

    Returns:
        The images, sorted by id for folders and in the order of the lines for CSV files.

    Raises:
        InputError: there is no such source, or it has no usable classes; says what the layout must be.
    """
    text = str(data)
    if isinstance(data, str) and data in DATASETS:
        return DATASETS[data].load()
    if not text:
        raise InputError(f"DATA is empty; {_DATA_IS}.")
    try:
        mode = Path(data).stat().st_mode
    except (OSError, ValueError) as error:
        raise _unknown_source(text, error) from None
    if stat.S_ISDIR(mode):
        return _open_folder(Path(data))
    if stat.S_ISREG(mode) and Path(data).suffix.lower() == ".csv":
        return _open_csv(Path(data))
    raise InputError(f"'{text}' is neither a folder nor a .csv file; {_DATA_IS}.")


def _unknown_source(text: str, error: OSError | ValueError) -> InputError:
    if isinstance(error, PermissionError):
        return InputError(f"'{text}' cannot be read: permission denied; {_DATA_IS}.")
    near = difflib.get_close_matches(text.lower(), DATASETS, n=2, cutoff=0.5)
    hint = f" (did you mean {' or '.join(repr(name) for name in near)}?)" if near else ""
    return InputError(f"'{text}' is no file, no folder and no named data set{hint}; {_DATA_IS}.")


def _open_folder(root: Path) -> ImageSet:
    ignored: Counter[str] = Counter()
    rows: list[_Row] = []
    for split, folder in _split_folders(root, ignored):
        rows += _class_folders(root, folder, split, ignored)
    rows.sort(key=lambda row: row.id)
    notes = tuple(f"Ignored {what}: {count}." for what, count in sorted(ignored.items()))
    return _image_set(root.resolve().name, rows, notes)


def _split_folders(root: Path, ignored: Counter[str]) -> list[tuple[str, Path]]:
    """Return (split, folder of class folders); one pair with an empty split for a plain folder of class folders.

    A lone folder ``train`` beside others that name no split is a class (of vehicles, say).
    """
    # What this peek ignores is counted when the folder is read as classes; here only if it turns out to hold splits.
    beside: Counter[str] = Counter()
    folders = _listing(root, beside)[0]
    splits = [(_SPLIT_NAMES[folder.name.lower()], folder) for folder in folders if folder.name.lower() in _SPLIT_NAMES]
    kinds = {split for split, _ in splits}
    if "train" not in kinds:
        if splits and len(splits) == len(folders):
            raise InputError(f"'{root}' has {splits[0][1].name}/ but no train/; {_DATA_IS}.")
        return [("", root)]
    if len(kinds) == 1 and len(splits) < len(folders):
        return [("", root)]
    ignored.update(beside)
    if len(folders) > len(splits):
        ignored[_OTHER_FOLDER] += len(folders) - len(splits)
    return splits


def _class_folders(root: Path, folder: Path, split: str, ignored: Counter[str]) -> Iterator[_Row]:
    """Yield the images of every class folder inside ``folder``; only a validation or test class may be empty."""
    classes, loose = _listing(folder, ignored)
    if not classes:
        lying = f"images lie directly in it ({len(loose)}), so they have no label" if loose else "there are none"
        raise InputError(f"'{folder}' must hold one folder of images for each class, but {lying}; {_DATA_IS}.")
    for class_folder in classes:
        files = _images_below(class_folder, ignored)
        if not files and split in ("train", ""):
            raise InputError(
                f"the class folder '{class_folder}' holds no images (files that end in {' '.join(sorted(SUFFIXES))}); "
                "put images into it or remove it."
            )
        class_name = _readable(unicodedata.normalize("NFC", class_folder.name))
        for file in files:
            yield _Row(_readable(file.relative_to(root).as_posix()), file, class_name, split, "")
    if loose:
        ignored[_OUTSIDE] += len(loose)


def _images_below(folder: Path, ignored: Counter[str]) -> list[Path]:
    """Return the images in a folder and its sub-folders; each real folder is entered once, so link loops end."""
    images: list[Path] = []
    pending, seen = [folder], set()
    while pending:
        current = pending.pop()
        status = current.stat()
        if (status.st_dev, status.st_ino) in seen:
            ignored[_LOOP] += 1
            continue
        seen.add((status.st_dev, status.st_ino))
        folders, files = _listing(current, ignored)
        pending += reversed(folders)
        images += files
    return images


def _listing(folder: Path, ignored: Counter[str]) -> tuple[list[Path], list[Path]]:
    """Return the visible folders and images directly in a folder, each sorted by name; count the rest."""
    folders: list[Path] = []
    images: list[Path] = []
    try:
        with os.scandir(folder) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise InputError(f"the folder '{folder}' cannot be read: {error.strerror}; mend its permissions.") from None
    for entry in listed:
        if entry.name.startswith(".") or entry.name.lower() in _CLUTTER:
            ignored[_HIDDEN] += 1
        elif (kind := _kind(entry)) == "folder":
            folders.append(folder / entry.name)
        elif kind == "special":
            ignored[_SPECIAL] += 1
        elif Path(entry.name).suffix.lower() in SUFFIXES:
            images.append(folder / entry.name)
        else:
            ignored[_OTHER_TYPE] += 1
    return folders, images


def _kind(entry: os.DirEntry[str]) -> str:
    try:
        if entry.is_dir():
            return "folder"
        return "file" if entry.is_file() else "special"
    except OSError:  # a link to itself
        return "special"


def _readable(name: str) -> str:
    """Return a file name as text that every writer accepts: bytes that are not UTF-8 are written as escapes."""
    return os.fsencode(name).decode("utf-8", errors="backslashreplace")


def _open_csv(path: Path) -> ImageSet:
    rows: dict[str, _Row] = {}
    notes: tuple[str, ...] = ()
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            columns = _checked_columns(path, reader.fieldnames)
            if extra := [name for name in columns if name not in _CSV_COLUMNS]:
                notes = (f"Ignored columns of '{path.name}': {', '.join(extra)}.",)
            for cells in reader:
                place = f"'{path}', line {reader.line_num}"
                row = _csv_row(path, place, cells)
                if row.id in rows:
                    raise InputError(f"{place}: the image '{row.id}' is listed a second time; remove one of the lines.")
                rows[row.id] = row
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"'{path}' is not a CSV file in UTF-8 ({error}); save it as such.") from None
    except OSError as error:
        raise InputError(f"'{path}' cannot be read: {error.strerror}; mend its permissions.") from None
    if not rows:
        raise InputError(f"'{path}' lists no images; give one line per image under the header {_CSV_HEADER}.")
    return _image_set(path.name, list(rows.values()), notes, grouped="group" in columns)


def _checked_columns(path: Path, columns: object) -> list[str]:
    names = [str(name) for name in columns] if isinstance(columns, list) else []
    missing = [name for name in _CSV_COLUMNS[:2] if name not in names]
    if missing or len(set(names)) < len(names):
        received = ",".join(names)[:200]
        raise InputError(f"'{path}' starts with '{received}', but its first line must be the header {_CSV_HEADER}.")
    return names


def _csv_row(path: Path, place: str, cells: dict[str, str]) -> _Row:
    """Check one line; too few or too many cells show as the value None or the key None."""
    if None in cells or None in cells.values():
        raise InputError(f"{place}: has more or fewer cells than the header; quote cells that hold commas.")
    written, label, split = cells["path"].strip(), cells["label"].strip(), cells.get("split", "").strip()
    if not written or not label:
        raise InputError(f"{place}: the {'label' if written else 'path'} is empty; every line needs both.")
    if split and split.lower() not in _SPLIT_NAMES:
        raise InputError(f"{place}: unknown split '{split}'; use train, val, test or leave it empty.")
    file = path.parent / written
    if not _is_file(file):
        raise InputError(f"{place}: there is no file '{written}'; paths are relative to the folder of the CSV file.")
    image_id = PurePosixPath(written).as_posix()
    group = cells.get("group", "").strip() or f"only {image_id}"
    return _Row(image_id, file, unicodedata.normalize("NFC", label), _SPLIT_NAMES.get(split.lower(), ""), group)


def _is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (OSError, ValueError):
        return False


def _image_set(name: str, rows: list[_Row], notes: tuple[str, ...], grouped: bool = False) -> ImageSet:
    class_names = tuple(sorted({row.class_name for row in rows}))
    learnable = {row.class_name for row in rows if row.split in ("train", "")}
    for row in rows:
        if row.class_name not in learnable:
            raise InputError(
                f"the class '{row.class_name}' of '{name}' has images to validate or test but none to train on "
                f"(first: '{row.id}'); the classes of train are {', '.join(sorted(learnable)[:10]) or 'none'}."
            )
    if len(class_names) < 2:
        raise InputError(
            f"'{name}' has only one class, '{class_names[0]}', but a classifier needs at least two; "
            f"if the class folders lie inside that folder, give its path; {_DATA_IS}."
        )
    labels = {class_name: label for label, class_name in enumerate(class_names)}
    return ImageSet(
        name=name,
        ids=tuple(row.id for row in rows),
        labels=np.array([labels[row.class_name] for row in rows], dtype=np.int64),
        class_names=class_names,
        splits=tuple(row.split for row in rows),
        groups=tuple(row.group for row in rows) if grouped else None,
        files=tuple(row.file for row in rows),
        arrays=None,
        notes=notes,
    )
