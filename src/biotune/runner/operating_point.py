"""From which probability on the rarer of two classes is answered: chosen on held-out images, tried on the test."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from biotune.metrics import log_softmax
from biotune.pixels.learning_data import Pixels
from biotune.pixels.rows import ChosenImages
from biotune.results.operating_point import DEFAULT, OperatingPoint, Rates, youden_threshold
from biotune.runner.answers import Answers, vote_of
from biotune.runner.committee import held_out_logs
from biotune.runner.final import TrainedEntry
from biotune.runner.session import Session
from biotune.runner.testing import used_answers

Floats = NDArray[np.float64]


def operating_point(session: Session, winner: TrainedEntry, answers: Answers | None) -> OperatingPoint | None:
    """Return the operating point of what ``biotune predict`` asks.

    Args:
        session: the open run, after the test.
        winner: what was chosen.
        answers: its answers on the test set; None without one.

    Returns:
        None where there are other than two classes, no test images, no probabilities of held-out images, or images of
        one class alone.
    """
    data = session.data
    if answers is None or answers.probabilities is None or len(data.class_names) != 2:
        return None
    rarer = rarer_class(np.bincount(data.selection.labels, minlength=2))
    truth = data.selection.labels[data.validation] == rarer
    named = data.selection.groups
    groups = None if named is None else [named[row] for row in data.validation]
    networks: Literal["final", "search"] = "final" if session.tasks.final_fold is None else "search"
    if truth.all() or not truth.any():
        return None
    found = _of_final_networks if networks == "final" else _of_searched_networks
    held_out = found(session, winner, answers, rarer)
    if held_out is None:
        return None
    used = used_answers(winner, answers)
    tested = np.asarray(used.probabilities)[0, :, rarer].astype(np.float64)
    positive, threshold = used.labels == rarer, youden_threshold(held_out, truth)
    return OperatingPoint(
        class_name=data.class_names[rarer],
        threshold=threshold,
        networks=networks,
        held_out=Rates.at(threshold, held_out, truth, groups),
        test=Rates.at(threshold, tested, positive, used.groups),
        default=Rates.at(DEFAULT, tested, positive, used.groups),
    )


def rarer_class(images: NDArray[np.int64]) -> int:
    """Return the class of fewer images, the second one of a tie, given how many images each has, shape (2,)."""
    return int(images[1] <= images[0])


def _of_final_networks(session: Session, winner: TrainedEntry, answers: Answers, label: int) -> Floats:
    """Return the probability of a class by the networks that answer, on the validation images; it is stored."""
    voters = winner.voters if answers.vote is not None else (winner.tasks[winner.best_index],)
    name = f"held out:{'+'.join(task.key for task in voters)}"
    if session.store.fact(name) is None:
        data = session.data
        rows = data.validation
        images = Pixels(ChosenImages(data.selection.images, rows), data.selection.labels[rows], ())
        session.desk.ensure_weights(voters)
        logs = vote_of(log_softmax(session.worker.logits(task, images)) for task in voters)
        session.store.set_fact(name, np.exp(logs[:, label]).round(6).tolist())
    return np.array(session.store.fact(name))


def _of_searched_networks(session: Session, winner: TrainedEntry, answers: Answers, label: int) -> Floats | None:
    """Return the probability of a class by the networks that judged the same recipes in the search.

    None where they are unknown: without a search, and where it ranked by scores.
    """
    voters = winner.voters if answers.vote is not None else (winner.tasks[winner.best_index],)
    recipes = [task.recipe for task in voters if task.recipe is not None]
    logs = held_out_logs(session, recipes)
    if not recipes or any(recipe not in logs for recipe in recipes):
        return None
    right = np.mean([np.exp(logs[recipe]) for recipe in recipes], axis=0)
    data = session.data
    return np.asarray(np.where(data.selection.labels[data.validation] == label, right, 1 - right))
