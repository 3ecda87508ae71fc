"""Evolutions whose sizes and options are given side by side, as a test wants them."""

from dataclasses import fields
from typing import Any

from biotune.search import Evolution, SearchSettings

SIZES = {field.name for field in fields(SearchSettings)}


def evolution(num_genes: int, seed: int = 0, *, space: Any = None, start: Any = (), **changes: Any) -> Evolution:
    """Return an evolution with changed sizes and options."""
    sizes = {name: value for name, value in changes.items() if name in SIZES}
    options = {name: value for name, value in changes.items() if name not in SIZES}
    return Evolution(num_genes, seed, SearchSettings(**sizes), space, start, options)
