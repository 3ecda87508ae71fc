"""The stated grids: what a careful user would try for each method, besides its defaults."""

from collections.abc import Mapping

from biotune.methods import canonical, parse_method
from biotune.runner.final import Choice
from biotune.runner.sweep import RATES, Axis

OWN: Mapping[str, tuple[str, tuple[float, ...]]] = {
    "l1_sp": ("alpha", (1e-3, 1e-5, 1e-2)),
    "l2_sp": ("alpha", (1e-1, 1e-3, 1e-4)),
    "llrd": ("decay", (0.9, 0.65, 0.5)),
    "lora": ("r", (4, 16)),
    "lp_ft": ("share", (0.25,)),
}
"""Method -> its own option and what else is tried for it, at the best rate. Penalties: the grid of Li et al. (2018)."""


def rates() -> Axis:
    """Return the learning rates of a method's sweep, as multiples of the run's."""
    return Axis(RATES, lambda best, rate: _with(best.method, "rate", rate))


def own_of(method: str) -> list[Axis]:
    """Return the method's own options that its sweep tries.

    Args:
        method: name and options; those that the grid does not try stay as they are.

    Returns:
        One axis per option; none where the method has no such option.
    """
    name, _ = parse_method(method)
    if name not in OWN:
        return []
    option, values = OWN[name]
    return [Axis(values, lambda best, value: _with(best.method, option, value))]


def _with(method: str, option: str, value: float) -> Choice:
    name, options = parse_method(method)
    given = {**options.model_dump(exclude_defaults=True), option: value}
    text = canonical(f"{name}:" + ",".join(f"{key}={_text(item)}" for key, item in given.items()))
    return Choice(text, None, text)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
