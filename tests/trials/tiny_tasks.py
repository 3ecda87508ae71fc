"""Tasks of the tiny network."""

from biotune.models import load_model
from biotune.recipe import Recipe
from biotune.records import GIVEN, Task
from tiny import NETWORK

PARTITION = load_model(NETWORK, 3, weights="random", image_size=32).partition
BLOCKS = len(PARTITION)


def recipe(*multipliers: float) -> Recipe:
    """Return a recipe of the tiny network."""
    return Recipe(PARTITION, multipliers)


LATE = Task(GIVEN, recipe(*(0.0,) * 5, 1.0, 2.0), None, 1, 2, "hash", keep_weights=True)
FULL = Task("full", None, None, 1, 2, "hash")
