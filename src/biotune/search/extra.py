"""Optional packages, imported when a search that needs one is built."""

import importlib
from typing import Any

from biotune.errors import InputError


def require_package(name: str, search: str) -> Any:
    """Return an optional package by its import name, or say which search needs it.

    Raises InputError: the package is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError:
        raise InputError(f"{search} needs the package {name}; install it: pip install 'biotune[optuna]'.") from None
