"""The unit of cost, one full fine-tune; and the first usable model, which is there before anything else."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from biotune.records import GIVEN, Evaluation
from biotune.runner.best_model import BestModel
from biotune.runner.session import Session

PROBE = "probe"


@dataclass(frozen=True)
class Unit:
    """One full fine-tune: every block on all training images.

    Args:
        seconds: wall time.
        epochs: how many it takes.
    """

    seconds: float
    epochs: float

    @classmethod
    def of(cls, trainings: Sequence[Evaluation]) -> Self:
        """Return the mean of full fine-tunes to their end, of which single ones differ where they stop early."""
        seconds = float(np.mean([training.seconds for training in trainings]))
        return cls(seconds, float(np.mean([len(training.curve) for training in trainings])))


def first_model(session: Session, best: BestModel) -> None:
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
    return Unit(result.seconds / max(1, len(result.curve)) * epochs, epochs)
