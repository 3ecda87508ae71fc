"""From the unit of cost to the chosen recipe: the search, and the final trainings that choose."""

from collections.abc import Sequence
from dataclasses import dataclass

from biotune.runner.baselines import full_finetune
from biotune.runner.certain import sweep_beside
from biotune.runner.committee import companions
from biotune.runner.final import TrainedEntry, choose
from biotune.runner.limits import SearchLimit, affordable_baselines, room_for_search
from biotune.runner.search import Ranked, ranked_recipes, run_search
from biotune.runner.session import Session
from biotune.runner.sweep import Swept
from biotune.runner.testing import OUT_OF_FOLD
from biotune.runner.unit import Unit, first_epochs
from biotune.runs.store import Candidate
from biotune.settings.sections import Baseline
from biotune.trials.desk import Keeper
from biotune.wording import duration, plural


@dataclass(frozen=True)
class Searched:
    """What a search leaves to the phases after it.

    Args:
        unit: one full fine-tune.
        baselines: what the recipe will be compared with.
        candidates: what was evaluated.
        finalists: the best recipes, best first; none where the search found nothing.
        stopped_by: the limit that ended the search; empty where none did.
    """

    unit: Unit
    baselines: tuple[Baseline, ...]
    candidates: list[Candidate]
    finalists: list[Ranked]
    stopped_by: str


@dataclass(frozen=True)
class Chosen:
    """What the final trainings chose.

    Args:
        winner: the chosen recipe with its final trainings.
        trained: every finalist as far as it was trained.
        swept: what the sweep of the tuned baseline found, where it is done already.
    """

    winner: TrainedEntry
    trained: list[TrainedEntry]
    swept: Swept | None


def searched(session: Session, best: Keeper) -> Searched:
    """Measure the unit of cost, and search."""
    config, unit = session.config, _measured(session, best)
    baselines = affordable_baselines(session, unit.seconds)
    _plan(session, baselines, unit.seconds)
    left = (
        "" if session.continued else f" The whole run will take about {duration(session.ledger.seconds_left())} more."
    )
    session.say(
        f"One full fine-tune takes {unit.written(config.compute.device)} "
        f"({plural(round(unit.epochs), 'epoch')}): the unit of cost.{left}"
    )
    if config.training.stopping == "early" and "full" in baselines:
        unit = Unit.of(full_finetune(session).results)  # single ones differ in length; their mean is a steadier unit
    limit = SearchLimit(session, unit, baselines)
    candidates = run_search(session, limit)
    if "full_tuned" in baselines:
        session.ledger.plan("sweep", session.ledger.trainings(session.search_name))
    finalists = ranked_recipes(session, candidates, config.final.candidates)
    return Searched(unit, baselines, candidates, finalists, limit.reason)


def chosen_recipe(session: Session, found: Searched) -> Chosen:
    """Train the finalists as far as it takes to choose one, and the chosen one to the end, with those that vote.

    A recipe whose final trainings all diverge gives no network: then the next best takes its place, as long as there is
    one.
    """
    finalists, candidates = found.finalists, found.candidates
    swept, failed = None, list[TrainedEntry]()
    while True:
        others = companions(session, candidates, finalists[0].recipe) if candidates and finalists else []
        if len(finalists) == 1:
            swept = sweep_beside(session, found.baselines, finalists[0].recipe, others)
        winner, trained = choose(session, finalists, others)
        further = [] if winner.gave_a_network else _further(session, candidates, [*failed, *trained])
        if not further:
            return Chosen(winner, [*failed, *trained], swept)
        session.say("All final trainings of the chosen recipe diverged; the next best recipe takes its place.")
        failed += trained
        finalists = further


def _further(session: Session, candidates: list[Candidate], tried: Sequence[TrainedEntry]) -> list[Ranked]:
    """Return the best recipe of the search whose final trainings were not tried; none where it found no other."""
    known = {entry.tasks[0].recipe for entry in tried}
    return [one for one in ranked_recipes(session, candidates, len(known) + 1) if one.recipe not in known][:1]


def _measured(session: Session, best: Keeper) -> Unit:
    """Return the unit of cost; where trainings stop early, nothing but a full fine-tune to its end can tell it."""
    if session.config.training.stopping == "planned":
        return first_epochs(session)
    session.ledger.plan("full", 1)
    full = full_finetune(session, seeds=1)
    best.offer("full", "", full.tasks[0], full.results[0])
    return Unit.of(full.results)


def _plan(session: Session, baselines: tuple[Baseline, ...], unit: float) -> None:
    """Announce the trainings that are coming, for the time that is left; none of a search that has no time."""
    config = session.config
    can_search = not config.budget.seconds or room_for_search(session, unit, baselines) >= unit
    searched = config.searched_trainings() if can_search else 0
    session.ledger.plan("search", searched)
    session.ledger.plan("final", config.final_trainings(config.final.candidates))
    for name in baselines:
        session.ledger.plan(name, config.final.seeds)
    if "full_tuned" in baselines:
        session.ledger.plan("sweep", searched)
    session.ledger.plan(OUT_OF_FOLD, len(session.tasks.estimating))
