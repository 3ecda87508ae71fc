"""What every search keeps to, whatever its algorithm."""

from typing import Any

import numpy as np
import pytest

from biotune.errors import InputError
from biotune.genotype import Genotype
from biotune.search import SEARCHES, Search

NUM_GENES = 6
Trace = list[tuple[str, int, list[list[float]], list[float]]]


@pytest.fixture(params=SEARCHES)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def make(name: str, seed: int = 0, **arguments: Any) -> Search:
    return SEARCHES[name](NUM_GENES, seed=seed, **arguments)


def sphere(point: np.ndarray) -> float:
    return 1.0 - float(((point - 0.6) ** 2).mean())


def finish(search: Search) -> Trace:
    trace: Trace = []
    while (batch := search.ask()) is not None:
        values = [sphere(point) for point in batch.points]
        search.tell(values)
        trace.append((batch.kind, batch.generation, batch.points.tolist(), values))
    return trace


def test_all_batches_are_points_of_the_unit_box(name: str) -> None:
    trace = finish(make(name))

    points = np.concatenate([row[2] for row in trace])
    assert points.shape[1] == NUM_GENES
    assert points.min() >= 0.0
    assert points.max() <= 1.0
    assert {row[0] for row in trace} <= {"new", "probe", "reevaluate"}


def test_generations_count_up_from_zero(name: str) -> None:
    generations = [row[1] for row in finish(make(name))]

    assert generations[0] == 0
    assert set(np.diff(generations)) <= {0, 1}


def test_the_first_points_train_something(name: str) -> None:
    genotype = Genotype(NUM_GENES - 1)

    assert all(genotype.is_feasible(point) for point in make(name).ask().points)


def test_the_best_found_is_no_worse_than_the_start(name: str) -> None:
    trace = finish(make(name))

    assert max(max(row[3]) for row in trace) >= max(trace[0][3])


def test_the_same_seed_gives_the_same_trajectory(name: str) -> None:
    assert finish(make(name, 3)) == finish(make(name, 3))


def test_another_seed_gives_another_trajectory(name: str) -> None:
    assert finish(make(name, 3))[0] != finish(make(name, 4))[0]


def test_a_rebuilt_search_continues_from_every_cut(name: str) -> None:
    trace = finish(make(name))

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
    with pytest.raises(InputError, match=r"no batch waits for its fitness; call ask\(\) first"):
        search.tell([1.0])


def test_asking_twice_is_refused_and_harmless(name: str) -> None:
    search = make(name)
    batch = search.ask()

    with pytest.raises(InputError, match=r"ask\(\) was called twice; call tell\(\) with the fitness"):
        search.ask()

    search.tell([sphere(point) for point in batch.points])
    assert finish(search) == finish(make(name))[1:]


def test_telling_first_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"tell\(\) was called, but no batch waits for its fitness"):
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
    assert finish(search) == finish(make(name))[1:]


@pytest.mark.parametrize("num_genes", [0, -1])
def test_a_search_without_genes_is_refused(name: str, num_genes: int) -> None:
    with pytest.raises(InputError, match=f"a search needs at least one gene, not {num_genes}"):
        SEARCHES[name](num_genes)


def test_a_genotype_of_another_size_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="the genotype has 4 genes and the search 6; give both the same number"):
        make(name, genotype=Genotype(3))
