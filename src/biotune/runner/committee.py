"""Which recipes the final networks are trained by: the chosen one and, for the vote, some of other kinds.

Networks that were trained alike make the same mistakes. Those of another kind, with another start of the classifier or
other changes of the images, make others: their vote needs no precise choice between recipes, which a few held-out
images, perhaps of another kind than those to come, cannot make.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from biotune.metrics import class_shares
from biotune.recipe import HEAD_START, Recipe, Value
from biotune.records import GIVEN
from biotune.runner.session import Session
from biotune.runs.store import Candidate

Logs = NDArray[np.float64]
Kind = tuple[Value | None, ...]

KIND = (HEAD_START, "augment")
"""The values that make a kind of recipe: where its classifier starts, and how it changes the images."""


def kind_of(recipe: Recipe) -> Kind:
    """Return what kind of recipe it is: its values in ``KIND``, None where it has the run's own."""
    return tuple(recipe.value(name) for name in KIND)


def finished_recipes(candidates: Iterable[Candidate]) -> dict[Recipe, float]:
    """Return the recipes that finished the race, with their fitness."""
    return {one.recipe: one.fitness for one in candidates if one.recipe and one.finished and one.outcome == "ok"}


def leaders(recipes: Mapping[int, Recipe], fitness: Mapping[int, float]) -> set[int]:
    """Return the best of each kind: keys of both arguments, the first of a tie."""
    best: dict[Kind, int] = {}
    for key, recipe in recipes.items():
        kind = kind_of(recipe)
        if kind not in best or fitness[key] > fitness[best[kind]]:
            best[kind] = key
    return set(best.values())


def companions(session: Session, candidates: Sequence[Candidate], winner: Recipe) -> list[Recipe]:
    """Return the recipes whose networks vote with those of the winner, each trained on one of the final seeds.

    They are the best of other kinds, as many as ``final.companions`` allows, whose vote with the winner has the least
    log-loss on the images held out; fewer, or none, where that loss is larger than the winner's own. All of them were
    trained as far as candidates go.

    Args:
        session: the open run, after the search.
        candidates: what the search evaluated.
        winner: the chosen recipe.

    Returns:
        Recipes; at least one final seed is left to the winner.
    """
    most = min(session.config.final.companions, session.config.final.seeds - 1)
    finished = finished_recipes(candidates)
    logs = held_out_logs(session, finished)
    if not most or winner not in logs:
        return []
    others = [recipe for recipe in logs if kind_of(recipe) != kind_of(winner)]
    best = leaders(dict(enumerate(others)), {at: finished[recipe] for at, recipe in enumerate(others)})
    able = [others[at] for at in sorted(best)]
    data = session.tasks.data
    shares = class_shares(data.labels[data.parts[None][1]])
    alone = vote_loss([logs[winner]], shares)
    for count in range(min(most, len(able)), 0, -1):
        own = session.config.final.seeds - count
        votes = {
            chosen: vote_loss([logs[winner]] * own + [logs[one] for one in chosen], shares)
            for chosen in itertools.combinations(able, count)
        }
        chosen = min(votes, key=lambda some: votes[some])
        if votes[chosen] <= alone:
            return list(chosen)
    return []


def vote_loss(logs: Sequence[Logs], shares: Logs) -> float:
    """Return the log-loss of a vote, from the log-probabilities that its networks give the right class.

    Args:
        logs: at least one, shape (n,) each.
        shares: weight of each image, shape (n,), with the sum 1.

    Returns:
        A value of at least 0.
    """
    return float(shares @ (np.log(len(logs)) - np.logaddexp.reduce(np.stack(logs))))


def held_out_logs(session: Session, recipes: Iterable[Recipe]) -> dict[Recipe, Logs]:
    """Return what recipes that finished the race gave the images that were held out of all training images."""
    wanted, found, seed = set(recipes), dict[Recipe, tuple[int, Logs]](), session.tasks.search_seeds[0]
    for task, result in session.ledger.rows(session.search_name):
        recipe = task.recipe
        is_own = task.method == GIVEN and task.fold is None and task.seed == seed and result.outcome == "ok"
        if recipe in wanted and recipe is not None and is_own and result.held_out:
            epochs = task.last_epoch or task.epochs
            if recipe not in found or epochs > found[recipe][0]:
                found[recipe] = epochs, np.array(result.held_out)
    return {recipe: logs for recipe, (_, logs) in found.items()}
