"""What an evolution promises, seen from outside: through ``ask`` and ``tell`` alone."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from evolve import evolution
from hypothesis import given, settings
from hypothesis import strategies as st

from biotune.errors import InputError
from biotune.randomness import Stream
from biotune.search import Batch, Evolution, RandomSearch, Search, SearchSettings
from biotune.space import BlockSpace, MaskSpace

SMALL = {"population": 5, "elites": 2, "generations": 5}
Told = tuple[Batch, np.ndarray]


def play(search: Search, objective: Callable[[np.ndarray, int], float]) -> list[Told]:
    """Return all batches with the values told; the objective gets genes and generation."""
    return list(_play(search, objective))


def _play(search: Search, objective: Callable[[np.ndarray, int], float]) -> Iterator[Told]:
    while (batch := search.ask()) is not None:
        values = np.array([objective(point, batch.generation) for point in batch.points])
        search.tell(values)
        yield batch, values


def steps(told: list[Told]) -> list[tuple[str, int, list[list[float]]]]:
    return [(batch.kind, batch.generation, batch.points.tolist()) for batch, _ in told]


def quality(genes: np.ndarray, generation: int = 0) -> float:
    """Multiples of 1/1024, so that sums with a coarse offset are exact."""
    return round(1024 * (1.0 - float(((genes - 0.6) ** 2).mean()))) / 2048


def noise(seed: int, genes: np.ndarray, generation: int = 0) -> float:
    """A number in [0, 1) that depends on the genes alone."""
    return float(Stream(seed, genes.tobytes().hex(), generation).uniform())


@pytest.mark.parametrize(("sizes", "evaluations"), [({}, 140), (SMALL, 40), ({"generations": 0}, 10)])
@pytest.mark.parametrize("offspring", ["sequential", "batch"])
@pytest.mark.parametrize("survivors", ["generational", "mu+lambda"])
@pytest.mark.parametrize("change", [{"folds": 1}, {"reevaluate": "none"}])
def test_the_number_of_evaluations(
    sizes: dict[str, int], evaluations: int, offspring: str, survivors: str, change: dict[str, Any]
) -> None:
    search = evolution(7, **sizes, **change, offspring=offspring, survivors=survivors)

    told = play(search, quality)

    assert sum(len(batch.points) for batch, _ in told) == evaluations == search.evaluations


def test_the_order_of_batches_and_their_sizes() -> None:
    told = play(evolution(7, population=4, elites=1, generations=2, folds=2), quality)

    assert [(batch.kind, batch.generation, len(batch.points)) for batch, _ in told] == [
        ("new", 0, 4),
        ("probe", 0, 2),
        *[("new", 0, 1)] * 3,
        ("reevaluate", 1, 4),
        ("probe", 1, 2),
        *[("new", 1, 1)] * 3,
    ]


def test_without_exploitation_there_are_no_probes_and_fewer_evaluations() -> None:
    search = evolution(7, population=4, elites=1, generations=2, folds=1, exploit="off", offspring="batch")

    told = play(search, quality)

    assert [(batch.kind, batch.generation, len(batch.points)) for batch, _ in told] == [
        ("new", 0, 4),
        ("new", 0, 3),
        ("new", 1, 3),
    ]
    assert search.evaluations == 10


def test_children_come_in_one_batch_on_request() -> None:
    told = play(evolution(7, generations=1, offspring="batch"), quality)

    assert [(batch.kind, len(batch.points)) for batch, _ in told] == [("new", 10), ("probe", 6), ("new", 7)]


@pytest.mark.parametrize("folds", [1, 2, 3])
@pytest.mark.parametrize("reevaluate", ["population", "elites", "none"])
def test_only_known_points_are_reevaluated_and_only_on_folds_new_to_them(folds: int, reevaluate: str) -> None:
    """Clones of a parent are excluded, and failed probes: clipping can lead to the same point again."""
    search = evolution(7, folds=folds, reevaluate=reevaluate, same_parents=False)
    known: set[tuple[bytes, int]] = set()
    points: set[bytes] = set()
    num_reevaluated = 0

    for batch, _ in play(search, quality):
        keys = {(point.tobytes(), batch.generation % folds) for point in batch.points}
        if batch.kind == "reevaluate":
            num_reevaluated += len(keys)
            assert len(batch.points) <= {"population": 10, "elites": 3}[reevaluate]
            assert keys.isdisjoint(known)
            assert {key for key, _ in keys} <= points
        points.update(key for key, _ in keys)
        if batch.kind != "probe":
            known |= keys

    assert (num_reevaluated > 0) == (folds > 1 and reevaluate != "none")


@pytest.mark.parametrize("extra", [{}, {"survivors": "mu+lambda"}, {"offspring": "batch"}, {"exploit": "all"}])
@pytest.mark.parametrize(("reevaluate", "is_fair"), [("population", True), ("none", False)])
def test_a_lucky_fold_counts_only_without_reevaluation(extra: dict[str, str], reevaluate: str, is_fair: bool) -> None:
    """Mutation is left out: its step depends on the absolute cost, all other choices on ranks."""
    options = {"reevaluate": reevaluate, "mutation": False, **extra}

    def lucky(genes: np.ndarray, generation: int) -> float:
        return quality(genes) + 0.25 * (generation % 2)

    assert (steps(play(evolution(7, **options), lucky)) == steps(play(evolution(7, **options), quality))) == is_fair


def test_with_all_variation_off_children_lie_within_the_population() -> None:
    told = play(evolution(7, generations=1, momentum=False, mutation=False, adaptation="off"), quality)

    start, children = told[0][0].points, np.concatenate([batch.points for batch, _ in told[2:]])
    assert (children >= start.min(axis=0) - 1e-15).all()
    assert (children <= start.max(axis=0) + 1e-15).all()


OPTIONS = st.fixed_dictionaries(
    {
        "population": st.integers(3, 7),
        "elites": st.integers(1, 2),
        "generations": st.integers(1, 4),
        "folds": st.integers(1, 3),
        "reevaluate": st.sampled_from(["population", "elites", "none"]),
        "rank_law": st.sampled_from(["bioik", "code"]),
        "same_parents": st.booleans(),
        "smallest_pool": st.integers(1, 4),
        "exploit": st.sampled_from(["one_trained", "one_any", "all", "off"]),
        "amplitude": st.floats(0.01, 1.0),
        "momentum": st.booleans(),
        "mutation": st.booleans(),
        "adaptation": st.sampled_from(["per_gene", "scalar", "off"]),
        "survivors": st.sampled_from(["generational", "mu+lambda"]),
        "wipeout": st.sampled_from(["off", "pivot", "starke"]),
        "infeasible": st.sampled_from(["penalise", "repair"]),
        "offspring": st.sampled_from(["sequential", "batch"]),
    }
)


@settings(deadline=None, max_examples=60)
@given(options=OPTIONS, seed=st.integers(0, 10**6), num_genes=st.integers(2, 8), low=st.floats(-10, 0.9))
def test_every_point_lies_in_the_unit_box_whatever_the_fitness(
    options: dict[str, Any], seed: int, num_genes: int, low: float
) -> None:
    told = play(evolution(num_genes, seed, **options), lambda genes, g: max(low, noise(seed, genes, g)))

    points = np.concatenate([batch.points for batch, _ in told])
    assert points.shape[1] == num_genes
    assert points.min() >= 0.0
    assert points.max() <= 1.0
    assert all(batch.generation < options["generations"] for batch, _ in told)


@settings(deadline=None, max_examples=60)
@given(options=OPTIONS, seed=st.integers(0, 10**6))
def test_the_best_ever_found_stays_the_first_elite(options: dict[str, Any], seed: int) -> None:
    """Seen from outside: the first two probes of a generation differ from one of the best points in one gene only."""
    search = evolution(5, seed, **{**options, "exploit": "one_trained"})
    known: dict[bytes, float] = {}

    for batch, values in _play(search, lambda genes, _: noise(seed, genes)):
        if batch.kind == "probe":
            best = max(known.values())
            bases = [np.frombuffer(key) for key, value in known.items() if value == best]
            assert min((base != batch.points[:2]).any(axis=0).sum() for base in bases) <= 1
        known.update({point.tobytes(): value for point, value in zip(batch.points, values, strict=True)})


@pytest.mark.parametrize("wipeout", ["off", "pivot", "starke"])
def test_wipeouts_draw_all_but_the_best_anew(wipeout: str) -> None:
    search = evolution(5, population=4, elites=1, generations=12, folds=1, wipeout=wipeout, offspring="batch")

    told = play(search, lambda genes, generation: 0.5)

    extra = [batch.generation for batch, _ in told[1:] if batch.kind == "new"]
    twice = sorted({generation for generation in extra if extra.count(generation) == 2})
    assert twice == {"off": [], "pivot": [10], "starke": list(range(12))}[wipeout]


@pytest.mark.parametrize(("infeasible", "is_repaired"), [("repair", True), ("penalise", False)])
def test_children_that_freeze_everything_can_be_repaired(infeasible: str, is_repaired: bool) -> None:
    space, search = MaskSpace(2), evolution(3, infeasible=infeasible, generations=20)

    told = play(search, lambda genes, generation: float(genes[-1]))

    children = [point for batch, _ in told if batch.kind == "new" for point in batch.points if point[:-1].max() > 0]
    assert all(space.is_feasible(point) for point in children) == is_repaired


def test_an_always_trained_head_is_probed_and_makes_every_point_feasible() -> None:
    space = MaskSpace(2, head="always_train")
    start = np.array([[0.1, 0.2, 0.9]] * 4)

    told = play(evolution(3, space=space, start=start, population=4, elites=3), quality)

    assert told[0][0].points.tolist() == start.tolist()
    assert told[1][0].points[:, [0, 2]].tolist() == [[0.1, 0.9]] * 6
    assert (told[1][0].points[:, 1] != 0.2).all()


def test_a_search_begins_with_the_given_points() -> None:
    start = [np.array([0.5, 0.4, 0.1]), np.array([0.2, 0.9, 0.3])]
    plain = evolution(3, **SMALL).ask()

    batch = evolution(3, start=start, **SMALL).ask()

    assert batch.points[:2].tolist() == [point.tolist() for point in start]
    assert batch.points[2:].tolist() == plain.points[2:].tolist()


def test_more_given_points_than_room_are_left_out_from_the_end() -> None:
    start = np.linspace(0.5, 0.6, 21).reshape(7, 3)[:, ::-1]

    assert evolution(3, start=start, **SMALL).ask().points.tolist() == start[:5].tolist()


@pytest.mark.parametrize(
    ("point", "message"),
    [
        ([0.1, 0.2, 0.3], r"start point \[0.1, 0.2, 0.3\] is not feasible: nothing would be trained"),
        ([0.5, 0.1], r"expected 3 genes, got shape \(2,\)"),
        ([1.5, 0.5, 0.1], r"genes must lie in \[0, 1\], got \[1.5, 0.5, 0.1\]"),
    ],
)
def test_a_wrong_start_is_refused(point: list[float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Evolution(3, start=[np.array(point)])


def test_the_trajectory_does_not_change_with_the_callers_arrays() -> None:
    start = [np.array([0.5, 0.4, 0.1])]
    expected = steps(play(evolution(3, start=start, **SMALL), quality))
    search, seen = evolution(3, start=start, **SMALL), []

    start[0][:] = 0.0
    while (batch := search.ask()) is not None:
        seen.append((batch.kind, batch.generation, batch.points.tolist()))
        values = np.array([quality(point) for point in batch.points])
        search.tell(values)
        batch.points[:] = 0.0
        values[:] = -1.0

    assert seen == expected


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"elites": 0}, "elites must be at least 1 and fewer than the population; got 0 of 10"),
        ({"elites": 10}, "got 10 of 10"),
        ({"population": 1, "elites": 1}, "got 1 of 1"),
        ({"generations": -1}, "generations must be >= 0 and folds >= 1; got -1 generations, 2 folds"),
        ({"folds": 0}, "got 10 generations, 0 folds"),
        ({"smallest_pool": 0}, "'smallest_pool' of the search Evolution cannot be '0'; give a whole number from 1"),
        ({"amplitude": 0.0}, "'amplitude' of the search Evolution cannot be '0.0'; give a number above 0 to 1"),
        ({"amplitude": 1.5}, "cannot be '1.5'"),
        ({"amplitude": float("nan")}, "cannot be 'nan'"),
        (
            {"amplitud": 0.5},
            r"has no option 'amplitud' \(did you mean 'amplitude'\?\); it takes rank_law, same_parents",
        ),
        ({"reevaluate": "all"}, "reevaluate='all' is unknown; choose one of population, elites, none"),
        (
            {"rank_law": "linear"},
            "the option 'rank_law' of the search Evolution cannot be 'linear'; give bioik or code",
        ),
        (
            {"exploit": "one"},
            "the option 'exploit' of the search Evolution cannot be 'one'; give one_trained or one_any or all or off",
        ),
        (
            {"adaptation": "none"},
            "the option 'adaptation' of the search Evolution cannot be 'none'; give per_gene or scalar or off",
        ),
        (
            {"survivors": "best"},
            r"'survivors' of the search Evolution cannot be 'best'; give generational or mu\+lambda",
        ),
        ({"wipeout": "on"}, "the option 'wipeout' of the search Evolution cannot be 'on'; give off or pivot or starke"),
        (
            {"infeasible": "penalize"},
            "the option 'infeasible' of the search Evolution cannot be 'penalize'; give penalise or repair",
        ),
        (
            {"offspring": "parallel"},
            "the option 'offspring' of the search Evolution cannot be 'parallel'; give sequential or batch",
        ),
    ],
)
def test_wrong_settings_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        evolution(7, **change)


def finetuning(genes: np.ndarray) -> float:
    """A made-up validation accuracy: blocks 0 and 1 are better frozen, the others have a best rate each."""
    multipliers = np.array(BlockSpace.unnamed(6).decode(genes).multipliers)
    if not multipliers.any():
        return 0.0
    best = np.array([0.0, 0.0, 0.2, 0.5, 2.0, 5.0])
    logs = np.log10(np.where(multipliers > 0, multipliers, 1.0)) - np.log10(np.where(best > 0, best, 1.0))
    loss = np.where(multipliers > 0, np.where(best > 0, logs**2, 0.5), np.where(best > 0, 1.0, 0.0))
    return 0.9 - 0.4 * float(loss.mean())


def chosen_quality(search: Search, seed: int) -> float:
    """The true quality of the point that looked best under noise."""
    told = play(search, lambda genes, _: finetuning(genes) + 0.02 * (2 * noise(seed, genes) - 1))
    points, values = np.concatenate([b.points for b, _ in told]), np.concatenate([v for _, v in told])
    assert len(points) == 140
    return finetuning(points[values.argmax()])


@pytest.mark.parametrize("change", [{}, {"rank_law": "code", "same_parents": False, "smallest_pool": 3}])
def test_evolution_beats_random_search_of_equal_cost(change: dict[str, Any]) -> None:
    gains = [
        chosen_quality(evolution(7, seed, folds=1, **change), seed)
        - chosen_quality(RandomSearch(7, seed, SearchSettings(140)), seed)
        for seed in range(24)
    ]

    assert np.median(gains) > 0.01


@pytest.mark.parametrize("offspring", ["sequential", "batch"])
def test_what_is_made_from_others_names_them(offspring: str) -> None:
    """A probe has one parent, from which at most one gene differs; a child has two; all were asked for before."""
    told = play(evolution(7, **SMALL, folds=1, offspring=offspring), quality)

    asked: list[list[float]] = []
    for batch, _ in told:
        for point, parents in zip(batch.points, batch.parents or ((),) * len(batch.points), strict=True):
            assert all(parent.tolist() in asked for parent in parents)
            if batch.kind == "probe":
                assert len(parents) == 1
                assert (point != parents[0]).sum() <= 1  # a step may end where it began
            else:
                assert len(parents) == (2 if batch.generation or len(asked) >= SMALL["population"] else 0)
        asked += batch.points.tolist()


def test_a_random_search_makes_nothing_from_others() -> None:
    told = play(RandomSearch(7, 0, SearchSettings(evaluations=20)), quality)
    assert all(batch.parents == () for batch, _ in told)
