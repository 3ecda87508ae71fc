"""Tables of paths and labels, as CSV or Parquet: which images they list."""

import csv
import re
import stat
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any, TextIO

from biotune.datasets.csv_cells import Rows, open_table, read_cells
from biotune.datasets.image_set import FilesBelow, ImageSet
from biotune.datasets.listing import SPLIT_NAMES, Listing
from biotune.errors import InputError
from biotune.wording import printable, quoted

HEADER = "path,label[,split][,group]"
TEXT_HEADER = "text,label[,split][,group]"
OTHER_NAMES = {
    "path": ("file_name", "filename", "file", "filepath", "file_path", "image_path", "image"),
    "label": ("class", "class_name", "category", "target"),
}
"""What others call the columns that are needed; Hugging Face and Keras, for example."""
_COLUMNS = ("path", "label", "split", "group")
_BATCH_ROWS = 65_536
_NAMES_SHOWN = 5
_LONGEST_LINE = 2**20
_MOST_FOLDERS = 8
_MOST_INNER = 100

Row = tuple[str, Sequence[str]]
"""Its place, in words, and its path, label, split and group."""


def open_csv(path: Path) -> ImageSet:
    """List the images that a CSV file names, in the order of its lines.

    Its first line is ``HEADER``, in any order, capitals and blanks aside, or has one of ``OTHER_NAMES`` in the place of
    a column; semicolons or tabs may stand for commas.
    Raises InputError: the file cannot be read; a line is incomplete or names an image for a second time; none of the
    files is there.
    """
    try:
        with open_table(path) as stream:
            names, rows = read_cells(_lines(path, stream), _COLUMNS[:2])
            columns, note = _renamed([_usual(name) for name in names])
            _require_header(path, columns)
            images = _image_set(path, columns, _csv_rows(path, columns, rows))
            return replace(images, notes=(*note, *images.notes))
    except UnicodeError:
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
        raise InputError(f"{place}: unknown split '{printable(text, 200)}'; use train, val, test or leave it empty.")
    return SPLIT_NAMES.get(text.lower(), "")


def _lines(path: Path, stream: TextIO) -> Iterator[str]:
    """Yield the lines of an open file; refuse a file with one that is longer than any of a table."""
    while line := stream.readline(_LONGEST_LINE):
        if len(line) == _LONGEST_LINE:
            raise InputError(f"'{path}' has a line of more than {_LONGEST_LINE:,} characters, so it is not a CSV file.")
        yield line


def _usual(name: str) -> str:
    """Return the usual spelling of a column of ``HEADER``; other names are kept."""
    usual = name.strip().lower()
    return usual if usual in _COLUMNS else name


def _renamed(names: list[str]) -> tuple[list[str], list[str]]:
    """Return the columns with ours in the place of the only one of ``OTHER_NAMES``, and a note that says so."""
    taken: dict[str, str] = {}
    for column, others in OTHER_NAMES.items():
        fitting = [name for name in names if name.strip().lower() in others]
        if column not in names and len(fitting) == 1:
            taken[fitting[0]] = column
    if not {*_COLUMNS[:2]} <= {*names, *taken.values()}:
        return names, []  # a refusal names the columns as they are
    note = [f"The {column} is the column '{printable(name, 200)}'." for name, column in taken.items()]
    return [taken.get(name, name) for name in names], note


def _first_bad_line(path: Path) -> int:
    content = path.read_bytes()
    try:
        content.decode()
    except UnicodeDecodeError as error:
        return content.count(b"\n", 0, error.start) + 1
    return 1


def _is_complete(names: Sequence[str]) -> bool:
    """Return whether the columns that are needed are there."""
    return set(_COLUMNS[:2]) <= set(names)


def _require_header(path: Path, names: list[str]) -> None:
    """Refuse a first line that is not the header, and say what is wrong with it; some columns may have no name."""
    if _is_complete(names):
        if twice := [name for name in names if name.strip() and names.count(name) > 1]:
            raise InputError(f"'{path}' has the column '{printable(twice[0], 200)}' twice; name each column once.")
        return
    raise InputError(
        f"'{path}' starts with '{printable(','.join(names), 200)}', but its first line must be the header {HEADER}; "
        f"rename its columns: path is the file of an image with its ending, relative to the folder of '{path}', label "
        f"its class. A table of texts has the header {TEXT_HEADER}."
    )


