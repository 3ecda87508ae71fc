"""Templates: pages that escape every text, and sentences; figures inside a page."""

import re
from collections.abc import Mapping

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup
from matplotlib.figure import Figure

from biotune import wording
from biotune.metrics import METRICS
from biotune.report import figures as draw
from biotune.statistics import accuracy_interval

_FILTERS = (
    "percent", "share", "points", "duration", "cost", "count", "parameters", "multiplier", "rate", "label",
    "memory", "plural", "listed", "method_name", "named_values",
)  # fmt: skip
VERDICT_MARKS = {"better": "\N{BLACK UP-POINTING TRIANGLE}", "tie": "=", "worse": "\N{BLACK DOWN-POINTING TRIANGLE}"}
_SPACES = re.compile(r"[ \n]+")  # no-break spaces are kept


def page_template(name: str) -> Template:
    """Return the template of a page, by its file in ``templates``, with the functions of ``wording`` as filters.

    Every string that it prints is escaped and freed of control characters.
    """
    return _environment(autoescape=True).get_template(name)


class Sentences:
    """The sentences of a template for text: facts go in, words come out.

    What is returned is plain text, freed of control characters; a page escapes it, as it does every text.

    Args:
        name: name of the template's file in ``templates``; it holds macros.
        **facts: values that the macros may use.
    """

    def __init__(self, name: str, /, **facts: object) -> None:
        self._macros = _environment(autoescape=False).get_template(name).make_module(facts)

    def paragraphs(self, macro: str) -> list[str]:
        """Return the paragraphs of a macro's text (blank lines separate them), each in one line."""
        text = str(getattr(self._macros, macro)())
        return [_SPACES.sub(" ", part).strip() for part in re.split(r"\n\s*\n", text) if part.strip()]

    def __call__(self, macro: str) -> str:
        """Return the text of a macro, in one line."""
        return " ".join(self.paragraphs(macro))


def embedded(figures: Mapping[str, Figure]) -> dict[str, Markup]:
    """Return figures as SVG elements for a page; their ids begin with their names."""
    return {name: Markup(draw.to_svg(figure, name)) for name, figure in figures.items()}


def _environment(autoescape: bool) -> Environment:
    environment = Environment(
        loader=PackageLoader("biotune", "report/templates"), autoescape=autoescape, undefined=StrictUndefined,
        finalize=_harmless, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters.update({name: getattr(wording, name) for name in _FILTERS}, fact=_fact, written=_written)
    environment.globals.update(
        metrics=METRICS, interval=wording.interval, marks=VERDICT_MARKS, accuracy_interval=accuracy_interval
    )
    return environment


def _harmless(value: object) -> object:
    """Make what a template prints fit to print; what is already marked as safe stays."""
    return wording.printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _fact(value: object) -> str:
    """Write a setting of any plain type."""
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value)) or wording.MISSING
    return wording.MISSING if value is None else str(value)


def _written(value: float | None, metric: str, unit: str = "\N{NO-BREAK SPACE}%") -> str:
    """Write a value of a metric."""
    return METRICS[metric].write(value, unit)
