"""The events that a run reports to its observer."""

from collections.abc import Callable
from dataclasses import dataclass

from biotune.recipe import Recipe


@dataclass(frozen=True)
class Message:
    """A sentence for the user.

    Args:
        text: the sentence.
        warning: True where the user may want to act.
    """

    text: str
    warning: bool = False


@dataclass(frozen=True)
class Progress:
    """The progress of a run.

    Args:
        phase: name of the phase, for display.
        done: number of finished steps of the phase.
        total: expected number of steps of the phase.
        detail: what the current step works on.
        fraction: progress of the current step, in [0, 1].
        seconds_left: expected time to the end of the run, or None if unknown.
    """

    phase: str
    done: int
    total: int
    detail: str = ""
    fraction: float = 0.0
    seconds_left: float | None = None


@dataclass(frozen=True)
class CandidateFinished:
    """A candidate of a search reached the last rung of its race, just now or in an earlier call.

    Args:
        search: name of the search.
        recipe: the candidate's recipe.
        fold: training fold.
        fitness: fitness that the candidate reached.
    """

    search: str
    recipe: Recipe
    fold: int
    fitness: float


Event = Message | Progress | CandidateFinished
Observer = Callable[[Event], None]


def silent(event: Event) -> None:
    """Ignore an event."""
    del event
