"""What a recipe is compared with: baselines, and the small grid search on validation that tunes them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from biotune.randomness import derived_seeds
from biotune.records import GIVEN, Evaluation, Task
from biotune.runner.final import Choice, TrainedEntry, final_trainings
from biotune.runner.session import Session
from biotune.runs.store import MAIN_SEARCH
from biotune.settings.sections import Baseline
from biotune.trials.desk import Order, Queue

RATES = (1.0, 0.3, 0.1, 3.0, 0.03, 10.0)
"""Learning rates that a sweep tries, as multiples of the run's, in this order."""

LEADERS, REPEATS = 3, 3
"""What is left of the allowance after the grid repeats the three best choices on up to three further seeds."""


Stage = Callable[[Choice], Sequence[Choice]]
"""From the best choice so far to the choices to try next."""


@dataclass(frozen=True)
class Swept:
    """What a sweep found.

    Args:
        best: the choice of highest mean fitness; the first of a tie.
        trials: every choice that was tried, with its fitness per seed.
    """

    best: Choice
    trials: tuple[tuple[Choice, tuple[float, ...]], ...]


def sweep(session: Session, phase: str, start: Choice, stages: Sequence[Stage], allowance: float) -> Swept:
    """Try choices on validation, stage by stage around the best so far, within an allowance of work.

    A choice is judged where the search judges its candidates, at the last rung, unless it trains other blocks in later
    epochs. All stages are tried with the search's seeds; what is left of the allowance repeats the best choices on
    further seeds. Work is counted in arithmetic, not in seconds, so that a continued run chooses alike.

    Args:
        session: of the run, after the search.
        phase: name under which the cost is booked.
        start: handed to the first stage; chosen where the allowance admits nothing.
        stages: in order.
        allowance: in epochs of full fine-tuning on all training images.

    Returns:
        The choice, and what was tried.
    """
    fitness: dict[Choice, list[float]] = {}
    grid = sum(len(stage(start)) for stage in stages) * len(session.tasks.search_seeds)
    most = (grid + LEADERS * REPEATS) * len(session.tasks.judging)
    tried: set[tuple[Choice, int]] = set()

    def attempt(choices: Sequence[Choice], seeds: Sequence[int]) -> None:
        # an option given by the user may be a point of the grid as well: each is tried once
        trials = [pair for pair in dict.fromkeys((c, seed) for seed in seeds for c in choices) if pair not in tried]
        tried.update(trials)
        wanted = [session.tasks.judged(choice.method, choice.recipe, seed) for choice, seed in trials]
        orders = [
            Order(task, choice.label) for (choice, _), tasks in zip(trials, wanted, strict=True) for task in tasks
        ]
        queue = session.desk.queue(phase, orders)
        for (choice, _), tasks in zip(trials, wanted, strict=True):
            results = _affordable(session, phase, queue, tasks, allowance)
            if len(results) == len(tasks):
                fitness.setdefault(choice, []).append(float(np.mean([result.fitness for result in results])))
                done = min(1.0, session.work(phase) / allowance)
                expected = round(session.ledger.trainings(phase) / done) if done else most
                session.ledger.plan(phase, min(expected, most))

    for stage in stages:
        attempt(stage(_best(fitness, start)), session.tasks.search_seeds)
    for seed in derived_seeds(REPEATS, session.config.seed, "sweep"):
        attempt(_leaders(fitness), [seed])
    session.ledger.plan(phase, session.ledger.trainings(phase))
    return Swept(_best(fitness, start), tuple((choice, tuple(values)) for choice, values in fitness.items()))


def _affordable(
    session: Session, phase: str, queue: Queue, tasks: Sequence[Task], allowance: float
) -> list[Evaluation]:
    """Return the results of the tasks of one choice, up to where the allowance ends; what is paid for is free."""
    results = []
    for task in tasks:
        if not session.desk.is_free(phase, task) and session.work(phase) >= allowance:
            break
        results.append(queue.obtain(task))
    return results


def _best(fitness: dict[Choice, list[float]], start: Choice) -> Choice:
    return max(fitness, key=lambda choice: float(np.mean(fitness[choice])), default=start)


def _leaders(fitness: dict[Choice, list[float]]) -> list[Choice]:
    return sorted(fitness, key=lambda choice: -float(np.mean(fitness[choice])))[:LEADERS]


def baseline(session: Session, name: Baseline, winner: TrainedEntry, seeds: int | None = None) -> TrainedEntry:
    """Train a baseline on the final seeds, or the first ones.

    Args:
        session: of the run, after the search.
        name: ``full`` trains every block at the base rate, ``full_tuned`` at the best rate of a sweep that may do as
            much work as the search did; ``mask_one_rate`` trains the blocks that the recipe trains, all at the base
            rate: what the mask alone is worth; ``linear_probe`` trains the fresh classifier alone.
        winner: the chosen recipe.
        seeds: how many; None for all.

    Returns:
        The final trainings; the cost of a tuned baseline includes its sweep.
    """
    if name == "full":
        return full_finetune(session, seeds)
    if name == "linear_probe":
        return final_trainings(session, name, Choice("linear_probe"), seeds)
    if name == "mask_one_rate":
        mask = (winner.tasks[0].recipe or session.full_recipe).at_one_rate()
        return final_trainings(session, name, Choice(GIVEN, mask), seeds)
    grid = [Choice(GIVEN, session.full_recipe.at_one_rate(rate), f"rate x{rate:g}") for rate in RATES]
    best = sweep(session, "sweep", grid[0], [lambda _best: grid], session.work(MAIN_SEARCH)).best
    tuned = final_trainings(session, name, best, seeds)
    rate = best.recipe.multipliers[0] if best.recipe else 1.0
    return replace(tuned, seconds=tuned.seconds + session.ledger.spent("sweep"), multiplier=rate)


def full_finetune(session: Session, seeds: int | None = None) -> TrainedEntry:
    """Train every block at the base rate: the unit of cost, and a usable model from the start."""
    return final_trainings(session, "full", Choice(GIVEN, session.full_recipe), seeds)
