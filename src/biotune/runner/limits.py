"""When to stop: limits choose how far a run goes along its trajectory, never which way it takes.

A limit is asked before every batch (``admits``) and before every candidate of it (``allows``), in order. It looks at
the results of the candidates before it, and at those alone, though several workers may have finished some behind it. So
limits that count evaluations or work cut at the same candidate for any number of workers. A cost limit adds up stored
seconds, in the same order; a time budget looks at the clock. Where these cut depends on the machine and its load: it is
stored, as a number of trainings, and obeyed from then on.
"""

from dataclasses import dataclass
from typing import Protocol

from biotune.runner.session import Session
from biotune.runner.unit import Unit
from biotune.runs.store import MAIN_SEARCH
from biotune.settings.sections import BASELINES, Baseline
from biotune.wording import plural

SMALLEST_WORK = 1e-9
"""Keeps expected work above 0 where all candidates so far were infeasible; in epochs of full fine-tuning."""

FINAL_SHARE = 0.8
"""Expected cost of training a recipe, in full fine-tunes: a guess, since most recipes freeze some blocks. Seconds that
were measured replace it where the search trains its candidates to the end."""


FIRST_SHARE = 0.75
"""Share of the allowance that the race of the first batch may take, where others follow. Chosen by hand."""


CLOSING_S = 5.0
"""Seconds of a time budget that are kept for the test, the results and the page. Chosen by hand."""


FREE: Baseline = "probe"
"""The baseline that is never left out: it is the first model of every run, so it costs next to nothing."""


@dataclass(frozen=True)
class Estimate:
    """Expected costs in seconds, from the first full fine-tune.

    Args:
        full_finetune: one full fine-tune.
        final: the final phase.
        baselines: the final trainings of the planned baselines that are not done yet (the sweep left out).
    """

    full_finetune: float
    final: float
    baselines: float


def affordable_baselines(session: Session, full_finetune: float) -> tuple[Baseline, ...]:
    """Return the baselines that a time budget leaves room for, next to a search of two full fine-tunes at least.

    The decision is stored, and obeyed when the run is continued under the same budget.
    """
    wanted = session.config.final.baselines
    limit = session.config.budget.seconds
    if not limit:
        return wanted
    stored = session.store.fact("baselines")
    if stored and stored["limit"] == limit:
        return tuple(name for name in BASELINES if name in stored["names"])
    kept = list(wanted)
    while set(kept) - {FREE} and room_for_search(session, full_finetune, tuple(kept)) < 2 * full_finetune:
        kept.remove(_most_expensive(kept))
    session.store.set_fact("baselines", {"limit": limit, "names": kept})
    if len(kept) < len(wanted):
        left_out = ", ".join(name for name in wanted if name not in kept)
        session.say(f"The time budget leaves no room to compare with: {left_out}.", warning=True)
    return tuple(kept)


def _most_expensive(names: list[Baseline]) -> Baseline:
    order: list[Baseline] = ["full_tuned", "mask_one_rate", "full", "linear_probe"]
    return next(name for name in order if name in names)


def estimate(session: Session, full_finetune: float, baselines: tuple[Baseline, ...]) -> Estimate:
    """Return expected costs of what follows the search."""
    final = session.config.final
    searched = session.ledger.trainings("search")
    one = FINAL_SHARE * full_finetune
    if searched and not session.tasks.rungs[-1]:  # the search trained to the end, as the final phase will
        one = session.ledger.spent("search") / searched * session.config.data.folds
    runs = session.config.final_trainings(final.candidates) + len(session.tasks.estimating)
    shares: dict[Baseline, float] = {
        "full": final.seeds - session.ledger.trainings("full"),
        "full_tuned": final.seeds,
        "mask_one_rate": FINAL_SHARE * final.seeds,
        "linear_probe": 0.5 * final.seeds,
        FREE: 0.0,
    }
    return Estimate(full_finetune, runs * one, sum(shares[name] for name in baselines) * full_finetune)


