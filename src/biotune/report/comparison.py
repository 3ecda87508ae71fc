"""Placeholder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def write_comparison(folder: Path, comparison: Mapping[str, Any]) -> None:
    """Write nothing yet."""
