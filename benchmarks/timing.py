"""Timing on a machine with other load: interleaved measurements, paired ratios, straight lines."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

Work = Callable[[], object]


@dataclass(frozen=True)
class Lap:
    """The duration of one piece of work.

    Args:
        wall_s: elapsed seconds; waiting for a core counts.
        cpu_s: CPU seconds of this process on all cores; waiting does not count.
    """

    wall_s: float
    cpu_s: float


@dataclass(frozen=True)
class Ratio:
    """Ratios of paired times: their median and their spread.

    Args:
        median: median of the ratios of wall times.
        low: lower quartile of these ratios.
        high: upper quartile of these ratios.
        cpu_median: median of the ratios of CPU times, which other processes disturb less.
        pairs: number of ratios.
    """

    median: float
    low: float
    high: float
    cpu_median: float
    pairs: int

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-able dictionary."""
        return asdict(self)


def timed(work: Work, device: str = "cpu") -> Lap:
    """Do one piece of work, wait for the device, and return the duration."""
    _finish(device)
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    _finish(device)
    return Lap(time.perf_counter() - wall, time.process_time() - cpu)


def in_turns(works: Mapping[str, Work], repeats: int, device: str = "cpu") -> dict[str, list[Lap]]:
    """Time several pieces of work in turn, so that the load of the machine affects neighbours alike.

    Every second round runs backwards, so that a steadily growing or falling load favours nobody.

    Args:
        works: pieces of work by name, in the order of the first round; each was done once before as a warm-up.
        repeats: number of rounds.
        device: the device to wait for.

    Returns:
        Name -> one lap per round.
    """
    laps: dict[str, list[Lap]] = {name: [] for name in works}
    names = list(works)
    for number in range(repeats):
        for name in names if number % 2 == 0 else reversed(names):
            laps[name].append(timed(works[name], device))
    return laps


def paired_ratio(above: Sequence[Lap], below: Sequence[Lap], factor: float = 1.0) -> Ratio:
    """Return the ratio of the first duration to the second, over all rounds.

    Args:
        above: laps of one piece of work.
        below: laps of another one in the same rounds.
        factor: factor for every ratio, if the two pieces of work differ in size.

    Returns:
        Median and quartiles.
    """
    wall = [factor * one.wall_s / two.wall_s for one, two in zip(above, below, strict=True)]
    cpu = [factor * one.cpu_s / two.cpu_s for one, two in zip(above, below, strict=True)]
    low, median, high = np.quantile(wall, [0.25, 0.5, 0.75]).tolist()
    return Ratio(median, low, high, float(np.median(cpu)), len(wall))


@dataclass(frozen=True)
class Line:
    """A straight line through points, fitted by least squares.

    Args:
        slope: change of y per unit of x.
        intercept: y at x = 0.
        r_squared: 1 - (sum of squared residuals) / (sum of squared deviations of y from its mean).
    """

    slope: float
    intercept: float
    r_squared: float

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-able dictionary."""
        return asdict(self)


def straight_line(x: Sequence[float], y: Sequence[float]) -> Line:
    """Fit y = slope * x + intercept by least squares.

    Args:
        x: at least two different values.
        y: one value for each.

    Returns:
        The line; if y is constant, ``r_squared`` is 1.
    """
    horizontal, vertical = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    across, up = horizontal - horizontal.mean(), vertical - vertical.mean()
    slope = float((across * up).sum() / (across**2).sum())
    total, left = float((up**2).sum()), float(((up - slope * across) ** 2).sum())
    return Line(slope, float(vertical.mean() - slope * horizontal.mean()), 1.0 - left / total if total else 1.0)


def _finish(device: str) -> None:
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)
