"""Which methods there are, and how ``name:option=value,...`` becomes one."""

from collections.abc import Mapping
from typing import Any

from biotune import options
from biotune.methods.auto_rgn import AutoRGN
from biotune.methods.base import FineTuningMethod, MethodOptions, Network
from biotune.methods.fixed import Full, GivenRecipe, LayerDecay, LinearProbe
from biotune.methods.lora import LoRA
from biotune.methods.lp_ft import ProbeThenFull
from biotune.methods.probe import Probe
from biotune.methods.starting_point import L1SP, L2SP
from biotune.methods.unfreezing import GradualFirstLast, GradualLastFirst
from biotune.recipe import Recipe
from biotune.records import GIVEN

PROBE = "probe"
"""The method that fits the classifier at once; with its default options it gives the fitted start of others too."""

METHODS: dict[str, type[FineTuningMethod]] = {
    "full": Full,
    "linear_probe": LinearProbe,
    PROBE: Probe,
    "lp_ft": ProbeThenFull,
    "l1_sp": L1SP,
    "l2_sp": L2SP,
    "gradual_last_first": GradualLastFirst,
    "gradual_first_last": GradualFirstLast,
    "auto_rgn": AutoRGN,
    "lora": LoRA,
    "llrd": LayerDecay,
    GIVEN: GivenRecipe,
}


def make_method(text: str, network: Network, recipe: Recipe | None = None) -> FineTuningMethod:
    """Return the method that a text names, for one network.

    Args:
        text: ``name`` or ``name:option=value,...``.
        network: the network to be tuned.
        recipe: the recipe that the method ``given`` trains; None for all others. One that is a probe is trained as the
            method ``probe`` does.

    Returns:
        The method, good for one training.

    Raises:
        InputError: unknown name or option, or a value out of range.
    """
    name, chosen = parse_method(PROBE if recipe is not None and recipe.is_probe else text)
    return METHODS[name](network, chosen, recipe)


def parse_method(text: str) -> tuple[str, MethodOptions]:
    """Return the name in ``METHODS`` and the checked options of ``name`` or ``name:option=value,...``.

    Raises InputError: unknown name or option, or a value out of range.
    """
    name, chosen = options.split(text, "method", METHODS)
    return name, options.checked(METHODS[name].Options, chosen, f"method '{name}'")


def configured(text: str, defaults: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the one spelling of a method, with options of a preset where the text does not give them.

    Args:
        text: ``name`` or ``name:option=value,...``.
        defaults: method -> option -> value.

    Returns:
        As ``canonical``.

    Raises:
        InputError: unknown name or option, or a value out of range, in either of them.
    """
    for other, values in defaults.items():
        options.checked(METHODS[options.split(other, "method", METHODS)[0]].Options, values, f"method '{other}'")
    name, chosen = options.split(text, "method", METHODS)
    return options.written(
        name, options.checked(METHODS[name].Options, {**defaults.get(name, {}), **chosen}, f"method '{name}'")
    )


def canonical(text: str) -> str:
    """Return the one spelling of a method: options in a fixed order, those at their default left out.

    Raises InputError: unknown name or option, or a value out of range.
    """
    return options.written(*parse_method(text))
