"""Draws that a test chooses."""

import numpy as np


class Dice:
    """A stream that gives listed numbers, then fails."""

    def __init__(self, *numbers: float) -> None:
        self.numbers = list(numbers)

    def uniform(self, count: int | None = None) -> np.ndarray | float:
        drawn = [self.numbers.pop(0) for _ in range(1 if count is None else count)]
        return drawn[0] if count is None else np.array(drawn)

    def signed(self, count: int | None = None) -> np.ndarray | float:
        return 2 * self.uniform(count) - 1

    def integer(self, bound: int) -> int:
        return int(self.uniform() * bound)
