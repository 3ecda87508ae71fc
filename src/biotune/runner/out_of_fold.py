"""Without test images: how right what was chosen is on images that it did not learn from, one fold after the other."""

from dataclasses import replace
from typing import Any

import numpy as np

from biotune.runner.final_phase import Entrant
from biotune.runner.session import Session

OUT_OF_FOLD = "out of fold"


def score_out_of_fold(session: Session, entrant: Entrant) -> dict[str, Any] | None:
    """Train an entrant anew on all training and validation images but one fold, for every fold, and score that fold.

    Each training takes as many epochs as the entrant's final trainings took to their best ones, in the mean, unless it
    stops early, and is scored after its last epoch: the images that it left out choose nothing. But they were in view
    when the recipe was chosen, so the estimate may still be a little too high.

    Args:
        session: of the run.
        entrant: with its final trainings.

    Returns:
        JSON-able data: accuracy over all images (those of a diverged training count as wrong) and of each fold; None
        where there are test images, which tell more.
    """
    folds = session.estimating_folds
    if not folds:
        return None
    task, planned = entrant.tasks[0], session.config.training.epochs
    epochs = round(np.mean([result.best_epoch + 1 for result in entrant.results if result.outcome == "ok"]))
    tasks = [
        replace(
            session.task(task.method, task.multipliers, task.seed, fold, final=True),
            keep_weights=False,
            last_epoch=epochs if epochs < planned else 0,
        )
        for fold in folds
    ]
    results = session.run_all(OUT_OF_FOLD, tasks, "one fold left out")
    accuracies = [result.curve[-1].accuracy if result.outcome == "ok" else 0.0 for result in results]
    sizes = [session.evaluator.num_scored(task) for task in tasks]
    return {
        "accuracy": float(np.average(accuracies, weights=sizes)),
        "images": sum(sizes),
        "per_fold": accuracies,
        "epochs": epochs,
        "diverged": sum(result.outcome != "ok" for result in results),
        "seconds": sum(result.seconds for result in results),
    }
