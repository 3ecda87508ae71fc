"""Searches of other packages: the same points as the package gives by itself, quietly, and only where it is there."""

import subprocess
import sys

import numpy as np
import pytest

from biotune.errors import InputError
from biotune.randomness import derived_seeds
from biotune.search import SEARCHES, Search, SearchSettings
from biotune.space import BoxSpace

cmaes = pytest.importorskip("cmaes")
optuna = pytest.importorskip("optuna")

SETTINGS = SearchSettings(evaluations=18, population=6)


def objective(point: np.ndarray) -> float:
    return 1.0 - float(((point - 0.6) ** 2).mean())


def play(search: Search) -> list[list[float]]:
    points = []
    while (batch := search.ask()) is not None:
        points += batch.points.tolist()
        search.tell([objective(point) for point in batch.points])
    return points


def plain_study(sampler: "optuna.samplers.BaseSampler", start: np.ndarray, count: int) -> list[list[float]]:
    """What Optuna's own loop visits from the same start."""
    study = optuna.create_study(direction="maximize", sampler=sampler)
    names = [f"gene_{index}" for index in range(start.shape[1])]
    for point in start:
        study.enqueue_trial(dict(zip(names, map(float, point), strict=True)))
    study.optimize(lambda trial: objective(np.array([trial.suggest_float(n, 0.0, 1.0) for n in names])), count)
    return [[trial.params[name] for name in names] for trial in study.trials]


@pytest.mark.parametrize(
    ("name", "sampler"),
    [
        ("tpe", lambda seed: optuna.samplers.TPESampler(seed=seed, n_startup_trials=6)),
        ("nsga2", lambda seed: optuna.samplers.NSGAIISampler(seed=seed, population_size=6)),
    ],
)
def test_the_points_are_those_of_optunas_own_loop(name: str, sampler: "type[optuna.samplers.BaseSampler]") -> None:
    start = SEARCHES[name](5, 3, SETTINGS).ask().points

    expected = plain_study(sampler(derived_seeds(1, 3, "optuna")[0]), start, 18)

    assert play(SEARCHES[name](5, 3, SETTINGS)) == expected


def test_the_points_are_those_of_cmaes_from_the_best_of_the_start() -> None:
    points = play(SEARCHES["cmaes"](5, 3, SETTINGS))
    best = max(points[:6], key=lambda point: objective(np.array(point)))
    optimizer = cmaes.CMA(np.array(best), 1 / 6, np.array([[0.0, 1.0]] * 5), seed=derived_seeds(1, 3, "cmaes")[0],
                          population_size=6)  # fmt: skip
    first = [optimizer.ask() for _ in range(6)]
    optimizer.tell([(point, -objective(point)) for point in first])

    assert points[6:] == [point.tolist() for point in [*first, *(optimizer.ask() for _ in range(6))]]


def test_the_separable_form_takes_any_number_of_genes_and_moves_to_the_best() -> None:
    genes, target = 1500, np.linspace(0.2, 0.8, 1500)
    settings = SearchSettings(evaluations=600, population=20)
    with pytest.raises(InputError, match="takes at most 1000 genes, not 1500"):
        SEARCHES["cmaes"](genes, 0, settings, BoxSpace(np.zeros(genes), 1.0))
    search = SEARCHES["cmaes"](genes, 0, settings, BoxSpace(np.zeros(genes), 1.0), options={"separable": True})
    best = list[float]()
    while (batch := search.ask()) is not None:
        assert ((batch.points >= 0) & (batch.points <= 1)).all()
        values = -((batch.points - target) ** 2).mean(1)
        best.append(values.max())
        search.tell(values)

    assert best[-1] > best[1] > best[0] - 0.1
    assert best[-1] / best[0] < 0.8


def test_a_gaussian_process_leads_to_the_top_of_a_hill() -> None:
    points = play(SEARCHES["gp"](3, 0, SearchSettings(evaluations=12, population=6)))

    values = [objective(np.array(point)) for point in points]
    assert max(values[6:]) > max(values[:6])
    assert max(values) > 0.99


@pytest.mark.parametrize("name", ["tpe", "nsga2", "gp"])
def test_optuna_is_quiet_and_its_own_setting_is_kept(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.DEBUG)
    try:
        play(SEARCHES[name](3, 0, SearchSettings(evaluations=5, population=4)))
        assert optuna.logging.get_verbosity() == optuna.logging.DEBUG
    finally:
        optuna.logging.set_verbosity(verbosity)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("name", "package"), [("tpe", "optuna"), ("nsga2", "optuna"), ("gp", "optuna"), ("cmaes",) * 2]
)
def test_a_missing_package_is_said_when_the_search_is_built(
    name: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)

    with pytest.raises(InputError, match=rf"needs the package {package}; install it: pip install 'biotune\[optuna\]'"):
        SEARCHES[name](5)


def test_the_searches_can_be_listed_without_loading_a_package_for_them() -> None:
    code = "import sys, biotune.search; print(sorted({'optuna', 'cmaes', 'torch'} & set(sys.modules)))"

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
