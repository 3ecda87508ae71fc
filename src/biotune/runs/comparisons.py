"""The folder of a comparison: its files and its status; safe to read while another process works in it."""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import chain, count
from pathlib import Path
from typing import Any, Literal

from biotune.errors import DamagedStateError, InputError
from biotune.results import Comparison
from biotune.runs import folder as files
from biotune.runs.manifest import read_result
from biotune.runs.status import RunStatus, run_status
from biotune.wording import duration, plural

COMPARISON, PLAN, PAGE = "comparison.json", "plan.json", "comparison.html"
TABLES = ("table.md", "table.csv", "table.tex")
RESERVED = ("figures", COMPARISON, PLAN, PAGE, *TABLES, files.MANIFEST)
"""Names in the folder of a comparison that the folder of a data set must not have."""


def folder_names(sources: Sequence[str]) -> list[str]:
    """Return one folder name per data set: the last part of its path, made safe, with a number if it occurs twice."""
    names: list[str] = []
    for source in sources:
        base = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(source).name).strip("-.") or "data"
        base = "data" if base in RESERVED else base
        numbered = (f"{base}-{number}" for number in count(len(names) + 1))
        names.append(next(name for name in chain([base], numbered) if name not in names))
    return names


def read_plan(folder: Path) -> tuple[list[str], list[str]]:
    """Return the data sets of a comparison as the user wrote them, and names of its methods.

    Raises DamagedStateError: the file cannot be read.
    """
    try:
        plan = json.loads((folder / PLAN).read_text(encoding="utf-8"))
        return list(plan["data"]), list(plan["methods"])
    except (OSError, ValueError, TypeError, KeyError):
        raise DamagedStateError(
            f'\'{folder / PLAN}\' is damaged; write {{"data": [], "methods": []}} into it, and repeat the command.'
        ) from None


@dataclass(frozen=True)
class DataSetStatus:
    """The status of a comparison on one data set.

    Args:
        name: name of the data set's folder.
        status: ``waiting`` before the first training.
        trainings: number of finished trainings.
        seconds: duration of all finished trainings.
    """

    name: str
    status: Literal["waiting", "running", "stopped", "finished"]
    trainings: int
    seconds: float


@dataclass(frozen=True)
class ComparisonStatus:
    """The status of a comparison.

    Args:
        folder: the folder of the comparison.
        status: ``finished``, ``running`` or ``stopped``.
        data_sets: status of each data set, in the order in which they are compared.
        seconds_left: expected duration of the remaining trainings, if each further data set takes as long as the
            present one; None before the first training and after the last.
    """

    folder: str
    status: Literal["running", "stopped", "finished"]
    data_sets: tuple[DataSetStatus, ...]
    seconds_left: float | None

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-able dictionary."""
        return asdict(self)

    def sentence(self) -> str:
        """Return the status in words."""
        done = sum(one.status == "finished" for one in self.data_sets)
        trainings = sum(one.trainings for one in self.data_sets)
        spent = duration(sum(one.seconds for one in self.data_sets))
        left = "" if self.seconds_left is None else f", about {duration(self.seconds_left)} left"
        current = next((one.name for one in self.data_sets if one.status in ("running", "stopped")), "")
        where = f", now {current}" if current and self.status == "running" else ""
        end = {"stopped": "; run the same command to continue", "finished": f"; open its {PAGE}"}
        trained = f"{plural(trainings, 'training')} in {spent}"
        sets = f"{done} of {plural(len(self.data_sets), 'data set')} done{where}"
        return f"{self.folder}: {self.status}; {sets}; {trained}{left}{end.get(self.status, '')}."


def is_comparison(folder: Path) -> bool:
    """Return whether a folder is the folder of a comparison."""
    return (folder / PLAN).exists()


def comparison_status(folder: Path) -> ComparisonStatus:
    """Return the status of a comparison.

    Raises DamagedStateError: a file of the folder cannot be trusted.
    """
    places = [folder / name for name in folder_names(read_plan(folder)[0])]
    data_sets = tuple(_data_set(place) for place in places)
    states = [one.status for one in data_sets]
    unfinished = [place for place, state in zip(places, states, strict=True) if state != "finished"]
    status: Literal["running", "stopped", "finished"] = "running" if "running" in states else "stopped"
    if not unfinished and (folder / COMPARISON).exists():
        status = "finished"
    return ComparisonStatus(str(folder), status, data_sets, _seconds_left(unfinished))


def finished_comparison(folder: Path) -> Comparison:
    """Return the content of ``comparison.json``.

    Raises InputError: the comparison is not finished, or a newer version of biotune wrote it; DamagedStateError: the
    file is damaged, or not as the comparison left it.
    """
    path = folder / COMPARISON
    if not path.exists():
        raise InputError(f"'{folder}' holds no finished comparison; see 'biotune status {folder}'.")
    return Comparison.parse(read_result(folder, COMPARISON), str(path))


def _data_set(place: Path) -> DataSetStatus:
    parts = _parts(place)
    state: Literal["waiting", "running", "stopped", "finished"] = "stopped" if parts else "waiting"
    if files.is_locked(place) or any(files.is_locked(part) for part in _folders(place)):
        state = "running"
    elif (place / files.ANSWERS).exists():
        state = "finished"
    return DataSetStatus(place.name, state, sum(p.trainings for p in parts), sum(p.seconds for p in parts))


def _folders(place: Path) -> list[Path]:
    """Return the folders with a store of a data set: its own, and those of entries with other folds."""
    return [part for part in (place, *sorted(place.glob("folds-*"))) if (part / files.STORE).exists()]


def _parts(place: Path) -> list[RunStatus]:
    return [run_status(part) for part in _folders(place)]


def _seconds_left(unfinished: Sequence[Path]) -> float | None:
    """Return the seconds left for the present data set, plus its whole duration for each further one."""
    begun = next((parts for parts in map(_parts, unfinished) if parts), None)
    if begun is None or begun[-1].seconds_left is None:
        return None
    left = begun[-1].seconds_left
    return left + (len(unfinished) - 1) * (left + sum(part.seconds for part in begun))
