"""Counter-based random numbers: every draw is a function of (seed, purpose, position), never of earlier draws.

Raw Philox words are scaled here, because the distributions of ``numpy.random.Generator`` may change between
versions while the words of a bit generator may not.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def _key(seed: int, purpose: str, where: Sequence[int]) -> int:
    """A 128-bit Philox key for one stream."""
    text = "/".join([str(seed), purpose, *map(str, where)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "little")


def words(count: int, seed: int, purpose: str, *where: int) -> NDArray[np.uint64]:
    """Return the first ``count`` raw 64-bit words, shape (count,), of the stream named by the other arguments."""
    return np.random.Philox(key=_key(seed, purpose, where)).random_raw(count)


def uniform_of(seeds: NDArray[np.uint64], count: int) -> NDArray[np.float64]:
    """Return ``count`` numbers in [0, 1) for each of many words, shape (len(seeds), count): a function of the word.

    Source: SplitMix64 (Steele, Lea and Flood 2014), seeded with the word; its 53 upper bits.
    """
    steps = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed = seeds[:, None] + steps
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    upper: NDArray[np.uint64] = (mixed ^ (mixed >> np.uint64(31))) >> np.uint64(11)
    values: NDArray[np.float64] = upper.astype(np.float64) * 2.0**-53
    return values


def derived_seeds(count: int, seed: int, purpose: str) -> tuple[int, ...]:
    """Return ``count`` seeds in [0, 2**31) derived from a root seed for one purpose."""
    # 31 bits: a seed that fits into a signed 32-bit integer is accepted by every library.
    return tuple(int(word >> np.uint64(33)) for word in words(count, seed, purpose))


class Stream:
    """Uniform draws from one stream, in order.

    Args:
        seed: root seed.
        purpose: what the numbers are for; streams of different purposes are independent.
        *where: the position of the stream, for example generation and index.
    """

    def __init__(self, seed: int, purpose: str, *where: int) -> None:
        self._philox = np.random.Philox(key=_key(seed, purpose, where))

    def uniform(self, count: int | None = None) -> NDArray[np.float64]:
        """Return ``count`` numbers in [0, 1), shape (count,); without a count, a single one."""
        raw = self._philox.random_raw(1 if count is None else count)
        values = (raw >> np.uint64(11)).astype(np.float64) * 2.0**-53  # the 53 bits that a float64 holds exactly
        return values if count is not None else values[0]

    def signed(self, count: int | None = None) -> NDArray[np.float64]:
        """Return numbers in [-1, 1), shaped as ``uniform`` does."""
        return 2.0 * self.uniform(count) - 1.0

    def integer(self, bound: int) -> int:
        """Return an integer in [0, bound)."""
        return min(int(self.uniform() * bound), bound - 1)
