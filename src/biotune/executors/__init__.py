"""Where tasks run."""

from biotune.executors.base import Executor, InProcess

__all__ = ["Executor", "InProcess"]
