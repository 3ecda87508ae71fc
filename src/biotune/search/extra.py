"""Packages that only some searches need, imported when one of them is built."""

import importlib
from typing import Any

from biotune.errors import InputError


def require_package(name: str, search: str) -> Any:
    """Return an optional package.

    Args:
        name: of the package.
        search: who needs it, in words.

    Returns:
        The module.

    Raises:
        InputError: it is not installed; says what to do.
    """
    try:
        return importlib.import_module(name)
    except ImportError:
        raise InputError(f"{search} needs the package {name}; install it: pip install 'biotune[optuna]'.") from None
