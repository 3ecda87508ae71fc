"""The comparison on one data set: all selection first, then final trainings and the test, method by method."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from biotune.comparison.entries import BIOTUNE, MASK, Entry
from biotune.comparison.grids import own_of, rates
from biotune.methods import configured
from biotune.recipe import Recipe
from biotune.records import GIVEN, Evaluation
from biotune.runner.answers import Answers
from biotune.runner.baselines import at_rate, rates_of
from biotune.runner.certain import expect_search
from biotune.runner.final import Choice, TrainedEntry, choose, final_trainings
from biotune.runner.limits import Limit, SearchLimit, WorkLimit
from biotune.runner.search import ranked_recipes, run_search
from biotune.runner.session import Session
from biotune.runner.sweep import Swept, sweep
from biotune.runner.testing import TestSet, drop_weights, score
from biotune.runner.unit import Unit
from biotune.runs.store import Candidate
from biotune.trials.counting import Cost
from biotune.wording import plural

SWEEP_WITHOUT_SEARCH = 4.0
"""Allowance of a sweep, in full fine-tunes without early stopping, where no search says what it may cost."""

GENERATIONS_OF_OTHERS = 20
"""Generations of another search, as a multiple of BioTune's: so many that its allowance of work ends it first."""

FULL = "full"
UNIT_SEEDS = 3
"""At most so many full fine-tunes, whose mean is the unit of cost: single ones differ much in length."""


@dataclass(frozen=True)
class FinishedEntry:
    """What an entry reached on one data set.

    Args:
        trained: the final trainings.
        answers: on the test set; None without one.
        selection: cost of search or sweep, without the final trainings.
        memory: bytes of a training step, see ``Counter.step_bytes``.
        candidates: what a search evaluated; empty for a method.
        own: what of a search's candidates is its own; None for a method.
        swept: what the sweep of a tuned method found; None for others.
        optimistic: best mean test accuracy of all finalists of a search, as the papers report it: chosen on the test.
    """

    trained: TrainedEntry
    answers: Answers | None
    selection: Cost
    memory: int
    candidates: tuple[Candidate, ...] = ()
    own: "Own | None" = None
    swept: Swept | None = None
    optimistic: float | None = None


@dataclass(frozen=True)
class Own:
    """What a search tried beyond the start that all searches share, as different recipes.

    Args:
        tried: how many began the race.
        finished: how many of these came to its end.
    """

    tried: int
    finished: int


@dataclass(frozen=True)
class DataSetEntries:
    """The entries of a comparison on one data set.

    Args:
        unit: one full fine-tune.
        default: every entry at its own defaults, by key; searches are here.
        tuned: the same entries after their sweeps, by key.
    """

    unit: Unit
    default: Mapping[str, FinishedEntry]
    tuned: Mapping[str, FinishedEntry]

    @property
    def by_key(self) -> dict[str, FinishedEntry]:
        """All entries, the tuned ones under ``tuned_key``."""
        return {**self.default, **{tuned_key(key): finished for key, finished in self.tuned.items()}}


@dataclass(frozen=True)
class _ChosenEntry:
    """What an entry will be trained as, and for a search the trainings that it was chosen by."""

    key: str
    session: Session
    choice: Choice
    phases: tuple[str, ...]
    trained: TrainedEntry | None = None
    candidates: tuple[Candidate, ...] = ()
    own: Own | None = None
    swept: Swept | None = None
    finalists: tuple[TrainedEntry, ...] = ()


def tuned_key(key: str) -> str:
    """Return the name of the tuned entry of a method."""
    return f"{key} (tuned)"


def merged(parts: Sequence[DataSetEntries]) -> DataSetEntries:
    """Join entries with the same test images; the full fine-tune of the first is the unit."""
    default = {key: finished for part in parts for key, finished in part.default.items()}
    tuned = {key: finished for part in parts for key, finished in part.tuned.items()}
    return DataSetEntries(parts[0].unit, default, tuned)


