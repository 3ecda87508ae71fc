"""What every search keeps to, whatever its algorithm."""

import time
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from biotune.errors import InputError
from biotune.options import checked, described, split, written
from biotune.search import SEARCHES, Search, SearchSettings
from biotune.settings.search import SearchConfig
from biotune.space import BlockSpace, BoxSpace, MaskSpace, RecipeSpace
from biotune.space.recipes import choices_of

NUM_GENES = 6
PACKAGES = {"cmaes": "cmaes", "tpe": "optuna", "gp": "optuna", "nsga2": "optuna"}
SIZES = {
    "evolution": SearchSettings(population=6, elites=2, generations=3),
    "dehb": SearchSettings(evaluations=23, population=6, num_rungs=3),
    "gp": SearchSettings(evaluations=7, population=5),
}
"""Where the others' sizes do not fit: one has rungs, another takes a tenth of a second or more for each point."""

OWN_START = {"greedy"}
"""Searches that begin with points of their own and draw nothing at random."""
Trace = list[tuple[str, int, list[list[float]], list[float]]]


@pytest.fixture(params=SEARCHES)
def name(request: pytest.FixtureRequest) -> str:
    if find_spec(PACKAGES.get(request.param, "numpy")) is None:
        pytest.skip(f"{PACKAGES[request.param]} is not installed")
    return request.param


@pytest.fixture
def drawn(name: str) -> str:
    if name in OWN_START:
        pytest.skip("draws nothing at random")
    return name


def make(name: str, seed: int = 0, settings: Any = None, **arguments: Any) -> Search:
    settings = settings or SIZES.get(name, SearchSettings(evaluations=23, population=6))
    return SEARCHES[name](NUM_GENES, seed, settings, **arguments)


def sphere(point: np.ndarray) -> float:
    return 1.0 - float(((point - 0.6) ** 2).mean())


def finish(search: Search) -> Trace:
    trace: Trace = []
    while (batch := search.ask()) is not None:
        values = [sphere(point) for point in batch.points]
        search.tell(values)
        trace.append((batch.kind, batch.generation, batch.points.tolist(), values))
    return trace


@cache
def whole(name: str) -> Trace:
    """The trace of an undisturbed search."""
    return finish(make(name))


def test_all_batches_are_points_of_the_unit_box(name: str) -> None:
    trace = whole(name)

    points = np.concatenate([row[2] for row in trace])
    assert points.shape[1] == NUM_GENES
    assert points.min() >= 0.0
    assert points.max() <= 1.0
    assert {row[0] for row in trace} <= {"new", "probe", "reevaluate"}


def test_generations_count_up_from_zero(name: str) -> None:
    generations = [row[1] for row in whole(name)]

    assert generations[0] == 0
    assert set(np.diff(generations)) <= {0, 1}


def test_the_first_points_train_something(name: str) -> None:
    space = MaskSpace(NUM_GENES - 1)

    assert all(space.is_feasible(point) for point in make(name).ask().points)


def test_the_best_found_is_no_worse_than_the_start(name: str) -> None:
    trace = whole(name)

    assert max(max(row[3]) for row in trace) >= max(trace[0][3])


def test_the_same_seed_gives_the_same_trajectory(name: str) -> None:
    assert finish(make(name, 3)) == finish(make(name, 3))


def test_another_seed_gives_another_trajectory(drawn: str) -> None:
    assert make(drawn, 3).ask().points.tolist() != make(drawn, 4).ask().points.tolist()


START = [[0.5, 0.4, 0.6, 0.7, 0.9, 0.1], [0.3, 0.9, 0.6, 0.7, 0.9, 0.2]]


def test_a_search_begins_with_the_given_points_best_known_first(drawn: str) -> None:
    search = make(drawn, start=[np.array(point) for point in START])

    assert search.ask().points[:2].tolist() == START


def test_more_given_points_than_room_are_left_out_from_the_end(drawn: str) -> None:
    start = [np.array([0.5, 0.4, 0.6, 0.7, 0.9, 0.01 * index]) for index in range(30)]

    points = make(drawn, start=start).ask().points.tolist()

    assert points == [point.tolist() for point in start[: len(points)]]


def test_a_start_that_trains_nothing_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"the start point \[.*\] is not feasible: nothing would be trained"):
        make(name, start=[np.array([0.1] * 5 + [0.2])])


def test_the_trajectory_does_not_change_with_the_callers_arrays(name: str) -> None:
    search, seen = make(name), []

    while (batch := search.ask()) is not None:
        values = np.array([sphere(point) for point in batch.points])
        seen.append((batch.kind, batch.generation, batch.points.tolist(), values.tolist()))
        search.tell(values)
        batch.points[:] = 0.0
        values[:] = -1.0

    assert seen == whole(name)


