"""After the search: retrain the best recipes on fresh seeds, choose one by validation, and measure its rivals."""

from dataclasses import dataclass, replace

import numpy as np

from biotune.records import Evaluation, Task
from biotune.runner.search_phase import Ranked
from biotune.runner.session import Session
from biotune.runner.sweep import Choice, sweep
from biotune.runs.store import MAIN_SEARCH

SWEEP = (1.0, 0.3, 0.1, 3.0, 0.03, 10.0)
"""Learning-rate multipliers that the rival with one tuned rate may try, in this order."""


@dataclass(frozen=True)
class Entrant:
    """One way of fine-tuning with its final trainings.

    Args:
        name: ``biotune`` or the name of a baseline.
        tasks: one per final seed.
        results: of the tasks.
        seconds: what it cost to get there, selection included.
        multiplier: learning-rate multiplier of a tuned baseline.
    """

    name: str
    tasks: tuple[Task, ...]
    results: tuple[Evaluation, ...]
    seconds: float
    multiplier: float = 1.0

    @property
    def fitness(self) -> float:
        """Mean fitness over the seeds."""
        return float(np.mean([result.fitness for result in self.results]))

    @property
    def best_index(self) -> int:
        """Index of the seed of best fitness; the first of a tie."""
        return int(np.argmax([result.fitness for result in self.results]))


def full_finetune(session: Session, seeds: int | None = None) -> Entrant:
    """Train every block at the base rate: the ruler of cost, and a usable model from the start."""
    return _entrant(session, "full", "recipe", _uniform(session, 1.0), seeds)


def choose(session: Session, finalists: list[Ranked]) -> tuple[Entrant, list[Entrant]]:
    """Retrain the finalists on fresh seeds and choose one by validation.

    Args:
        session: of the run.
        finalists: best first; full fine-tuning stands in where the search found nothing.

    Returns:
        The winner with all its seeds, and every finalist as far as it was trained.
    """
    recipes = [ranked.multipliers for ranked in finalists] or [_uniform(session, 1.0)]
    screened = 1 if session.config.final.screening == "one_seed" else None
    phase = session.final_name
    session.plan(phase, session.config.final.num_trainings(len(recipes)))
    entrants = [_entrant(session, "biotune", "recipe", recipe, screened, phase) for recipe in recipes]
    best = max(range(len(entrants)), key=lambda index: (entrants[index].fitness, -index))
    winner = _entrant(session, "biotune", "recipe", recipes[best], None, phase)
    entrants[best] = winner
    return winner, entrants


def train(session: Session, method: str, multipliers: tuple[float, ...]) -> Entrant:
    """Train one method, or a recipe, on every final seed."""
    return _entrant(session, "biotune", method, multipliers, None, "final", method)


def final_trainings(session: Session, name: str, choice: Choice) -> Entrant:
    """Train what a comparison chose on every final seed; booked under the name."""
    return _entrant(session, name, choice.method, choice.multipliers)


def linear_probe(session: Session) -> Entrant:
    """Train the fresh classifier alone."""
    return _entrant(session, "linear_probe", "linear_probe")


def mask_one_rate(session: Session, multipliers: tuple[float, ...]) -> Entrant:
    """Train the blocks that the recipe trains, all at the base rate: what the mask alone is worth."""
    mask = tuple(1.0 if value > 0 else 0.0 for value in multipliers)
    return _entrant(session, "mask_one_rate", "recipe", mask)


def full_tuned(session: Session) -> Entrant:
    """Train every block at one rate, chosen on validation by a sweep that may do as much work as the search did.

    Args:
        session: of the run, after the search.

    Returns:
        The final trainings at the chosen rate; its cost includes the sweep.
    """
    grid = [Choice("recipe", _uniform(session, rate), f"rate x{rate:g}") for rate in SWEEP]
    best = sweep(session, "sweep", grid[0], [lambda _best: grid], session.work(MAIN_SEARCH)).best
    tuned = _entrant(session, "full_tuned", best.method, best.multipliers)
    return replace(tuned, seconds=tuned.seconds + session.spent("sweep"), multiplier=best.multipliers[0])


def _uniform(session: Session, rate: float) -> tuple[float, ...]:
    return (rate,) * len(session.loaded.partition)


def _entrant(
    session: Session,
    name: str,
    method: str,
    multipliers: tuple[float, ...] = (),
    seeds: int | None = None,
    phase: str = "",
    shown: str = "",
) -> Entrant:
    tasks = session.final_tasks(method, multipliers, seeds)
    phase = phase or name
    results = session.run_all(phase, tasks, (shown or name).replace("_", " "))
    return Entrant(name, tuple(tasks), tuple(results), sum(result.seconds for result in results))
