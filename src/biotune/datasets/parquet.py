"""Parquet files, as tables of paths or with the encoded images inside, alone or as the shards of a data set."""

import bisect
import hashlib
import itertools
import json
import os
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from biotune.datasets.columns import (
    Features,
    ImageColumns,
    choose_columns,
    known_splits,
    list_rows,
    missing_labels_note,
)
from biotune.datasets.folders import SUFFIXES, is_clutter
from biotune.datasets.image_set import ChosenRows, ImageReader, ImageSet
from biotune.datasets.listing import Listing
from biotune.datasets.tables import open_path_parquet
from biotune.errors import InputError
from biotune.images.decoding import ImageSource

_LABEL_ROWS = 65_536
_IMAGE_ROWS = 64
_KEPT_BATCHES = 4


def open_parquet(path: Path, asked: Mapping[str, str]) -> ImageSet:
    """List the images of a Parquet file: those inside it, or those whose paths it holds.

    Args:
        path: the file.
        asked: role -> column, where the user chose; see ``choose_columns``.

    Returns:
        The images, in the order of the rows; those inside the file are read when they are needed.

    Raises:
        InputError: no Parquet file, or its columns do not fit.
    """
    file = _opened(path)
    features = _features(file.schema_arrow)
    if not asked and not any(kind["_type"] == "Image" for kind in features.values()):
        return open_path_parquet(path, file)
    return _open_shards(path.name, {"": [path]}, asked)


def open_parquet_folder(root: Path, asked: Mapping[str, str]) -> ImageSet:
    """List the images inside the Parquet files of a folder, as the hub's client downloads them.

    The split of a file is the first word of its name, or else of its folder's, that names one.

    Args:
        root: the folder; files may lie in sub-folders of it.
        asked: role -> column, where the user chose.

    Returns:
        The images, split by split.

    Raises:
        InputError: files of several configurations, or columns that do not fit.
    """
    shards: dict[str, list[Path]] = {}
    configurations: set[str] = set()
    for path in sorted(root.rglob("*.parquet")):
        inside = path.relative_to(root)
        if path.is_file() and not any(is_clutter(part) for part in inside.parts):
            shards.setdefault(_split_word(inside), []).append(path)
            configurations.add("/".join(part for part in inside.parts[:-1] if not _split_word(Path(part))))
    if len(configurations) > 1:
        raise InputError(
            f"'{root}' holds several configurations ({', '.join(sorted(configurations))}); give the folder of one."
        )
    return _open_shards(root.resolve().name, shards, asked)


def holds_parquet(root: Path) -> bool:
    """Return whether a folder's data are Parquet files: there are some in it or one level below, and no images."""
    folders = (root, *sorted(path for path in root.iterdir() if path.is_dir() and not is_clutter(path.name)))
    kinds = {_first_data_suffix(folder) for folder in folders}
    return not kinds & SUFFIXES and (".parquet" in kinds or any(root.glob("*/*/*.parquet")))


def _first_data_suffix(folder: Path) -> str:
    """Return the ending of the first image or Parquet file directly in a folder, or an empty text."""
    try:
        with os.scandir(folder) as entries:
            suffixes = (Path(entry.name).suffix.lower() for entry in entries if not is_clutter(entry.name))
            return next((suffix for suffix in suffixes if suffix == ".parquet" or suffix in SUFFIXES), "")
    except PermissionError:  # named when its images are listed
        return ""


@dataclass(frozen=True)
class _Place:
    """Where the reader stands: a file, a row group, and the batches still to come from it."""

    file: int
    group: int
    batches: Iterator[pa.RecordBatch]