def room_for_search(session: Session, full_finetune: float, baselines: tuple[Baseline, ...]) -> float:
    """Return the seconds that a time budget leaves to the search; the tuned baseline's sweep takes as many again."""
    cost = estimate(session, full_finetune, baselines)
    workers = session.config.compute.workers
    left = session.config.budget.seconds - session.ledger.used_seconds - CLOSING_S
    room = left - (cost.final + cost.baselines) / workers
    if "full_tuned" not in baselines:
        return room
    return (room - session.ledger.spent("search") / workers) / 2


def time_budget(session: Session) -> str:
    """Return the time budget as the limit that ended a search."""
    return f"the time budget of {session.config.budget.seconds:g} s"


class Limit(Protocol):
    """Ends a search; ``reason`` then says why, and is empty before."""

    reason: str

    def admits(self, candidates: int, batch: int, rung: int | None) -> int:
        """Return how many candidates of a batch may begin, after so many earlier ones; ``rung`` as in ``Batch``."""

    def allows(self, candidates: int, trainings: int) -> bool:
        """Return whether the next candidate may be trained, after so many trainings (all seeds of one count once)."""

    def goes_on(self, work: float, candidates: int) -> bool:
        """Return whether one of the ``candidates`` that have begun may go on, to a rung that takes so much work."""

    def share(self, candidates: int) -> float:
        """Return how much of the search is done after so many candidates, at least one, in (0, 1]."""


def work_of_one(session: Session, candidates: int, rung: int | None) -> float:
    """Return the expected work of one more candidate, above 0: the mean so far, or by the epochs to a rung.

    Args:
        session: the open run, with the search.
        candidates: how many there are so far, at least one.
        rung: where it stops, as in ``Batch``.

    Returns:
        Epochs of full fine-tuning on all training images.
    """
    used = max(session.work(session.search_name), SMALLEST_WORK)
    if rung is None:
        return used / candidates
    epochs = session.tasks.rungs[rung] or session.config.training.epochs
    if session.tasks.out_of_fold and rung == len(session.tasks.rungs) - 1:
        epochs *= len(session.tasks.judging)
    return used * epochs * len(session.tasks.search_seeds) / max(1, session.ledger.epochs(session.search_name))


class WorkLimit:
    """Gives a search as much work as another had; work is counted, not timed, so a continued run stops alike.

    A batch that has begun finishes its race. Only as many of its candidates begin as the work that is left can finish,
    at the mean of the candidates so far, but one where any is left: so the allowance is used up, and exceeded by about
    one candidate at most. The first batch is the start, which all searches share, and begins whole.

    Args:
        session: the open run, with the search to be limited.
        allowance: in epochs of full fine-tuning on all training images.
    """

    def __init__(self, session: Session, allowance: float) -> None:
        self.session = session
        self.allowance = allowance
        self.reason = ""

    def admits(self, candidates: int, batch: int, rung: int | None) -> int:
        """Return how many of a batch the work that is left can finish."""
        most = self.session.config.budget.max_evaluations
        if not candidates:
            return min(batch, most or batch)
        used = self.session.work(self.session.search_name)
        left = self.allowance - used
        affordable = max(1, int(left / work_of_one(self.session, candidates, rung))) if left > 0 else 0
        if affordable < batch:
            spent = f"{candidates} candidates took {used:.0f} epochs of full fine-tuning"
            last = f", and {affordable} more of the next {batch} begin" if affordable else ""
            self.reason = f"the work of BioTune's search: {spent}{last}"
        return min(affordable, batch)

    def allows(self, candidates: int, trainings: int) -> bool:
        """Return True: what has begun finishes its race."""
        del candidates, trainings
        return True

    def goes_on(self, work: float, candidates: int) -> bool:
        """Return True: what has begun finishes its race."""
        del work, candidates
        return True

    def share(self, candidates: int) -> float:
        """Return the share of the allowance that is used."""
        used = self.session.work(self.session.search_name) / self.allowance
        return min(1.0, max(used, candidates / self.session.config.search.evaluations))


