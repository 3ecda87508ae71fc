"""After the search: retrain the best recipes on fresh seeds, and choose one by validation."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from biotune.recipe import Recipe
from biotune.records import ALL_IMAGES, GIVEN, Evaluation, Task
from biotune.results.entry import Tried
from biotune.runner.search import Ranked
from biotune.runner.session import Session
from biotune.trials.counting import Cost


@dataclass(frozen=True)
class TrainedEntry:
    """One way of fine-tuning with its final trainings.

    Args:
        name: ``biotune`` or the name of a baseline.
        tasks: one per final seed.
        results: one per task.
        cost: of these trainings, and of the selection before them.
        multiplier: learning-rate multiplier of a tuned baseline.
        companions: finished trainings of other recipes, whose networks vote with these.
        sweep: what the sweep of a tuned baseline tried; None without one.
    """

    name: str
    tasks: tuple[Task, ...]
    results: tuple[Evaluation, ...]
    cost: Cost
    multiplier: float = 1.0
    companions: tuple[tuple[Task, Evaluation], ...] = ()
    sweep: tuple[Tried, ...] | None = None

    @property
    def voters(self) -> tuple[Task, ...]:
        """The trainings whose networks vote: all that did not diverge, those of other recipes last."""
        trained = (*zip(self.tasks, self.results, strict=True), *self.companions)
        return tuple(task for task, result in trained if result.outcome == "ok")

    @property
    def gave_a_network(self) -> bool:
        """Whether any of its own trainings did."""
        return any(result.outcome == "ok" for result in self.results)

    @property
    def fitness(self) -> float:
        """Mean fitness over the seeds."""
        return float(np.mean([result.fitness for result in self.results]))

    @property
    def best_index(self) -> int:
        """Index of the seed of best fitness; the first of a tie, and where no image was held out to score them."""
        return int(np.argmax([result.fitness if result.outcome == "ok" else -1.0 for result in self.results]))


@dataclass(frozen=True)
class Choice:
    """What may be trained on the final seeds: a method with its options, or a recipe.

    Args:
        method: as in ``Task``: name and options.
        recipe: what the method ``given`` trains; None for others.
        label: name shown to the user.
    """

    method: str
    recipe: Recipe | None = None
    label: str = ""


def choose(
    session: Session, finalists: list[Ranked], companions: Sequence[Recipe] = ()
) -> tuple[TrainedEntry, list[TrainedEntry]]:
    """Retrain the finalists on fresh seeds and choose one by validation.

    With ``screening="one_seed"`` each is trained on the first final seed as far as the search trained its candidates,
    and judged by the mean of what the search found and what is found now; the winner continues from there, or, where
    the final trainings use the validation images too, begins again. With ``all_seeds``, each is trained on every final
    seed to the end and judged by these trainings alone (the papers); or, where that would use the validation images, as
    far as the search trained its candidates, and judged as with one seed.

    Args:
        session: the open run.
        finalists: best first; full fine-tuning takes their place where the search found nothing.
        companions: recipes that get one of the last final seeds each, for the vote; fewer than there are seeds.

    Returns:
        The winner with all its seeds, and every finalist as far as it was trained.
    """
    config = session.config.final
    finalists = finalists or [Ranked(session.full_recipe, 0.0, 0)]
    if session.tasks.out_of_fold:  # judged on many images already; a few validation images would add nothing
        finalists = finalists[:1]
    session.ledger.plan(session.final_name, session.config.final_trainings(len(finalists)))
    if session.tasks.final_fold == ALL_IMAGES and len(finalists) == 1:  # nothing to choose
        winner = _with_companions(session, finalists[0].recipe, companions)
        return winner, [winner]
    whole = config.screening == "all_seeds" and session.tasks.final_fold is None
    wanted = [_to_the_end(session, one) if whole else _screening(session, one) for one in finalists]
    _run_all(session, wanted)
    trained = [_trained(session, "biotune", tasks, session.final_name) for tasks in wanted]
    fitness = [entry.fitness for entry in trained]
    if not whole:
        fitness = [
            entry.fitness + ranked.fitness if entry.gave_a_network else -1.0
            for entry, ranked in zip(trained, finalists, strict=True)
        ]
    best = max(range(len(trained)), key=lambda index: (fitness[index], -index))
    trained[best] = _trained(session, "biotune", _to_the_end(session, finalists[best]), session.final_name)
    return trained[best], trained


def _with_companions(session: Session, recipe: Recipe, companions: Sequence[Recipe]) -> TrainedEntry:
    """Train a recipe on the first final seeds, and each of its companions on one of those that are left."""
    tasks = voting_tasks(session, recipe, companions)
    results = session.desk.run(session.final_name, tasks, "biotune")
    own = len(tasks) - len(companions)
    rows = tuple(zip(tasks, results, strict=True))
    cost = session.counter.cost(rows)
    return TrainedEntry("biotune", tuple(tasks[:own]), tuple(results[:own]), cost, companions=rows[own:])


def voting_tasks(session: Session, recipe: Recipe, companions: Sequence[Recipe]) -> list[Task]:
    """Return the trainings of a recipe on the first final seeds, then one of each companion on those that are left."""
    seeds = session.tasks.final_seeds
    own = len(seeds) - len(companions)
    others = [
        session.tasks.one(GIVEN, companion, seed, session.tasks.final_fold, final=True)
        for companion, seed in zip(companions, seeds[own:], strict=True)
    ]
    return [*session.tasks.final(GIVEN, recipe, own), *others]


def _to_the_end(session: Session, ranked: Ranked) -> list[Task]:
    """Return the trainings of a recipe on every final seed to the end, from where its screening paused."""
    tasks = session.tasks.final(GIVEN, ranked.recipe)
    if session.config.final.screening == "one_seed" and session.tasks.final_fold is None:
        tasks[0] = replace(tasks[0], first_epoch=session.tasks.rungs[-1])
    return tasks


def _screening(session: Session, ranked: Ranked) -> list[Task]:
    """Return the trainings of a recipe on one or all final seeds, as far as the search trains its candidates."""
    goes_on, end = session.tasks.final_fold is None, session.tasks.rungs[-1]
    seeds = session.tasks.final_seeds[: None if session.config.final.screening == "all_seeds" else 1]
    tasks = [session.tasks.one(GIVEN, ranked.recipe, seed, final=goes_on) for seed in seeds]
    return [replace(task, last_epoch=end) for task in tasks]


def _run_all(session: Session, wanted: Sequence[Sequence[Task]]) -> None:
    """Hand the trainings of all finalists to the desk at once."""
    session.desk.run(session.final_name, [task for tasks in wanted for task in tasks], "biotune")


def train(session: Session, method: str, recipe: Recipe | None) -> TrainedEntry:
    """Train one method, or a recipe, on every final seed: all that ``biotune train`` does."""
    return _trained(session, "biotune", session.tasks.final(method, recipe), "final", method)


def final_trainings(session: Session, name: str, choice: Choice, seeds: int | None = None) -> TrainedEntry:
    """Train a choice on every final seed, or the first ones; its cost is booked under the name."""
    return _trained(session, name, session.tasks.final(choice.method, choice.recipe, seeds), name)


def _trained(session: Session, name: str, tasks: Sequence[Task], phase: str, shown: str = "") -> TrainedEntry:
    results = session.desk.run(phase, tasks, (shown or name).replace("_", " "))
    cost = session.counter.cost(zip(tasks, results, strict=True))
    return TrainedEntry(name, tuple(tasks), tuple(results), cost)
