"""Folders of class folders, alone or inside train/val/test: which images or texts are there, and what was ignored."""

import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePath

from biotune.datasets.image_set import TEXT, FilesBelow, ImageSet
from biotune.datasets.listing import SPLIT_NAMES, Listing, readable
from biotune.errors import InputError
from biotune.runs.folder import is_output
from biotune.wording import quoted

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".dcm", ".dicom"}
)
"""Files of folders with these endings, in any case, are taken as images."""

TEXT_SUFFIXES = frozenset({".txt"})
"""Files of folders without images, with these endings, are taken as texts."""

LAYOUTS = (
    "a folder of class folders, or a folder with train/ [val/] [test/] of class folders; "
    "each class folder holds the images of one class"
)
_CLUTTER = frozenset(
    {
        "__macosx", "thumbs.db", "desktop.ini", "$recycle.bin", "system volume information", "lost+found",
        "@eadir", "#recycle", "__pycache__",
    }
)  # fmt: skip
_TABLES = (".csv", ".tsv", ".jsonl", ".json", ".xlsx", ".parquet")
_PICTURES = frozenset({"images", "image", "imgs", "img", "jpegimages"})
_MARKINGS = frozenset(
    {"masks", "mask", "labels", "label", "annotations", "annotation", "gt", "groundtruth", "ground_truth",
     "segmentation", "segmentations", "segmentationclass"}
)  # fmt: skip
_HIDDEN = "hidden files and folders"
_NOT_READ = frozenset(
    {".ppm", ".pgm", ".pbm", ".pnm", ".heic", ".heif", ".avif", ".jp2", ".jxl", ".svg", ".eps", ".ico"}
)
_OTHER_TYPE = {
    SUFFIXES: f"files that are not images (images end in {' '.join(sorted(SUFFIXES))})",
    TEXT_SUFFIXES: f"files that are not texts (texts end in {' '.join(sorted(TEXT_SUFFIXES))})",
}
_SPECIAL = "pipes, sockets, devices and broken links"
_LOOP = "links to a folder that was read already"
_ABOVE = "a link to a folder that holds it"
_OUTSIDE = "images outside the class folders"
_OUTPUT = "folders that biotune wrote"
_OTHER_FOLDER = "folders beside the splits"

Ignored = Counter[str]


def open_folder(root: Path) -> ImageSet:
    """List the images of class folders, alone or inside split folders, sorted by path; no image is opened.

    Classes are matched by name over all splits, after Unicode normalisation (NFC). A folder ``train`` with ``val``,
    ``valid``, ``validation`` or ``test`` beside it (in any case; ``training`` and ``testing`` too) is a split, not a
    class. Links are followed, and every real folder is read once per class. Where no class has an image, but some have
    texts (``TEXT_SUFFIXES``), these are listed in the same way.

    Raises InputError: no usable classes; says what the layout must be.
    """
    images = _opened(root, SUFFIXES)
    texts = images if len(images) else _opened(root, TEXT_SUFFIXES)
    return replace(texts, kind=TEXT) if len(texts) > len(images) else images


def _opened(root: Path, suffixes: frozenset[str]) -> ImageSet:
    """List the files with some endings."""
    ignored: Ignored = Counter()
    images: list[tuple[str, str, str]] = []
    empty: list[str] = []
    for split, folder in _split_folders(root, ignored):
        for class_name, names in _class_folders(root, folder, ignored, suffixes):
            images += ((name, class_name, split) for name in names)
            if not names and split in ("train", ""):
                empty.append(class_name)
    images.sort()
    listing = Listing(root.resolve().name)
    for name, class_name, split in images:
        listing.add(name, class_name, split)
    notes = tuple(f"Ignored {what}: {count}." for what, count in sorted(ignored.items()))
    notes += tuple(_perhaps_splits([name for name, _, split in images if not split]))
    return listing.image_set(
        files=FilesBelow(root, tuple(name for name, _, _ in images)), empty_classes=empty, notes=notes
    )


