"""What the report's pages have in common: templates that escape every text, and figures inside the page."""

from collections.abc import Mapping

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup
from matplotlib.figure import Figure

from biotune import wording
from biotune.report import figures as draw

_FILTERS = (
    "percent", "share", "points", "duration", "cost", "count", "parameters", "multiplier", "rate", "label", "memory",
)  # fmt: skip


def page_template(name: str) -> Template:
    """Return a template of this package.

    Every string that it prints is escaped and freed of control characters.

    Args:
        name: of its file.

    Returns:
        The template, with the functions of ``wording`` as filters.
    """
    environment = Environment(
        loader=PackageLoader("biotune", "report"), autoescape=True, undefined=StrictUndefined, finalize=_harmless,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters.update({name: getattr(wording, name) for name in _FILTERS}, fact=_fact)
    return environment.get_template(name)


def embedded(figures: Mapping[str, Figure]) -> dict[str, Markup]:
    """Return figures as SVG elements to stand in a page, their names as prefixes of their ids."""
    return {name: Markup(draw.to_svg(figure, name)) for name, figure in figures.items()}


def _harmless(value: object) -> object:
    """Make what a template prints fit to print; what is already marked as safe stays."""
    return wording.printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _fact(value: object) -> str:
    """Write a setting of any plain type."""
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value)) or wording.MISSING
    return wording.MISSING if value is None else str(value)
