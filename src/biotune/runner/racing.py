"""The race: candidates train for a few epochs, and only the better ones go on from where they paused."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from biotune.recipe import Recipe
from biotune.records import GIVEN, Evaluation, Task
from biotune.runner.budget import Limit
from biotune.runner.session import Session
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
    """The race of one search: its batches run it one after the other.

    Rungs differ in epochs only, so a paused training truly goes on; scores are best ones so far, so they never fall.
    Only where there are few validation images, the last rung trains anew, on one fold of the images after the other.

    Args:
        session: of the search.
        limit: asked before every training.
    """

    def __init__(self, session: Session, limit: Limit) -> None:
        self._session = session
        self._limit = limit
        self._rungs = session.rungs
        self._seen: list[list[float]] = [[] for _ in self._rungs]
        self._trainings = 0
        self._candidates = 0
        self._least_finished = math.inf

    def run(self, recipes: Sequence[Recipe], fold: int, detail: str, rung: int | None = None) -> list[Raced]:
        """Let a batch of recipes race.

        Args:
            recipes: what is trained.
            fold: training fold.
            detail: shown with the progress.
            rung: where every one stops, without a race.

        Returns:
            One result per recipe, in order; fewer where the limit ended the search.
        """
        found: list[Raced] = []
        running = list(range(len(recipes)))
        for step in range(len(self._rungs) if rung is None else rung + 1):
            for index in running:
                if not self._limit.allows(self._candidates, self._trainings):
                    return found
                raced = self._step(recipes[index], found[index] if step else None, fold, step, detail)
                found[index : index + 1] = [raced]
            running = self._promoted(found, running, step) if rung is None else running
        return found

    def told(self, raced: Sequence[Raced], rung: int | None = None) -> list[float]:
        """Return what a search is told of a batch.

        Args:
            raced: what the batch came to.
            rung: where the search wanted it to stop; None if it raced.

        Returns:
            The fitness of each; of a race, held below that of all finished ones where a candidate stopped. A search
            that chooses the rungs itself compares within a rung, so it is told what was reached there.
        """
        if rung is not None:
            return [one.fitness for one in raced]
        return [one.fitness if one.finished else min(one.fitness, self._floor) for one in raced]

    @property
    def _floor(self) -> float:
        """The largest value below the fitness of every candidate that finished."""
        return float(np.nextafter(self._least_finished, -math.inf))

    def _step(self, recipe: Recipe, before: Raced | None, fold: int, rung: int, detail: str) -> Raced:
        """Train a candidate to a rung; no longer than it wants to."""
        session = self._session
        start = self._rungs[rung - 1] if rung else 0
        results, tasks = before.results if before else (), self._tasks(recipe, fold, rung)
        if not results or len(tasks) > len(results) or any(len(result.curve) == start for result in results):
            candidate = self._candidates + (0 if before else 1)
            results = tuple(session.run_all(session.search_name, tasks, f"{detail}, candidate {candidate}"))
        self._trainings += 1
        self._candidates += before is None
        raced = Raced(results)
        finished = self._is_last(rung) or raced.outcome == "infeasible"
        if finished and raced.outcome == "ok":
            self._least_finished = min(self._least_finished, raced.fitness)
            session.on_finished(session.search_name, recipe, fold, raced.fitness)
        if raced.outcome != "infeasible":
            self._seen[rung].append(raced.fitness)
        return replace(raced, finished=finished)

    def _tasks(self, recipe: Recipe, fold: int, rung: int) -> list[Task]:
        """Return the trainings of a candidate to a rung."""
        session, epochs = self._session, (self._rungs[rung - 1] if rung else 0, self._rungs[rung])
        if self._is_last(rung) and session.out_of_fold:
            return [task for seed in session.search_seeds for task in session.judged(GIVEN, recipe, seed)]
        where = fold if session.config.data.folds > 1 else None
        return [session.task(GIVEN, recipe, seed, where, epochs=epochs) for seed in session.search_seeds]

    def _is_last(self, rung: int) -> bool:
        return rung == len(self._rungs) - 1

    def _promoted(self, found: Sequence[Raced], running: Sequence[int], rung: int) -> list[int]:
        """Return which of the running candidates go on to the next rung, the best first."""
        able = [index for index in running if found[index].outcome == "ok"]
        order = sorted(able, key=lambda index: -found[index].fitness)
        seen = sorted(self._seen[rung], reverse=True)
        good = [index for index in order if found[index].fitness >= seen[math.ceil(KEPT * len(seen)) - 1]]
        wanted = 0 if math.isfinite(self._least_finished) else self._session.config.search.elites
        return order[: max(len(good), wanted)]
