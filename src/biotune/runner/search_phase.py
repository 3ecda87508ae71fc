"""The loop: ask, train, record, tell. Resuming is the same loop over what is stored."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from biotune.errors import DamagedStateError
from biotune.genotype import Genotype, informed_multipliers
from biotune.records import Evaluation
from biotune.runner.budget import Limit
from biotune.runner.session import Session
from biotune.runs.store import Candidate
from biotune.search import SEARCHES, Batch, Search


@dataclass(frozen=True)
class Ranked:
    """A distinct recipe and what the search found of it.

    Args:
        multipliers: one per block.
        fitness: mean over the folds that it was evaluated on.
        first: sequence number of its first evaluation.
    """

    multipliers: tuple[float, ...]
    fitness: float
    first: int


def make_search(session: Session, genotype: Genotype) -> Search:
    """Return the configured search, at its start."""
    config = session.config
    settings = config.search.evolution_settings(config.data.folds)
    start: list[tuple[float, ...]] = [config.method.multipliers] if config.method.multipliers else []
    if config.search.start == "informed":
        start += informed_multipliers(genotype.num_blocks)
    points = [genotype.encode(multipliers) for multipliers in dict.fromkeys(start)]
    return SEARCHES[config.search.name](genotype.num_genes, config.seed, settings, genotype, points)


def run_search(session: Session, limit: Limit) -> list[Candidate]:
    """Search until the end or a limit.

    Args:
        session: of the run.
        limit: asked before every candidate.

    Returns:
        Every fully evaluated candidate, in ask order.

    Raises:
        DamagedStateError: a stored candidate differs from what the search asks for.
    """
    search_config = session.config.search
    genotype = Genotype(len(session.loaded.partition), search_config.law, search_config.head, search_config.threshold)
    search = make_search(session, genotype)
    known = session.store.candidates(session.search_name)
    done: list[Candidate] = []
    while (batch := search.ask()) is not None:
        fold = batch.generation % session.config.data.folds if search.rotates_folds else 0
        found = _evaluate(session, genotype, batch, fold, done, limit)
        _require_same(found, known, session)
        session.store.add_candidates(found, session.search_name)
        done += found
        if len(found) < len(batch.points):
            session.say(f"The search ends after {limit.reason}.")
            break
        search.tell([candidate.fitness for candidate in found])
        session.plan(session.search_name, round(session.trainings(session.search_name) / limit.share(len(done))))
        _tell_generation(session, batch, done)
    session.plan(session.search_name, session.trainings(session.search_name))
    return done


def _evaluate(
    session: Session, genotype: Genotype, batch: Batch, fold: int, done: Sequence[Candidate], limit: Limit
) -> list[Candidate]:
    """Return the candidates of a batch, fewer if a limit was reached."""
    found: list[Candidate] = []
    for genes in batch.points:
        if not limit.allows(len(done) + len(found)):
            break
        multipliers = genotype.decode(genes)
        results = _train(session, multipliers, fold, batch.generation, len(done) + len(found))
        found.append(
            Candidate(
                sequence=len(done) + len(found),
                generation=batch.generation,
                kind=batch.kind,
                fold=fold,
                genes=tuple(map(float, genes)),
                multipliers=multipliers,
                outcome=_outcome(results),
                fitness=float(np.mean([result.fitness for result in results])),
            )
        )
    return found


def _train(
    session: Session, multipliers: tuple[float, ...], fold: int, generation: int, sequence: int
) -> list[Evaluation]:
    where = fold if session.config.data.folds > 1 else None
    tasks = [session.task("recipe", multipliers, seed, where) for seed in session.search_seeds]
    return session.run_all(session.search_name, tasks, f"generation {generation}, candidate {sequence + 1}")


def _outcome(results: Sequence[Evaluation]) -> str:
    outcomes = [result.outcome for result in results]
    return "ok" if all(o == "ok" for o in outcomes) else next(o for o in outcomes if o != "ok")


def _require_same(found: list[Candidate], known: list[Candidate], session: Session) -> None:
    for candidate in found:
        if candidate.sequence < len(known) and known[candidate.sequence] != candidate:
            raise DamagedStateError(
                f"candidate {candidate.sequence} of '{session.folder}' differs from what this search asks for; "
                "the run was made by another version or was altered: start a new one with --out."
            )


def _tell_generation(session: Session, batch: Batch, done: list[Candidate]) -> None:
    best = max(done, key=lambda candidate: candidate.fitness)
    session.say(
        f"Generation {batch.generation} ({batch.kind}): {len(done)} candidates, best fitness {best.fitness:.4f}."
    )


def ranked_recipes(session: Session, candidates: Sequence[Candidate], count: int) -> list[Ranked]:
    """Return the best distinct recipes, compared over the same folds.

    With several folds (and re-evaluation on), the leading recipes are trained on the folds that they lack before they
    are compared; the papers compare values of different folds.

    Args:
        session: of the run.
        candidates: of the search.
        count: number of recipes wanted.

    Returns:
        At most ``count`` recipes, best first; ties go to the one found first.
    """
    values: dict[tuple[float, ...], dict[int, float]] = {}
    first: dict[tuple[float, ...], int] = {}
    for candidate in candidates:
        if candidate.outcome == "ok":
            values.setdefault(candidate.multipliers, {})[candidate.fold] = candidate.fitness
            first.setdefault(candidate.multipliers, candidate.sequence)

    def order() -> list[Ranked]:
        ranked = [Ranked(m, float(np.mean(list(v.values()))), first[m]) for m, v in values.items()]
        return sorted(ranked, key=lambda r: (-r.fitness, r.first))

    folds = range(session.config.data.folds)
    if session.config.search.reevaluate == "none":
        return order()[:count]
    while lacking := [r for r in order()[:count] if len(values[r.multipliers]) < len(folds)]:
        recipe = lacking[0]
        for fold in folds:
            if fold not in values[recipe.multipliers]:
                results = _train(session, recipe.multipliers, fold, 0, recipe.first)
                values[recipe.multipliers][fold] = float(np.mean([result.fitness for result in results]))
    return order()[:count]
