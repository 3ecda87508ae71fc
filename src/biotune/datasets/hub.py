"""Hugging Face data sets: of the hub, written by ``save_to_disk``, or as objects of the library ``datasets``."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import fsspec
import numpy as np
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled, RepositoryNotFoundError

from biotune.datasets.columns import (
    ROLES,
    ImageColumns,
    choose_columns,
    known_splits,
    list_rows,
    missing_labels_note,
)
from biotune.datasets.image_set import ChosenRows, ImageReader, ImageSet
from biotune.datasets.listing import Listing
from biotune.errors import InputError
from biotune.images.decoding import ImageSource

PREFIX = "hf:"
_FORM = "hf:NAME[:CONFIG][?image=COLUMN&label=COLUMN&group=COLUMN]"
_SAVED = ("dataset_dict.json", "state.json")
_PATIENCE_S = 10.0


@dataclass(frozen=True)
class Address:
    """What stands behind ``hf:``.

    Args:
        name: of a data set of the hub, or a local path.
        config: of the data set, or an empty text.
        columns: role (image, label, group) -> column, where the user chose.
    """

    name: str
    config: str
    columns: dict[str, str]


def parse(text: str) -> Address:
    """Read ``hf:NAME[:CONFIG][?image=COLUMN&label=COLUMN&group=COLUMN]``.

    Args:
        text: as typed.

    Returns:
        Its parts.

    Raises:
        InputError: it has another form.
    """
    body, _, query = text.removeprefix(PREFIX).partition("?")
    name, _, config = body.partition(":")
    try:
        columns = dict(parse_qsl(query, strict_parsing=True)) if query else {}
    except ValueError:
        columns = {query: ""}
    if wrong := [role for role, column in columns.items() if role not in ROLES or not column]:
        raise InputError(f"'{text}' chooses '{wrong[0]}'; write {_FORM}.")
    if not name:
        raise InputError(f"'{text}' names no data set; write {_FORM}.")
    return Address(name, config, columns)


def open_hub(address: Address) -> ImageSet:
    """Load a data set of the hub, or its copy in the cache of ``datasets`` where HF_HUB_OFFLINE=1 is set.

    Args:
        address: its name, configuration and columns.

    Returns:
        The images; they are read when they are needed.

    Raises:
        InputError: the library is missing, the hub cannot be reached, or there is no such data set.
    """
    library = _library()
    _require_reachable(address.name)
    try:
        loaded = library.load_dataset(address.name, address.config or None)
    except Exception as error:  # the library raises errors of many kinds
        raise InputError(f"the data set '{address.name}' cannot be loaded ({_first_line(error)}).") from None
    return open_datasets(address.name.rpartition("/")[2], loaded, address.columns)


def is_saved(folder: Path) -> bool:
    """Return whether a folder was written by ``save_to_disk``."""
    return (folder / _SAVED[0]).is_file() or all((folder / name).is_file() for name in (_SAVED[1], "dataset_info.json"))


def is_cut_off(folder: Path) -> bool:
    """Return whether a folder holds some, not all, of what ``save_to_disk`` writes."""
    return not is_saved(folder) and (folder / _SAVED[1]).is_file() and any(folder.glob("*.arrow"))


def open_saved(folder: Path, asked: Mapping[str, str]) -> ImageSet:
    """Load a data set that was written by ``save_to_disk``; the images stay on disk.

    Args:
        folder: where it lies.
        asked: role -> column, where the user chose.

    Returns:
        The images.

    Raises:
        InputError: the library is missing, the folder is damaged, or its columns do not fit.
    """
    library = _library()
    try:
        loaded = library.load_from_disk(str(folder))
    except Exception as error:  # damaged files meet the library with many kinds of errors
        raise InputError(f"the data set in '{folder}' is damaged ({_first_line(error)}); save it again.") from None
    return open_datasets(folder.resolve().name, loaded, asked)


def is_dataset(data: object) -> bool:
    """Return whether an object is a ``datasets.Dataset`` or ``DatasetDict``; the library is not imported."""
    kinds = {f"{kind.__module__.partition('.')[0]}.{kind.__name__}" for kind in type(data).__mro__}
    return bool(kinds & {"datasets.Dataset", "datasets.DatasetDict"})


def open_datasets(name: str, loaded: Any, asked: Mapping[str, str]) -> ImageSet:
    """List the images of a loaded data set, with its splits.

    Args:
        name: of the source.
        loaded: a ``datasets.Dataset`` or ``DatasetDict``.
        asked: role -> column, where the user chose.

    Returns:
        The images; they are read when they are needed.

    Raises:
        InputError: its columns do not fit.
    """
    parts = dict(loaded) if isinstance(loaded, dict) else {str(loaded.split or "row"): loaded}
    splits = known_splits(parts)
    first = parts[next(iter(splits))]
    columns = choose_columns(name, first.features.to_dict(), asked, any(splits.values()))
    listing = Listing(name, grouped=bool(columns.group))
    kept: list[int] = []
    base = 0
    for split, kind in splits.items():
        part = parts[split]
        _require_columns(name, split, part.column_names, columns)
        cells = part.select_columns(columns.read()).with_format("arrow")[:].to_pydict()
        kept += [base + row for row in list_rows(listing, columns, kind, f"{split}/", cells, 0)]
        base += len(part)
    reader: ImageReader = DatasetImages([parts[split] for split in splits], columns.image)
    if len(kept) < base:
        reader = ChosenRows(reader, np.array(kept, dtype=np.int64))
    ignored = tuple(f"Ignored the split '{other}': {len(parts[other])}." for other in parts if other not in splits)
    notes = (*columns.notes, *missing_labels_note(base - len(kept)), *ignored)
    return listing.image_set(reader=reader, class_names=columns.class_names, notes=notes)


class DatasetImages:
    """Reads encoded images of loaded data sets, one after the other; the library decodes nothing.

    Args:
        parts: each a ``datasets.Dataset``.
        column: of the images.
    """

    def __init__(self, parts: list[Any], column: str) -> None:
        encoded = _library().Image(decode=False)
        self._column = column
        self._parts = [part.select_columns([column]).cast_column(column, encoded) for part in parts]
        self._starts = np.cumsum([0, *(len(part) for part in parts)])
        self._fingerprints = [part._fingerprint for part in parts]  # the library has no public name for it

    def __len__(self) -> int:
        return int(self._starts[-1])

    @property
    def fingerprint(self) -> str:
        """Hash of the library's own fingerprints."""
        return hashlib.sha256(" ".join([self._column, *self._fingerprints]).encode()).hexdigest()

    def read(self, row: int) -> ImageSource:
        """Return the content of one image, or its file."""
        part = int(np.searchsorted(self._starts, row, side="right")) - 1
        cell = self._parts[part][int(row - self._starts[part])][self._column]
        if cell["bytes"] is not None:
            return bytes(cell["bytes"])
        if not cell["path"] or "://" not in cell["path"]:
            return Path(cell["path"] or "")
        with fsspec.open(cell["path"], "rb") as stream:  # inside an archive
            return bytes(stream.read())


