"""The unit of cost, one full fine-tune; and the first usable model, which is there before anything else."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from biotune.records import GIVEN, Evaluation
from biotune.runner.session import Session
from biotune.trials.desk import Keeper
from biotune.wording import cpu_seconds

PROBE = "probe"


@dataclass(frozen=True)
class Unit:
    """One full fine-tune: every block on all training images.

    Args:
        seconds: wall time.
        epochs: how many it takes.
        cpu_seconds: CPU time of all threads.
    """

    seconds: float
    epochs: float
    cpu_seconds: float = 0.0

    @classmethod
    def of(cls, trainings: Sequence[Evaluation]) -> Self:
        """Return the mean of full fine-tunes to their end, of which single ones differ where they stop early."""
        return cls(
            float(np.mean([training.seconds for training in trainings])),
            float(np.mean([len(training.curve) for training in trainings])),
            float(np.mean([training.cpu_seconds for training in trainings])),
        )

    def written(self, device: str) -> str:
        """Return what it takes in words: CPU time on a CPU, wall time on other devices."""
        return cpu_seconds(self.cpu_seconds) if device == "cpu" else f"{self.seconds:.1f} s"


def first_model(session: Session, best: Keeper) -> None:
    """Fit logistic regression on the features of the frozen network: a usable model within seconds."""
    task = session.tasks.one(PROBE, None, session.tasks.search_seeds[0], epochs=(0, 0))
    (result,) = session.desk.run(PROBE, [task], "logistic regression on features")
    if best.bar == -math.inf:  # what the folder held was deleted or damaged
        session.desk.ensure_weights([task])
        best.offer(PROBE, "", task, result)


def first_epochs(session: Session) -> Unit:
    """Measure the unit where trainings stop as planned: train every block to the first rung of the race.

    The search trains the same at its informed start, which then costs nothing; else it is part of the search's work.
    """
    epochs = session.config.training.epochs
    seed, end = session.tasks.search_seeds[0], session.tasks.rungs[0]
    task = session.tasks.one(GIVEN, session.full_recipe, seed, epochs=(0, end))
    (result,) = session.desk.run(session.search_name, [task], "every block, to measure the unit of cost")
    share = epochs / max(1, len(result.curve))
    return Unit(result.seconds * share, epochs, result.cpu_seconds * share)
