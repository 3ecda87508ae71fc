"""What a rival must be able to do to be worth a comparison: learn from what it is told."""

from importlib.util import find_spec

import numpy as np
import pytest

from biotune.search import SEARCHES, Search, SearchSettings

CENTRE = np.array([0.2, 0.35, 0.7, 0.9, 0.5, 0.25])


def hill(point: np.ndarray) -> float:
    """One smooth top, steeper in some genes."""
    return 1.0 - float((np.arange(1, 7) * (point - CENTRE) ** 2).mean())


def values(search: Search) -> list[float]:
    told: list[float] = []
    while (batch := search.ask()) is not None:
        told += [hill(point) for point in batch.points]
        search.tell(told[-len(batch.points) :])
    return told


@pytest.mark.skipif(find_spec("optuna") is None or find_spec("cmaes") is None, reason="the extra optuna is missing")
@pytest.mark.parametrize(
    ("name", "generations"),
    [
        ("ga", 8),
        ("pso", 8),
        ("rpso", 8),
        ("bat", 8),
        ("firefly", 8),
        ("de", 20),
        ("cmaes", 8),
        ("tpe", 8),
        ("nsga2", 8),
    ],
)
def test_a_rival_beats_its_start_and_random_search_of_equal_cost(name: str, generations: int) -> None:
    """Differential evolution is slow to begin with, in scipy's implementation too."""
    settings = SearchSettings(10 * generations, 10)
    rival = np.array([values(SEARCHES[name](6, seed, settings)) for seed in range(20)])
    random = np.array([values(SEARCHES["random"](6, seed, settings)) for seed in range(20)])

    assert rival.shape == random.shape == (20, settings.evaluations)
    assert (rival.max(axis=1) > rival[:, :10].max(axis=1)).all()
    assert np.median(rival.max(axis=1) - random.max(axis=1)) > 0.01