def _library() -> Any:
    try:
        return import_module("datasets")
    except ImportError:
        raise InputError("Hugging Face data sets need the package datasets; run: pip install 'biotune[hf]'") from None


def _require_reachable(name: str) -> None:
    """Ask the hub for a data set once: the library itself would try again for half a minute."""
    try:
        HfApi().dataset_info(name, timeout=_PATIENCE_S)
    except OfflineModeIsEnabled:
        pass
    except RepositoryNotFoundError:
        raise InputError(
            f"there is no file or folder '{name}', and no data set of that name on the Hugging Face hub that you may "
            "read; check the name (hub names are OWNER/NAME) or log in with 'hf auth login'."
        ) from None
    except HfHubHTTPError as error:
        raise InputError(f"the Hugging Face hub refused the data set '{name}' ({_first_line(error)}).") from None
    except Exception as error:  # the name is no name, or the network is down, in the words of several libraries
        raise InputError(
            f"the data set '{name}' is no local folder, and the Hugging Face hub cannot be asked for it "
            f"({_first_line(error)}); check name and network, or set HF_HUB_OFFLINE=1 to use a copy that was loaded "
            "before."
        ) from None


def _require_columns(name: str, split: str, present: list[str], columns: ImageColumns) -> None:
    if lacking := [column for column in (columns.image, *columns.read()) if column not in present]:
        raise InputError(f"the split '{split}' of '{name}' has no column '{lacking[0]}', but the first split has.")


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200]
