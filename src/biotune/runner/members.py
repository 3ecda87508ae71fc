"""The networks of all final seeds: what their vote scores, and their files beside the exported one."""

from collections.abc import Iterable
from contextlib import suppress

import numpy as np

from biotune.models.vote import is_member, member_content
from biotune.records import Task
from biotune.results.entry import Vote
from biotune.results.scores import known
from biotune.runner.answers import Answers
from biotune.runner.final import TrainedEntry
from biotune.runner.session import Session
from biotune.runs import folder as files
from biotune.runs.files import make_folder, remove, write_atomic
from biotune.statistics import paired_interval
from biotune.trials.weights import portable


def vote_scores(
    entry: TrainedEntry, answers: Answers | None, winner: TrainedEntry | None = None, ours: Answers | None = None
) -> Vote | None:
    """Return what the vote of an entry's seeds reaches on the test set.

    Args:
        entry: any entry.
        answers: its answers.
        winner: the entry that it is compared with; None for none.
        ours: the answers of that one.

    Returns:
        None without a test set, and where there is one network only.
    """
    if answers is None or answers.vote is None:
        return None
    seeds, voted = _seeds(entry.voters), answers.vote.correct
    same = winner is not None and ours is not None and ours.vote is not None and _seeds(winner.voters) == seeds
    return Vote(
        seeds=seeds,
        metrics={name: known(values[0]) for name, values in answers.vote.scores.items()},
        gain=paired_interval(np.repeat(voted, len(answers.correct), axis=0), answers.correct, groups=answers.groups),
        difference=paired_interval(ours.vote.correct, voted, groups=answers.groups)
        if same and ours and ours.vote
        else None,
    )


def _seeds(tasks: Iterable[Task]) -> tuple[int, ...]:
    return tuple(task.seed for task in tasks)


def members(entry: TrainedEntry) -> tuple[Task, ...]:
    """Return the trainings whose networks vote with the exported one; each final seed is that of one network."""
    exported = entry.tasks[entry.best_index]
    return tuple(task for task in entry.voters if task != exported)


def write_members(session: Session, winner: TrainedEntry) -> None:
    """Write the networks of the other final seeds beside the exported one, and delete those of an earlier choice.

    Each file names the exported network, so that a kill between two of them never mixes networks of two choices. What
    is there already is kept, also without the weights that its training left.
    """
    folder = session.folder / files.MEMBERS
    exported = (session.folder / files.MODEL).read_bytes()
    tasks = {files.member_path(session.folder, task.seed): task for task in members(winner)}
    for path in folder.glob("*.safetensors"):
        if path not in tasks:
            remove(path)
    missing = {path: task for path, task in tasks.items() if not is_member(path, exported, task.key)}
    session.desk.ensure_weights(list(missing.values()))
    for path, task in missing.items():
        make_folder(folder)
        state = portable(session.worker.load(task).state_dict())
        write_atomic(path, member_content(state, exported, task.key))
    if not tasks:
        with suppress(OSError):  # there is none, or it holds files of someone else
            folder.rmdir()
