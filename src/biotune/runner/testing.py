"""The test set: opened once the recipe is chosen, one look per final training; and what stands in for it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from biotune.metrics import METRICS, log_softmax, reported
from biotune.pixels.learning_data import Pixels
from biotune.results.scores import known
from biotune.results.summary import OutOfFold
from biotune.runner.answers import Answers, answers_of, stored_answers, vote_of
from biotune.runner.final import TrainedEntry
from biotune.runner.session import Session


class TestSet:
    """The test images, opened when they are first asked for.

    Args:
        session: the open run.
    """

    __test__ = False  # pytest takes a class of this name for a test

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


def score(session: Session, entry: TrainedEntry, test: Pixels | None) -> Answers | None:
    """Return an entry's answers on the test set, computed once and stored; None without a test set.

    Seeds whose training diverged are left out; None if all did. The vote is stored before the answers that it is made
    of, so where it alone is missing, an older version stored them, and the entry has none.
    """
    tasks = [task for task, result in zip(entry.tasks, entry.results, strict=True) if result.outcome == "ok"]
    if test is None or not tasks:
        return None
    names = {task: f"answers:{task.key}" for task in tasks}  # version 0.1 stored labels alone, as "test:KEY"
    voters = entry.voters
    vote = f"vote:{'+'.join(task.key for task in voters)}"
    is_new = bool(entry.companions) and session.store.fact(vote) is None  # older versions have none of one recipe
    if is_new or any(session.store.fact(name) is None for name in names.values()):
        session.desk.ensure_weights(voters)
        metrics = {name: METRICS[name] for name in reported(session.config.training.metric)}
        found = dict[str, Any]()

        def answered() -> Iterator[NDArray[np.float64]]:
            for task in voters:
                session.stop.check()
                log_probabilities = log_softmax(session.worker.logits(task, test))
                if task in names:
                    found[names[task]] = stored_answers(log_probabilities, test.labels, metrics)
                yield log_probabilities

        voted = stored_answers(vote_of(answered()), test.labels, metrics)
        if len(voters) > 1:
            session.store.set_fact(vote, voted)
        for name, answers in found.items():
            session.store.set_fact(name, answers)
    stored = session.store.fact(vote)
    return replace(
        answers_of([session.store.fact(name) for name in names.values()], test),
        vote=None if stored is None else answers_of([stored], test),
    )


def tested_seeds(entry: TrainedEntry) -> tuple[int, ...]:
    """Return the seeds of an entry that have answers: all whose training did not diverge."""
    return tuple(task.seed for task, result in zip(entry.tasks, entry.results, strict=True) if result.outcome == "ok")


def by_seed(entry: TrainedEntry, answers: Answers | None) -> dict[int, NDArray[np.bool_]]:
    """Return, for each seed of an entry that has answers, where they were right, shape (num_images,)."""
    if answers is None:
        return {}
    return dict(zip(tested_seeds(entry), answers.correct, strict=True))


def common(
    ours: Mapping[int, NDArray[np.bool_]], theirs: Mapping[int, NDArray[np.bool_]]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return the answers of the seeds that both have, shape (num_seeds, num_images) each; both empty without any."""
    seeds = [seed for seed in ours if seed in theirs]
    return np.array([ours[seed] for seed in seeds]), np.array([theirs[seed] for seed in seeds])


def row_of_best(entry: TrainedEntry) -> int:
    """Return the row of an entry's answers that belongs to its best seed (diverged seeds have no row)."""
    return sum(result.outcome == "ok" for result in entry.results[: entry.best_index])


def used_answers(entry: TrainedEntry, answers: Answers) -> Answers:
    """Return what ``biotune predict`` answers, in one row: the vote, or the exported network alone."""
    if answers.vote is not None:
        return answers.vote
    row = slice(row_of_best(entry), row_of_best(entry) + 1)
    return Answers(
        predicted=answers.predicted[row],
        probability=answers.probability[row],
        labels=answers.labels,
        scores={name: values[row] for name, values in answers.scores.items()},
        probabilities=None if answers.probabilities is None else answers.probabilities[row],
        groups=answers.groups,
    )


def drop_weights(session: Session, entries: Sequence[TrainedEntry], keep: Sequence[TrainedEntry] = ()) -> None:
    """Delete the weights of tested entries, but for trainings that an entry to be kept shares with them."""
    kept = {task.key for entry in keep for task in (*entry.tasks, *entry.voters)}
    for entry in entries:
        for task in entry.tasks:
            if task.key not in kept:
                session.worker.weights.remove(task)


OUT_OF_FOLD = "estimate"
"""Name under which the trainings of ``score_out_of_fold`` are booked."""


def score_out_of_fold(session: Session, entry: TrainedEntry) -> OutOfFold | None:
    """Train an entry again for each fold of all training and validation images, without that fold, and score it there.

    Each training has as many images as the training set, or fewer, and takes as many epochs as the entry's final
    trainings took to their best ones, on average. It is scored after its last epoch, so no fold chooses its best one;
    but early stopping looks at it. And the images were in view when a recipe was chosen from the results of a search.

    Args:
        session: the open run.
        entry: what to train, with its final trainings.

    Returns:
        The reported metrics over all images (those of a diverged training count as wrong) and the accuracy of each
        fold; None where there are test images, which say more.
    """
    folds = session.tasks.estimating
    if not folds:
        return None
    task, planned = entry.tasks[0], session.config.training.epochs
    epochs = round(np.mean([result.best_epoch + 1 for result in entry.results if result.outcome == "ok"]))
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
    accuracies = [(record and record.accuracy) or 0.0 for record in last]
    chosen = METRICS[session.config.training.metric]
    values = {
        "accuracy": accuracies,
        "macro": [(record and record.macro_accuracy) or 0.0 for record in last],
    }
    others = [chosen.from_selection_score((record and record.score) or 0.0) for record in last]
    cost = session.counter.cost(zip(tasks, results, strict=True))
    sizes = [session.counter.num_scored(task) for task in tasks]
    return OutOfFold(
        metrics={
            name: known(float(np.average(values.get(name, others), weights=sizes)))
            for name in reported(session.config.training.metric)
        },
        images=sum(sizes),
        per_fold=tuple(accuracies),
        epochs=epochs,
        diverged=sum(result.outcome != "ok" for result in results),
        seconds=cost.seconds,
        cpu_seconds=cost.cpu_seconds,
    )
