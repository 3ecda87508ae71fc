"""The test set: opened once the recipe is chosen, one look per final training; and what stands in for it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biotune.metrics import log_softmax
from biotune.pixels.learning_data import Pixels
from biotune.runner.final import Entrant
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
    session.desk.ensure_weights([task for task in tasks if session.store.fact(f"test:{task.key}") is None])
    for task in tasks:
        name = f"test:{task.key}"
        if session.store.fact(name) is None:
            session.stop.check()
            log_probabilities = log_softmax(session.worker.logits(task, test))
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
                session.worker.weights.remove(task)


OUT_OF_FOLD = "estimate"
"""Name under which the trainings of ``score_out_of_fold`` are booked."""


def score_out_of_fold(session: Session, entrant: Entrant) -> dict[str, Any] | None:
    """Train an entrant anew without one fold of all training and validation images, for every fold; score that fold.

    Each training has as many images as the training set, or fewer, and takes as many epochs as the entrant's final
    trainings took to their best ones, in the mean. It is scored after its last epoch, so no fold chooses its best one;
    but early stopping looks at it. And the images were in view when a recipe was chosen from the results of a search.

    Args:
        session: of the run.
        entrant: with its final trainings.

    Returns:
        JSON-able data: accuracy and mean recall over all images (those of a diverged training count as wrong) and the
        accuracy of each fold; None where there are test images, which tell more.
    """
    folds = session.tasks.estimating
    if not folds:
        return None
    task, planned = entrant.tasks[0], session.config.training.epochs
    epochs = round(np.mean([result.best_epoch + 1 for result in entrant.results if result.outcome == "ok"]))
    tasks = [
        replace(
            session.tasks.one(task.method, task.recipe, task.seed, fold, final=True),
            keep_weights=False,
            last_epoch=epochs if epochs < planned else 0,
        )
        for fold in folds
    ]
    results = session.desk.run(OUT_OF_FOLD, tasks, "one fold left out")
    last = [result.curve[-1] if result.outcome == "ok" else None for result in results]
    accuracies = [record.accuracy if record else 0.0 for record in last]
    macro = [record.macro_accuracy if record else 0.0 for record in last]
    sizes = [session.counter.num_scored(task) for task in tasks]
    return {
        "accuracy": float(np.average(accuracies, weights=sizes)),
        "macro_accuracy": float(np.average(macro, weights=sizes)),
        "images": sum(sizes),
        "per_fold": accuracies,
        "epochs": epochs,
        "diverged": sum(result.outcome != "ok" for result in results),
        "seconds": sum(result.seconds for result in results),
    }
