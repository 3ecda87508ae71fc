"""The cells of CSV files as other programs save them: what separates them, and which lines hold none."""

import codecs
import csv
import itertools
import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import TextIO

MARKS = (",", ";", "\t")
"""What may separate cells: commas, and what Excel writes where commas are decimal, or as text."""
_ANNOUNCED = re.compile(r"sep=.\r?\n?", re.IGNORECASE)
"""A first line that tells Excel what separates cells."""

Rows = Iterator[tuple[int, list[str]]]
"""The number of a line, and its cells."""


def open_table(path: Path) -> TextIO:
    """Open a CSV file in UTF-8, or in UTF-16 with its byte order mark, as Excel saves Unicode text."""
    with path.open("rb") as stream:
        is_utf_16 = stream.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    return path.open(encoding="utf-16" if is_utf_16 else "utf-8-sig", newline="")


def read_cells(lines: Iterable[str], needed: Collection[str]) -> tuple[list[str], Rows]:
    """Return the header and the rows below it; rows whose cells are all empty are left out, as spreadsheets add them.

    So are empty lines above the header.

    Commas separate cells, or another of ``MARKS``: that with which the header has the needed columns, or else most.

    Args:
        lines: of a file, with their ends.
        needed: names of columns, in small letters.

    Returns:
        The names of the columns as they are, none for an empty file; and the rows, read when they are asked for.

    Raises:
        csv.Error: what is read is not CSV.
    """
    source, skipped = iter(lines), 0
    first = next(source, "")
    if _ANNOUNCED.fullmatch(first):
        first, skipped = next(source, ""), 1
    while first and not first.strip():
        first, skipped = next(source, ""), skipped + 1
    if "\0" in first:
        raise csv.Error("it holds zero bytes")
    names = {mark: _names(first, mark) for mark in MARKS}
    mark = next((mark for mark in MARKS if set(needed) <= names[mark]), max(MARKS, key=lambda mark: len(names[mark])))
    reader = csv.reader(itertools.chain([first], source), delimiter=mark)
    return next(reader, []), ((reader.line_num + skipped, cells) for cells in reader if not _is_empty(cells))


def _names(header: str, mark: str) -> set[str]:
    return {name.strip().lower() for name in next(csv.reader([header], delimiter=mark), [])}


def _is_empty(cells: list[str]) -> bool:
    """Return whether a row says nothing; the only cell of one may be an empty text."""
    return not cells or (len(cells) > 1 and not any(cell.strip() for cell in cells))