@pytest.mark.parametrize("evaluations", [1, 5, 7])
def test_no_more_points_are_asked_than_were_allowed(name: str, evaluations: int) -> None:
    if name == "evolution":
        pytest.skip("takes its number of points from population, elites and generations")

    trace = finish(make(name, settings=SearchSettings(evaluations, 5)))

    assert sum(len(row[2]) for row in trace) == evaluations


def test_equal_fitness_everywhere_is_no_trouble(name: str) -> None:
    search = make(name)

    while (batch := search.ask()) is not None:
        assert np.isfinite(batch.points).all()
        search.tell([0.0] * len(batch.points))


def test_too_small_a_population_is_refused(name: str) -> None:
    smallest = SEARCHES[name].smallest_population

    message = f"needs a population of at least {smallest}, not {smallest - 1}; raise --population"
    with pytest.raises(InputError, match=message):
        SEARCHES[name].require(SearchSettings(population=smallest - 1))


def test_a_search_without_points_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="a search needs at least one evaluation, not 0"):
        SEARCHES[name].require(SearchSettings(evaluations=0))


def test_each_search_is_described_in_one_line(name: str) -> None:
    assert 20 < len(SEARCHES[name].__doc__.splitlines()[0]) < 120


def test_every_search_can_be_configured() -> None:
    assert [SearchConfig(name=name).name for name in SEARCHES] == list(SEARCHES)


def test_a_rebuilt_search_continues_from_every_cut(name: str) -> None:
    trace = whole(name)

    for cut in range(len(trace) + 1):
        search, replayed = make(name), []
        for kind, generation, points, values in trace[:cut]:
            batch = search.ask()
            assert (batch.kind, batch.generation, batch.points.tolist()) == (kind, generation, points)
            search.tell(values)
            replayed.append((kind, generation, points, values))
        assert replayed + finish(search) == trace


def test_a_finished_search_stays_finished(name: str) -> None:
    search = make(name)
    finish(search)

    assert search.ask() is None
    assert search.ask() is None
    with pytest.raises(InputError, match=r"no batch was asked for; call ask\(\) first"):
        search.tell([1.0])


def test_asking_twice_is_refused_and_harmless(name: str) -> None:
    search = make(name)
    batch = search.ask()

    with pytest.raises(InputError, match=r"ask\(\) was called twice; call tell\(\) with the fitness"):
        search.ask()

    search.tell([sphere(point) for point in batch.points])
    assert finish(search) == whole(name)[1:]


def test_telling_first_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"tell\(\) was called, but no batch was asked for"):
        make(name).tell([1.0])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda n: [0.5] * (n + 1), r"tell\(\) expects \d+ fitness values, one per asked point; got shape \(\d+,\)"),
        (lambda n: [], r"tell\(\) expects \d+ fitness values, .* got shape \(0,\)"),
        (lambda n: 0.5, r"got shape \(\)"),
        (lambda n: [[0.5]] * n, r"got shape \(\d+, 1\)"),
        (
            lambda n: [float("nan")] + [0.5] * (n - 1),
            "fitness must be finite, got .*nan.*; give a failed point the worst",
        ),
        (lambda n: [0.5] * (n - 1) + [float("inf")], "fitness must be finite, got .*inf"),
    ],
)
def test_wrong_fitness_is_refused_and_can_be_told_again(name: str, wrong: Any, message: str) -> None:
    search = make(name)
    batch = search.ask()

    with pytest.raises(InputError, match=message):
        search.tell(wrong(len(batch.points)))

    search.tell([sphere(point) for point in batch.points])
    assert finish(search) == whole(name)[1:]


@pytest.mark.parametrize("num_genes", [0, -1])
def test_a_search_without_genes_is_refused(name: str, num_genes: int) -> None:
    with pytest.raises(InputError, match=f"a search needs at least one gene, not {num_genes}"):
        SEARCHES[name](num_genes)


def test_a_space_of_another_size_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="the space has 4 genes and the search 6; give both the same"):
        make(name, space=MaskSpace(3))


SPACES = {
    "blocks": BlockSpace.unnamed(NUM_GENES - 1),
    "box": BoxSpace(np.linspace(-1.0, 1.0, NUM_GENES), 0.2),
    "recipes": RecipeSpace(BlockSpace.unnamed(NUM_GENES - 3), choices_of(["head_start", "augment"], {})),
}
LONG = 51_200
"""Weights of a last layer of 512 features and 100 classes."""


@pytest.fixture(params=SPACES)
def space(request: pytest.FixtureRequest, name: str) -> Any:
    if request.param == "box" and name in OWN_START:
        pytest.skip("chooses blocks, and a box has none")
    return SPACES[request.param]


