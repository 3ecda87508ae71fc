"""How long the rest of a run takes, from what its trainings have taken so far."""

from collections.abc import Mapping, Sequence

from biotune.settings.config import SEARCHED_SHARE

LIKE = {
    "sweep": ("search", 1.0),
    "estimate": ("final", 1.0),
    "mask_one_rate": ("final", 1.0),
    "linear_probe": ("full", 0.5),
}
"""Phase -> the phase that its trainings resemble, and their cost as a share of that one's; all others are like full
fine-tuning. Used until a training of the phase itself is done. Those of the search pause early, by how much the caller
says; final ones do not."""


def seconds_per_training(
    phase: str, taken: Mapping[str, Sequence[float]], folds: int = 1, searched: float = SEARCHED_SHARE
) -> float:
    """Return the mean seconds of a phase's trainings; before the first one, what those of a similar phase let expect.

    Args:
        phase: of a run; a comparison's may say more after its kind (``sweep l2_sp``).
        taken: phase -> seconds of each finished training.
        folds: a training of the search sees one of so many parts of the images, that of other phases all of them.
        searched: expected cost of a training of the search, as a share of a full fine-tune.

    Returns:
        Seconds; 0 while no similar training is done.
    """
    seconds = taken.get(phase, ())
    if seconds:
        return sum(seconds) / len(seconds)
    kind = phase.split(maxsplit=1)[0]
    if kind == "full":
        return 0.0
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
        planned: phase -> number of trainings, those done included.
        taken: phase -> seconds of each finished training.
        folds: see ``seconds_per_training``.
        running: phase of each training that is being done, and the seconds it has taken so far.
        searched: see ``seconds_per_training``.

    Returns:
        The seconds; None before the first training is done.
    """
    if not any(taken.values()):
        return None
    total = 0.0
    for phase, count in planned.items():
        missing, one = count - len(taken.get(phase, ())), seconds_per_training(phase, taken, folds, searched)
        if missing > 0:
            total += missing * one - sum(min(seconds, one) for name, seconds in running if name == phase)
    return max(0.0, total)


def within_budget(left: float | None, budget_s: float, used_s: float) -> float | None:
    """Return the seconds that are left under a time budget, which shortens the search; 0 is no budget."""
    rest = budget_s - used_s
    return left if left is None or rest <= 0 else min(left, rest)
