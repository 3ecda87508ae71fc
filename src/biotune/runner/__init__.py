"""A run from start to end; resuming is the same call."""

from biotune.runner.run import run
from biotune.runner.setup import Setup, set_up

__all__ = ["Setup", "run", "set_up"]
