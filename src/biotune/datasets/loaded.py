"""Objects of the library ``datasets``: from their rows to an image set. The library is the extra ``hf``."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import fsspec
import numpy as np

from biotune.datasets.columns import Columns, choose_columns, kind_of, known_splits, list_rows
from biotune.datasets.image_set import TEXT, ChosenRows, ImageReader, ImageSet
from biotune.datasets.listing import Listing
from biotune.datasets.tables import cell_text
from biotune.datasets.text_tables import TextCells
from biotune.errors import InputError
from biotune.images.decoding import ImageSource


@dataclass(frozen=True)
class Part:
    """Some rows, a ``datasets.Dataset``, of one split, whose meaning is one of ``SPLITS``.

    Ids begin with the name of the split. ``place`` says where the rows stand, for messages; relative paths of images
    start from ``folder``.
    """

    split: str
    meaning: str
    rows: Any
    place: str
    folder: Path = Path()


Fingerprint = Callable[[str], str]
"""From the column of the images or texts to a text that changes whenever one of them does."""


def library(what: str = "Hugging Face data sets") -> Any:
    """Return the module ``datasets``, or refuse ``what`` needs it."""
    try:
        return import_module("datasets")
    except ImportError:
        raise InputError(f"{what} need the package datasets; run: pip install 'biotune[hf]'") from None


def is_dataset(data: object) -> bool:
    """Return whether an object is a ``datasets.Dataset`` or ``DatasetDict``; the library is not imported."""
    kinds = {f"{kind.__module__.partition('.')[0]}.{kind.__name__}" for kind in type(data).__mro__}
    return bool(kinds & {"datasets.Dataset", "datasets.DatasetDict"})


def open_datasets(name: str, loaded: Any, asked: Mapping[str, str]) -> ImageSet:
    """List the images, or texts, of a loaded ``datasets.Dataset`` or ``DatasetDict``, with its splits.

    The images are read when they are needed. ``asked`` holds the columns that the user chose, by role.

    Raises InputError: its columns do not fit.
    """
    tables = dict(loaded) if isinstance(loaded, dict) else {str(loaded.split or "row"): loaded}
    splits = known_splits(tables)
    parts = [
        Part(split, meaning, tables[split], f"the split '{split}' of '{name}'") for split, meaning in splits.items()
    ]
    ignored = tuple(f"Ignored the split '{other}': {len(tables[other])}." for other in tables if other not in splits)

    def fingerprint(column: str) -> str:
        fingerprints = [part.rows._fingerprint for part in parts]  # the library has no public name for it
        return hashlib.sha256(" ".join([column, *fingerprints]).encode()).hexdigest()

    return list_parts(name, parts, asked, fingerprint, ignored)


def list_parts(
    name: str, parts: Sequence[Part], asked: Mapping[str, str], fingerprint: Fingerprint, notes: tuple[str, ...]
) -> ImageSet:
    """List the images or texts that have a label, of parts whose columns are those of the first.

    Images are read when needed. Parts of one split follow each other. ``asked`` holds the columns that the user chose,
    by role.

    Raises InputError: the columns do not fit.
    """
    features = kinds_of_columns(parts[0].rows)
    kind = kind_of(features, asked)
    columns = choose_columns(name, features, asked, any(part.meaning for part in parts))
    listing = Listing(name, grouped=bool(columns.group))
    kept: list[int] = []
    rows_before, split, split_starts = 0, parts[0].split, 0
    for part in parts:
        _require_columns(part, columns)
        if part.split != split:
            split, split_starts = part.split, rows_before
        cells = part.rows.select_columns(columns.read()).with_format("arrow")[:].to_pydict()
        listed = list_rows(listing, columns, part.meaning, f"{split}/", cells, rows_before - split_starts)
        kept += [split_starts + row for row in listed]
        rows_before += len(part.rows)
    column = columns.content
    reader: ImageReader = (
        TextCells(tuple(cell_text(cell) for part in parts for cell in part.rows[column]))
        if kind == TEXT
        else EncodedImages(parts, column, fingerprint(column))
    )
    if unlabelled := rows_before - len(kept):
        reader = ChosenRows(reader, np.array(kept, dtype=np.int64))
        notes = (f"Left out {kind}s without a label: {unlabelled}.", *notes)
    notes = (*columns.notes, *notes)
    return listing.image_set(reader=reader, class_names=columns.class_names, notes=notes, kind=kind)


def kinds_of_columns(rows: Any) -> dict[str, Mapping[str, Any]]:
    """Return the kind of every column of a ``datasets.Dataset``; bytes, alone or with a path, count as images."""
    return {name: _kind(kind) for name, kind in rows.features.to_dict().items()}


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or of its cause, cut to 200 characters."""
    known = error.__cause__ or error
    return (str(known) or type(known).__name__).splitlines()[0][:200]


