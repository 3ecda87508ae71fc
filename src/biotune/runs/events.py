"""What a run tells its observer while it works: plain records, one observer."""

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
    """Where the run stands.

    Args:
        phase: what is being done, in words.
        done: finished steps of the phase.
        total: expected steps of the phase.
        detail: what is being worked on now.
        fraction: how far the current step is, in [0, 1].
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
        search: name under which it is booked.
        recipe: of the candidate.
        fold: training fold.
        fitness: what it reached.
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
