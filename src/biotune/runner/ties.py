"""How many of the recipes that a search judged show no clear difference from the best of them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from biotune.metrics import class_shares
from biotune.runner.committee import finished_recipes, held_out_logs
from biotune.runner.session import Session
from biotune.runs.store import Candidate

Z = 1.96
"""Half of a 95 % interval, in standard errors."""


def tied_recipes(session: Session, candidates: Sequence[Candidate]) -> int | None:
    """Return how many of the recipes that finished the race tie with the best by their log-loss, it included.

    Args:
        session: the open run, after the search.
        candidates: what the search evaluated.

    Returns:
        A number from 1; None where the search ranked by scores, or finished no recipe.
    """
    finished = finished_recipes(candidates)
    if session.config.training.fitness != "loss" or not finished:
        return None
    logs = held_out_logs(session, finished)
    best = max(logs, key=lambda recipe: finished[recipe], default=None)
    if best is None:
        return None
    data = session.tasks.data
    shares = class_shares(data.labels[data.parts[None][1]])
    return sum(is_tie(logs[best], own, shares) for own in logs.values())


def is_tie(best: NDArray[np.float64], other: NDArray[np.float64], shares: NDArray[np.float64]) -> bool:
    """Return whether the 95 % interval of a difference in log-loss, paired over the images, reaches zero.

    Args:
        best: log-probability of each held-out image's own class, shape (n,).
        other: the same of another recipe.
        shares: weight of each image, shape (n,), with the sum 1.

    Returns:
        Whether the weighted mean of the differences is within 1.96 of its standard errors; always for one image.
    """
    gaps = best - other
    mean = float(shares @ gaps)
    error = float(np.sqrt(np.sum((shares * (gaps - mean)) ** 2) * len(gaps) / max(len(gaps) - 1, 1)))
    return len(gaps) == 1 or mean <= Z * error
