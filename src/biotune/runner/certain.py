"""Trainings that a run asks for in any case: free workers may begin with them, whatever phase is waited for.

Nothing is named here that a result or a limit could still leave out, so nothing is trained in vain. A limit of time
decides by the clock which baselines there are and where the search ends; under one, every phase waits for its turn.
"""

from collections.abc import Sequence

from biotune.recipe import Recipe
from biotune.records import ALL_IMAGES, GIVEN, Task
from biotune.runner.baselines import choice_of, sweep_full
from biotune.runner.final import voting_tasks
from biotune.runner.search import make_search, make_space, race_tasks
from biotune.runner.session import Session
from biotune.runner.sweep import Swept
from biotune.settings.sections import Baseline


def expect_search(session: Session) -> None:
    """Expect what the first batch of the search trains to its first rung."""
    budget = session.config.budget
    if not budget.seconds and not budget.max_cost:
        session.desk.expect(session.search_name, _first_batch(session), "generation 0")


def expect_baselines(session: Session, names: Sequence[Baseline], recipe: Recipe | None = None) -> None:
    """Expect the final trainings of baselines that need no sweep; ``recipe`` is the chosen one, once it is known."""
    if session.config.budget.seconds:
        return
    for name in names:
        chosen = choice_of(session, name, recipe)
        if chosen is not None:
            session.desk.expect(name, session.tasks.final(chosen.method, chosen.recipe), name.replace("_", " "))


def sweep_beside(
    session: Session, names: Sequence[Baseline], recipe: Recipe, companions: Sequence[Recipe]
) -> Swept | None:
    """Sweep before the final trainings are waited for, which then fill the gaps between its rungs.

    Both follow from the search alone where there is nothing left to choose. A single worker has no gaps, and brings the
    chosen model first.

    Args:
        session: of the run, after the search.
        names: baselines of the run.
        recipe: the only finalist.
        companions: recipes that vote with it.

    Returns:
        What the sweep found; None where it waits for its turn.
    """
    is_chosen = session.tasks.final_fold == ALL_IMAGES and not session.config.budget.seconds
    if is_chosen:
        session.desk.expect(session.final_name, voting_tasks(session, recipe, companions), "biotune")
    expect_baselines(session, names, recipe)
    if "full_tuned" not in names or session.desk.capacity == 1 or not is_chosen:
        return None
    swept = sweep_full(session)
    session.desk.expect("full_tuned", session.tasks.final(swept.best.method, swept.best.recipe), "full tuned")
    return swept


def _first_batch(session: Session) -> list[Task]:
    space = make_space(session)
    batch = make_search(session, space).ask()
    points = () if batch is None else batch.points
    recipes = [space.decode(genes) for genes in points[: session.config.budget.max_evaluations or len(points)]]
    fold = 0 if session.config.data.folds > 1 else None
    return [task for recipe in recipes for task in race_tasks(session.tasks, GIVEN, recipe, None, fold, 0)]