class SearchLimit:
    """Says how far a run's own search may go: by its allowance of work, and by the budget.

    Args:
        session: the open run.
        unit: one full fine-tune.
        baselines: final trainings that time is kept for.
    """

    def __init__(self, session: Session, unit: Unit, baselines: tuple[Baseline, ...]) -> None:
        self.session = session
        self.full_finetune = unit.seconds
        self.unit = unit.epochs
        self.baselines = baselines
        self.reason = ""
        self._limits = session.config.budget.model_dump()
        self._fact = "search_stop" if session.search_name == MAIN_SEARCH else f"search_stop {session.search_name}"
        stored = session.store.fact(self._fact)
        self._stored = stored if stored and stored["limits"] == self._limits else None

    def admits(self, candidates: int, batch: int, rung: int | None) -> int:
        """Return how many of a batch may begin, by the work that is left and by ``max_evaluations``.

        The first batch begins whole. Of others, as many begin as the work that is left can finish, each at the mean of
        the candidates so far.
        """
        allowance = self.session.config.search.max_work * self.unit
        used = self.session.work(self.session.search_name)
        admitted = batch
        if allowance and candidates:
            affordable = int(max(0.0, allowance - used) / work_of_one(self.session, candidates, rung))
            if affordable < batch:
                self.reason = self._allowance_words(candidates, affordable, used)
            admitted = min(batch, affordable)
        most = self.session.config.budget.max_evaluations
        if most and candidates + admitted > most:
            self.reason = f"the limit of {plural(most, 'evaluation')}"
            admitted = most - candidates
        return admitted

    def goes_on(self, work: float, candidates: int) -> bool:
        """Return whether so much work fits what is left; the first batch leaves a share to those after it."""
        search = self.session.config.search
        first = candidates <= search.population and search.evaluations > search.population
        most = search.max_work * self.unit * (FIRST_SHARE if first else 1.0)
        return not most or self.session.work(self.session.search_name) + work <= most

    def _allowance_words(self, candidates: int, more: int, used: float) -> str:
        search = self.session.config.search
        unit = "full fine-tune" if search.max_work == 1 else "full fine-tunes"
        first = used > search.max_work * self.unit and candidates <= search.population
        always = ", the first batch, which is always tried," if first else ""
        spent = f"{candidates} candidates{always} took {used / self.unit:.1f}"
        last = f", and {plural(more, 'more candidate')} can be tried" if more else ""
        return f"the allowance of {search.max_work:g} {unit} of work (--max-work): {spent}{last}"

    def share(self, candidates: int) -> float:
        """Return the share of the evaluations, or of the cost where that limit comes first."""
        session, budget = self.session, self.session.config.budget
        evaluations = session.config.search.evaluations
        shares = [candidates / min(evaluations, budget.max_evaluations or evaluations)]
        if session.config.search.max_work:
            shares.append(session.work(session.search_name) / (session.config.search.max_work * self.unit))
        if budget.max_cost:
            shares.append(session.ledger.spent(session.search_name) / (budget.max_cost * self.full_finetune))
        return min(1.0, max(shares))

    def allows(self, candidates: int, trainings: int) -> bool:
        """Return whether the budget has room for the next training; a stop is stored, and obeyed from then on."""
        del candidates
        if self._stored is None and (reason := self._spent()):
            self._stored = {"trainings": trainings, "reason": reason, "limits": self._limits}
            self.session.store.set_fact(self._fact, self._stored)
        if self._stored is None or trainings < self._stored["trainings"]:
            return True
        self.reason = self._stored["reason"]
        return False

    def _spent(self) -> str:
        """Return which limit the next training would break."""
        budget, session, name = self.session.config.budget, self.session, self.session.search_name
        done = session.ledger.trainings(name)
        next_one = session.ledger.spent(name) / done if done else self.full_finetune
        if budget.max_cost and session.ledger.spent(name) + next_one > budget.max_cost * self.full_finetune:
            return f"the cost limit of {budget.max_cost:g} full fine-tunes"
        if budget.seconds and room_for_search(session, self.full_finetune, self.baselines) < next_one:
            return time_budget(session)
        return ""
