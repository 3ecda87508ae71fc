"""One search for better weights: it starts at the trained ones, stores no weights, and a replay continues it."""

import sqlite3

import numpy as np
import pytest

from biotune.errors import DamagedStateError
from biotune.refinement import explore, make_search
from biotune.runs.store import RunStore
from biotune.search import SEARCHES
from biotune.settings.refine import RefineConfig
from biotune.space import BoxSpace

SETTINGS = RefineConfig(agents=5, iterations=6)
SPACE = BoxSpace(np.linspace(-1, 1, 7), 0.1)
TARGET = SPACE.centre + np.linspace(-0.08, 0.2, 7)


class Counting:
    """The negative squared distance from a target; counts what it is asked, and may stop."""

    def __init__(self, stop_after: int = 10**9) -> None:
        self.asked = 0
        self.stop_after = stop_after

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        if self.asked >= self.stop_after:
            raise KeyboardInterrupt
        self.asked += len(vectors)
        return -((vectors - TARGET) ** 2).sum(1)


TRAINED = float(-((SPACE.centre - TARGET) ** 2).sum())


def explored(store, judge, heuristic="pso", seed=3):
    return explore(make_search(heuristic, SPACE, SETTINGS, seed), SPACE, judge, TRAINED, store, "test")


@pytest.mark.parametrize(
    "heuristic", ["pso", "pso:social=1", "rpso", "bat", "firefly", "ga", "de", "random", "evolution"]
)
def test_it_begins_at_the_trained_weights_and_never_ends_below_them(heuristic, tmp_path):
    judge, first = Counting(), []
    with RunStore(tmp_path / "run.sqlite") as store:
        found = explored(store, lambda rows: (first.append(rows[0]), judge(rows))[1], heuristic)

    assert first[0].tolist() == SPACE.centre.tolist()
    assert found.evaluations == judge.asked == (41 if heuristic == "evolution" else 35)  # it probes besides
    assert found.fitness >= found.curve[0] >= TRAINED
    assert list(found.curve) == sorted(found.curve)
    assert found.fitness == pytest.approx(-((found.best - TARGET) ** 2).sum())
    assert np.abs(found.best - SPACE.centre).max() <= 0.1 + 1e-12


@pytest.mark.parametrize("name", ["pso", "rpso", "bat", "firefly", "ga", "de"])
def test_what_opytimizer_finds_is_no_worse_than_the_trained_weights_either(name, tmp_path):
    """Its own start does not hold them, and it takes its own number of evaluations."""
    judge, search = Counting(), make_search(f"{name}:engine=opytimizer", SPACE, SETTINGS, 3)
    with RunStore(tmp_path / "run.sqlite") as store:
        found = explore(search, SPACE, judge, TRAINED, store, "test")

    assert found.evaluations == judge.asked == search.evaluations
    assert (found.evaluations > 35) == (name in ("bat", "ga", "de"))
    assert found.fitness >= TRAINED


@pytest.mark.parametrize("heuristic", [name for name in SEARCHES if name != "greedy"])
def test_every_search_of_a_box_begins_at_the_trained_weights_and_continues(heuristic, tmp_path):
    """A contract: a new entry of ``SEARCHES`` is covered without any change here."""
    few = RefineConfig(agents=5, iterations=1)

    def run(store, judge):
        return explore(make_search(heuristic, SPACE, few, 3), SPACE, judge, TRAINED, store, "test")

    first = list[np.ndarray]()
    with RunStore(tmp_path / "whole.sqlite") as store:
        whole = run(store, lambda rows: (first.append(rows[0]), Counting()(rows))[1])
    with RunStore(tmp_path / "cut.sqlite") as store:
        with pytest.raises(KeyboardInterrupt):
            run(store, Counting(stop_after=5))
        found = run(store, Counting())

    assert first[0].tolist() == SPACE.centre.tolist()
    assert found.fitness >= TRAINED
    assert (found.best.tobytes(), found.curve) == (whole.best.tobytes(), whole.curve)


def test_nothing_better_leaves_the_trained_weights(tmp_path):
    with RunStore(tmp_path / "run.sqlite") as store:
        found = explored(store, lambda rows: np.full(len(rows), TRAINED))

    assert found.best.tolist() == SPACE.centre.tolist()


@pytest.mark.parametrize("stop_after", [1, 5, 12, 30])
def test_a_stopped_search_continues_bit_for_bit(stop_after, tmp_path):
    with RunStore(tmp_path / "whole.sqlite") as store:
        whole = explored(store, Counting())
        rows = store.candidates("test")
    judge = Counting()
    with RunStore(tmp_path / "cut.sqlite") as store:
        with pytest.raises(KeyboardInterrupt):
            explored(store, Counting(stop_after))
        done = len(store.candidates("test"))
        found = explored(store, judge)
        assert store.candidates("test") == rows

    assert (found.best.tobytes(), found.fitness, found.curve) == (whole.best.tobytes(), whole.fitness, whole.curve)
    assert judge.asked == 35 - done


@pytest.mark.parametrize("at_once", [1, 3, 5])
def test_a_round_may_be_judged_a_few_points_at_a_time(at_once, tmp_path):
    sizes, judge = [], Counting()
    search = make_search("pso", SPACE, SETTINGS, 3)
    with RunStore(tmp_path / "run.sqlite") as store:
        found = explore(
            search, SPACE, lambda rows: (sizes.append(len(rows)), judge(rows))[1], TRAINED, store, "test", at_once
        )
    with RunStore(tmp_path / "whole.sqlite") as store:
        whole = explored(store, Counting())

    assert max(sizes) == at_once
    assert (found.fitness, found.best.tolist()) == (whole.fitness, whole.best.tolist())


def test_a_candidate_is_stored_by_a_digest(tmp_path):
    with RunStore(tmp_path / "run.sqlite") as store:
        explored(store, Counting())
        assert all(str(row.genes).startswith("sha256:") for row in store.candidates("test"))
    with sqlite3.connect(tmp_path / "run.sqlite") as connection:
        longest = connection.execute("SELECT max(length(row)) FROM candidates").fetchone()[0]
    assert longest < 300


def test_points_of_another_search_are_refused(tmp_path):
    with RunStore(tmp_path / "run.sqlite") as store:
        explored(store, Counting())
        with pytest.raises(DamagedStateError, match="other points of 'test'"):
            explored(store, Counting(), seed=4)
