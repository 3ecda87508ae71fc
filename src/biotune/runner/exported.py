"""What a run exports: its scores on the test images, over all of them and class by class."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biotune.pixels.learning_data import LearningData
from biotune.results.entry import Vote
from biotune.results.groups import GroupScores
from biotune.results.scores import class_scores, confusions, known
from biotune.results.summary import Exported
from biotune.runner.answers import Answers
from biotune.runner.final import TrainedEntry
from biotune.runner.members import members, vote_scores
from biotune.runner.session import Session
from biotune.runner.testing import row_of_best


def exported(session: Session, winner: TrainedEntry, answers: Answers | None) -> Exported:
    """Return the exported network of a run with its scores; ``answers`` are the winner's, None without a test set."""
    seed, others = winner.tasks[winner.best_index].seed, tuple(task.seed for task in members(winner))
    return describe_exported(session.data, seed, answers, row_of_best(winner), others, _learned_from(session))


def _learned_from(session: Session) -> NDArray[np.intp]:
    """Return the images of a final training, as indices into those of training and validation."""
    return np.asarray(session.tasks.data.parts[session.tasks.final_fold][0])


def describe_exported(
    data: LearningData,
    seed: int,
    answers: Answers | None,
    row: int,
    others: tuple[int, ...] = (),
    learned_from: NDArray[np.intp] | None = None,
) -> Exported:
    """Return the exported network with its scores on the test set, over all images and class by class.

    Args:
        data: what it learnt from.
        seed: the final seed that trained it, or the repetition that refined it.
        answers: of its entry on the test set; None without a test.
        row: the row of this seed in the answers.
        others: seeds of the networks that vote with it.
        learned_from: what it learned from, as indices into the images of training and validation; None: the training
            images.

    Returns:
        A part of the summary.
    """
    labels = np.zeros(0, dtype=np.int64) if answers is None else answers.labels
    predicted = labels if answers is None else answers.predicted[row]
    groups = None if answers is None else answers.groups
    return Exported(
        seed=seed,
        members=others,
        metrics={} if answers is None else {name: known(values[row]) for name, values in answers.scores.items()},
        **_in_detail(data, labels, predicted, groups, learned_from),
    )


def voted(session: Session, winner: TrainedEntry, answers: Answers | None) -> Vote | None:
    """Return what the vote of the winner's networks reaches, over all images and class by class."""
    vote = vote_scores(winner, answers)
    if vote is None or answers is None or answers.vote is None:
        return None
    voted, learned_from = answers.vote, _learned_from(session)
    return vote.model_copy(
        update=_in_detail(session.data, voted.labels, voted.predicted[0], voted.groups, learned_from)
    )


def _in_detail(
    data: LearningData,
    labels: NDArray[np.int64],
    predicted: NDArray[np.int64],
    groups: Sequence[str] | None,
    learned_from: NDArray[np.intp] | None,
) -> dict[str, Any]:
    """Return how one network does class by class and group by group."""
    names = data.class_names
    rows = data.train if learned_from is None else learned_from
    trained = np.bincount(data.selection.labels[rows], minlength=len(names)).tolist()
    return {
        "per_class": class_scores(names, labels, predicted, trained, groups),
        "confusions": confusions(names, labels, predicted),
        "groups": GroupScores.of(labels == predicted, groups),
    }
