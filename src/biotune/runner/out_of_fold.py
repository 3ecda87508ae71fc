"""Without test images: how right what was chosen is on images that it did not learn from, one fold after the other."""

from dataclasses import replace
from typing import Any

import numpy as np

from biotune.runner.final_phase import Entrant
from biotune.runner.session import Session

OUT_OF_FOLD = "estimate"


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
    folds = session.estimating_folds
    if not folds:
        return None
    task, planned = entrant.tasks[0], session.config.training.epochs
    epochs = round(np.mean([result.best_epoch + 1 for result in entrant.results if result.outcome == "ok"]))
    tasks = [
        replace(
            session.task(task.method, task.recipe, task.seed, fold, final=True),
            keep_weights=False,
            last_epoch=epochs if epochs < planned else 0,
        )
        for fold in folds
    ]
    results = session.run_all(OUT_OF_FOLD, tasks, "one fold left out")
    last = [result.curve[-1] if result.outcome == "ok" else None for result in results]
    accuracies = [record.accuracy if record else 0.0 for record in last]
    macro = [record.macro_accuracy if record else 0.0 for record in last]
    sizes = [session.evaluator.num_scored(task) for task in tasks]
    return {
        "accuracy": float(np.average(accuracies, weights=sizes)),
        "macro_accuracy": float(np.average(macro, weights=sizes)),
        "images": sum(sizes),
        "per_fold": accuracies,
        "epochs": epochs,
        "diverged": sum(result.outcome != "ok" for result in results),
        "seconds": sum(result.seconds for result in results),
    }
