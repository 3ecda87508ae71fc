"""What a search would choose at every moment: its best recipe so far, against the work that it has done."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from biotune.recipe import Recipe
from biotune.runner.session import Session
from biotune.runs.events import CandidateFinished, Event, Observer


@dataclass(frozen=True)
class Step:
    """A change of the recipe that a search would choose.

    Args:
        work: done by the search so far, in the unit of the curve.
        fitness: validation fitness of the recipe that the search would choose from here on.
    """

    work: float
    fitness: float


Curve = tuple[Step, ...]
"""The steps of one search, in the order of its work."""


class Incumbents:
    """An observer that notes the curve of every search of a session while it runs, or is read back from the store.

    The incumbent is the recipe of the best fitness among those that reached the last rung, over the folds that each was
    evaluated on: as ``ranked_recipes`` orders them, but for the trainings on lacking folds that it adds at the end.

    Args:
        observer: receives all events too.

    ``session`` is to be set as soon as it is open: it knows the work.
    """

    def __init__(self, observer: Observer) -> None:
        self.session: Session | None = None
        self._observer = observer
        self._values: dict[str, dict[Recipe, dict[int, float]]] = {}
        self._steps: dict[str, list[Step]] = {}

    def curve(self, search: str, unit: float) -> Curve:
        """Return the curve of a search.

        Args:
            search: name of the search in the session.
            unit: one unit of work, in epochs of full fine-tuning.

        Returns:
            A step for each change.
        """
        return tuple(Step(step.work / unit, step.fitness) for step in self._steps.get(search, ()))

    def __call__(self, event: Event) -> None:
        """Note a finished candidate, and pass the event on."""
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
            steps.append(Step(session.work(search), best))


def fitness_at(curve: Curve, work: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the fitness of the incumbent after so much work.

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
        work: where any curve steps, from where all have begun, and the end.
        low: lower quartile at each place.
        median: median at each place.
        high: upper quartile at each place.
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
    """Return the least work after which the incumbent is at least so good, None where it never is."""
    return next((step.work for step in curve if step.fitness >= fitness), None)
