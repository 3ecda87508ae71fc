"""Parquet files, as tables of paths or with the encoded images inside, alone or as the shards of a data set."""

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from biotune.datasets.columns import known_splits
from biotune.datasets.folders import SUFFIXES, is_clutter
from biotune.datasets.image_set import ImageSet
from biotune.datasets.loaded import Part, first_line, kinds_of_columns, library, list_parts
from biotune.datasets.tables import open_path_table
from biotune.datasets.text_tables import is_of_texts, open_text_table
from biotune.errors import InputError

_ROWS_AT_ONCE = 64
"""Rows that are copied from a Parquet file at once: photos of several MB each must fit into memory together."""


def open_parquet(path: Path, asked: Mapping[str, str]) -> ImageSet:
    """List the images of a Parquet file in the order of its rows: those inside it, or those whose paths it holds.

    One with a column of texts holds texts instead.

    Images inside the file are read when they are needed. ``asked`` holds the columns that the user chose, by role.

    Raises InputError: the extra ``hf`` is missing, the file is not a Parquet file, or its columns do not fit.
    """
    rows = _open_rows(path)
    if not asked and not any(kind.get("_type") == "Image" for kind in kinds_of_columns(rows).values()):
        return (open_text_table if is_of_texts(rows.column_names) else open_path_table)(path, rows)
    return _open_files(path.name, {"": [path]}, asked)


def open_parquet_folder(root: Path, asked: Mapping[str, str]) -> ImageSet:
    """List the images inside the Parquet files of a folder, split by split, as the hub's client downloads them.

    Files may lie in sub-folders. The split of a file is the first word of its name, or else of its folder's, that names
    one. ``asked`` holds the columns that the user chose, by role.

    Raises InputError: files of several configurations, or columns that do not fit.
    """
    files: dict[str, list[Path]] = {}
    configurations: set[str] = set()
    for path in sorted(root.rglob("*.parquet")):
        inside = path.relative_to(root)
        if path.is_file() and not any(is_clutter(part) for part in inside.parts):
            files.setdefault(_split_word(inside), []).append(path)
            configurations.add("/".join(part for part in inside.parts[:-1] if not _split_word(Path(part))))
    if len(configurations) > 1:
        raise InputError(
            f"'{root}' holds several configurations ({', '.join(sorted(configurations))}); give the folder of one."
        )
    return _open_files(root.resolve().name, files, asked)


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


def _split_word(path: Path) -> str:
    """Return the first word of a file's name, or else of its folders, that names a split; else an empty text."""
    words = [word for part in (path.stem, *reversed(path.parts[:-1])) for word in re.split("[^A-Za-z]+", part)]
    return next((word.lower() for word in words if known_splits([word])[word]), "")


def _open_files(name: str, files: Mapping[str, list[Path]], asked: Mapping[str, str]) -> ImageSet:
    """List the images of the files of each split."""
    splits = known_splits(files)
    paths = [(split, path) for split in splits for path in files[split]]
    parts = [Part(split or "row", splits[split], _open_rows(path), f"'{path}'", path.parent) for split, path in paths]
    ignored = tuple(
        f"Ignored the Parquet files that name no split: {len(files[split])}." for split in files if split not in splits
    )

    def fingerprint(column: str) -> str:
        stats = [(os.fspath(path.absolute()), path.stat().st_size, path.stat().st_mtime_ns) for _, path in paths]
        return hashlib.sha256(json.dumps([column, stats]).encode()).hexdigest()

    return list_parts(name, parts, asked, fingerprint, ignored)


def _open_rows(path: Path) -> Any:
    """Return a ``datasets.Dataset`` on a memory-mapped copy of the file in the library's cache, made once."""
    datasets = library("Parquet files")
    with _errors_are_ours(datasets):
        try:
            return datasets.Dataset.from_parquet(os.fspath(path), batch_size=_ROWS_AT_ONCE)
        except Exception as error:  # damaged files meet the library with many kinds of errors
            raise InputError(
                f"'{path}' is empty, damaged or not a Parquet file ({first_line(error)}); write it again."
            ) from None


@contextmanager
def _errors_are_ours(datasets: Any) -> Iterator[None]:
    """Keep the library from logging errors: each becomes an error of ours."""
    before = datasets.logging.get_verbosity()
    datasets.logging.set_verbosity(datasets.logging.CRITICAL)
    try:
        yield
    finally:
        datasets.logging.set_verbosity(before)
