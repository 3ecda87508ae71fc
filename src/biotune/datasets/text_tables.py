"""Tables with a column of texts and one of labels, as CSV or Parquet."""

import csv
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from biotune.datasets.csv_cells import Rows, open_table, read_cells
from biotune.datasets.image_set import TEXT, ImageSet
from biotune.datasets.listing import Listing
from biotune.datasets.tables import TEXT_HEADER, cell_text, ignored_columns, split_of
from biotune.errors import InputError
from biotune.wording import printable

_COLUMNS = ("text", "label", "split", "group")
_BATCH_ROWS = 4096
_HEADER_LINES = 8
_HEADER_CHARACTERS = 10_000
_LONGEST_CELL = 2**26
"""Characters of a cell that the library ``csv`` reads: far above ``texts.MAX_BYTES``, which decides what is used."""


@dataclass(frozen=True)
class TextCells:
    """Texts in memory."""

    texts: tuple[str, ...]

    @cached_property
    def fingerprint(self) -> str:
        """Hash of all texts, 64 hexadecimal digits."""
        digest = hashlib.sha256()
        for text in self.texts:
            content = _encoded(text)
            digest.update(f"{len(content)} ".encode() + content)
        return digest.hexdigest()

    def read(self, row: int) -> bytes:
        """Return one text in UTF-8."""
        return _encoded(self.texts[row])


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", errors="replace")  # a lone surrogate becomes a question mark


def is_of_texts(names: Iterable[str]) -> bool:
    """Return whether these are the columns of a table of texts, in any order, capitals and blanks aside."""
    usual = [name.strip().lower() for name in names]
    return {"text", "label"} <= set(usual) and "path" not in usual


def is_text_csv(path: Path) -> bool:
    """Return whether the first line of a CSV file has the columns of a table of texts; few others are read."""
    try:
        with open_table(path) as stream:
            lines = (stream.readline(_HEADER_CHARACTERS) for _ in range(_HEADER_LINES))
            header = read_cells(lines, _COLUMNS[:2])[0]
    except (OSError, UnicodeError, csv.Error):
        return False  # whoever reads the whole file says what is wrong
    return is_of_texts(header)


def open_text_csv(path: Path) -> ImageSet:
    """List the texts of a CSV file in UTF-8 with the columns of ``TEXT_HEADER``, in the order of its rows.

    Raises InputError: the file cannot be read, or a row is incomplete.
    """
    with _one_sentence(path), open_table(path) as stream:
        header, rows = read_cells(stream, _COLUMNS[:2])
        names = _usual(path, header)
        return _text_set(path, names, _csv_rows(path, names, rows))


def texts_of_csv(path: Path) -> list[str]:
    """Return the texts of a CSV file with a column ``text``, labelled or not, in the order of its rows.

    Raises InputError: the file cannot be read, or has no such column.
    """
    with _one_sentence(path), open_table(path) as stream:
        header, rows = read_cells(stream, _COLUMNS[:1])
        names = _usual(path, header)
        if "text" not in names:
            shown = printable(", ".join(names), 200) or "(none)"
            raise InputError(
                f"'{path}' has the columns {shown}; texts to be labelled need a column that is called text."
            )
        return [cells[0] for cells in _csv_rows(path, names, rows)]


def open_text_table(path: Path, table: Any) -> ImageSet:
    """List the texts of a Parquet file with the columns of ``TEXT_HEADER``; ``table`` is a ``datasets.Dataset`` of it.

    Raises InputError: a row is incomplete.
    """
    names = _usual(path, table.column_names)
    return _text_set(path, names, _table_rows(names, table))


@contextmanager
def _one_sentence(path: Path) -> Iterator[None]:
    """Let the library ``csv`` read long cells (its own limit is 131,072 characters), and say what is wrong."""
    before = csv.field_size_limit(_LONGEST_CELL)
    try:
        yield
    except UnicodeError:
        raise InputError(f"'{path}' is not in UTF-8; save it as CSV in UTF-8.") from None
    except csv.Error as error:
        raise InputError(f"'{path}' is not a CSV file ({error}); save it as CSV in UTF-8.") from None
    except OSError as error:
        raise InputError(f"'{path}' cannot be read: {error.strerror}; check the name and its permissions.") from None
    finally:
        csv.field_size_limit(before)


def _usual(path: Path, names: Sequence[str]) -> list[str]:
    """Return the names of the columns, those of ``TEXT_HEADER`` in their usual spelling; refuse one that is twice."""
    usual = [name.strip().lower() if name.strip().lower() in _COLUMNS else name for name in names]
    if twice := [name for name in usual if name.strip() and usual.count(name) > 1]:
        raise InputError(f"'{path}' has the column '{twice[0]}' twice; name each column once: {TEXT_HEADER}.")
    return usual


def _csv_rows(path: Path, names: list[str], rows: Rows) -> Iterator[list[str]]:
    """Yield text, label, split and group of each row."""
    places = [names.index(name) if name in names else None for name in _COLUMNS]
    for number, cells in rows:
        if len(cells) != len(names):
            raise InputError(
                f"'{path}', line {number}: has more or fewer cells than the header; quote texts that hold "
                "commas, quotation marks or line breaks."
            )
        yield ["" if place is None else cells[place] for place in places]


def _table_rows(names: list[str], table: Any) -> Iterator[list[str]]:
    own = {usual: name for usual, name in zip(names, table.column_names, strict=True) if usual in _COLUMNS}
    for cells in table.select_columns(list(own.values())).iter(_BATCH_ROWS):
        for values in zip(*(cells[name] for name in own.values()), strict=True):
            known = dict(zip(own, values, strict=True))
            yield [cell_text(known.get(name)) for name in _COLUMNS]


def _text_set(path: Path, names: list[str], rows: Iterable[list[str]]) -> ImageSet:
    listing, texts = Listing(path.name, grouped="group" in names), list[str]()
    for number, (text, label, split, group) in enumerate(rows, 1):
        place = f"'{path}', row {number}"
        if not label.strip():
            raise InputError(f"{place}: the label is empty; every row needs a text and a label.")
        listing.add(f"row/{number}", label.strip(), split_of(split.strip(), place), group.strip())
        texts.append(text)
    if not texts:
        raise InputError(f"'{path}' lists no texts; give one row per text under the header {TEXT_HEADER}.")
    notes = tuple(ignored_columns(path, [name for name in names if name not in _COLUMNS]))
    return listing.image_set(reader=TextCells(tuple(texts)), notes=notes, kind=TEXT)
