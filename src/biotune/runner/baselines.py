"""What a recipe is compared with: full fine-tuning, tuned and not, its own mask, and linear probing."""

from dataclasses import replace

from biotune.recipe import Recipe
from biotune.records import GIVEN
from biotune.runner.final import Choice, TrainedEntry, final_trainings
from biotune.runner.session import Session
from biotune.runner.sweep import RATES, Axis, Swept, sweep
from biotune.runs.store import MAIN_SEARCH
from biotune.settings.sections import Baseline


def rates_of(recipe: Recipe) -> Axis:
    """Return the rates at which the blocks that a recipe trains are all trained, for a sweep."""
    return Axis(RATES, lambda _best, rate: at_rate(recipe, rate))


def at_rate(recipe: Recipe, rate: float) -> Choice:
    """Return the choice that trains the blocks of a recipe at one rate."""
    return Choice(GIVEN, recipe.at_one_rate(rate), f"rate x{rate:g}")


def baseline(
    session: Session, name: Baseline, winner: TrainedEntry, seeds: int | None = None, swept: Swept | None = None
) -> TrainedEntry:
    """Train a baseline on the final seeds, or the first ones.

    Args:
        session: of the run, after the search.
        name: ``full`` trains every block at the base rate, ``full_tuned`` at the best rate of a sweep that may do as
            much work as the search did; ``mask_one_rate`` trains the blocks that the recipe trains, all at the base
            rate: what the mask alone is worth; ``linear_probe`` trains the fresh classifier alone; ``probe`` is
            logistic regression on the features of the frozen network.
        winner: the chosen recipe.
        seeds: how many; None for all.
        swept: what the sweep of the tuned one found, where it is done already.

    Returns:
        The final trainings; the cost of a tuned baseline includes its sweep.
    """
    chosen = choice_of(session, name, winner.tasks[0].recipe or session.full_recipe)
    if chosen is not None:
        return final_trainings(session, name, chosen, seeds)
    swept = swept or sweep_full(session)
    tuned = final_trainings(session, name, swept.best, seeds)
    rate = swept.best.recipe.multipliers[0] if swept.best.recipe else 1.0
    return replace(tuned, cost=tuned.cost + session.cost("sweep"), multiplier=rate, sweep=swept.rows)


def sweep_full(session: Session) -> Swept:
    """Find the best rate of full fine-tuning by as much work as the search did."""
    full = session.full_recipe
    return sweep(session, "sweep", at_rate(full, 1.0), rates_of(full), (), session.work(MAIN_SEARCH))


def choice_of(session: Session, name: Baseline, recipe: Recipe | None = None) -> Choice | None:
    """Return what a baseline trains; None where a sweep has to find it, or where the chosen recipe is not known yet."""
    if name == "full":
        return Choice(GIVEN, session.full_recipe)
    if name == "mask_one_rate":
        return None if recipe is None else Choice(GIVEN, recipe.at_one_rate())
    return None if name == "full_tuned" else Choice(name)


def full_finetune(session: Session, seeds: int | None = None) -> TrainedEntry:
    """Train every block at the base rate: the unit of cost, and a usable model from the start."""
    return final_trainings(session, "full", Choice(GIVEN, session.full_recipe), seeds)
