"""The stated grids: what a careful user would try for each method, besides its defaults."""

from collections.abc import Mapping

from biotune.methods import canonical, parse_method
from biotune.recipe import Recipe
from biotune.records import GIVEN
from biotune.runner.baselines import RATES, Stage
from biotune.runner.final import Choice

OWN: Mapping[str, tuple[str, tuple[float, ...]]] = {
    "l1_sp": ("alpha", (1e-3, 1e-5, 1e-2)),
    "l2_sp": ("alpha", (1e-1, 1e-3, 1e-4)),
    "llrd": ("decay", (0.9, 0.65, 0.5)),
    "lora": ("r", (4, 16)),
    "lp_ft": ("share", (0.25,)),
}
"""Method -> its own option and what else is tried for it, at the best rate. Penalties: the grid of Li et al. (2018)."""


def stages_of(method: str) -> list[Stage]:
    """Return the stages of a method's sweep: learning rates first, then its own option at the best rate.

    Args:
        method: name and options; those that the grid does not try stay as they are.

    Returns:
        Functions from the best choice so far to the choices to try.
    """
    name, _ = parse_method(method)
    stages: list[Stage] = [lambda best: [_with(best.method, "rate", rate) for rate in RATES]]
    if name in OWN:
        option, values = OWN[name]
        stages.append(lambda best: [_with(best.method, option, value) for value in values])
    return stages


def mask_stages(mask: Recipe) -> list[Stage]:
    """Return the stage of a mask at one rate: learning rates only.

    Args:
        mask: a recipe; the blocks that it trains are trained at each of the rates.

    Returns:
        One stage.
    """
    return [lambda _best: [Choice(GIVEN, mask.at_one_rate(rate), f"rate x{rate:g}") for rate in RATES]]


def _with(method: str, option: str, value: float) -> Choice:
    name, options = parse_method(method)
    given = {**options.model_dump(exclude_defaults=True), option: value}
    text = canonical(f"{name}:" + ",".join(f"{key}={_text(item)}" for key, item in given.items()))
    return Choice(text, None, text)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
