"""The loop: ask, train, record, tell. Resuming is the same loop over what is stored."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from biotune import frozen
from biotune.errors import DamagedStateError
from biotune.recipe import STATISTICS, Recipe
from biotune.records import GIVEN, Task
from biotune.runner.committee import leaders
from biotune.runner.limits import Limit
from biotune.runner.lineage import Lineage
from biotune.runner.race import Race, Raced
from biotune.runner.session import Session, Tasks
from biotune.runs.events import CandidateFinished
from biotune.runs.store import Candidate, stored_genes
from biotune.search import SEARCHES, Batch, Search
from biotune.space import BlockSpace, RecipeSpace, SearchSpace
from biotune.space.recipes import choices_of
from biotune.space.start import informed_recipes
from biotune.trials.desk import Order


@dataclass(frozen=True)
class Ranked:
    """A recipe and how good the search found it.

    Args:
        recipe: what is trained, and how fast.
        fitness: mean over the folds that it was evaluated on.
        first: sequence number of its first evaluation.
    """

    recipe: Recipe
    fitness: float
    first: int


def make_space(session: Session) -> SearchSpace[Recipe]:
    """Return the space of the configured search: recipes of the network, with the values that it chooses."""
    config, loaded = session.config.search, session.loaded
    blocks = BlockSpace(session.full_recipe, config.law, config.head, config.threshold)
    owners = {loaded.partition.enclosing(name) for name in frozen.with_statistics(loaded.model)}
    names = [name for name in config.values if name != STATISTICS or owners]
    choices = choices_of(names, dict(session.config.training))
    normalised = tuple(index in owners for index in range(blocks.num_parts))
    return RecipeSpace(blocks, choices, normalised) if choices else blocks


def make_search(session: Session, space: SearchSpace[Recipe]) -> Search:
    """Return the configured search, at its start."""
    config = session.config
    start = [session.given_recipe] if session.given_recipe else []
    if config.search.start == "informed":
        values = [choice.name for choice in space.choices] if isinstance(space, RecipeSpace) else []
        start += informed_recipes(session.full_recipe, values)
    encoded = map(space.encode, dict.fromkeys(start))
    points = list({space.decode(point): point for point in encoded}.values())
    settings = config.search.settings(config.data.folds, len(session.tasks.rungs))
    search = SEARCHES[config.search.name]
    return search(space.num_genes, config.seed, settings, space, points, config.search.own_options)


def run_search(session: Session, limit: Limit) -> list[Candidate]:
    """Search until the end or a limit, which is asked before every batch and every candidate; return all candidates.

    They are in ask order. Raises DamagedStateError: a stored candidate differs from what the search asks for.
    """
    space = make_space(session)
    search = make_search(session, space)
    known = _known(session)
    race = Race(len(session.tasks.rungs), session.config.search.elites)
    done: list[Candidate] = []
    lineage = Lineage()
    while (batch := search.ask()) is not None:
        fold = batch.generation % session.config.data.folds if search.rotates_folds else 0
        rung = _rung(batch, session)
        admitted = batch.points[: limit.admits(len(done), len(batch.points), rung)]
        lineage.add(batch, len(admitted))
        recipes = [space.decode(genes) for genes in admitted]
        raced = run_batch(session, race, limit, recipes, fold, f"generation {batch.generation}", rung)
        found = [_candidate(batch, index, fold, recipes[index], len(done), one) for index, one in enumerate(raced)]
        was_cut = len(known) < len(done) + len(batch.points)
        _require_same(found, known, was_cut, session)
        done += found
        session.store.add_candidates(found, session.search_name)
        if limit.reason:
            session.say(f"The search ends at {limit.reason}.")
            break
        search.tell(race.told(raced, batch.rung, fold))
        trainings = session.ledger.trainings(session.search_name)
        session.ledger.plan(session.search_name, round(trainings / limit.share(len(done))))
        _tell_generation(session, batch, done)
    session.ledger.plan(session.search_name, session.ledger.trainings(session.search_name))
    lineage.store(session.store, session.search_name)
    return done


def _known(session: Session) -> list[Candidate]:
    """Return the stored candidates, none of those that were found under another allowance of work.

    The allowance decides who comes to the end of the race, and with it where the search goes from there. Trainings stay
    stored, so what both ways have in common is not trained again.
    """
    fact, allowance = f"allowance of {session.search_name}", session.config.search.max_work
    before = session.store.fact(fact)
    if before not in (None, allowance):
        session.store.forget_candidates(session.search_name)
    if before != allowance:
        session.store.set_fact(fact, allowance)
    return session.store.candidates(session.search_name, session.full_recipe)


def run_batch(
    session: Session,
    race: Race,
    limit: Limit,
    recipes: Sequence[Recipe],
    fold: int,
    detail: str,
    stop_at: int | None = None,
) -> list[Raced]:
    """Let a batch of recipes race: the desk gets all trainings of a rung at once.

    Args:
        session: the open run, with this search.
        race: the standings of the search so far.
        limit: asked before every candidate, when the results of all before it are known: it ends the search at the same
            candidate for any number of workers.
        recipes: what is trained.
        fold: training fold.
        detail: shown with the progress.
        stop_at: rung where every one stops, without a race.

    Returns:
        One result per recipe, in order; fewer where the limit ended the search.
    """
    raced: list[Raced] = []
    running = list(range(len(recipes)))
    always = {index for index, recipe in enumerate(recipes) if recipe.is_probe}  # the simplest choice, nearly for free
    where = fold if session.config.data.folds > 1 else None
    for rung in range(len(session.tasks.rungs) if stop_at is None else stop_at + 1):
        wanted = [
            race_tasks(session.tasks, GIVEN, recipes[index], raced[index] if rung else None, where, rung)
            for index in running
        ]
        first = race.candidates + 1
        numbers = [first + place if rung == 0 else race.candidates for place in range(len(running))]
        may_end = rung > 0 and stop_at is None and (race.has_finished(fold) or rung == len(session.tasks.rungs) - 1)
        kept = [not may_end or index in always for index in running]
        likely = _likely(session, limit, race, wanted, kept)
        queue = session.desk.queue(
            session.search_name,
            [
                Order(task, f"{detail}, candidate {number}", is_likely)
                for tasks, number, is_likely in zip(wanted, numbers, likely, strict=True)
                for task in tasks
            ],
        )
        arrived: list[int] = []
        for index, tasks in zip(running, wanted, strict=True):
            if not limit.allows(race.candidates, race.trainings):
                return raced
            may_stop = rung > 0 and stop_at is None and race.has_finished(fold) and index not in always
            if may_stop and not limit.goes_on(_work(session, tasks), race.candidates):
                continue
            arrived.append(index)
            results = [queue.obtain(task) for task in tasks] or raced[index].results
            one = race.arrived(results, rung, fold)
            raced[index : index + 1] = [one]
            if one.finished and one.outcome == "ok":
                session.observer(CandidateFinished(session.search_name, recipes[index], fold, one.fitness))
        if stop_at is None:
            promoted = race.promoted(raced, arrived, rung, fold)
            if rung == 0 and session.config.final.companions and not race.has_finished(fold):
                able = {index: recipes[index] for index in arrived if raced[index].outcome == "ok"}
                always |= leaders(able, {index: raced[index].fitness for index in able})
            running = [*promoted, *(index for index in arrived if index in always and index not in promoted)]
    return raced


def race_tasks(
    tasks: Tasks, method: str, recipe: Recipe | None, before: Raced | None, fold: int | None, rung: int
) -> list[Task]:
    """Return the trainings that bring a method or a recipe to a rung; none where all of them have stopped early.

    Args:
        tasks: makes them.
        method: name and options; ``given`` for a recipe.
        recipe: what ``given`` trains, else None.
        before: where it came at the rung before; None at the first one, or to get the trainings whatever that was.
        fold: training fold; None for all training images.
        rung: the rung to reach.

    Returns:
        One training per search seed, or per seed and fold where the last rung judges out of fold.
    """
    start = tasks.rungs[rung - 1] if rung else 0
    if rung == len(tasks.rungs) - 1 and tasks.out_of_fold:
        judged = [task for seed in tasks.search_seeds for task in tasks.judged(method, recipe, seed)]
        wanted = [replace(task, first_epoch=start) if task.fold is None else task for task in judged]
    else:
        epochs = start, tasks.rungs[rung]
        wanted = [tasks.one(method, recipe, seed, fold, epochs=epochs) for seed in tasks.search_seeds]
    if before is None or len(wanted) > len(before.results):
        return wanted
    return wanted if any(len(result.curve) == start for result in before.results) else []


def _likely(
    session: Session, limit: Limit, race: Race, wanted: Sequence[Sequence[Task]], kept: Sequence[bool]
) -> list[bool]:
    """Return which candidates will go on by the work that is left, if nothing ends early: those ``kept``, and others.

    The first one does in any case: it may be the first of all to come to the end of the race.
    """
    likely, expected = list[bool](), 0.0
    for tasks, is_kept in zip(wanted, kept, strict=True):
        work = 0.0 if is_kept else _work(session, tasks)
        goes_on = is_kept or not likely or limit.goes_on(expected + work, race.candidates)
        expected += work if goes_on else 0.0
        likely.append(goes_on)
    return likely


def _work(session: Session, tasks: Sequence[Task]) -> float:
    """Return the work of trainings, each from where an earlier one paused."""
    count = session.counter.work_of
    return sum(count(task, task.last_epoch or task.epochs) - count(task, task.first_epoch) for task in tasks)


def _rung(batch: Batch, session: Session) -> int | None:
    """Return where a batch stops, None if it races: re-evaluations go to the last rung, to be comparable."""
    return len(session.tasks.rungs) - 1 if batch.rung is None and batch.kind == "reevaluate" else batch.rung


def _candidate(batch: Batch, index: int, fold: int, recipe: Recipe, before: int, raced: Raced) -> Candidate:
    """Return the record of one point of a batch."""
    return Candidate(
        sequence=before + index,
        generation=batch.generation,
        kind=batch.kind,
        fold=fold,
        genes=stored_genes(batch.points[index]),
        recipe=recipe,
        outcome=raced.outcome,
        fitness=raced.fitness,
        finished=raced.finished,
    )


def _require_same(found: list[Candidate], known: list[Candidate], was_cut: bool, session: Session) -> None:
    for candidate in found:
        if candidate.sequence < len(known) and not _may_become(known[candidate.sequence], candidate, was_cut):
            raise DamagedStateError(
                f"candidate {candidate.sequence} of '{session.folder}' differs from what this search asks for; "
                "the run was made by another version or was altered: start a new one with --out."
            )


def _may_become(known: Candidate, candidate: Candidate, was_cut: bool) -> bool:
    """Return whether they are the same; one whose race a limit cut short may have got further since.

    In a batch of which a limit let only some begin, it may also have got less far: now it races against all of them.
    """
    if known.finished and not was_cut:
        return known == candidate
    progress = {"fitness": candidate.fitness, "finished": candidate.finished, "outcome": candidate.outcome}
    return replace(known, **progress) == candidate  # type: ignore[arg-type]


def _tell_generation(session: Session, batch: Batch, done: list[Candidate]) -> None:
    best = max(done, key=lambda candidate: candidate.fitness)
    session.say(
        f"Generation {batch.generation} ({batch.kind}): {len(done)} candidates, best fitness {best.fitness:.4f}."
    )


def ranked_recipes(session: Session, candidates: Sequence[Candidate], count: int) -> list[Ranked]:
    """Return the best distinct recipes that finished the race, compared over the same folds.

    With several folds (and re-evaluation on), the leading recipes are trained on the folds that they lack before they
    are compared; the papers compare values of different folds. Where one fresh seed decides between them, no two are
    alike as long as there are others: see ``_unlike``.

    Args:
        session: the open run.
        candidates: what the search evaluated.
        count: number of recipes wanted.

    Returns:
        At most ``count`` recipes, best first; ties go to the one found first.
    """
    values: dict[Recipe, dict[int, float]] = {}
    first: dict[Recipe, int] = {}
    any_finished = any(candidate.finished and candidate.outcome == "ok" for candidate in candidates)
    for candidate in candidates:
        if candidate.recipe and candidate.outcome == "ok" and (candidate.finished or not any_finished):
            values.setdefault(candidate.recipe, {})[candidate.fold] = candidate.fitness
            first.setdefault(candidate.recipe, candidate.sequence)

    def order() -> list[Ranked]:
        ranked = [Ranked(r, float(np.mean(list(v.values()))), first[r]) for r, v in values.items()]
        ranked.sort(key=lambda r: (-r.fitness, r.first))
        return _unlike(ranked, count) if session.config.final.screening == "one_seed" else ranked[:count]

    folds = range(session.config.data.folds)
    if session.config.search.reevaluate == "none":
        return order()
    while lacking := [r for r in order() if len(values[r.recipe]) < len(folds)]:
        ranked = lacking[0]
        for fold in folds:
            if fold not in values[ranked.recipe]:
                tasks = [
                    session.tasks.one(GIVEN, ranked.recipe, seed, fold, epochs=(0, session.tasks.rungs[-1]))
                    for seed in session.tasks.search_seeds
                ]
                results = session.desk.run(session.search_name, tasks, f"candidate {ranked.first + 1}")
                values[ranked.recipe][fold] = float(np.mean([result.fitness for result in results]))
    return order()


def _unlike(ranked: Sequence[Ranked], count: int) -> list[Ranked]:
    """Return the best recipe, then the best of those that differ from all before in two blocks at least.

    A probe differs from its elite in one block: choosing between these two gains little, and where the search misjudged
    one of them, it probably misjudged the other. Where too few differ, the best of the others follow.
    """
    chosen: list[Ranked] = []
    for one in ranked:
        if len(chosen) < count and all(_differing(one, other) > 1 for other in chosen):
            chosen.append(one)
    return (chosen + [one for one in ranked if one not in chosen])[:count]


def _differing(one: Ranked, other: Ranked) -> int:
    """Return in how many blocks two recipes differ; their named values count as one block."""
    blocks = zip(one.recipe.multipliers, other.recipe.multipliers, strict=True)
    return sum(a != b for a, b in blocks) + (one.recipe.values != other.recipe.values)
