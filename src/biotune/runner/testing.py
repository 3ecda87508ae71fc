"""The test set: opened once the recipe is chosen, one look per final training."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from biotune.metrics import log_softmax
from biotune.pixels.learning_data import Pixels
from biotune.runner.final_phase import Entrant
from biotune.runner.session import Session


@dataclass(frozen=True)
class Answers:
    """The answers of one way of fine-tuning on the test images.

    Args:
        predicted: class index, shape (num_seeds, num_images).
        probability: of the predicted class, same shape.
        labels: true class index, shape (num_images,).
    """

    predicted: NDArray[np.int64]
    probability: NDArray[np.float64]
    labels: NDArray[np.int64]

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Where the answer was right, shape (num_seeds, num_images)."""
        return np.asarray(self.predicted == self.labels)


class TestSet:
    """The test images, opened when they are first asked for.

    Args:
        session: of the run.
    """

    __test__ = False  # pytest takes every class of this name for a test

    def __init__(self, session: Session) -> None:
        self._session = session
        self._pixels: Pixels | None = None

    @property
    def exists(self) -> bool:
        """Whether there are any; says so without opening them."""
        return self._session.data.test is not None

    def open(self) -> Pixels | None:
        """Return the test images, None without any; to be called once all choices are made."""
        if self._pixels is None and self._session.data.test:
            self._pixels = self._session.data.test.open()
        return self._pixels


def score(session: Session, entrant: Entrant, test: Pixels | None) -> Answers | None:
    """Return an entrant's answers on the test set, computed once and stored; None without a test set.

    Seeds whose training diverged are left out; None if all did.
    """
    tasks = [task for task, result in zip(entrant.tasks, entrant.results, strict=True) if result.outcome == "ok"]
    if test is None or not tasks:
        return None
    rows = []
    for task in tasks:
        name = f"test:{task.key}"
        if session.store.fact(name) is None:
            session.stop.check()
            session.ensure_weights(task)
            log_probabilities = log_softmax(session.evaluator.test_logits(task, test))
            answers = {
                "predicted": log_probabilities.argmax(axis=1).tolist(),
                "probability": np.exp(log_probabilities.max(axis=1)).round(6).tolist(),
            }
            session.store.set_fact(name, answers)
        rows.append(session.store.fact(name))
    predicted = np.array([row["predicted"] for row in rows], dtype=np.int64)
    return Answers(predicted, np.array([row["probability"] for row in rows]), test.labels)


def row_of_best(entrant: Entrant) -> int:
    """Return the row of an entrant's answers that belongs to its best seed (diverged seeds have no row)."""
    return sum(result.outcome == "ok" for result in entrant.results[: entrant.best_index])


def drop_weights(session: Session, entrants: Sequence[Entrant], keep: Sequence[Entrant] = ()) -> None:
    """Delete the weights of tested entrants, but for trainings that an entrant to be kept shares with them."""
    kept = {task.key for entrant in keep for task in entrant.tasks}
    for entrant in entrants:
        for task in entrant.tasks:
            if task.key not in kept:
                session.evaluator.checkpoint(task).unlink(missing_ok=True)