def finish_entries(session: Session, entries: Sequence[Entry], tuned: bool, test: TestSet) -> DataSetEntries:
    """Do the comparison on one data set, or what is left of it.

    Args:
        session: open on the data set.
        entries: BioTune first, if it takes part.
        tuned: True to sweep every entry that has something to sweep.
        test: the test images; opened after all selection.

    Returns:
        What every entry reached.
    """
    _plan(session, entries, tuned)
    if any(entry.key == BIOTUNE for entry in entries):
        expect_search(session)
    unit = final_trainings(session, FULL, Choice(FULL, None, FULL), UNIT_SEEDS)
    session.say(f"One full fine-tune takes {_unit(unit).written(session.config.compute.device)}: the unit of cost.")
    searched = _search_all(session, [entry for entry in entries if entry.kind == "search"], unit.results)
    recipe = searched[BIOTUNE].choice.recipe if BIOTUNE in searched else None
    mask = recipe.at_one_rate() if recipe else None
    plain = {entry.key: _plain(session, entry, mask) for entry in entries if entry.kind != "search"}
    swept: dict[str, _ChosenEntry] = {}
    if tuned:
        allowance = session.work(session.search_name) or SWEEP_WITHOUT_SEARCH * session.config.training.epochs
        swept = {e.key: _sweep(session, plain[e.key], allowance) for e in entries if e.is_tuned}
    session.say("All choices are made; the test set is opened now." if test.exists else "There is no test set.")
    chosen = {**searched, **plain}
    finished = _finish_all([*chosen.values(), *swept.values()], test)
    default = dict(zip(chosen, finished[: len(chosen)], strict=True))
    full = default[FULL].trained if FULL in default else unit
    return DataSetEntries(
        _unit(full),
        {entry.key: default[entry.key] for entry in entries},
        dict(zip(swept, finished[len(chosen) :], strict=True)),
    )


def _plan(session: Session, entries: Sequence[Entry], tuned: bool) -> None:
    """Announce the trainings that are coming, for the time that is left."""
    config = session.config
    searched = config.searched_trainings()
    session.ledger.plan(FULL, UNIT_SEEDS)
    for entry in entries:
        if entry.kind == "search":
            own = session if entry.key == BIOTUNE else session.for_search(entry.key, config.search)
            session.ledger.plan(own.search_name, searched)
            session.ledger.plan(own.final_name, config.final_trainings(config.final.candidates))
            continue
        is_tuned = tuned and entry.is_tuned
        session.ledger.plan(entry.key, (1 + is_tuned) * config.final.seeds)
        if is_tuned:
            session.ledger.plan(_sweep_name(entry.key), searched)


def _unit(full: TrainedEntry) -> Unit:
    """Return the mean of full fine-tunes, on all images that a final training has."""
    cost, number = full.cost, len(full.tasks)
    return Unit(cost.seconds / number, cost.work / number, cost.cpu_seconds / number)


def _sweep_name(key: str) -> str:
    return f"sweep {key}"


def _search_all(session: Session, entries: Sequence[Entry], full: Sequence[Evaluation]) -> dict[str, _ChosenEntry]:
    """Let every search choose a recipe; the others get as much work as BioTune took."""
    chosen: dict[str, _ChosenEntry] = {}
    first: tuple[Candidate, ...] = ()  # those of BioTune, which comes first
    for entry in entries:
        own, limit = _with_limit(session, entry, full)
        own.say(f"Search: {entry.key}.")
        candidates = run_search(own, limit)
        if entry.key == BIOTUNE:
            first = tuple(candidates)
        count = _own(candidates, first or candidates, session.config.search.population)
        _tell_own(own, entry, count, {one.recipe for one in candidates} <= {one.recipe for one in first})
        winner, trained = choose(own, ranked_recipes(own, candidates, own.config.final.candidates))
        finalists = tuple(trained) if own.config.final.test_all else ()
        drop_weights(own, [other for other in trained if other is not winner and not finalists], keep=[winner])
        choice = Choice(GIVEN, winner.tasks[0].recipe, entry.key)
        chosen[entry.key] = _ChosenEntry(
            entry.key, own, choice, (own.search_name,), winner, tuple(candidates), count, None, finalists
        )
    return chosen


