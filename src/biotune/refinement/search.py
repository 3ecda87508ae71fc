"""One search for better weights: ask, judge, store, tell; what is stored already is replayed."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from biotune.errors import DamagedStateError
from biotune.refinement.layers import Vector
from biotune.runs.store import Candidate, RunStore, genes_digest
from biotune.search import SEARCHES, Search, SearchSettings
from biotune.search.base import Batch, Points
from biotune.settings.refine import RefineConfig, parsed
from biotune.space import BoxSpace

Judge = Callable[[Vector], NDArray[np.float64]]
"""From vectors, shape (num_vectors, num_values), to the fitness of each."""


@dataclass(frozen=True)
class Explored:
    """What a search found.

    Args:
        best: the best point, shape (num_values,); the trained weights where none is better.
        fitness: of the best point.
        curve: best fitness so far after each round.
        evaluations: number of points.
    """

    best: Vector
    fitness: float
    curve: tuple[float, ...]
    evaluations: int


def make_search(
    heuristic: str, space: BoxSpace, settings: RefineConfig, seed: int, evaluations: int | None = None
) -> Search:
    """Return the search of one repetition: it begins at the trained weights.

    Args:
        heuristic: ``NAME`` or ``NAME:option=value,...``.
        space: the box around the trained weights.
        settings: agents and iterations.
        seed: that of this repetition, from which all random numbers are drawn.
        evaluations: number of points; None for those of the settings. Some searches take others, see
            ``Search.num_evaluations``.

    Returns:
        A new search.
    """
    name, own = parsed(heuristic)
    sizes = SearchSettings(
        evaluations=evaluations or settings.evaluations,
        population=settings.agents,
        elites=1,
        generations=settings.iterations,
        folds=1,
    )
    start = space.encode(space.centre)
    return SEARCHES[name](space.num_genes, seed, sizes, space, [start], own.model_dump())


def explore(
    search: Search, space: BoxSpace, judge: Judge, trained: float, store: RunStore, name: str, at_once: int = 2**20
) -> Explored:
    """Run a search to its end, or what is left of it.

    A round is stored at once: the digest and the fitness of each point, never its values, which the search proposes
    again when it is replayed.

    Args:
        search: new, as ``make_search`` gives it.
        space: what its points mean.
        judge: gives the fitness of vectors.
        trained: fitness of the trained weights, the centre of the space: what is found is never worse.
        store: holds the rounds of earlier calls.
        name: under which the rounds are stored.
        at_once: vectors that are handed to ``judge`` at a time, at most; those of a round may take gigabytes.

    Returns:
        The best point and how it was reached.

    Raises:
        DamagedStateError: what is stored belongs to other points.
    """
    known = store.candidates(name)
    best, fitness, curve, done = space.centre, trained, list[float](), 0
    while (batch := search.ask()) is not None:
        digests = [genes_digest(point) for point in batch.points]
        stored = known[done : done + len(digests)]
        if stored:
            if [candidate.genes for candidate in stored] != digests:
                raise DamagedStateError(
                    f"'{store.path}' holds other points of '{name}' than this search asks for: another version made "
                    "them, or they were altered; start a new run with --out."
                )
            values = np.array([candidate.fitness for candidate in stored])
        else:
            values = _judged(batch.points, space, judge, at_once)
            store.add_candidates(_rows(batch, digests, values, done), name)
        leader = int(np.argmax(values))
        if values[leader] > fitness:
            best, fitness = space.decode(batch.points[leader]), float(values[leader])
        done += len(digests)
        curve.append(fitness)
        search.tell(values)
    return Explored(best, fitness, tuple(curve), done)


def _judged(points: Points, space: BoxSpace, judge: Judge, at_once: int) -> NDArray[np.float64]:
    """Return the fitness of points, shape (num_points, num_values), a few of them at a time."""
    parts = [points[start : start + at_once] for start in range(0, len(points), at_once)]
    return np.concatenate([judge(np.stack([space.decode(point) for point in part])) for part in parts])


def _rows(batch: Batch, digests: list[str], values: NDArray[np.float64], done: int) -> list[Candidate]:
    return [
        Candidate(done + index, batch.generation, batch.kind, 0, digest, None, "ok", float(value))
        for index, (digest, value) in enumerate(zip(digests, values, strict=True))
    ]