def _perhaps_splits(names: list[str]) -> Iterator[str]:
    """Yield a note if all class folders hold folders of the same names, and no images beside them.

    ``names`` are paths of images in class folders, none where there are splits.
    """
    parts = [name.split("/") for name in names]
    inner: dict[str, set[str]] = {}
    for outer, *rest in parts:
        inner.setdefault(outer, set()).add(rest[0] if len(rest) > 1 else "")
    first = next(iter(inner.values()), set())
    if len(inner) > 1 and len(first) > 1 and "" not in first and all(found == first for found in inner.values()):
        yield (
            f"The folders {quoted(sorted(inner), 4)} are taken as classes, but each holds the folders "
            f"{quoted(sorted(first), 4)}: if these are the classes, name the outer ones train, val and test."
        )


def images_below(folder: Path, ignored: Ignored, suffixes: frozenset[str] = SUFFIXES) -> list[str]:
    """List the images in a folder and its sub-folders, as paths relative to it; what else is there is counted.

    With ``TEXT_SUFFIXES``, list the texts.

    Each real folder is entered once, so link loops end.

    Raises InputError: a folder cannot be read.
    """
    images: list[str] = []
    above = {_identity(parent) for path in (folder.absolute(), folder.resolve()) for parent in path.parents}
    pending, seen = [""], set[tuple[int, int]]()
    while pending:
        current = pending.pop()
        identity = _identity(folder / current)
        if identity in above:
            ignored[f"{_ABOVE}, '{readable(str(folder / current))}'"] += 1
            continue
        if identity in seen:
            ignored[_LOOP] += 1
            continue
        seen.add(identity)
        folders, files = _listing(folder / current, ignored, suffixes)
        pending += [f"{current}{name}/" for name in reversed(folders)]
        images += [f"{current}{name}" for name in files]
    return images


def _identity(folder: Path) -> tuple[int, int]:
    """Return what is the same for all names of a folder."""
    try:
        status = folder.stat()
    except OSError as error:
        raise InputError(f"the folder '{folder}' cannot be read: {error.strerror}; change its permissions.") from None
    return status.st_dev, status.st_ino


def _split_folders(root: Path, ignored: Ignored) -> list[tuple[str, Path]]:
    """Return (split, folder of class folders); one pair with an empty split for a plain folder of class folders.

    A lone folder ``train`` beside others that name no split is a class (of vehicles, say), and so are ``val`` and
    ``test`` without ``train``, unless they hold folders of the same names as the others.
    """
    # What this peek ignores is counted when the folder is read as classes; here only if it turns out to hold splits.
    beside: Ignored = Counter()
    folders = _listing(root, beside)[0]
    if pairs := _splits_by_a_word(root, folders):
        return pairs
    splits = [(SPLIT_NAMES[name.lower()], root / name) for name in folders if name.lower() in SPLIT_NAMES]
    kinds = {split for split, _ in splits}
    is_of_splits = bool(splits) and (len(splits) == len(folders) or (len(kinds) > 1 and "train" in kinds))
    if not is_of_splits:
        _require_no_splits(root, [folder for _, folder in splits], folders)
        return [("", root)]
    ignored.update(beside)
    if len(folders) > len(splits):
        ignored[_OTHER_FOLDER] += len(folders) - len(splits)
    return splits


def _splits_by_a_word(root: Path, folders: list[str]) -> list[tuple[str, Path]]:
    """Return (split, folder) where all folders are named like ``seg_train`` and ``training_set``; else nothing.

    One word of each name says the split. So that a class such as ``train station`` is not taken for one, a folder to
    train on and another one must hold folders of the same names.
    """
    words = {name: [word for word in re.split("[^a-z]+", name.lower()) if word in SPLIT_NAMES] for name in folders}
    pairs = [(SPLIT_NAMES[found[0]], root / name) for name, found in words.items() if len(found) == 1]
    if len(pairs) < len(folders) or all(name.lower() in SPLIT_NAMES for name in folders):
        return []
    inside = {split: set[str]() for split, _ in pairs}
    for split, folder in pairs:
        inside[split].update(_listing(folder, Counter())[0])
    trained = inside.pop("train", set())
    return pairs if any(trained & names for names in inside.values()) else []