def _own(candidates: Sequence[Candidate], first: Sequence[Candidate], population: int) -> Own:
    """Return what of a search's candidates is its own: not among the first ``population`` ones, the shared start."""
    start = {one.recipe for one in first[:population]}
    tried = {one.recipe for one in candidates if one.outcome != "infeasible"} - start
    finished = {one.recipe for one in candidates if one.finished and one.outcome == "ok"} - start
    return Own(len(tried), len(finished))


def _tell_own(session: Session, entry: Entry, own: Own, nothing_new: bool) -> None:
    """Say how much of a search is its own, and warn where it tried nothing that BioTune's search had not tried."""
    tried = plural(own.tried, "candidate")
    session.say(
        f"Search {entry.key}: {own.finished} of {tried} of its own (beyond the shared start) finished the race."
    )
    if entry.key != BIOTUNE and nothing_new:
        name = f"'{entry.key}'"
        session.say(
            f"{name} tried no recipe that BioTune's search had not tried: what it changes did nothing here.", True
        )


def _with_limit(session: Session, entry: Entry, full: Sequence[Evaluation]) -> tuple[Session, Limit]:
    """Return the session of a search, and the limit that ends it."""
    if entry.key == BIOTUNE:
        return session, SearchLimit(session, Unit.of(full), ())
    allowance = session.work(session.search_name) if entry.equal_work else 0.0
    more = {"generations": GENERATIONS_OF_OTHERS * max(1, session.config.search.generations)} if allowance else {}
    own = session.for_search(entry.key, session.config.search.changed(**{**more, **entry.search}))
    return own, WorkLimit(own, allowance) if allowance else SearchLimit(own, Unit.of(full), ())


def _plain(session: Session, entry: Entry, mask: Recipe | None) -> _ChosenEntry:
    if entry.kind == "mask":
        return _ChosenEntry(entry.key, session, Choice(GIVEN, mask, MASK), ())
    method = configured(entry.typed or entry.key, session.config.method.options)
    return _ChosenEntry(entry.key, session, Choice(method, None, entry.key), ())


def _sweep(session: Session, chosen: _ChosenEntry, allowance: float) -> _ChosenEntry:
    phase = _sweep_name(chosen.key)
    choice = chosen.choice
    if choice.recipe:
        found = sweep(session, phase, at_rate(choice.recipe, 1.0), rates_of(choice.recipe), (), allowance)
    else:
        found = sweep(session, phase, choice, rates(), own_of(choice.method), allowance)
    return _ChosenEntry(chosen.key, session, found.best, (phase,), swept=found)


def _finish_all(chosen: Sequence[_ChosenEntry], test: TestSet) -> list[FinishedEntry]:
    """Finish one entry after the other; workers that it leaves free begin with the next one, but no further."""
    finished = []
    for one, following in zip(chosen, [*chosen[1:], None], strict=True):
        if following is not None and following.trained is None:
            choice = following.choice
            tasks = following.session.tasks.final(choice.method, choice.recipe)
            following.session.desk.expect(following.key, tasks, following.key)
        finished.append(_finish(one, test))
    return finished


def _finish(chosen: _ChosenEntry, test: TestSet) -> FinishedEntry:
    """Train on the final seeds, test, and delete the weights."""
    session = chosen.session
    trained = chosen.trained or final_trainings(session, chosen.key, chosen.choice)
    answers = score(session, trained, test.open())
    tested = [score(session, finalist, test.open()) for finalist in chosen.finalists]
    optimistic = max((float(answered.correct.mean()) for answered in tested if answered is not None), default=None)
    drop_weights(session, [trained, *chosen.finalists])
    selection = session.cost(*chosen.phases)
    if chosen.trained is not None:  # the final phase of a search holds the screening of its finalists too
        own = {task.key for task in trained.tasks}
        screened = [row for row in session.ledger.rows(session.final_name) if row[0].key not in own]
        selection += session.counter.cost(screened)
    memory = session.counter.step_bytes(trained.tasks[0])
    return FinishedEntry(trained, answers, selection, memory, chosen.candidates, chosen.own, chosen.swept, optimistic)