class ParquetImages:
    """Reads encoded images from Parquet files; quick in ascending order, and from any thread.

    Only a few batches are in memory, whatever the size of files and row groups.

    Args:
        files: in the order of their rows.
        column: of the images.
    """

    def __init__(self, files: list[Path], column: str) -> None:
        self._column = column
        self._files = files
        metadata = [pq.read_metadata(path) for path in files]
        self._groups: list[tuple[int, int, int]] = [
            (file, group, each.row_group(group).num_rows)
            for file, each in enumerate(metadata)
            for group in range(each.num_row_groups)
        ]
        self._starts: list[int] = [0, *itertools.accumulate(rows for _, _, rows in self._groups)]
        self._lock = threading.Lock()
        self._place: _Place | None = None
        self._next = 0
        self._recent: dict[tuple[int, int], list[ImageSource]] = {}

    def __len__(self) -> int:
        return self._starts[-1]

    @property
    def fingerprint(self) -> str:
        """Hash of the files' paths, sizes and times."""
        stats = [(os.fspath(path.absolute()), path.stat().st_size, path.stat().st_mtime_ns) for path in self._files]
        return hashlib.sha256(json.dumps([self._column, stats]).encode()).hexdigest()

    def read(self, row: int) -> ImageSource:
        """Return the content of one image, or its file where the table names one."""
        group = bisect.bisect_right(self._starts, row) - 1
        number, offset = divmod(row - self._starts[group], _IMAGE_ROWS)
        with self._lock:
            while (group, number) not in self._recent:
                self._advance(group, number)
            image: ImageSource = self._recent[group, number][offset]
            return image

    def _advance(self, group: int, number: int) -> None:
        """Read one more batch of a row group, from its start if the wanted one is behind."""
        file, index, _ = self._groups[group]
        if self._place is None or (self._place.file, self._place.group) != (file, index) or number < self._next:
            table = pq.ParquetFile(self._files[file], memory_map=True, pre_buffer=False)
            batches = table.iter_batches(_IMAGE_ROWS, row_groups=[index], columns=[self._column], use_threads=False)
            self._place, self._next = _Place(file, index, batches), 0
        batch = next(self._place.batches)
        if self._next == number:
            cells = batch.column(0).to_pylist()
            self._recent[group, number] = [self._source(cell, self._files[file].parent) for cell in cells]
            while len(self._recent) > _KEPT_BATCHES:
                del self._recent[next(iter(self._recent))]
        self._next += 1

    @staticmethod
    def _source(cell: Any, folder: Path) -> ImageSource:
        content, path = (cell.get("bytes"), cell.get("path")) if isinstance(cell, dict) else (cell, None)
        if content is None and path:
            return folder / str(path)
        return bytes(content or b"")


def _opened(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"'{path}' is no Parquet file ({str(error).splitlines()[0]}); write it again.") from None


def _features(schema: pa.Schema) -> dict[str, Mapping[str, Any]]:
    """Return the kind of every column: as Hugging Face wrote it into the file, or by its type."""
    try:
        written = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, ValueError, TypeError):
        written = {}
    return {field.name: written.get(field.name) or _kind(field.type) for field in schema}


def _kind(kind: pa.DataType) -> dict[str, str]:
    if pa.types.is_dictionary(kind):
        return _kind(kind.value_type)
    content = kind.field("bytes").type if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0 else kind
    if pa.types.is_binary(content) or pa.types.is_large_binary(content):
        return {"_type": "Image"}
    return {"_type": "Value", "dtype": str(kind)}


def _split_word(path: Path) -> str:
    """Return the first word of a file's name, or else of its folders, that names a split; else an empty text."""
    words = [word for part in (path.stem, *reversed(path.parts[:-1])) for word in re.split("[^A-Za-z]+", part)]
    return next((word.lower() for word in words if known_splits([word])[word]), "")


def _open_shards(name: str, shards: Mapping[str, list[Path]], asked: Mapping[str, str]) -> ImageSet:
    splits = known_splits(shards)
    left_out = [split for split in shards if split not in splits]
    files = [path for split in splits for path in shards[split]]
    features: Features = _features(_opened(files[0]).schema_arrow)
    columns = choose_columns(name, features, asked, any(splits.values()))
    listing = Listing(name, grouped=bool(columns.group))
    kept: list[int] = []
    base = 0
    for split, kind in splits.items():
        count, rows = _list_split(listing, columns, shards[split], kind, f"{split or 'row'}/")
        kept += [base + row for row in rows]
        base += count
    reader: ImageReader = ParquetImages(files, columns.image)
    if len(kept) < base:
        reader = ChosenRows(reader, np.array(kept, dtype=np.int64))
    others = tuple(f"Ignored the Parquet files that name no split: {len(shards[split])}." for split in left_out)
    notes = (*columns.notes, *missing_labels_note(base - len(kept)), *others)
    return listing.image_set(reader=reader, class_names=columns.class_names, notes=notes)


def _list_split(
    listing: Listing, columns: ImageColumns, files: list[Path], split: str, prefix: str
) -> tuple[int, list[int]]:
    """List the images of one split; return how many rows it has, and which have labels."""
    count, kept = 0, list[int]()
    for path in files:
        file = _opened(path)
        try:
            for batch in file.iter_batches(_LABEL_ROWS, columns=columns.read()):
                cells = {name: batch.column(name).to_pylist() for name in columns.read()}
                kept += list_rows(listing, columns, split, prefix, cells, count)
                count += batch.num_rows
        except (pa.ArrowException, OSError, KeyError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(f"'{path}' does not fit the other files or is damaged ({reason}).") from None
    return count, kept
