"""The race: candidates train for a few epochs, and only the better ones continue from where they paused."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from biotune.records import Evaluation
from biotune.settings.config import KEPT


@dataclass(frozen=True)
class Raced:
    """How far a candidate came.

    Args:
        results: one per search seed (and fold, where it was judged out of fold), at its last rung.
        finished: whether that is the last rung of the race; True for a point that freezes every block.
    """

    results: tuple[Evaluation, ...]
    finished: bool = False

    @property
    def fitness(self) -> float:
        """Mean over the seeds."""
        return float(np.mean([result.fitness for result in self.results]))

    @property
    def outcome(self) -> str:
        """``ok``, or what went wrong with the first seed that failed."""
        return next((result.outcome for result in self.results if result.outcome != "ok"), "ok")


class Race:
    """The standings of one search: who goes on to the next rung, and what the search is told.

    Rungs differ in epochs only, so a paused training is really continued. Only where there are few validation images,
    the last rung also trains from the start, on further parts of the images, one held out after the other.

    Scores of different training folds are not comparable, so every fold has standings of its own.

    Args:
        num_rungs: how often candidates are compared, at the last rung too.
        elites: at least so many candidates of the first batch go to the end.
    """

    def __init__(self, num_rungs: int, elites: int) -> None:
        self.candidates = 0
        self.trainings = 0
        self.num_rungs = num_rungs
        self._last = num_rungs - 1
        self._elites = elites
        self._seen: defaultdict[tuple[int, int], list[float]] = defaultdict(list)
        self._least_finished: defaultdict[int, float] = defaultdict(lambda: math.inf)

    def has_finished(self, fold: int = 0) -> bool:
        """Return whether a candidate came to the end of its race on a fold."""
        return math.isfinite(self._least_finished[fold])

    def arrived(self, results: Sequence[Evaluation], rung: int, fold: int = 0) -> Raced:
        """Note what a candidate reached at a rung, and return it; on a fold they arrive in the order of asking."""
        raced = Raced(tuple(results))
        finished = rung == self._last or raced.outcome == "infeasible"
        self.candidates += rung == 0
        self.trainings += 1
        if finished and raced.outcome == "ok":
            self._least_finished[fold] = min(self._least_finished[fold], raced.fitness)
        if raced.outcome != "infeasible":
            self._seen[fold, rung].append(raced.fitness)
        return replace(raced, finished=finished)

    def promoted(self, raced: Sequence[Raced], running: Sequence[int], rung: int, fold: int = 0) -> list[int]:
        """Return the indices of the candidates that go on to the next rung, the best first, among those ``running``."""
        able = [index for index in running if raced[index].outcome == "ok"]
        order = sorted(able, key=lambda index: -raced[index].fitness)
        seen = sorted(self._seen[fold, rung], reverse=True)
        good = [index for index in order if raced[index].fitness >= seen[math.ceil(KEPT * len(seen)) - 1]]
        wanted = 0 if self.has_finished(fold) else self._elites
        return order[: max(len(good), wanted)]

    def told(self, raced: Sequence[Raced], rung: int | None = None, fold: int = 0) -> list[float]:
        """Return what a search is told of a batch.

        Args:
            raced: what each candidate of the batch reached.
            rung: where the search wanted it to stop; None if it raced.
            fold: training fold of the batch.

        Returns:
            The fitness of each; of a race, held below that of all finished ones of the fold where a candidate stopped.
            A search that chooses the rungs itself compares within a rung, so it is told what was reached there.
        """
        if rung is not None:
            return [one.fitness for one in raced]
        floor = float(np.nextafter(self._least_finished[fold], -math.inf))
        return [one.fitness if one.finished else min(one.fitness, floor) for one in raced]
