"""The engine opytimizer: replays of the library's own runs, and what it refuses."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from biotune.errors import InputError
from biotune.search import SEARCHES, SearchSettings, opytimizer
from biotune.settings.search import SearchConfig
from biotune.space import BlockSpace, BoxSpace

RECORDED = json.loads((Path(__file__).parent / "oracles" / "opytimizer_traces.json").read_text(encoding="utf-8"))
HEURISTICS = list(RECORDED["traces"])
CENTRE, TARGET = np.array(RECORDED["centre"]), np.array(RECORDED["target"])
AGENTS, ITERATIONS, NUM_GENES = RECORDED["agents"], RECORDED["iterations"], len(CENTRE)
BOX = BoxSpace(CENTRE, RECORDED["radius"])


class Replay:
    """A stream that gives the numbers that the library drew, in its order.

    The library draws a gene's mutation before the next gene is looked at: normal numbers that stand between uniform
    ones are kept until they are asked for.
    """

    def __init__(self, draws: list[Any]) -> None:
        self.draws, self.normals = list(draws), []

    def next(self, kind: str) -> list[float]:
        while self.draws[0][0] == "normal" != kind:
            self.normals += self.draws.pop(0)[1]
        drawn, numbers = self.draws.pop(0)
        assert drawn == kind
        return numbers

    def uniform(self, count: int | None = None) -> Any:
        numbers = [self.next("uniform")[0] for _ in range(1 if count is None else count)]
        return numbers[0] if count is None else np.array(numbers)

    def integer(self, bound: int) -> int:
        return self.next("randint")[0]

    def normal(self, count: int) -> np.ndarray:
        while len(self.normals) < count:
            self.normals += self.next("normal")
        return np.array([self.normals.pop(0) for _ in range(count)])


def replayed(name: str, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """Return the points that our engine tries with the library's random numbers."""
    trace = RECORDED["traces"][name]
    replay = Replay(trace["draws"][AGENTS * NUM_GENES :])
    kind = SEARCHES[name].quirks
    genes = np.array([BOX.encode(np.array(point)) for point in trace["points"][:AGENTS]])
    engine = kind(BOX, genes, ITERATIONS, 0)
    monkeypatch.setattr(opytimizer, "normal", lambda stream, count: stream.normal(count))
    monkeypatch.setattr(engine, "stream", lambda iteration, agent=0: replay)
    prepare = {
        "rpso": lambda: setattr(engine, "mass", np.reshape(replay.next("uniform"), (AGENTS, NUM_GENES))),
        "bat": lambda: (
            (replay.next("uniform"), setattr(engine, "loudness", np.array(replay.next("uniform"))))
            and setattr(engine, "pulse", np.array(replay.next("uniform")))
        ),
        "de": lambda: monkeypatch.setattr(engine, "others", lambda stream, agent: stream.next("choice")),
        "ga": lambda: monkeypatch.setattr(engine, "drawn", lambda stream: stream.next("choice")),
    }
    prepare.get(name, lambda: None)()
    points, steps = [], engine.run()
    batch = next(steps)
    while batch is not None:
        points += [BOX.decode(point) for point in batch.points]
        costs = np.square(np.array(points[-len(batch.points) :]) - TARGET).sum(axis=1)
        try:
            batch = steps.send(-costs)
        except StopIteration:
            batch = None
    assert not replay.draws, "the library draws no number that the engine does not"
    return np.array(points)


