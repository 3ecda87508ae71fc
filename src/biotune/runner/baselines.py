"""What a recipe is compared with: full fine-tuning, tuned and not, its own mask, and linear probing."""

from dataclasses import replace

from biotune.recipe import Recipe
from biotune.records import GIVEN
from biotune.runner.final import Choice, TrainedEntry, final_trainings
from biotune.runner.session import Session
from biotune.runner.sweep import RATES, Axis, sweep
from biotune.runs.store import MAIN_SEARCH
from biotune.settings.sections import Baseline


def rates_of(recipe: Recipe) -> Axis:
    """Return the rates at which the blocks that a recipe trains are all trained, for a sweep."""
    return Axis(RATES, lambda _best, rate: at_rate(recipe, rate))


def at_rate(recipe: Recipe, rate: float) -> Choice:
    """Return the choice that trains the blocks of a recipe at one rate."""
    return Choice(GIVEN, recipe.at_one_rate(rate), f"rate x{rate:g}")


def baseline(session: Session, name: Baseline, winner: TrainedEntry, seeds: int | None = None) -> TrainedEntry:
    """Train a baseline on the final seeds, or the first ones.

    Args:
        session: of the run, after the search.
        name: ``full`` trains every block at the base rate, ``full_tuned`` at the best rate of a sweep that may do as
            much work as the search did; ``mask_one_rate`` trains the blocks that the recipe trains, all at the base
            rate: what the mask alone is worth; ``linear_probe`` trains the fresh classifier alone; ``probe`` is
            logistic regression on the features of the frozen network.
        winner: the chosen recipe.
        seeds: how many; None for all.

    Returns:
        The final trainings; the cost of a tuned baseline includes its sweep.
    """
    if name == "full":
        return full_finetune(session, seeds)
    if name in ("linear_probe", "probe"):
        return final_trainings(session, name, Choice(name), seeds)
    if name == "mask_one_rate":
        mask = (winner.tasks[0].recipe or session.full_recipe).at_one_rate()
        return final_trainings(session, name, Choice(GIVEN, mask), seeds)
    full = session.full_recipe
    swept = sweep(session, "sweep", at_rate(full, 1.0), rates_of(full), (), session.work(MAIN_SEARCH))
    tuned = final_trainings(session, name, swept.best, seeds)
    rate = swept.best.recipe.multipliers[0] if swept.best.recipe else 1.0
    return replace(tuned, cost=tuned.cost + session.cost("sweep"), multiplier=rate, sweep=swept.rows)


def full_finetune(session: Session, seeds: int | None = None) -> TrainedEntry:
    """Train every block at the base rate: the unit of cost, and a usable model from the start."""
    return final_trainings(session, "full", Choice(GIVEN, session.full_recipe), seeds)
