"""What is trained without a search: a method, or a recipe."""

from pathlib import Path
from typing import Any

from biotune.errors import InputError
from biotune.methods.registry import METHODS, canonical, parse_method
from biotune.recipe import Recipe
from biotune.records import GIVEN, GIVEN_ONCE


def trained_by(method: str | None, recipe: Path | None) -> dict[str, dict[str, str]]:
    """Return the settings, by section, that say what is trained: by a method, or by a recipe.

    Raises InputError: both or neither is given, or the method is unknown.
    """
    if (method is None) == (recipe is None):
        raise InputError("give either --method NAME or --recipe FILE (see 'biotune methods').")
    if method is None:
        return {"method": {"name": GIVEN}, "search": {"start_from": str(recipe)}}
    if method.partition(":")[0] in (GIVEN, GIVEN_ONCE):
        raise InputError("give a recipe by its file: --recipe FILE instead of --method.")
    return {"method": {"name": canonical(method)}}


def options_of_method(method: str | None) -> dict[str, Any]:
    """Return the settings of the final phase, which are options too, that a method has unless the user says otherwise.

    One network is all that the method ``probe`` needs: nothing is random in it but the folds that choose its penalty.
    """
    return {"seeds": 1} if method is not None and METHODS[parse_method(method)[0]].is_solved else {}


def options_of_recipe(path: Path) -> dict[str, Any]:
    """Return network, base rate and optimiser of a recipe as options; raises InputError where it cannot be read."""
    found = Recipe.load(path)
    options: dict[str, Any] = {"learning_rate": found.base_learning_rate, "optimizer": found.optimizer}
    return {**options, "model": found.model} if found.model else options
