"""Writes values.json: the lowest values that other libraries find for the functions of functions.py, and BioTune.

The other libraries have environments of their own; the script measures what is installed where it runs, and keeps the
rest of the file.

    pip install pymoo==0.6.2 mealpy==3.0.3 numpy==1.26.0    in the first environment
    pip install opytimizer==2.1.4 numpy==1.26.4             in the second
    python tests/search/oracles/make_values.py              in both, and in this project's

Constants are those of the searches here, where a library has them. An evaluation counts whenever the function is
called; the runs of mealpy's firefly algorithm, which evaluates every move, end at the same number of evaluations.
"""

import importlib
import json
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from functions import AGENTS, DIMENSIONS, EVALUATIONS, FUNCTIONS, HIGH, ITERATIONS, LOW, minimise
from make_traces import HEURISTICS, optimize

SEEDS = 20
Cost = Callable[[np.ndarray], float]


class Counted:
    """A function of one point, or of rows of points, that remembers the lowest value and the number of points."""

    def __init__(self, name: str) -> None:
        self.function, self.lowest, self.calls = FUNCTIONS[name], np.inf, 0

    def __call__(self, x: np.ndarray) -> float:
        value = float(self.function(np.ravel(x)))
        self.lowest, self.calls = min(self.lowest, value), self.calls + 1
        return value


def pymoo(kind: str, cost: Cost, dimension: int, seed: int) -> None:
    """Run pymoo: pso, ga, de or cmaes."""
    from pymoo.core.problem import ElementwiseProblem
    from pymoo.optimize import minimize

    module = importlib.import_module(f"pymoo.algorithms.soo.nonconvex.{kind}")
    own = {
        "pso": {"pop_size": AGENTS, "w": 0.7, "c1": 1.7, "c2": 1.7, "adaptive": False, "pertube_best": False},
        "ga": {"pop_size": AGENTS},
        "de": {"pop_size": AGENTS, "variant": "DE/rand/1/bin", "F": 0.7, "CR": 0.9, "jitter": False},
        "cmaes": {"pop_size": AGENTS, "sigma": 1 / 6, "maxfevals": EVALUATIONS},
    }[kind]
    if kind == "pso":
        own |= {"initial_velocity": "zero", "max_velocity_rate": 0.5}

    class Problem(ElementwiseProblem):
        def __init__(self) -> None:
            super().__init__(n_var=dimension, n_obj=1, xl=LOW, xu=HIGH)

        def _evaluate(self, x: np.ndarray, out: dict[str, Any], *args: Any, **keywords: Any) -> None:
            out["F"] = cost(x)

    minimize(Problem(), getattr(module, kind.upper())(**own), ("n_eval", EVALUATIONS), seed=seed, verbose=False)


def mealpy(kind: str, cost: Cost, dimension: int, seed: int) -> None:
    """Run mealpy: pso, bat, firefly, ga or de."""
    from mealpy import FloatVar

    module, name, own = {
        "pso": ("swarm_based.PSO", "OriginalPSO", {"w": 0.7, "c1": 1.7, "c2": 1.7}),
        "bat": ("swarm_based.BA", "OriginalBA", {"loudness": 0.99, "pulse_rate": 0.5}),
        "firefly": ("swarm_based.FFA", "OriginalFFA", {}),
        "ga": ("evolutionary_based.GA", "BaseGA", {}),
        "de": ("evolutionary_based.DE", "OriginalDE", {"wf": 0.7, "cr": 0.9}),
    }[kind]
    algorithm = getattr(importlib.import_module(f"mealpy.{module}"), name)
    problem = {"obj_func": cost, "bounds": FloatVar([LOW] * dimension, [HIGH] * dimension), "log_to": None}
    limit = {"max_fe": EVALUATIONS}
    algorithm(epoch=ITERATIONS, pop_size=AGENTS, **own).solve(problem, seed=seed, termination=limit)


def opytimizer(kind: str, cost: Cost, dimension: int, seed: int) -> None:
    """Run opytimizer: as many iterations, so more evaluations for bat, ga and de."""
    np.random.seed(seed)  # noqa: NPY002 - the generator that the library draws from
    optimize(kind, cost, AGENTS, ITERATIONS, [LOW] * dimension, [HIGH] * dimension)


OTHERS: dict[str, tuple[Callable[[str, Cost, int, int], None], list[str]]] = {
    "pymoo": (pymoo, ["pso", "ga", "de", "cmaes"]),
    "mealpy": (mealpy, ["pso", "bat", "firefly", "ga", "de"]),
    "opytimizer": (opytimizer, list(HEURISTICS)),
}
OURS = [*HEURISTICS, "cmaes", "random", *(f"{name}:engine=opytimizer" for name in HEURISTICS)]
"""Kinds of BioTune's searches, as the command line takes them."""


def found_by(library: str, kind: str, name: str, dimension: int, seed: int) -> tuple[float, int]:
    """Return the lowest value that a run finds, and how many points it evaluates."""
    if library == "biotune":
        return minimise(kind, FUNCTIONS[name], dimension, seed)
    cost = Counted(name)
    OTHERS[library][0](kind, cost, dimension, seed)
    return cost.lowest, cost.calls


def measured(library: str, kind: str) -> dict[str, Any]:
    """Return, for each function and dimension, the median of the lowest values, and the most evaluations of a run."""
    rows, most = {}, 0
    for name in FUNCTIONS:
        for dimension in DIMENSIONS:
            runs = [found_by(library, kind, name, dimension, seed) for seed in range(SEEDS)]
            rows[f"{name} {dimension}"] = float(np.median([lowest for lowest, _ in runs]))
            most = max(most, *(evaluations for _, evaluations in runs))
    return {"medians": rows, "most_evaluations": most}


if __name__ == "__main__":
    path = Path(__file__).with_name("values.json")
    for library, kinds in {"biotune": OURS, **{library: kinds for library, (_, kinds) in OTHERS.items()}}.items():
        for kind in kinds if find_spec(library) is not None else []:
            found = measured(library, kind)
            content = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
            row = content.setdefault(library, {"searches": {}})
            row.update(version=version(library), numpy=np.__version__)
            row["searches"][kind] = found
            path.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")
