"""A small grid search on the validation set: how a rival's learning rate and own options are tuned."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from biotune.randomness import derived_seeds
from biotune.runner.session import Session

LEADERS, REPEATS = 3, 3
"""What is left of the allowance after the grid repeats the three best choices on up to three further seeds."""


@dataclass(frozen=True)
class Choice:
    """One point of a grid.

    Args:
        method: as in ``Task``: name and options.
        multipliers: of the method ``recipe``; empty for others.
        label: for people.
    """

    method: str
    multipliers: tuple[float, ...] = ()
    label: str = ""


@dataclass(frozen=True)
class Swept:
    """What a sweep found.

    Args:
        best: the choice of highest mean fitness; the first of a tie.
        trials: every choice that was tried, with its fitness per seed.
    """

    best: Choice
    trials: tuple[tuple[Choice, tuple[float, ...]], ...]


def sweep(session: Session, phase: str, grid: Sequence[Choice], allowance: float) -> Swept:
    """Try the choices of a grid on validation, within an allowance of work.

    The grid is tried with the search's seeds; what is left of the allowance repeats the best choices on further seeds.
    Work is counted in arithmetic, not in seconds, so that a continued run chooses alike.

    Args:
        session: of the run, after the search.
        phase: name under which the cost is booked.
        grid: in the order of trial; the first is chosen where the allowance admits none.
        allowance: in epochs of full fine-tuning on all training images.

    Returns:
        The choice, and what was tried.
    """
    fitness: dict[Choice, list[float]] = {}
    session.plan(phase, max(1, round(allowance / session.config.training.epochs)))
    for number, seed in enumerate((*session.search_seeds, *derived_seeds(REPEATS, session.config.seed, "sweep"))):
        for choice in grid if number == 0 else _leaders(fitness):
            task = session.task(choice.method, choice.multipliers, seed)
            (result,) = session.run(phase, [task], choice.label, lambda: session.work(phase) < allowance)
            if result is not None:
                fitness.setdefault(choice, []).append(result.fitness)
    session.plan(phase, session.trainings(phase))
    best = max(fitness, key=lambda choice: float(np.mean(fitness[choice])), default=grid[0])
    return Swept(best, tuple((choice, tuple(values)) for choice, values in fitness.items()))


def _leaders(fitness: dict[Choice, list[float]]) -> list[Choice]:
    return sorted(fitness, key=lambda choice: -float(np.mean(fitness[choice])))[:LEADERS]