def _csv_rows(path: Path, columns: Sequence[str], rows: Rows) -> Iterator[Row]:
    """Yield the lines; refuse one with too few or too many cells."""
    for number, cells in rows:
        place = f"'{path}', line {number}"
        if len(cells) != len(columns):
            raise InputError(f"{place}: has more or fewer cells than the header; quote cells that hold commas.")
        known = dict(zip(columns, cells, strict=True))
        yield place, [known.get(name, "").strip() for name in _COLUMNS]


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
        name = _found(path.parent, written)
        if not name:
            missing.append(written)
        image_id = PurePosixPath(name or written).as_posix()
        if image_id in known:
            raise InputError(
                f"{place}: the image '{printable(image_id, 200)}' is listed a second time; remove one of the lines."
            )
        known.add(image_id)
        names.append(name or written)
        listing.add(image_id, label, split_of(split, place), group)
    if not names:
        raise InputError(f"'{path}' lists no images; give one line per image under the header {HEADER}.")
    if len(missing) == len(names):
        raise InputError(
            f"none of the {len(names)} files that '{path}' lists exists (first: '{printable(str(missing[0]), 200)}'"
            f"{_almost(path.parent, missing[0])}); paths are relative to the folder of '{path}'."
        )
    notes = (
        *ignored_columns(path, [name for name in columns if name not in _COLUMNS]),
        *([f"Missing, or not files: {quoted(missing, _NAMES_SHOWN)}."] if missing else []),
    )
    return listing.image_set(files=FilesBelow(path.parent, tuple(names)), notes=notes)


def ignored_columns(path: Path, names: Sequence[str]) -> list[str]:
    """Return a note on columns that are not used, and a hint where one sounds like a split or like groups."""
    named = [name for name in names if name.strip()]
    notes = [f"Ignored columns of '{path.name}': {', '.join(named)}."] if named else []
    for usual, meaning, words in _ALIKE:
        if alike := [name for name in named if words.search(name)]:
            notes.append(f"If '{alike[0]}' says {meaning}, call that column {usual}.")
    return notes


_SPLIT_LIKE = r"split|subset|partition|is_?train|is_?test|\bset\b"
_GROUP_LIKE = r"group|patient|subject|person|individual|(case|lesion|study|series)_?id"
_ALIKE = (
    ("split", "which rows are to train and to test", re.compile(_SPLIT_LIKE, re.IGNORECASE)),
    ("group", "which rows belong together", re.compile(_GROUP_LIKE, re.IGNORECASE)),
)
"""Columns that are often called otherwise: their name here, what they say, and what others call them."""


def _found(folder: Path, written: str) -> str:
    """Return the spelling under which a file is there, or an empty text.

    Where it is not there as written, backslashes stand for slashes, and letters with accents may be one character or
    two (Unicode NFC and NFD): so tables of Windows and macOS have them.
    """
    plain = written.replace("\\", "/")
    spellings = (written, plain, unicodedata.normalize("NFC", plain), unicodedata.normalize("NFD", plain))
    return next((name for name in dict.fromkeys(spellings) if _is_file(folder / name)), "")


def _almost(folder: Path, written: str) -> str:
    """Return words about the file that a missing one may mean: one in a folder more or less, or almost of its name."""
    plain = written.replace("\\", "/")
    for place in [match.end() for match in re.finditer("/+", plain)][-_MOST_FOLDERS:]:
        if _is_file(folder / plain[place:]):
            return f", but '{plain[place:]}' is there: cut '{printable(written[:place], 200)}' from the paths"
    for inner in sorted(folder.glob("*/"))[:_MOST_INNER]:
        if _is_file(inner / plain):
            front = printable(inner.name, 200)
            return f", but '{front}/{plain}' is there: write '{front}/' before the paths, or move the table there"
    path = folder / plain
    try:
        names = sorted(entry.name for entry in path.parent.iterdir())
    except (OSError, ValueError):
        return ""
    for name in names:
        if name.casefold() == path.name.casefold():
            return f", but '{name}' is there: capital letters differ"
        if name.rpartition(".")[0] == path.name:
            return f", but '{name}' is there: write the ending too"
    return ""


def _is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False
