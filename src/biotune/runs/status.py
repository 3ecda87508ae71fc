"""The status of a run, read from its folder; safe while another process works in it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from biotune.errors import InputError
from biotune.records import Evaluation
from biotune.results import Summary
from biotune.runs import folder as files
from biotune.runs.manifest import read_result
from biotune.runs.store import PLAN, RunStore
from biotune.runs.time_left import seconds_left, within_budget
from biotune.runs.unfinished import about_model
from biotune.settings.resolve import load_config
from biotune.wording import duration, plural


@dataclass(frozen=True)
class RunStatus:
    """The status of a run.

    Args:
        folder: the run folder.
        status: ``finished``, ``running`` or ``stopped``.
        trainings: number of finished trainings.
        candidates: number of evaluated points of the search; of a refinement, of all its repetitions. Of a finished
            run, those of its result: an earlier call with a higher limit may have stored more.
        generation: number of the present generation, -1 before the search.
        best_fitness: highest fitness of the candidates that finished their race, of all where none did; None before the
            search. Fitness at an earlier rung is of other epochs, and no measure of them.
        seconds: duration of all finished trainings.
        seconds_left: expected duration of the remaining trainings; None before the first one and after the last.
        model: which model the folder holds, in words; None before the first training.
    """

    folder: str
    status: str
    trainings: int
    candidates: int
    generation: int
    best_fitness: float | None
    seconds: float
    seconds_left: float | None
    model: str | None

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-able dictionary."""
        return asdict(self)

    def sentence(self) -> str:
        """Return the status in words."""
        best = "" if self.best_fitness is None else f", best fitness {self.best_fitness:.4f}"
        where = f" (generation {self.generation})" if self.generation >= 0 else ""
        model = "no model yet" if self.model is None else f"model: {self.model}"
        left = "" if self.seconds_left is None else f", about {duration(self.seconds_left)} left"
        trained, tried = plural(self.trainings, "training"), plural(self.candidates, "candidate")
        advice = "; run the same command to continue" if self.status == "stopped" else ""
        return (
            f"{self.folder}: {self.status}; {trained} in {duration(self.seconds)}{left}, "
            f"{tried}{where}{best}; {model}{advice}."
        )


def run_status(folder: Path) -> RunStatus:
    """Return the status of a run.

    Raises InputError: the folder holds no run; DamagedStateError: a file of it cannot be trusted.
    """
    if not (folder / files.STORE).exists():
        if not files.is_locked(folder):
            files.require_begun(folder)
        return RunStatus(str(folder), _state(folder), 0, 0, -1, None, 0.0, None, None)
    with RunStore(folder / files.STORE, read_only=True) as store:
        candidates, trainings, state = store.candidates(), store.trainings(), _state(folder)
        stored = len(candidates) or store.num_candidates()
        if state == "finished" and (search := finished_summary(folder).search) is not None:
            stored, candidates = search.evaluations, candidates[: search.evaluations]
        raced = [candidate for candidate in candidates if candidate.finished]
        return RunStatus(
            folder=str(folder),
            status=state,
            trainings=len(trainings),
            candidates=stored,
            generation=max((candidate.generation for candidate in candidates), default=-1),
            best_fitness=max((candidate.fitness for candidate in raced or candidates), default=None),
            seconds=store.seconds(),
            seconds_left=None if state == "finished" else _seconds_left(folder, store, trainings),
            model=_model(folder),
        )


def _seconds_left(folder: Path, store: RunStore, trainings: Sequence[tuple[str, Any, Evaluation]]) -> float | None:
    """Return the expected seconds left, as the run reported them after its last training."""
    config, _ = load_config(folder / files.CONFIG)
    taken: dict[str, list[float]] = {}
    for phase, _, evaluation in trainings:
        taken.setdefault(phase, []).append(evaluation.seconds)
    left = seconds_left(store.fact(PLAN) or {}, taken, config.data.folds, searched=config.searched_share())
    workers = config.compute.workers
    return within_budget(None if left is None else left / workers, config.budget.seconds, store.seconds() / workers)


def _state(folder: Path) -> str:
    if files.is_locked(folder):
        return "running"
    if (folder / files.SUMMARY).exists() and not (folder / files.UNFINISHED).exists():
        return "finished"
    return "stopped"


def _model(folder: Path) -> str | None:
    """Return which model a run folder holds, in words."""
    about = about_model(folder)
    if about is not None:
        return about.what
    return "the chosen one" if (folder / files.SUMMARY).exists() else None


def finished_summary(folder: Path) -> Summary:
    """Return the content of ``summary.json``.

    Raises InputError: the run is not finished, or a newer version of biotune wrote it; DamagedStateError: the file is
    damaged.
    """
    path = folder / files.SUMMARY
    if not path.exists():
        files.require_begun(folder)
        raise InputError(f"'{folder}' holds no finished run; see 'biotune status {folder}'.")
    return Summary.parse(read_result(folder, files.SUMMARY), str(path))
