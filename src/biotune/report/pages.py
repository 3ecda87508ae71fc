"""What the report's pages have in common: templates that escape every text, and figures inside the page."""

from collections.abc import Mapping

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup
from matplotlib.figure import Figure

from biotune.report import figures as draw
from biotune.report import text


def page_template(name: str) -> Template:
    """Return a template of this package.

    Every string that it prints is escaped and freed of control characters.

    Args:
        name: of its file.

    Returns:
        The template, with the functions of ``text`` as filters.
    """
    environment = Environment(
        loader=PackageLoader("biotune", "report"), autoescape=True, undefined=StrictUndefined, finalize=_harmless,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters.update(
        percent=text.percent, share=text.share, points=text.points, duration=text.duration, cost=text.cost,
        count=text.count, parameters=text.parameters, multiplier=text.multiplier, rate=text.rate, label=text.label,
        memory=text.memory, fact=_fact,
    )  # fmt: skip
    return environment.get_template(name)


def embedded(figures: Mapping[str, Figure]) -> dict[str, Markup]:
    """Return figures as SVG elements to stand in a page, their names as prefixes of their ids."""
    return {name: Markup(draw.to_svg(figure, name)) for name, figure in figures.items()}


def _harmless(value: object) -> object:
    """Make what a template prints fit to print; what is already marked as safe stays."""
    return text.printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _fact(value: object) -> str:
    """Write a setting of any plain type."""
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value)) or text.MISSING
    return text.MISSING if value is None else str(value)
