"""The cost matrix of the objective ``costs``: what each answer costs for each true class; read from a file, checked."""

import csv
import io
import math
from collections.abc import Sequence

from biotune.errors import InputError
from biotune.user_files import read_text, user_path
from biotune.wording import quoted, shorten

CostRows = tuple[tuple[str, tuple[float, ...]], ...]
"""For each class its name, and the cost of each answer for its images: answers in the order of the rows."""

MOST_CLASSES = 150
"""Classes of a cost matrix at most: with more, the settings of a run would be larger than a file that is read."""


def read_costs(text: str) -> CostRows:
    """Return the cost matrix in a CSV file.

    Args:
        text: path of the file. Its first line names the answers, after a cell that is ignored; every further line names
            a true class and gives the cost of each answer, a number of at least 0. Lines may be in any order.

    Returns:
        The rows, with answers in the order of the rows.

    Raises:
        InputError: the file is not such a matrix; the message says where.
    """
    path = user_path(text, "path of the cost matrix (--costs)")
    what = f"the cost matrix '{path}'"
    try:
        lines = [row for row in csv.reader(io.StringIO(read_text(path, "the cost matrix")), strict=True) if any(row)]
    except csv.Error as error:
        raise InputError(f"{what} is not CSV ({error}); correct it.") from None
    if len(lines) < 2:
        raise InputError(f"{what} is empty; its first line names the answers, every further one a true class.")
    answers, rows = [cell.strip() for cell in lines[0][1:]], dict[str, dict[str, float]]()
    _require_once(answers, what, "its first line")
    for number, (name, *cells) in enumerate(((row[0].strip(), *row[1:]) for row in lines[1:]), start=2):
        if len(cells) != len(answers):
            raise InputError(
                f"{what} has {len(cells)} costs in line {number}, not one for each of {len(answers)} answers."
            )
        if name in rows:
            raise InputError(f"{what} has two lines for {quoted([name])}; leave one out.")
        rows[name] = {answer: _number(cell, what, number) for answer, cell in zip(answers, cells, strict=True)}
    if odd := sorted(set(rows) ^ set(answers)):
        raise InputError(
            f"{what} has {quoted([odd[0]])} either as an answer or as a true class; each class needs both."
        )
    return checked_costs(tuple((name, tuple(costs[other] for other in rows)) for name, costs in rows.items()))


def checked_costs(rows: CostRows) -> CostRows:
    """Return a cost matrix as it is, or refuse it.

    Raises InputError: it is not square, has too many classes, a class twice, a cost below 0, or nothing that costs.
    """
    names, what = [name for name, _ in rows], "the cost matrix"
    _require_once(names, what, "the list of its classes")
    if len(rows) > MOST_CLASSES:
        raise InputError(f"{what} has {len(rows)} classes; there may be {MOST_CLASSES} at most.")
    for name, costs in rows:
        if len(costs) != len(rows) or any(not math.isfinite(cost) or cost < 0 for cost in costs):
            raise InputError(
                f"{what} needs {len(rows)} numbers of at least 0 for {quoted([name])}, one for each answer."
            )
    if rows and not any(cost for _, costs in rows for cost in costs):
        raise InputError(f"{what} has no cost above 0, so all answers are alike.")
    return rows


def costs_of(rows: CostRows, class_names: Sequence[str]) -> list[list[float]]:
    """Return the costs with true classes and answers in the order of a network's classes.

    Raises InputError: the matrix is about other classes.
    """
    names = [name for name, _ in rows]
    if odd := sorted(set(names) ^ set(class_names)):
        whose = "the cost matrix has no row for" if odd[0] in class_names else "the cost matrix has a row for"
        raise InputError(
            f"{whose} {quoted([shorten(odd[0], 60)])}, and the network knows {len(class_names)} classes; give a row "
            "for each of these and no other (--costs)."
        )
    place = {name: index for index, name in enumerate(names)}
    return [[rows[place[name]][1][place[other]] for other in class_names] for name in class_names]


def _require_once(names: Sequence[str], what: str, where: str) -> None:
    """Refuse names that are empty or given twice."""
    if "" in names:
        raise InputError(f"{what} has an empty name in {where}; name the class.")
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError(f"{what} has {quoted([twice[0]])} twice in {where}; leave one out.")


def _number(cell: str, what: str, line: int) -> float:
    try:
        value = float(cell.encode("ascii"))
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < 0:
        raise InputError(f"{what} has {quoted([shorten(cell, 40)])} in line {line}; a cost is a number of at least 0.")
    return value
