"""What a run has done so far, recipe by recipe; safe while another process works in its folder."""

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from biotune.records import Evaluation
from biotune.runs import folder as files
from biotune.runs.status import RunStatus, run_status
from biotune.runs.store import MAIN_SEARCH, PLAN, RunStore


@dataclass(frozen=True)
class Step:
    """A phase of a run: how many of its trainings are done, and how many there will be."""

    phase: str
    done: int
    total: int


@dataclass(frozen=True)
class Tried:
    """A recipe that the search has trained.

    Args:
        multipliers: one per block.
        values: its named values.
        fitness: mean over its trainings at the epoch that they have come to.
        epochs: that epoch.
        outcome: of its last training.
    """

    multipliers: tuple[float, ...]
    values: tuple[tuple[str, Any], ...]
    fitness: float
    epochs: int
    outcome: str


@dataclass(frozen=True)
class SoFar:
    """What a run has done so far.

    Args:
        status: as ``biotune status`` says it.
        steps: its phases, in no order.
        tried: the recipes of the search, those that came farthest first, then the best.
    """

    status: RunStatus
    steps: tuple[Step, ...] = ()
    tried: tuple[Tried, ...] = ()


def so_far(folder: Path) -> SoFar:
    """Return what a run has done so far.

    Raises InputError: the folder holds no run; DamagedStateError: a file of it cannot be trusted.
    """
    status = run_status(folder)
    if not (folder / files.STORE).exists():
        return SoFar(status)
    with RunStore(folder / files.STORE, read_only=True) as store:
        trainings, plan = store.trainings(), store.fact(PLAN) or {}
    done = Counter(phase for phase, _, _ in trainings)
    steps = tuple(Step(phase, done[phase], max(done[phase], plan.get(phase, 0))) for phase in {**plan, **done})
    tried = _tried(trainings)
    status = replace(status, candidates=max(status.candidates, len(tried)))  # those of a batch are stored at its end
    return SoFar(status, tuple(step for step in steps if step.total), tried)


def _tried(trainings: list[tuple[str, dict[str, Any], Evaluation]]) -> tuple[Tried, ...]:
    """Return the recipes of the search at the latest epoch that each has come to."""
    found: dict[tuple[Any, ...], dict[int, list[Evaluation]]] = {}
    for phase, task, result in trainings:
        if phase == MAIN_SEARCH and task.get("multipliers"):
            recipe = tuple(task["multipliers"]), tuple(sorted((task.get("values") or {}).items()))
            epochs = task.get("last_epoch") or task["epochs"]
            found.setdefault(recipe, {}).setdefault(epochs, []).append(result)
    rows = []
    for (multipliers, values), by_epoch in found.items():
        epochs = max(by_epoch)
        results = by_epoch[epochs]
        fitness = sum(result.fitness for result in results) / len(results)
        rows.append(Tried(multipliers, values, fitness, epochs, results[-1].outcome))
    return tuple(sorted(rows, key=lambda row: (-row.epochs, -row.fitness)))
