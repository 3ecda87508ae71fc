"""``Evolution`` against an independent implementation of its description, point for point."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from evolve import evolution
from reference_evolution import ReferenceEvolution, Step

PAPER = {"rank_law": "code", "same_parents": False, "smallest_pool": 3, "reevaluate": "none"}

OPTIONS: dict[str, dict[str, Any]] = {
    "reference": {},
    "paper": PAPER,
    "small": {"population": 5, "elites": 2, "generations": 5},
    "two": {"population": 2, "elites": 1, "generations": 20},
    "long": {"generations": 30, "population": 6, "elites": 2},
    "no_generation": {"generations": 0},
    "one_fold": {"folds": 1},
    "three_folds": {"folds": 3},
    "elites_reevaluated": {"reevaluate": "elites", "folds": 3},
    "not_reevaluated": {"reevaluate": "none"},
    "code_law": {"rank_law": "code"},
    "different_parents": {"same_parents": False, "population": 4, "elites": 1, "generations": 20},
    "large_smallest_pool": {"smallest_pool": 10, "generations": 5},
    "exploit_any": {"exploit": "one_any"},
    "exploit_all": {"exploit": "all", "amplitude": 0.6},
    "no_momentum": {"momentum": False},
    "no_mutation": {"mutation": False},
    "scalar_adaptation": {"adaptation": "scalar"},
    "no_adaptation": {"adaptation": "off"},
    "mu_plus_lambda": {"survivors": "mu+lambda"},
    "mu_plus_lambda_paper": {**PAPER, "survivors": "mu+lambda"},
    "pivot_wipeout": {"wipeout": "pivot", "generations": 40, "population": 4, "elites": 1},
    "starke_wipeout": {"wipeout": "starke", "generations": 15, "folds": 1},
    "starke_wipeout_folds": {"wipeout": "starke", "survivors": "mu+lambda"},
    "repair": {"infeasible": "repair", "generations": 20},
    "repair_batch": {"infeasible": "repair", "offspring": "batch", "exploit": "all"},
    "batch": {"offspring": "batch"},
    "everything_off": {"momentum": False, "mutation": False, "adaptation": "off", "amplitude": 0.01},
}


def coarse(genes: list[float], fold: int) -> float:
    """Like an accuracy: multiples of 1/64, many ties, other values on other folds, 0 where all blocks are frozen."""
    if max(genes[:-1]) <= genes[-1]:
        return 0.0
    distance = sum((gene - 0.15 * (index % 7) - 0.05 * fold) ** 2 for index, gene in enumerate(genes))
    return round(64 * max(0.0, 1.0 - distance / len(genes) * 2.0) - 4 * fold) / 64


def fine(genes: list[float], fold: int) -> float:
    """Smooth and never tied; multiples of 2**-40, so that ``1 - fitness`` is exact."""
    distance = sum((gene - 0.6 + 0.1 * fold) ** 2 * (1 + index) for index, gene in enumerate(genes))
    return round(2.0**40 * (1.0 - distance / 40.0)) / 2.0**40


def run(
    num_genes: int, seed: int, objective: Callable[[list[float], int], float], options: dict[str, Any]
) -> list[Step]:
    search = evolution(num_genes, seed, **options)
    steps: list[Step] = []
    while (batch := search.ask()) is not None:
        points = batch.points.tolist()
        steps.append((batch.kind, batch.generation, points))
        search.tell([objective(point, batch.generation % search.settings.folds) for point in points])
    return steps


@pytest.mark.parametrize("objective", [coarse, fine])
@pytest.mark.parametrize(("num_genes", "seed"), [(7, 0), (2, 1), (4, 2), (15, 3)])
@pytest.mark.parametrize("name", OPTIONS)
def test_evolution_follows_its_description(
    name: str, num_genes: int, seed: int, objective: Callable[[list[float], int], float]
) -> None:
    options = OPTIONS[name]
    expected = ReferenceEvolution(num_genes, seed, objective, **options).run()

    steps = run(num_genes, seed, objective, options)

    assert [step[:2] for step in steps] == [step[:2] for step in expected]
    for step, wanted in zip(steps, expected, strict=True):
        np.testing.assert_allclose(step[2], wanted[2], rtol=0, atol=1e-12)
