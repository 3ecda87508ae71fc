"""Where to look next: search algorithms over points in the unit box (NumPy only)."""

from biotune.search.base import Batch, Search
from biotune.search.evolution import Evolution, EvolutionSettings
from biotune.search.random_search import RandomSearch

SEARCHES: dict[str, type[Search]] = {"evolution": Evolution, "random": RandomSearch}

__all__ = ["SEARCHES", "Batch", "Evolution", "EvolutionSettings", "RandomSearch", "Search"]
