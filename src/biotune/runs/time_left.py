"""Estimates how long the rest of a run takes, from the duration of its trainings so far."""

from collections.abc import Mapping, Sequence

from biotune.settings.config import SEARCHED_SHARE

LIKE = {
    "sweep": ("search", 1.0),
    "estimate": ("final", 1.0),
    "mask_one_rate": ("final", 1.0),
    "probe": ("full", 0.05),
    "linear_probe": ("full", 0.5),
}
"""Phase -> a phase with similar trainings, and their cost as a share of that phase's cost; all others are like full
fine-tuning. Used until a training of the phase itself is done. The shares are rough values, chosen by hand. Trainings
of the search pause early (the caller says by how much); final ones do not."""


def seconds_per_training(
    phase: str, taken: Mapping[str, Sequence[float]], folds: int = 1, searched: float = SEARCHED_SHARE
) -> float:
    """Return the mean seconds of a phase's trainings; before the first one, an estimate from a similar phase.

    Args:
        phase: phase of a run; in a comparison more words may follow its kind (``sweep l2_sp``).
        taken: phase -> seconds of each finished training.
        folds: number of folds; a training of the search sees one fold, trainings of other phases see all images.
        searched: expected cost of a training of the search, as a share of a full fine-tune.

    Returns:
        Seconds; 0 as long as no similar training is done.
    """
    seconds = taken.get(phase, ())
    if seconds:
        return sum(seconds) / len(seconds)
    kind = phase.split(maxsplit=1)[0]
    if kind == "full":  # not trained where trainings stop as planned
        searching = taken.get("search", ())
        return sum(searching) / len(searching) / searched if searching else 0.0
    like = {"search": ("full", searched), "final": ("search", SEARCHED_SHARE / searched), **LIKE}
    model, share = like.get(kind, ("full", 1.0))
    parts = {"search": 1 / folds, "final": folds}.get(kind, 1.0)
    return share * parts * seconds_per_training(model, taken, folds, searched)


def seconds_left(
    planned: Mapping[str, int],
    taken: Mapping[str, Sequence[float]],
    folds: int = 1,
    running: Sequence[tuple[str, float]] = (),
    searched: float = SEARCHED_SHARE,
) -> float | None:
    """Return the expected seconds of the trainings that are still to be done.

    Args:
        planned: phase -> number of trainings, including finished ones.
        taken: phase -> seconds of each finished training.
        folds: see ``seconds_per_training``.
        running: (phase, seconds so far) of each training in progress.
        searched: see ``seconds_per_training``.

    Returns:
        The seconds; None before a training is done that tells how long the others take, which the method ``probe`` does
        not, and while one is done that nobody planned, such as that which measures the unit of cost.
    """
    if not any(taken.values()) or any(phase not in planned for phase, _ in running):
        return None
    total = 0.0
    for phase, count in planned.items():
        missing, one = count - len(taken.get(phase, ())), seconds_per_training(phase, taken, folds, searched)
        if missing > 0 and not one:
            return None
        if missing > 0:
            total += missing * one - sum(min(seconds, one) for name, seconds in running if name == phase)
    return max(0.0, total)


def within_budget(left: float | None, budget_s: float, used_s: float) -> float | None:
    """Return the seconds left within a time budget, which shortens the search; a budget of 0 is no limit."""
    rest = budget_s - used_s
    return left if left is None or rest <= 0 else min(left, rest)
