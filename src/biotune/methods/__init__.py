"""How it is tuned: fine-tuning methods behind one interface."""

from collections.abc import Callable, Sequence

from biotune.methods.fixed import Network, from_multipliers, full, linear_probe
from biotune.recipe import Recipe

METHODS: dict[str, Callable[[Network, Sequence[float]], Recipe]] = {
    "full": full,
    "linear_probe": linear_probe,
    "recipe": from_multipliers,
}

__all__ = ["METHODS", "Network"]