def test_every_space_is_searched_alike(name: str, space: Any) -> None:
    """Bounds, what is decoded, progress, and that a replay from the middle goes the same way."""
    trace = finish(make(name, 3, space=space))

    points = np.concatenate([row[2] for row in trace])
    assert (points.min() >= 0.0, points.max() <= 1.0) == (True, True)
    assert len({str(space.decode(point)) for point in points}) > 2
    assert all(space.is_feasible(point) for point in np.array(trace[0][2]))
    assert max(max(row[3]) for row in trace) >= max(trace[0][3])
    again, cut = make(name, 3, space=space), len(trace) // 2
    for _, _, asked, values in trace[:cut]:
        assert again.ask().points.tolist() == asked
        again.tell(values)
    assert finish(again) == trace[cut:]


@pytest.mark.parametrize("wrong", ["start", "size", "fitness"])
def test_no_error_prints_a_long_vector(name: str, wrong: str) -> None:
    if name in OWN_START or SEARCHES[name].most_genes is not None:
        pytest.skip("takes no such space")
    box = BoxSpace(np.zeros(LONG), 0.1)

    def make_and_tell() -> None:
        space, start = (MaskSpace(3) if wrong == "size" else box), [np.full(LONG, 1.5 if wrong == "start" else 0.5)]
        search = SEARCHES[name](LONG, 0, SearchSettings(population=60, elites=2, generations=1), space, start)
        search.tell([float("nan")] * len(search.ask().points))

    with pytest.raises(InputError) as raised:
        make_and_tell()

    assert len(str(raised.value)) < 200


def test_a_long_vector_takes_seconds_or_is_refused(name: str) -> None:
    """Refused where each step would take minutes or a matrix of 20 GB; then the search says so."""
    if name in OWN_START:
        pytest.skip("chooses blocks, and a box has none")
    most, settings = SEARCHES[name].most_genes, SearchSettings(population=6, elites=2, generations=5)
    if most is not None:
        with pytest.raises(InputError, match=f"takes at most {most} genes, not {LONG}; choose a search such as pso"):
            SEARCHES[name](LONG, 0, settings, BoxSpace(np.zeros(LONG), 0.1))
        return
    box = BoxSpace(np.linspace(-1.0, 1.0, LONG), 0.1)
    search, start = SEARCHES[name](LONG, 0, settings, box), time.perf_counter()

    values: list[float] = []
    while (batch := search.ask()) is not None:
        values += [-float(np.square(box.decode(point) - box.centre - 0.05).mean()) for point in batch.points]
        search.tell(values[-len(batch.points) :])

    assert len(values) > settings.population
    assert name not in ("evolution", "ga", "pso") or max(values) > max(values[: settings.population])
    assert time.perf_counter() - start < 20


@pytest.mark.parametrize("search", SEARCHES)
def test_options_are_described_and_bounded_and_survive_their_text(search: str) -> None:
    kind = SEARCHES[search].Options
    rows = list(described(kind))

    assert all(allowed and meaning for _, _, allowed, meaning in rows)
    typed = f"{search}:" + ",".join(f"{option}={default}" for option, default, _, _ in rows)
    name, given = split(typed, "search", SEARCHES)
    assert checked(kind, given, name) == kind()
    assert written(search, kind()) == search


@pytest.mark.parametrize("search", SEARCHES)
def test_a_search_refuses_an_option_that_it_does_not_have(search: str) -> None:
    with pytest.raises(InputError, match=r"the search 'it' has no option 'nonsense'.*; it takes "):
        checked(SEARCHES[search].Options, {"nonsense": 1}, "search 'it'")


def test_the_documents_list_every_option() -> None:
    page = (Path(__file__).parents[2] / "docs" / "searches.md").read_text(encoding="utf-8")
    rows = [
        f"| `{name}` | {' | '.join((f'`{option}`', *rest))} |"
        for name, search in SEARCHES.items()
        for option, *rest in described(search.Options)
    ]

    assert [line for line in page.splitlines() if line.count(" | ") == 4 and line.startswith("| `")] == rows


OTHER = {
    "evolution": {"amplitude": 0.9, "momentum": False},
    "ga": {"crossover": 0.2},
    "pso": {"inertia": 0.2},
    "rpso": {"social": 0.5},
    "bat": {"frequency": 0.5},
    "firefly": {"attraction": 0.1},
    "de": {"weight": 1.5},
    "dehb": {"crossover": 0.1, "weight": 1.5},
    "cmaes": {"step": 0.5},
}


@pytest.mark.parametrize("search", OTHER)
def test_options_change_where_the_search_goes_after_the_same_start(search: str) -> None:
    if find_spec(PACKAGES.get(search, "numpy")) is None:
        pytest.skip(f"{PACKAGES[search]} is not installed")
    plain, changed = whole(search), finish(make(search, options=OTHER[search]))

    assert plain[0] == changed[0]
    assert plain != changed
