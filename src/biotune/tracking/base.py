"""What a tracker is told of a run, and what it must do."""

import importlib
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from biotune.errors import InputError
from biotune.recipe import Value


@dataclass(frozen=True)
class TrackedCandidate:
    """A candidate of the search.

    Args:
        sequence: position in the order of the search, from 0.
        generation: from 0.
        outcome: ``ok``, ``diverged``, ``oom``, ``error``, ``timeout``, ``killed`` or ``infeasible``.
        finished: whether it reached the last rung of the race.
        fitness: at the rung where it stopped; higher is better.
        best: the highest fitness of the finished ones up to it; None before the first.
        cpu_seconds: CPU time of all its trainings.
        trainable: number of trained parameters.
        multipliers: by block.
        values: its named values.
    """

    sequence: int
    generation: int
    outcome: str
    finished: bool
    fitness: float
    best: float | None
    cpu_seconds: float
    trainable: int
    multipliers: Mapping[str, float]
    values: Mapping[str, Value]

    def scalars(self) -> dict[str, float]:
        """Return its numbers by name."""
        best = {} if self.best is None else {"best_fitness": self.best}
        return {
            "fitness": self.fitness,
            **best,
            "generation": float(self.generation),
            "finished": float(self.finished),
            "cpu_seconds": self.cpu_seconds,
            "trained_parameters": float(self.trainable),
            **{f"multiplier {block}": value for block, value in self.multipliers.items()},
        }


@dataclass(frozen=True)
class Curve:
    """A final training, of the recipe or of a baseline.

    Args:
        name: entry and seed.
        epochs: numbers by name, epoch by epoch.
    """

    name: str
    epochs: tuple[Mapping[str, float], ...]


@dataclass(frozen=True)
class Closing:
    """What a finished run found.

    Args:
        figures: scores and costs by name.
        verdict: the same in a sentence.
        files: report and recipe.
    """

    figures: Mapping[str, float]
    verdict: str
    files: tuple[Path, ...]


class Tracker(ABC):
    """One run in another tool.

    Whatever it raises ends the tracking with a warning, never the run. It is told everything once, also if the run is
    stopped and continued; only a kill in the wrong moment makes it hear the last piece again, with the same step.

    Args:
        name: of the run, for display.
        where: destination as typed after the tracker's name, empty for its usual one.
        folder: the run folder.
    """

    def __init__(self, name: str, where: str, folder: Path) -> None:
        self.name, self.where, self.folder = name, where, folder

    @abstractmethod
    def open(self, identity: str, points: int) -> str:
        """Begin a run there, or continue the one of that identity, which has so many points; return its identity."""

    @abstractmethod
    def settings(self, values: Mapping[str, str]) -> None:
        """Note the settings, by key."""

    @abstractmethod
    def point(self, group: str, step: int, values: Mapping[str, float]) -> None:
        """Note one point of each of several curves, durably; all numbers are finite."""

    @abstractmethod
    def closing(self, closing: Closing) -> None:
        """Note what the run found."""

    def candidate(self, candidate: TrackedCandidate) -> None:
        """Note a candidate."""
        self.point("search", candidate.sequence, finite(candidate.scalars()))

    def curve(self, curve: Curve) -> None:
        """Note a final training."""
        for epoch, values in enumerate(curve.epochs):
            self.point(curve.name, epoch, finite(values))

    def close(self, *, finished: bool) -> None:
        """End, for this time; ``finished`` says whether the run is."""
        del finished


def finite(values: Mapping[str, float]) -> dict[str, float]:
    """Return the numbers that are neither NaN nor infinite."""
    return {name: value for name, value in values.items() if math.isfinite(value)}


def required(module: str, tracker: str) -> Any:
    """Return a module of an optional package.

    Raises InputError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise InputError(
            f"the tracker {tracker} cannot be loaded ({error}); install it: pip install 'biotune[{tracker}]'."
        ) from None
