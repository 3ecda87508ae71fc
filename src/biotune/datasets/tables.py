"""Tables of paths and labels, as CSV or Parquet: which images they list."""

import csv
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from biotune.datasets.image_set import FilesBelow, ImageSet
from biotune.datasets.listing import SPLIT_NAMES, Listing
from biotune.errors import InputError
from biotune.wording import listed

HEADER = "path,label[,split][,group]"
_COLUMNS = ("path", "label", "split", "group")
_BATCH_ROWS = 65_536
_NAMES_SHOWN = 5

Row = tuple[str, Sequence[str]]
"""Its place, in words, and its path, label, split and group."""


def open_csv(path: Path) -> ImageSet:
    """List the images that a CSV file in UTF-8 names, in the order of its lines.

    Its first line is ``HEADER``, in any order. Raises InputError: the file cannot be read; a line is incomplete or
    names an image for a second time; none of the files is there.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            columns = list(reader.fieldnames or ())
            _require_header(path, columns)
            return _image_set(path, columns, _csv_rows(path, reader))
    except UnicodeDecodeError:
        line = _first_bad_line(path)
        raise InputError(f"'{path}' is not in UTF-8, as its line {line} shows; save it as CSV in UTF-8.") from None
    except csv.Error as error:
        raise InputError(f"'{path}' is not a CSV file ({error}); save it as CSV in UTF-8.") from None
    except OSError as error:
        raise InputError(f"'{path}' cannot be read: {error.strerror}; change its permissions.") from None


def open_path_table(path: Path, table: Any) -> ImageSet:
    """List the images that a Parquet file names in the columns of ``HEADER``, row by row; read in batches.

    ``table`` is a ``datasets.Dataset`` of its rows; labels are texts or whole numbers.

    Raises InputError: as for CSV files.
    """
    columns = table.column_names
    if not _is_complete(columns):
        raise InputError(
            f"'{path}' has the columns {', '.join(columns)[:200] or '(none)'}; it needs a column of images (bytes, or "
            f"bytes and path) and one of labels, or the columns {HEADER}."
        )
    return _image_set(path, columns, _table_rows(path, table, [name for name in _COLUMNS if name in columns]))


def cell_text(value: Any) -> str:
    """Return a cell as text: an empty one for null, whole numbers without a decimal point."""
    if value is None:
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()


def split_of(text: str, place: str) -> str:
    """Return the one of ``SPLITS`` that a cell names by one of ``SPLIT_NAMES``, in any case; refuse other names."""
    if text and text.lower() not in SPLIT_NAMES:
        raise InputError(f"{place}: unknown split '{text}'; use train, val, test or leave it empty.")
    return SPLIT_NAMES.get(text.lower(), "")


def _first_bad_line(path: Path) -> int:
    content = path.read_bytes()
    try:
        content.decode()
    except UnicodeDecodeError as error:
        return content.count(b"\n", 0, error.start) + 1
    return 1


def _is_complete(names: Sequence[str]) -> bool:
    return set(_COLUMNS[:2]) <= set(names) and len(set(names)) == len(names)


def _require_header(path: Path, names: list[str]) -> None:
    """Refuse a first line that is not the header, and say what is wrong with it."""
    if _is_complete(names):
        return
    received = ",".join(names)
    cause = ""
    if any(_is_complete(received.split(mark)) for mark in (";", "\t")):
        cause = " separated by commas, not by semicolons or tabs"
    elif _is_complete([name.strip().lower() for name in names]):
        cause = " in small letters and without blanks"
    raise InputError(f"'{path}' starts with '{received[:200]}', but its first line must be the header {HEADER}{cause}.")


def _csv_rows(path: Path, reader: "csv.DictReader[str]") -> Iterator[Row]:
    """Yield the lines; too few or too many cells show as the value None or the key None."""
    for cells in reader:
        place = f"'{path}', line {reader.line_num}"
        if None in cells or None in cells.values():
            raise InputError(f"{place}: has more or fewer cells than the header; quote cells that hold commas.")
        yield place, [cells.get(name, "").strip() for name in _COLUMNS]


def _table_rows(path: Path, table: Any, columns: list[str]) -> Iterator[Row]:
    number = 0
    for cells in table.select_columns(columns).iter(_BATCH_ROWS):
        for values in zip(*(cells[name] for name in columns), strict=True):
            number += 1
            known = dict(zip(columns, values, strict=True))
            yield f"'{path}', row {number}", [cell_text(known.get(name)) for name in _COLUMNS]


def _image_set(path: Path, columns: list[str], rows: Iterator[Row]) -> ImageSet:
    listing = Listing(path.name, grouped="group" in columns)
    known: set[str] = set()
    names: list[str] = []
    missing: list[str] = []
    for place, (written, label, split, group) in rows:
        if not written or not label:
            raise InputError(f"{place}: the {'label' if written else 'path'} is empty; every line needs both.")
        if "\0" in written:
            raise InputError(f"{place}: the path holds a zero byte; remove it.")
        if not _is_file(path.parent / written):
            missing.append(f"'{written}'")
        image_id = PurePosixPath(written).as_posix()
        if image_id in known:
            raise InputError(f"{place}: the image '{image_id}' is listed a second time; remove one of the lines.")
        known.add(image_id)
        names.append(written)
        listing.add(image_id, label, split_of(split, place), group)
    if not names:
        raise InputError(f"'{path}' lists no images; give one line per image under the header {HEADER}.")
    if len(missing) == len(names):
        raise InputError(
            f"none of the {len(names)} files that '{path}' lists exists (first: {missing[0]}); paths are relative to "
            f"the folder of '{path}'."
        )
    others = [name for name in columns if name not in _COLUMNS]
    notes = (
        *([f"Ignored columns of '{path.name}': {', '.join(others)}."] if others else []),
        *([f"Missing, or not files: {listed(missing, _NAMES_SHOWN)}."] if missing else []),
    )
    return listing.image_set(files=FilesBelow(path.parent, tuple(names)), notes=notes)


def _is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False
