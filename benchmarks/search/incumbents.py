"""The best recipe of a search so far (its incumbent), against the work that it has done."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from biotune.recipe import Recipe
from biotune.runner.session import Session
from biotune.runs.events import CandidateFinished, Event, Observer


@dataclass(frozen=True)
class IncumbentStep:
    """A change of the incumbent.

    Args:
        work: work of the search so far, in the unit of the curve.
        fitness: validation fitness of the incumbent from here on.
    """

    work: float
    fitness: float


Curve = tuple[IncumbentStep, ...]
"""The steps of one search, in the order of its work."""


class Incumbents:
    """An observer that records the curve of every search of a session, while it runs or is replayed from the store.

    The incumbent is the recipe of the best fitness among those that reached the last rung, over the folds that each was
    evaluated on: as ``ranked_recipes`` orders them, but for the trainings on lacking folds that it adds at the end.

    Args:
        observer: also receives all events.

    Set ``session`` as soon as it is open: it knows the work.
    """

    def __init__(self, observer: Observer) -> None:
        self.session: Session | None = None
        self._observer = observer
        self._values: dict[str, dict[Recipe, dict[int, float]]] = {}
        self._steps: dict[str, list[IncumbentStep]] = {}

    def curve(self, search: str, unit: float) -> Curve:
        """Return the curve of a search.

        Args:
            search: name of the search in the session.
            unit: one unit of work, in epochs of full fine-tuning.

        Returns:
            The curve, one step per change.
        """
        return tuple(IncumbentStep(step.work / unit, step.fitness) for step in self._steps.get(search, ()))

    def __call__(self, event: Event) -> None:
        """Record a finished candidate, and pass the event on."""
        if isinstance(event, CandidateFinished) and self.session is not None:
            self._note(event, self.session)
        self._observer(event)

    def _note(self, event: CandidateFinished, session: Session) -> None:
        search = event.search
        values = self._values.setdefault(search, {})
        values.setdefault(event.recipe, {})[event.fold] = event.fitness
        best = max(float(np.mean(list(folds.values()))) for folds in values.values())
        steps = self._steps.setdefault(search, [])
        if not steps or steps[-1].fitness != best:
            steps.append(IncumbentStep(session.work(search), best))


def fitness_at(curve: Curve, work: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the fitness of the incumbent after given amounts of work.

    Args:
        curve: curve of one search.
        work: shape (num_points,).

    Returns:
        Shape (num_points,); NaN before the first candidate finished.
    """
    steps = np.searchsorted([step.work for step in curve], work, side="right")
    return np.array([np.nan, *(step.fitness for step in curve)])[steps]


@dataclass(frozen=True)
class Band:
    """The median and the quartiles of several curves at the same work; each is a step function.

    Args:
        work: every position where a curve steps, from the first common one to the end.
        low: lower quartile at each position.
        median: median at each position.
        high: upper quartile at each position.
    """

    work: tuple[float, ...]
    low: tuple[float, ...]
    median: tuple[float, ...]
    high: tuple[float, ...]


def band(curves: Sequence[Curve], end: float) -> Band | None:
    """Return the band of several curves.

    Args:
        curves: curves of one search under several seeds; a search that has ended keeps its last recipe.
        end: last work of the band.

    Returns:
        The band, None where a curve has no step before the end.
    """
    if not all(curves):
        return None
    begin = max(curve[0].work for curve in curves)
    if begin > end:
        return None
    inner = {step.work for curve in curves for step in curve if begin <= step.work < end}
    work = np.array(sorted({begin, end} | inner))
    values = np.array([fitness_at(curve, work) for curve in curves])
    low, median, high = np.quantile(values, [0.25, 0.5, 0.75], axis=0)
    return Band(tuple(work.tolist()), tuple(low.tolist()), tuple(median.tolist()), tuple(high.tolist()))


def work_to_reach(curve: Curve, fitness: float) -> float | None:
    """Return the least work after which the incumbent has at least this fitness, None if it never has."""
    return next((step.work for step in curve if step.fitness >= fitness), None)
