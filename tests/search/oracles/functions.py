"""Four functions that are minimised in [-5, 5]^n, each 0 at its only lowest point: what optimisers are compared on."""

from collections.abc import Callable

import numpy as np

LOW, HIGH = -5.0, 5.0
"""The same box for every function and dimension."""


def sphere(x: np.ndarray) -> np.ndarray:
    """sum x_i^2, for rows of points."""
    return np.square(x).sum(axis=-1)


def rosenbrock(x: np.ndarray) -> np.ndarray:
    """sum 100 (x_(i+1) - x_i^2)^2 + (1 - x_i)^2: a bent valley that leads to (1, ..., 1)."""
    return (100.0 * np.square(x[..., 1:] - np.square(x[..., :-1])) + np.square(1.0 - x[..., :-1])).sum(axis=-1)


def rastrigin(x: np.ndarray) -> np.ndarray:
    """10 n + sum x_i^2 - 10 cos(2 pi x_i): a lowest point near each whole number."""
    return 10.0 * x.shape[-1] + (np.square(x) - 10.0 * np.cos(2.0 * np.pi * x)).sum(axis=-1)


def ackley(x: np.ndarray) -> np.ndarray:
    """20 + e - 20 exp(-0.2 sqrt(mean x_i^2)) - exp(mean cos(2 pi x_i)): a funnel with many dents."""
    slope = 20.0 - 20.0 * np.exp(-0.2 * np.sqrt(np.square(x).mean(axis=-1)))
    return slope + np.e - np.exp(np.cos(2.0 * np.pi * x).mean(axis=-1))


FUNCTIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "sphere": sphere,
    "rosenbrock": rosenbrock,
    "rastrigin": rastrigin,
    "ackley": ackley,
}
DIMENSIONS = (2, 10)
AGENTS, ITERATIONS = 20, 100
EVALUATIONS = AGENTS * (ITERATIONS + 1)


def minimise(kind: str, function: Callable[[np.ndarray], np.ndarray], dimension: int, seed: int) -> tuple[float, int]:
    """Return the lowest value that a search of BioTune, NAME or NAME:option=value, finds, and its evaluations."""
    from biotune.options import split
    from biotune.search import SEARCHES, SearchSettings
    from biotune.space import BoxSpace

    name, given = split(kind, "search", SEARCHES)
    space = BoxSpace(np.full(dimension, 0.5 * (LOW + HIGH)), 0.5 * (HIGH - LOW))
    settings = SearchSettings(EVALUATIONS, AGENTS, generations=ITERATIONS)
    search, lowest, evaluations = SEARCHES[name](dimension, seed, settings, space, options=given), np.inf, 0
    while (batch := search.ask()) is not None:
        values = function(np.array([space.decode(point) for point in batch.points]))
        search.tell(-values)
        lowest, evaluations = min(lowest, float(values.min())), evaluations + len(values)
    return lowest, evaluations
