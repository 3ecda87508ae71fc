"""Brings what a run folder holds into another tool, once each, while the run works or afterwards."""

import hashlib
import json
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from filelock import FileLock

from biotune.errors import InputError
from biotune.recipe import Recipe
from biotune.records import Evaluation
from biotune.report.run_sentences import brief
from biotune.results import Summary
from biotune.runs import folder as files
from biotune.runs.files import make_folder, write_json
from biotune.runs.status import finished_summary, run_status
from biotune.runs.store import MAIN_SEARCH, Candidate, RunStore
from biotune.settings.resolve import load_config
from biotune.tracking import TRACKERS
from biotune.tracking.base import Closing, Curve, TrackedCandidate, Tracker
from biotune.wording import shorten

TRACKING = "tracking"
"""Folder within the run folder that says what each tracker has."""

ANSWER_S = 30.0
"""A tool that needs longer for one piece counts as hung; the first one, with its import, takes about three seconds."""

REST = 100
"""After an update, so many times its duration pass before the next, so that tracking takes at most a hundredth of one
core."""

_LOOK_S = 0.25
"""How often to look whether the run still works."""

Training = tuple[str, Mapping[str, Any], Evaluation]
Piece = tuple[str, int, Callable[[], None]]
"""Its name, how many points it has, and what notes it."""


def follow(folder: Path, name: str, where: str = "") -> str:
    """Bring a run into another tool, until no process works in its folder any more; return its identity there.

    Args:
        folder: the run folder.
        name: a name in ``TRACKERS``.
        where: its destination; empty for its usual one.

    Returns:
        The identity, as the tool shows it.

    Raises:
        InputError: no run, or the tool cannot be loaded or does not answer.
        DamagedStateError: a file of the run cannot be trusted.
    """
    run_status(folder)  # a folder without a run is refused before anything is written
    make_folder(folder / TRACKING)
    with FileLock(folder / TRACKING / f".{name}.lock"):  # that of an earlier call may still be at its end
        mirror = Mirror(folder, name, where)
        while files.is_locked(folder):
            began = time.monotonic()
            mirror.update()
            pause = REST * (time.monotonic() - began)
            while time.monotonic() - began < pause and files.is_locked(folder):
                time.sleep(_LOOK_S)
        mirror.update()
        mirror.close(finished=run_status(folder).status == "finished")
        return mirror.identity


class Mirror:
    """One run in one tool.

    Args:
        folder: the run folder.
        name: a name in ``TRACKERS``.
        where: its destination; with another one than the last time, the run begins there from the start.
    """

    def __init__(self, folder: Path, name: str, where: str) -> None:
        self._folder, self._where = folder, where
        self._path = folder / TRACKING / f"{name}.json"
        self.identity, self._points, self._noted = _known(self._path, where)
        self._tracker: Tracker = TRACKERS[name](folder.resolve().name, where, folder)
        with _answering():
            self.identity = self._tracker.open(self.identity, self._points)
        self._save()

    def update(self) -> None:
        """Note what is new."""
        noted = set(self._noted)
        for key, points, note in self._pieces():
            if key not in noted:
                with _answering():
                    note()
                self._noted.append(key)
                self._points += points
                self._save()

    def close(self, *, finished: bool) -> None:
        """End, for this time."""
        with _answering():
            self._tracker.close(finished=finished)

    def _pieces(self) -> Iterator[Piece]:
        """Yield everything that the folder holds, in the order in which it is noted."""
        config, facts = load_config(self._folder / files.CONFIG)
        settings = dict(_flat({**config.model_dump(mode="json"), "resolved": facts}))
        yield "settings", 0, partial(self._tracker.settings, settings)
        with RunStore(self._folder / files.STORE, read_only=True) as store:
            recipe = _some_recipe(self._folder)
            candidates, trainings = store.candidates(like=recipe) if recipe else [], store.trainings()
        for candidate in _tracked(candidates, trainings):
            yield f"candidate {candidate.sequence}", 1, partial(self._tracker.candidate, candidate)
        for curve in _curves(trainings):
            yield curve.name, len(curve.epochs), partial(self._tracker.curve, curve)
        if run_status(self._folder).status == "finished":
            summary = finished_summary(self._folder)
            digest = hashlib.sha256(summary.model_dump_json().encode()).hexdigest()[:16]
            yield f"result {digest}", 0, partial(self._tracker.closing, _closing(self._folder, summary))

    def _save(self) -> None:
        known = {"where": self._where, "identity": self.identity, "points": self._points, "noted": self._noted}
        write_json(self._path, known)