class EncodedImages:
    """Reads the encoded images in a column of parts, one part after the other; the library decodes nothing."""

    def __init__(self, parts: Sequence[Part], column: str, fingerprint: str) -> None:
        encoded = library().Image(decode=False)
        self._of_tables = fingerprint
        self._column = column
        self._folders = [part.folder for part in parts]
        self._parts = [part.rows.select_columns([column]).cast_column(column, encoded) for part in parts]
        self._starts = np.cumsum([0, *(len(part.rows) for part in parts)])

    @property
    def fingerprint(self) -> str:
        """That of the tables and, where a cell holds the path of an image, of size and time of that file."""
        digest, has_files = hashlib.sha256(self._of_tables.encode()), False
        for rows, folder in zip(self._parts, self._folders, strict=True):
            for path in _paths_without_content(rows, self._column):
                has_files = True
                digest.update(json.dumps([path, *_status(folder, path)]).encode() + b"\n")
        return digest.hexdigest() if has_files else self._of_tables

    def read(self, row: int) -> ImageSource:
        """Return the content of one image, or its file; no bytes where the cell is empty."""
        part = int(np.searchsorted(self._starts, row, side="right")) - 1
        cell = self._parts[part][int(row - self._starts[part])][self._column]
        if cell is None or (cell["bytes"] is None and not cell["path"]):
            return b""
        if cell["bytes"] is not None:
            return bytes(cell["bytes"])
        if "://" not in cell["path"]:
            return self._folders[part] / str(cell["path"])
        with fsspec.open(cell["path"], "rb") as stream:  # inside an archive
            return bytes(stream.read())


def _paths_without_content(rows: Any, column: str) -> list[str]:
    """Return the paths in the cells of a ``datasets.Dataset`` that hold no content of an image; reads no content."""
    cells = rows.data.column(column)  # where it lies: a copy of the rows would read all images
    fields = {field.name: values for field, values in zip(cells.type, cells.flatten(), strict=True)}
    is_path, paths = fields["bytes"].is_null(), fields["path"]
    if rows._indices is not None:  # the library has no public name for which rows were chosen
        chosen = rows._indices.column(0)
        is_path, paths = is_path.take(chosen), paths.take(chosen)
    return [path for path in paths.filter(is_path).to_pylist() if path]


def _status(folder: Path, path: str) -> tuple[int, ...]:
    """Return size, time and mode of the file of an image, or of its archive; nothing where it is not there."""
    file = path.rpartition("::")[2]
    try:
        status = (folder / file).stat()
    except (OSError, ValueError):  # also an address of the web, or a name that no file can have
        return ()
    return status.st_size, status.st_mtime_ns, status.st_mode


def _kind(kind: Mapping[str, Any]) -> Mapping[str, Any]:
    content = kind.get("bytes", kind) if "_type" not in kind else kind
    is_bytes = content.get("_type") == "Value" and str(content.get("dtype")).startswith(("binary", "large_binary"))
    return {"_type": "Image"} if is_bytes else kind


def _require_columns(part: Part, columns: Columns) -> None:
    present = part.rows.column_names
    if lacking := [column for column in (columns.content, *columns.read()) if column not in present]:
        raise InputError(f"{part.place} has no column '{lacking[0]}', but the first part of the data set has.")
