"""The searches beside other libraries, on four functions: oracles/values.json holds what those found, and how."""

import json
import math
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from oracles.functions import DIMENSIONS, EVALUATIONS, FUNCTIONS, minimise

RECORDED = json.loads((Path(__file__).parent / "oracles" / "values.json").read_text(encoding="utf-8"))
NEAREST = {"pso": "pymoo", "ga": "pymoo", "de": "pymoo", "cmaes": "pymoo", "rpso": "opytimizer"}
"""The library whose form of a search is nearest: limited steps in ``pso``, rand/1/bin in ``de``."""

FURTHER = {"bat": "mealpy", "firefly": "mealpy"}
"""mealpy evaluates each move of a firefly towards another one, and has larger steps for bats: both find less."""

FOUND = 1e-3
"""Below this a function counts as minimised: how far below depends on the seeds."""

TENFOLD = 1.0
"""Largest distance, in orders of magnitude, from the nearest library."""


def order(value: float) -> float:
    return math.log10(max(value, FOUND))


def orders(library: str, search: str, dimensions: tuple[int, ...] = DIMENSIONS) -> dict[str, float]:
    medians = RECORDED[library]["searches"][search]["medians"]
    return {row: order(value) for row, value in medians.items() if int(row.split()[1]) in dimensions}


def measured(search: str, seeds: int, dimensions: tuple[int, ...]) -> dict[str, float]:
    if search == "cmaes" and find_spec("cmaes") is None:
        pytest.skip("cmaes is not installed")
    return {
        f"{name} {dimension}": order(
            float(np.median([minimise(search, function, dimension, seed)[0] for seed in range(seeds)]))
        )
        for name, function in FUNCTIONS.items()
        for dimension in dimensions
    }


SIZES = pytest.mark.parametrize(
    ("seeds", "dimensions"), [(5, (10,)), pytest.param(20, DIMENSIONS, marks=pytest.mark.slow)]
)
"""As the recorded medians; or in seconds, without two variables, where a median of five seeds says little."""


@pytest.mark.parametrize(("search", "library"), NEAREST.items())
def test_recorded_medians_are_within_a_factor_of_ten_of_the_nearest_library(search: str, library: str) -> None:
    assert orders("biotune", search) == pytest.approx(orders(library, search), abs=TENFOLD)


@SIZES
@pytest.mark.parametrize(("search", "library"), NEAREST.items())
def test_medians_are_within_a_factor_of_ten_of_the_nearest_library(
    search: str, library: str, seeds: int, dimensions: tuple[int, ...]
) -> None:
    assert measured(search, seeds, dimensions) == pytest.approx(orders(library, search, dimensions), abs=TENFOLD)


@SIZES
@pytest.mark.parametrize(("search", "library"), FURTHER.items())
def test_medians_are_no_worse_than_those_of_another_form(
    search: str, library: str, seeds: int, dimensions: tuple[int, ...]
) -> None:
    ours, theirs = measured(search, seeds, dimensions), orders(library, search)

    assert [row for row in ours if ours[row] > theirs[row] + TENFOLD / 2] == []


ENGINE = [name for name in RECORDED["biotune"]["searches"] if "engine=opytimizer" in name]


@pytest.mark.parametrize("search", ENGINE)
def test_recorded_medians_of_the_engine_are_within_a_factor_of_ten_of_opytimizer(search: str) -> None:
    assert orders("biotune", search) == pytest.approx(orders("opytimizer", search.partition(":")[0]), abs=TENFOLD)


def test_all_take_the_same_evaluations_but_where_the_library_evaluates_again() -> None:
    taken = {
        library: {name: found["most_evaluations"] for name, found in row["searches"].items()}
        for library, row in RECORDED.items()
    }
    ours, theirs = taken["biotune"], taken["opytimizer"]

    assert {ours[name] for name in ours if name not in ENGINE} == {EVALUATIONS}
    assert {*taken["pymoo"].values(), *taken["mealpy"].values()} == {EVALUATIONS}
    assert {name: ours[name] for name in ENGINE} == {name: theirs[name.partition(":")[0]] for name in ENGINE}


SHOWN = {
    "biotune": ["pso", "rpso", "bat", "firefly", "ga", "de", "cmaes", "random"],
    "pymoo": ["pso", "ga", "de", "cmaes"],
    "mealpy": ["pso", "bat", "firefly", "ga", "de"],
    "opytimizer": ["pso", "rpso", "bat", "firefly", "ga", "de"],
}


def test_the_page_shows_the_recorded_medians() -> None:
    page = (Path(__file__).parents[2] / "docs" / "searches.md").read_text(encoding="utf-8")
    rows = [
        " | ".join(
            [f"| `{search}`", "BioTune" if library == "biotune" else library]
            + [f"{RECORDED[library]['searches'][search]['medians'][f'{name} 10']:.2g}" for name in FUNCTIONS]
        )
        + " |"
        for search in SHOWN["biotune"]
        for library, searches in SHOWN.items()
        if search in searches
    ]

    assert (
        "\n".join(
            ["| search | library | sphere | Rosenbrock | Rastrigin | Ackley |", "|---|---|---|---|---|---|", *rows]
        )
        in page
    )
