"""Recipes of no network in particular, for tests that train nothing."""

from biotune.partition import unnamed_partition
from biotune.recipe import Recipe


def recipe(*multipliers: float) -> Recipe:
    """Return a recipe with one multiplier per block."""
    return Recipe(unnamed_partition(len(multipliers)), multipliers)