@pytest.mark.parametrize("name", HEURISTICS)
def test_with_its_random_numbers_the_engine_tries_the_points_of_opytimizer(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = replayed(name, monkeypatch)

    assert points == pytest.approx(np.array(RECORDED["traces"][name]["points"]), abs=1e-12)


SETTINGS = SearchSettings(evaluations=1000, population=10, generations=15)


@pytest.mark.parametrize(
    ("name", "evaluations"),
    [("pso", 160), ("rpso", 160), ("bat", 310), ("firefly", 160), ("ga", 10 + 15 * 18), ("de", 310)],
)
def test_the_engine_takes_the_evaluations_of_the_library(name: str, evaluations: int) -> None:
    """N (T + 1), N + 2 N T, and N + T (8 + N) for ten agents; the number that was planned is not asked."""
    search = SEARCHES[name](NUM_GENES, 0, SETTINGS, BOX, options={"engine": "opytimizer"})
    points, kinds = 0, set()
    while (batch := search.ask()) is not None:
        points, kinds = points + len(batch.points), kinds | {batch.kind}
        search.tell(-np.square(batch.points - 0.4).sum(axis=1))

    assert points == search.evaluations == evaluations
    assert kinds == ({"new"} if evaluations == 160 else {"new", "reevaluate"})


@pytest.mark.parametrize("name", HEURISTICS)
def test_the_engine_continues_after_a_replay_and_never_leaves_the_box(name: str) -> None:
    def trace(told: list[list[float]]) -> list[list[list[float]]]:
        search, asked = SEARCHES[name](NUM_GENES, 3, SETTINGS, BOX, options={"engine": "opytimizer"}), []
        while (batch := search.ask()) is not None:
            asked.append(batch.points.tolist())
            known = told[len(asked) - 1] if len(asked) <= len(told) else None
            search.tell(known or [-float(np.square(np.array(point) - 0.4).sum()) for point in asked[-1]])
        return asked

    first = trace([])
    values = [[-float(np.square(np.array(point) - 0.4).sum()) for point in batch] for batch in first]

    assert trace(values[: len(values) // 2]) == first
    assert all(0.0 <= gene <= 1.0 for batch in first for point in batch for gene in point)


@pytest.mark.parametrize("name", HEURISTICS)
def test_the_trained_weights_are_not_in_the_population(name: str) -> None:
    plain, given = (
        SEARCHES[name](NUM_GENES, 0, SETTINGS, BOX, start, {"engine": "opytimizer"}).ask().points
        for start in ([], [np.full(NUM_GENES, 0.5)])
    )

    assert plain.tolist() == given.tolist()


def test_velocities_of_one_throw_a_relativistic_swarm_to_the_upper_bound() -> None:
    box = BoxSpace(np.zeros(200), 0.01)
    search = SEARCHES["rpso"](200, 0, SETTINGS, box, options={"engine": "opytimizer"})
    search.tell(search.ask().points[:, 0])

    assert (search.ask().points == 1.0).mean() > 0.95


def test_the_fault_of_fireflies_moves_most_weights_to_a_bound() -> None:
    box = BoxSpace(np.random.default_rng(0).standard_normal(200), 0.01)
    search = SEARCHES["firefly"](200, 0, SETTINGS, box, options={"engine": "opytimizer"})
    start = search.ask().points
    search.tell(start[:, 0])

    moved = np.delete(search.ask().points, start[:, 0].argmax(), axis=0)

    assert np.isin(moved, (0.0, 1.0)).mean() > 0.9


@pytest.mark.parametrize("name", HEURISTICS)
def test_the_engine_is_refused_where_there_are_no_weights(name: str) -> None:
    message = "engine=opytimizer moves weights in a box around trained ones, not a BlockSpace; choose engine=textbook"
    with pytest.raises(InputError, match=message):
        SEARCHES[name](5, 0, SETTINGS, BlockSpace.unnamed(4), options={"engine": "opytimizer"})


def test_the_engine_takes_no_other_option() -> None:
    message = "cannot be combined with inertia, social; leave these options out, or choose engine=textbook"
    with pytest.raises(InputError, match=message):
        SEARCHES["pso"](3, 0, SETTINGS, BOX, options={"engine": "opytimizer", "social": 1.0, "inertia": 0.5})


def test_a_search_for_recipes_refuses_the_engine_before_it_begins() -> None:
    with pytest.raises(ValueError, match=r"'de:engine=opytimizer' moves weights .* recipes has no such box"):
        SearchConfig(name="de:engine=opytimizer")
