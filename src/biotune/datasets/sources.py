"""From DATA, as a user gives it, to an image set: which reader fits its layout."""

import difflib
import re
import stat
from pathlib import Path

from biotune.datasets import hub
from biotune.datasets.folders import SUFFIXES, open_folder
from biotune.datasets.image_set import ImageSet
from biotune.datasets.parquet import holds_parquet, open_parquet, open_parquet_folder
from biotune.datasets.registry import DATASETS, data_root
from biotune.datasets.tables import HEADER, TEXT_HEADER, open_csv
from biotune.datasets.text_tables import is_text_csv, open_text_csv
from biotune.errors import InputError

_DATA_IS = (
    "DATA is a folder of class folders, a folder with train/ [val/] [test/] of class folders, "
    f"a .csv or .parquet file with the columns {HEADER} (of texts {TEXT_HEADER}), a Hugging Face data set (hf:NAME, or "
    "a folder of one), "
    "or the name of a data set (see 'biotune datasets')"
)

_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar")
_ARRAYS = (".npy", ".npz", ".pt", ".pth", ".pkl", ".pickle", ".h5", ".hdf5", ".mat")
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+:/+", re.IGNORECASE)
_OTHER_TABLES = (".tsv", ".tab", ".txt", ".xls", ".xlsx", ".ods", ".json", ".jsonl")


def open_source(data: str | Path, root: str | Path | None = None) -> ImageSet:
    """Find the labelled images of a source; no image is opened.

    A named data set wins over a folder of the same name in the current folder, which is then written ``./name``.

    Args:
        data: a folder, a ``.csv`` or ``.parquet`` file, ``hf:NAME``, or the name of a data set; docs/data.md describes
            the layouts.
        root: where downloaded data sets lie; see ``biotune.datasets.data_root``.

    Returns:
        The images, sorted by id for folders and in the order of the rows for tables.

    Raises:
        InputError: there is no such source, or it has no usable classes; says what the layout must be.
    """
    text = str(data)
    if isinstance(data, str) and data in DATASETS:
        return _open_named(data, root)
    if not text:
        raise InputError(f"DATA is empty; {_DATA_IS}.")
    if isinstance(data, str) and data.startswith(hub.PREFIX):
        return _open_hugging_face(hub.parse(data))
    return _open_path(_expanded(Path(data)), {})


def _open_hugging_face(address: hub.Address) -> ImageSet:
    """Open what ``hf:`` names: a local file or folder if there is one, else a data set of the hub."""
    try:
        is_local = Path(address.name).exists()
    except (OSError, ValueError):
        is_local = False
    return _open_path(Path(address.name), address.columns) if is_local else hub.open_hub(address)


def _open_path(path: Path, columns: dict[str, str]) -> ImageSet:
    try:
        mode = path.stat().st_mode
        is_folder = stat.S_ISDIR(mode)
        has_shards = is_folder and holds_parquet(path)
    except (OSError, ValueError) as error:
        raise _unknown_source(str(path), error) from None
    suffix = path.suffix.lower() if stat.S_ISREG(mode) else ""
    if is_folder and hub.is_saved(path):
        return hub.open_saved(path, columns)
    if has_shards:
        return open_parquet_folder(path, columns)
    if suffix == ".parquet":
        return open_parquet(path, columns)
    if columns:
        raise InputError(f"'{path}' has no columns to choose from; leave out what follows the question mark.")
    if is_folder and hub.is_cut_off(path):
        raise InputError(f"'{path}' looks like a saved data set, but dataset_info.json is missing; save it again.")
    if is_folder:
        return open_folder(path)
    if suffix == ".csv":
        return open_text_csv(path) if is_text_csv(path) else open_csv(path)
    if suffix in _OTHER_TABLES:
        raise InputError(
            f"'{path}' is a table of a kind that is not read; save it as a .csv file, with commas and {HEADER}."
        )
    if suffix in _ARCHIVES:
        raise InputError(f"'{path}' is an archive; unpack it, and give the folder that this makes.")
    if suffix in _ARRAYS:
        raise InputError(
            f"'{path}' is a file of arrays; load it in Python and give them to biotune.tune((images, labels)), or save "
            "the images in one folder for each class."
        )
    if suffix in SUFFIXES:
        raise InputError(f"'{path}' is a single image; give the folder that holds a folder of images for each class.")
    raise InputError(f"'{path}' is neither a folder nor a .csv or .parquet file; {_DATA_IS}.")


def _expanded(path: Path) -> Path:
    """Return a path with the home folder in the place of ``~``, where there is one."""
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def _open_named(name: str, root: str | Path | None) -> ImageSet:
    info = DATASETS[name]
    if Path(name).is_dir() and info.find(data_root(root)) is None:
        raise InputError(
            f"'{name}' is a folder here, and also the name of a data set that is not installed; write './{name}' for "
            f"the folder, or for the data set: {info.how(root)}."
        )
    return info.load(root)


def _unknown_source(text: str, error: OSError | ValueError) -> InputError:
    if isinstance(error, PermissionError):
        return InputError(f"'{text}' cannot be read: permission denied; change its permissions.")
    if _ADDRESS.match(text):
        address = re.sub(":/+", "://", text, count=1)  # a path has lost one of them
        return InputError(f"'{address}' is an address; download what is there, unpack it, and give the folder.")
    is_name = "/" not in text and "\\" not in text
    near = difflib.get_close_matches(text.lower(), DATASETS, n=2, cutoff=0.5) if is_name else []
    hint = f" (did you mean {' or '.join(repr(name) for name in near)}?)" if near else ""
    return InputError(f"'{text}' is not a file, a folder or a named data set{hint}; {_DATA_IS}.")
