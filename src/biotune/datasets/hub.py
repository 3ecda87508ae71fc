"""Hugging Face data sets of the hub, or written by ``save_to_disk``: their addresses, and how they are loaded."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl

from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled, RepositoryNotFoundError

from biotune.datasets.columns import ROLES
from biotune.datasets.image_set import ImageSet
from biotune.datasets.loaded import first_line, library, open_datasets
from biotune.errors import InputError

PREFIX = "hf:"
_FORM = "hf:NAME[:CONFIG][?image=COLUMN&label=COLUMN&group=COLUMN] (text=COLUMN for texts)"
_SAVED = ("dataset_dict.json", "state.json")
_PATIENCE_S = 10.0


@dataclass(frozen=True)
class Address:
    """What follows ``hf:``: a data set of the hub or a local path, a configuration, and columns chosen by role."""

    name: str
    config: str
    columns: dict[str, str]


def parse(text: str) -> Address:
    """Read ``hf:NAME[:CONFIG][?image=COLUMN&label=COLUMN&group=COLUMN]``; refuse any other form."""
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

    The images are read when they are needed.

    Raises InputError: the library is missing, the hub cannot be reached, or there is no such data set.
    """
    datasets = library()
    _require_reachable(address.name)
    try:
        loaded = datasets.load_dataset(address.name, address.config or None)
    except Exception as error:  # the library raises errors of many kinds
        raise InputError(f"the data set '{address.name}' cannot be loaded ({first_line(error)}).") from None
    return open_datasets(address.name.rpartition("/")[2], loaded, address.columns)


def is_saved(folder: Path) -> bool:
    """Return whether a folder was written by ``save_to_disk``."""
    return (folder / _SAVED[0]).is_file() or all((folder / name).is_file() for name in (_SAVED[1], "dataset_info.json"))


def is_cut_off(folder: Path) -> bool:
    """Return whether a folder holds some, not all, of what ``save_to_disk`` writes."""
    return not is_saved(folder) and (folder / _SAVED[1]).is_file() and any(folder.glob("*.arrow"))


def open_saved(folder: Path, asked: Mapping[str, str]) -> ImageSet:
    """Load a data set that was written by ``save_to_disk``; the images stay on disk.

    ``asked`` holds the columns that the user chose, by role.

    Raises InputError: the library is missing, the folder is damaged, or its columns do not fit.
    """
    datasets = library()
    try:
        loaded = datasets.load_from_disk(str(folder))
    except Exception as error:  # damaged files meet the library with many kinds of errors
        raise InputError(f"the data set in '{folder}' is damaged ({first_line(error)}); save it again.") from None
    return open_datasets(folder.resolve().name, loaded, asked)


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
        raise InputError(f"the Hugging Face hub refused the data set '{name}' ({first_line(error)}).") from None
    except Exception as error:  # a malformed name, or no network: several libraries have errors of their own for it
        raise InputError(
            f"the data set '{name}' is not a local folder, and the Hugging Face hub cannot be reached "
            f"({first_line(error)}); check name and network, or set HF_HUB_OFFLINE=1 to use a copy that was loaded "
            "before."
        ) from None
