"""After the search: retrain the best recipes on fresh seeds, choose one by validation, and measure its rivals."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from biotune.recipe import Recipe
from biotune.records import GIVEN, Evaluation, Task
from biotune.runner.search_phase import Ranked
from biotune.runner.session import Session
from biotune.runner.sweep import RATES, Choice, sweep
from biotune.runs.store import MAIN_SEARCH


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
    return _entrant(session, "full", GIVEN, session.full_recipe, seeds)


def choose(session: Session, finalists: list[Ranked]) -> tuple[Entrant, list[Entrant]]:
    """Retrain the finalists on fresh seeds and choose one by validation.

    With ``screening="one_seed"`` each is trained on the first final seed as far as the search trained its candidates,
    and judged by the mean of what the search found and what is found now; the winner goes on from there. With
    ``all_seeds``, each is trained on every final seed to the end and judged by these trainings alone (the papers).

    Args:
        session: of the run.
        finalists: best first; full fine-tuning stands in where the search found nothing.

    Returns:
        The winner with all its seeds, and every finalist as far as it was trained.
    """
    config = session.config.final
    finalists = finalists or [Ranked(session.full_recipe, 0.0, 0)]
    if session.out_of_fold:  # judged on many images already, which a few validation images cannot better
        finalists = finalists[:1]
    session.ledger.plan(session.final_name, session.config.final_trainings(len(finalists)))
    if config.screening == "all_seeds":
        entrants = [_finalist(session, ranked.recipe) for ranked in finalists]
        fitness = [entrant.fitness for entrant in entrants]
    else:
        entrants = [_screened(session, ranked.recipe) for ranked in finalists]
        fitness = [
            entrant.fitness + ranked.fitness if entrant.results[0].outcome == "ok" else -1.0
            for entrant, ranked in zip(entrants, finalists, strict=True)
        ]
    best = max(range(len(entrants)), key=lambda index: (fitness[index], -index))
    entrants[best] = _finalist(session, finalists[best].recipe)
    return entrants[best], entrants


def _finalist(session: Session, recipe: Recipe) -> Entrant:
    """Train a recipe on every final seed to the end, from where its screening paused."""
    tasks = session.final_tasks(GIVEN, recipe)
    if session.config.final.screening == "one_seed":
        tasks[0] = replace(tasks[0], first_epoch=session.rungs[-1])
    return _trained(session, "biotune", tasks, session.final_name)


def _screened(session: Session, recipe: Recipe) -> Entrant:
    """Train a recipe on the first final seed as far as the search trains its candidates."""
    (task,) = session.final_tasks(GIVEN, recipe, seeds=1)
    return _trained(session, "biotune", [replace(task, last_epoch=session.rungs[-1])], session.final_name)


def train(session: Session, method: str, recipe: Recipe | None) -> Entrant:
    """Train one method, or a recipe, on every final seed."""
    return _entrant(session, "biotune", method, recipe, None, "final", method)


def final_trainings(session: Session, name: str, choice: Choice, seeds: int | None = None) -> Entrant:
    """Train what a comparison chose on every final seed, or the first ones; booked under the name."""
    return _entrant(session, name, choice.method, choice.recipe, seeds)


def linear_probe(session: Session) -> Entrant:
    """Train the fresh classifier alone."""
    return _entrant(session, "linear_probe", "linear_probe")


def mask_one_rate(session: Session, recipe: Recipe) -> Entrant:
    """Train the blocks that the recipe trains, all at the base rate: what the mask alone is worth."""
    return _entrant(session, "mask_one_rate", GIVEN, recipe.at_one_rate())


def full_tuned(session: Session) -> Entrant:
    """Train every block at one rate, chosen on validation by a sweep that may do as much work as the search did.

    Args:
        session: of the run, after the search.

    Returns:
        The final trainings at the chosen rate; its cost includes the sweep.
    """
    grid = [Choice(GIVEN, session.full_recipe.at_one_rate(rate), f"rate x{rate:g}") for rate in RATES]
    best = sweep(session, "sweep", grid[0], [lambda _best: grid], session.work(MAIN_SEARCH)).best
    tuned = _entrant(session, "full_tuned", best.method, best.recipe)
    rate = best.recipe.multipliers[0] if best.recipe else 1.0
    return replace(tuned, seconds=tuned.seconds + session.spent("sweep"), multiplier=rate)


def _entrant(
    session: Session,
    name: str,
    method: str,
    recipe: Recipe | None = None,
    seeds: int | None = None,
    phase: str = "",
    shown: str = "",
) -> Entrant:
    tasks = session.final_tasks(method, recipe, seeds)
    return _trained(session, name, tasks, phase or name, shown)


def _trained(session: Session, name: str, tasks: Sequence[Task], phase: str, shown: str = "") -> Entrant:
    results = session.run_all(phase, tasks, (shown or name).replace("_", " "))
    return Entrant(name, tuple(tasks), tuple(results), sum(result.seconds for result in results))
