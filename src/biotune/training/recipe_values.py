"""The named values of a recipe: settings of a training that the recipe changes for itself."""

from pydantic import ValidationError

from biotune.errors import InputError
from biotune.recipe import Recipe
from biotune.settings.sections import TrainingConfig

RECIPE_VALUES = ("head_start", "statistics", "augment", "weight_decay")
"""Settings of a training that a recipe may carry. The others stay the same for every recipe of a run: they say how
recipes are compared (epochs, metric) or are fixed before a worker starts."""


def with_values(training: TrainingConfig, recipe: Recipe | None) -> TrainingConfig:
    """Return the settings of one training: those of the run, with the named values of the recipe on top.

    Args:
        training: settings of the run.
        recipe: what is trained; None, or one without values, changes nothing.

    Returns:
        The checked settings.

    Raises:
        InputError: a value that no training knows, or one that is out of range.
    """
    if recipe is None or not recipe.values:
        return training
    values = dict(recipe.values)
    if unknown := sorted(set(values) - set(RECIPE_VALUES)):
        raise InputError(
            f"the recipe has the value '{unknown[0]}', which this version cannot train with; "
            f"it knows {', '.join(RECIPE_VALUES)}."
        )
    try:
        return TrainingConfig.model_validate({**training.model_dump(), **values})
    except ValidationError as error:
        name = error.errors()[0]["loc"][0]
        raise InputError(f"the recipe's value {name} = {values[str(name)]!r} is out of range.") from None


def completed(recipe: Recipe, training: TrainingConfig, augmented: bool) -> Recipe:
    """Return a recipe that says all that its training was told: it names the run's settings, too.

    Args:
        recipe: what was trained; its own values stay.
        training: settings of the run; those at their defaults are left out.
        augmented: whether the training was marked for the run's augmentation.

    Returns:
        The recipe to be shown and saved.
    """
    names = [name for name in RECIPE_VALUES if augmented or name != "augment"]
    plain = {name: TrainingConfig.model_fields[name].default for name in names}
    told = {name: getattr(training, name) for name in names if getattr(training, name) != plain[name]}
    return recipe.with_values({**told, **dict(recipe.values)})
