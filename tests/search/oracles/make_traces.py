"""Writes opytimizer_traces.json: the random numbers that opytimizer 2.1.4 drew in a short run, and the points it tried.

The library is called as it is; only the functions of numpy.random are wrapped. Run it where opytimizer is installed,
not in this project's environment. It needs NumPy below 2.4, and writes opytimizer.log where it is called from.

    pip install opytimizer==2.1.4 numpy==1.26.4
    python tests/search/oracles/make_traces.py
"""

import contextlib
import importlib
import io
import json
import logging
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

HEURISTICS = {
    "pso": ("swarm.pso", "PSO"),
    "rpso": ("swarm.pso", "RPSO"),
    "bat": ("swarm.ba", "BA"),
    "firefly": ("swarm.fa", "FA"),
    "ga": ("evolutionary.ga", "GA"),
    "de": ("evolutionary.de", "DE"),
}
CENTRE, RADIUS, TARGET = (0.3, -0.2, 0.5), 0.1, (0.25, -0.18, 0.58)
"""The box, and where the cost, the squared distance, is 0."""
AGENTS, ITERATIONS = 6, 4
DRAWS = ("uniform", "normal", "choice", "randint")


def optimize(name: str, cost: Any, agents: int, iterations: int, low: list[float], high: list[float]) -> None:
    """Run one heuristic of opytimizer quietly."""
    from opytimizer import Opytimizer
    from opytimizer.core.function import Function
    from opytimizer.spaces.search import SearchSpace

    logging.disable(logging.CRITICAL)
    module, kind = HEURISTICS[name]
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        heuristic = getattr(importlib.import_module(f"opytimizer.optimizers.{module}"), kind)()
        space = SearchSpace(agents, len(low), iterations, low, high)
        Opytimizer(space, heuristic, Function(pointer=cost)).start()


def traced(name: str) -> dict[str, Any]:
    """Return draws, as pairs of kind and numbers in order, and points of one short run."""
    draws: list[Any] = []
    points: list[list[float]] = []
    originals = {kind: getattr(np.random, kind) for kind in DRAWS}

    def wrapped(kind: str) -> Any:
        def draw(*args: Any, **keywords: Any) -> Any:
            numbers = originals[kind](*args, **keywords)
            draws.append([kind, np.ravel(numbers).tolist()])
            return numbers

        return draw

    def cost(x: np.ndarray) -> float:
        points.append(x.ravel().tolist())
        return float(np.square(x.ravel() - TARGET).sum())

    low, high = ([float(value) + sign * RADIUS for value in CENTRE] for sign in (-1.0, 1.0))
    np.random.seed(0)  # noqa: NPY002 - the generator that the library draws from
    for kind in DRAWS:
        setattr(np.random, kind, wrapped(kind))
    optimize(name, cost, AGENTS, ITERATIONS, low, high)
    for kind in DRAWS:
        setattr(np.random, kind, originals[kind])
    return {"draws": draws, "points": points}


if __name__ == "__main__":
    content = {
        "versions": {"opytimizer": version("opytimizer"), "numpy": np.__version__},
        "centre": CENTRE,
        "radius": RADIUS,
        "target": TARGET,
        "agents": AGENTS,
        "iterations": ITERATIONS,
        "traces": {name: traced(name) for name in HEURISTICS},
    }
    Path(__file__).with_name("opytimizer_traces.json").write_text(json.dumps(content) + "\n", encoding="utf-8")
