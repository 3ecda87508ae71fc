"""Templates: pages that escape every text, and sentences; figures inside a page."""

import functools
import re
from collections.abc import Callable, Mapping

from jinja2 import BaseLoader, Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup
from matplotlib.figure import Figure

from biotune import wording
from biotune.metrics import METRICS
from biotune.report import figures as draw
from biotune.results import Summary
from biotune.statistics import accuracy_interval

_FILTERS = (
    "percent", "share", "points", "duration", "cost", "count", "parameters", "multiplier", "rate", "label",
    "memory", "moment", "plural", "listed", "method_name", "named_values",
)  # fmt: skip
VERDICT_MARKS = {"better": "\N{BLACK UP-POINTING TRIANGLE}", "tie": "=", "worse": "\N{BLACK DOWN-POINTING TRIANGLE}"}
_CODE = re.compile(r"(\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\})", re.DOTALL)
_STRING = re.compile(r'"[^"]*"')
_SPACES = re.compile(r"[ \n]+")  # no-break spaces are kept


def page_template(name: str, kind: str = "image") -> Template:
    """Return the template of a page, by its file in ``templates``, with the functions of ``wording`` as filters.

    ``kind`` is that of the data set: of texts, the page says texts where the template says images.

    Every string that it prints is escaped and freed of control characters.
    """
    return _environment(autoescape=True, kind=kind).get_template(name)


class Sentences:
    """The sentences of a template for text: facts go in, words come out.

    What is returned is plain text, freed of control characters; a page escapes it, as it does every text.

    Args:
        name: name of the template's file in ``templates``; it holds macros.
        **facts: values that the macros may use; the kind of the data set is that of ``summary``, where it is given.
    """

    def __init__(self, name: str, /, **facts: object) -> None:
        summary = facts.get("summary")
        kind = summary.data.kind if isinstance(summary, Summary) else "image"
        self._macros = _environment(autoescape=False, kind=kind).get_template(name).make_module(facts)

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


class _Loader(BaseLoader):
    """Loads templates as they are, or with texts in the place of images: in their words, never in what they print."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._loader = PackageLoader("biotune", "report/templates")

    def get_source(self, environment: Environment, template: str) -> tuple[str, str | None, Callable[[], bool] | None]:
        """Return the text of a template, its file, and whether that is unchanged."""
        source, file, is_unchanged = self._loader.get_source(environment, template)
        parts = _CODE.split(source)  # words and code in turns
        parts[::2] = [wording.about(self._kind, words) for words in parts[::2]]
        parts[1::2] = [_STRING.sub(lambda found: wording.about(self._kind, found[0]), code) for code in parts[1::2]]
        return "".join(parts), file, is_unchanged


@functools.cache  # what is compiled stays: a report has a dozen groups of sentences
def _environment(autoescape: bool, kind: str) -> Environment:
    environment = Environment(
        loader=_Loader(kind), autoescape=autoescape, undefined=StrictUndefined,
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
