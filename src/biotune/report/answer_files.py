"""The files that hold what a network answers: a row for each image, and how often classes are confused."""

import csv
import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from biotune.report.answered import Answered
from biotune.runs import folder as files
from biotune.runs.files import write_atomic
from biotune.wording import csv_cell


def write_answer_table(folder: Path, answered: Answered) -> None:
    """Write ``answers.csv``: what ``biotune predict`` answers on each image, the surest mistakes first.

    Args:
        folder: an existing folder.
        answered: the images and their answers; the group of an image is written where it has one, the probability of
            every class where it was kept.
    """
    every = answered.probabilities
    shown = [] if every is None else [csv_cell(name) for name in answered.classes]
    grouped = [] if answered.groups is None else ["group"]
    rows = [["path", "truth", "answer", "right", "probability", *grouped, *shown]]
    for row in np.lexsort((-answered.probability, answered.correct)).tolist():
        names = (answered.paths[row], answered.classes[answered.labels[row]], answered.classes[answered.predicted[row]])
        rows.append(
            [
                *map(csv_cell, names),
                "yes" if answered.correct[row] else "no",
                f"{answered.probability[row]:.4f}",
                *([] if answered.groups is None else [csv_cell(answered.groups[row])]),
                *([] if every is None else (f"{value:.4g}" for value in every[row])),
            ]
        )
    write_atomic(folder / files.ANSWER_TABLE, _csv(rows))


def write_confusion_table(folder: Path, answered: Answered) -> None:
    """Write ``confusion.csv`` into an existing folder: images of each class (rows) by their answer (columns)."""
    names = [csv_cell(name) for name in answered.classes]
    counts = zip(names, answered.confusion.tolist(), strict=True)
    write_atomic(folder / "confusion.csv", _csv([["truth", *names], *([name, *row] for name, row in counts)]))


def _csv(rows: Iterable[Iterable[object]]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue()
