"""A small grid search on the validation set: how a rival's learning rate and own options are tuned."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from biotune.randomness import derived_seeds
from biotune.recipe import Recipe
from biotune.runner.session import Session

RATES = (1.0, 0.3, 0.1, 3.0, 0.03, 10.0)
"""Learning rates that a sweep tries, as multiples of the run's, in this order."""

LEADERS, REPEATS = 3, 3
"""What is left of the allowance after the grid repeats the three best choices on up to three further seeds."""


@dataclass(frozen=True)
class Choice:
    """One point of a grid.

    Args:
        method: as in ``Task``: name and options.
        recipe: what the method ``given`` trains; None for others.
        label: for people.
    """

    method: str
    recipe: Recipe | None = None
    label: str = ""


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
    grid = sum(len(stage(start)) for stage in stages) * len(session.search_seeds)
    most = (grid + LEADERS * REPEATS) * len(session.evaluator.judging)
    tried: set[tuple[Choice, int]] = set()

    def attempt(choices: Sequence[Choice], seeds: Sequence[int]) -> None:
        for seed in seeds:
            for choice in choices:
                if (choice, seed) in tried:  # an option given by the user may be a point of the grid as well
                    continue
                tried.add((choice, seed))
                tasks = session.judged(choice.method, choice.recipe, seed)
                found = session.run(phase, tasks, choice.label, lambda: session.work(phase) < allowance)
                results = [result for result in found if result is not None]
                if len(results) == len(tasks):
                    fitness.setdefault(choice, []).append(float(np.mean([result.fitness for result in results])))
                    done = min(1.0, session.work(phase) / allowance)
                    expected = round(session.trainings(phase) / done) if done else most
                    session.ledger.plan(phase, min(expected, most))

    for stage in stages:
        attempt(stage(_best(fitness, start)), session.search_seeds)
    for seed in derived_seeds(REPEATS, session.config.seed, "sweep"):
        attempt(_leaders(fitness), [seed])
    session.ledger.plan(phase, session.trainings(phase))
    return Swept(_best(fitness, start), tuple((choice, tuple(values)) for choice, values in fitness.items()))


def _best(fitness: dict[Choice, list[float]], start: Choice) -> Choice:
    return max(fitness, key=lambda choice: float(np.mean(fitness[choice])), default=start)


def _leaders(fitness: dict[Choice, list[float]]) -> list[Choice]:
    return sorted(fitness, key=lambda choice: -float(np.mean(fitness[choice])))[:LEADERS]