@contextmanager
def _answering() -> Iterator[None]:
    """Raise InputError where the tool fails, or needs more than ``ANSWER_S`` for what is done; for the main thread."""

    def give_up(_number: int, _frame: FrameType | None) -> None:
        raise InputError(f"it did not answer within {ANSWER_S:g} s.")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, ANSWER_S)
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # whatever a tool of others raises
        reason = " ".join(str(error).split()) or "no reason given"
        raise InputError(f"{type(error).__name__}: {shorten(reason, 200)}") from error
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _known(path: Path, where: str) -> tuple[str, int, list[str]]:
    """Return the identity of the run, its points and the keys of what is noted; nothing where all that is elsewhere."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["where"] == where:
            return str(found["identity"]), int(found["points"]), [str(key) for key in found["noted"]]
    except (OSError, ValueError, TypeError, KeyError):  # missing or damaged: everything is noted again
        pass
    return "", 0, []


def _flat(table: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Yield the values of nested tables as text, by their dotted names."""
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", str(value)


def _some_recipe(folder: Path) -> Recipe | None:
    """Return a recipe of the run's network, which names its blocks; None while it has no model."""
    try:
        return Recipe.load(folder)
    except InputError:
        return None


def _tracked(candidates: Sequence[Candidate], trainings: Sequence[Training]) -> Iterator[TrackedCandidate]:
    """Yield the candidates of a search, which have recipes, with what their trainings took."""
    costs: dict[Any, tuple[float, int]] = {}
    for phase, task, result in trainings:
        if phase == MAIN_SEARCH:
            recipe = tuple(task["multipliers"]), tuple(sorted(task.get("values", {}).items()))
            spent, _ = costs.get(recipe, (0.0, 0))
            costs[recipe] = spent + result.cpu_seconds, result.trainable
    best: float | None = None
    for candidate in candidates:
        if candidate.finished and candidate.outcome == "ok":
            best = candidate.fitness if best is None else max(best, candidate.fitness)
        multipliers = candidate.recipe.multipliers if candidate.recipe else ()
        values = candidate.recipe.values if candidate.recipe else ()
        cpu_seconds, trainable = costs.get((tuple(multipliers), tuple(sorted(values))), (0.0, 0))
        names = candidate.recipe.partition.names if candidate.recipe else ()
        yield TrackedCandidate(
            sequence=candidate.sequence,
            generation=candidate.generation,
            outcome=candidate.outcome,
            finished=candidate.finished,
            fitness=candidate.fitness,
            best=best,
            cpu_seconds=cpu_seconds,
            trainable=trainable,
            multipliers=dict(zip(names, multipliers, strict=True)),
            values=dict(values),
        )


def _curves(trainings: Sequence[Training]) -> Iterator[Curve]:
    """Yield the final trainings, of the recipe and of the baselines."""
    for phase, task, result in trainings:
        if task["keep_weights"]:
            epochs = tuple(
                {name: value for name, value in asdict(record).items() if name != "epoch" and value is not None}
                for record in result.curve
            )
            yield Curve(f"training/{phase} {task['seed']}", epochs)


def _closing(folder: Path, summary: Summary) -> Closing:
    """Return what a finished run found: the scores of each entry, of its networks and their vote, and its cost."""
    figures: dict[str, float | None] = {}
    for name, entry in summary.entries.items():
        figures |= {f"{name} {metric}": score.mean for metric, score in entry.shown.metrics.items()}
        figures |= {
            f"{name} vote {metric}": value for metric, value in (entry.vote.metrics if entry.vote else {}).items()
        }
        figures[f"{name} cost in full fine-tunes"] = entry.cost_in_full_finetunes
        figures[f"{name} CPU seconds"] = entry.cpu_seconds
    known = {name: value for name, value in figures.items() if value is not None}
    paths = [folder / name for name in (files.REPORT, files.RECIPE)]
    return Closing(known, brief(summary), tuple(path for path in paths if path.exists()))
