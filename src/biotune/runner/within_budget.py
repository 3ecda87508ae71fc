"""What a run leaves out where its time budget is less than it needs: decided once, before anything slow, and stored.

``limits.py`` ends the search and drops baselines by what trainings have taken. That is too late where one training
takes longer than the whole budget: here a few steps are measured first.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace

from biotune.recipe import FITTED, HEAD_START, Recipe
from biotune.runner.estimate import measure_epoch
from biotune.runner.limits import CLOSING_S, FINAL_SHARE
from biotune.runner.session import Session
from biotune.runner.unit import Unit
from biotune.settings.config import RunConfig
from biotune.wording import duration, plural

_FACT = "within_budget"
_PROBE = {HEAD_START: FITTED}
SMALLEST_SEARCH = 1.0
"""A search begins where there is time for so many full fine-tunes, that of the unit included. Chosen by hand."""


@dataclass(frozen=True)
class Kept:
    """What a time budget has room for.

    Args:
        searches: whether recipes are searched; else every block is trained at the base rate.
        finalists: recipes that are trained again to choose one.
        seeds: final trainings of the chosen recipe; 0: no block is trained, only the classifier is fitted.
        full_finetune: expected seconds of one full fine-tune; 0 without a budget.
    """

    searches: bool
    finalists: int
    seeds: int
    full_finetune: float = 0.0

    def config(self, config: RunConfig) -> RunConfig:
        """Return the configuration with a final phase of this size."""
        seeds = max(1, self.seeds)
        companions = min(config.final.companions, seeds - 1)
        changes = {"seeds": seeds, "candidates": self.finalists, "companions": companions}
        return config.model_copy(update={"final": config.final.model_copy(update=changes)})

    def unit(self, config: RunConfig) -> Unit:
        """Return the unit of cost as a few steps tell it."""
        return Unit(self.full_finetune, config.training.epochs, self.full_finetune * config.compute.threads)

    def fallback(self, full: Recipe) -> Recipe:
        """Return what is trained without a search: every block, or none."""
        return full if self.seeds else full.with_multipliers((0.0,) * len(full.multipliers)).with_values(_PROBE)


def within_budget(session: Session) -> tuple[Session, Kept]:
    """Return the session with a final phase that the time budget has room for, and what else it has room for.

    What is left out is said, before it would begin. The decision depends on the clock, so it is stored, and obeyed when
    the run is continued under the same budget.
    """
    final, limit = session.config.final, session.config.budget.seconds
    whole = Kept(True, final.candidates, final.seeds)
    if not limit:
        return session, whole
    stored = session.store.fact(_FACT)
    if stored and stored["limit"] == limit:
        kept = Kept(**stored["kept"])
    else:
        seconds = measure_epoch(session.worker) * session.config.training.epochs
        room = limit - session.ledger.used_seconds - CLOSING_S
        options = (replace(option, full_finetune=seconds) for option in _options(whole))
        kept = next(option for option in options if not option.seeds or needed(session, option) <= room)
        session.store.set_fact(_FACT, {"limit": limit, "kept": asdict(kept)})
    if sentence := _sentence(kept, whole, limit):
        session.say(sentence, warning=True)
    tasks = replace(session.tasks, config=kept.config(session.config))
    return replace(session, tasks=tasks), kept


def _options(whole: Kept) -> Iterator[Kept]:
    """Yield what a run may consist of, from everything to nothing but the classifier."""
    yield whole
    for searches in (True, False):
        yield from (Kept(searches, 1, seeds) for seeds in range(whole.seeds, 0, -1))
    yield Kept(False, 1, 0)


def needed(session: Session, kept: Kept) -> float:
    """Return the expected seconds of a run that consists of so much, without its baselines."""
    trainings = kept.config(session.config).final_trainings(kept.finalists) + len(session.tasks.estimating)
    ends = trainings * (FINAL_SHARE if kept.searches else 1.0) / session.config.compute.workers
    return kept.full_finetune * (ends + (SMALLEST_SEARCH if kept.searches else 0.0))


def _sentence(kept: Kept, whole: Kept, limit: float) -> str:
    """Return what is left out; empty where nothing is."""
    budget = f"The time budget of {duration(limit)}"
    if not kept.seeds:
        return (
            f"{budget} has no room to fine-tune, which takes about {duration(kept.full_finetune)} for one network: "
            "nothing is searched and no block is trained; the model is the classifier that is fitted to the features "
            "of the frozen network."
        )
    seeds = f"{kept.seeds} of {plural(whole.seeds, 'final network')}"
    if not kept.searches:
        return (
            f"{budget} has no room for a search, of which a full fine-tune takes about {duration(kept.full_finetune)}: "
            f"nothing is searched; every block is trained at the base rate, for {seeds}."
        )
    if (kept.finalists, kept.seeds) != (whole.finalists, whole.seeds):
        return (
            f"{budget} has room for {kept.finalists} of {plural(whole.finalists, 'finalist')} and for {seeds}; "
            "the search is short."
        )
    return ""