def _require_no_splits(root: Path, splits: list[Path], folders: list[str]) -> None:
    """Refuse folders that are named as splits, beside others, if both hold folders of the same names."""
    names = {folder.name for folder in splits}
    for other in (name for name in folders if splits and name not in names):
        inside = set(_listing(root / other, Counter())[0])
        for split in splits:
            if shared := sorted(inside.intersection(_listing(split, Counter())[0])):
                raise InputError(
                    f"'{root}' may be split or not: '{split.name}' and '{other}' both hold '{readable(shared[0])}'; "
                    "name the folders of splits train, val and test and nothing else, or rename those that are classes."
                )


def _class_folders(
    root: Path, folder: Path, ignored: Ignored, suffixes: frozenset[str]
) -> Iterator[tuple[str, list[str]]]:
    """Yield (class name, its images relative to the root)."""
    classes, loose = _listing(folder, ignored, suffixes)
    if not classes:
        lying = f"images lie directly in it ({len(loose)}), so they have no label" if loose else "there are none"
        raise InputError(
            f"'{folder}' must hold one folder of images for each class, but {lying}"
            f"{table_of(folder) or table_of(root)}; DATA can be {LAYOUTS}."
        )
    pictures, markings = ([name for name in classes if name.lower() in known] for known in (_PICTURES, _MARKINGS))
    if pictures and markings and len(pictures) + len(markings) == len(classes):
        raise InputError(
            f"'{folder}' looks like pictures ('{pictures[0]}') and what is marked in them ('{markings[0]}'), and "
            "BioTune tells classes of whole images apart; give one folder of images for each class, or, if these are "
            "the classes, rename them."
        )
    if folder != root and len(classes) == 1 and classes[0].lower() in SPLIT_NAMES:
        raise InputError(
            f"'{folder}' holds the folder '{classes[0]}' only; if the class folders lie inside that one, move them to "
            f"'{folder}'."
        )
    for directory in classes:
        inside = "" if folder == root else f"{folder.name}/"
        images = images_below(folder / directory, ignored, suffixes)
        yield readable(directory), [f"{inside}{directory}/{image}" for image in images]
    if loose:
        ignored[_OUTSIDE] += len(loose)


def table_of(folder: Path) -> str:
    """Return words about a table in a folder that may say the labels of the images there; empty without one."""
    tables = sorted(path for path in folder.glob("*") if path.suffix.lower() in _TABLES and not is_clutter(path.name))
    tables.sort(key=lambda path: _TABLES.index(path.suffix.lower()))
    if not tables:
        return ""
    return f" (if '{tables[0].name}' says it, give that as a CSV file with the columns path and label)"


def _listing(folder: Path, ignored: Ignored, suffixes: frozenset[str] = SUFFIXES) -> tuple[list[str], list[str]]:
    """Return the names of the visible folders and images directly in a folder, each sorted; count the rest."""
    folders: list[str] = []
    images: list[str] = []
    try:
        with os.scandir(folder) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise InputError(f"the folder '{folder}' cannot be read: {error.strerror}; change its permissions.") from None
    for entry in listed:
        if is_clutter(entry.name):
            ignored[_HIDDEN] += 1
        elif (kind := _kind(entry)) == "folder":
            if is_output(Path(entry.path)):
                ignored[_OUTPUT] += 1
            else:
                folders.append(entry.name)
        elif kind == "special":
            ignored[_SPECIAL] += 1
        elif PurePath(entry.name).suffix.lower() in suffixes:
            images.append(entry.name)
        elif (suffix := PurePath(entry.name).suffix.lower()) in _NOT_READ:
            ignored[f"images of a format that is not read ({suffix}; save them as PNG)"] += 1
        else:
            ignored[_OTHER_TYPE[suffixes]] += 1
    return folders, images


def is_clutter(name: str) -> bool:
    """Return whether a file or folder is hidden or an operating system's own."""
    return name.startswith(".") or name.lower() in _CLUTTER


def _kind(entry: os.DirEntry[str]) -> str:
    try:
        if entry.is_dir():
            return "folder"
        return "file" if entry.is_file() else "special"
    except OSError:  # a link to itself
        return "special"
