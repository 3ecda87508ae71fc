"""The model card: ``README.md`` of an export. Its sentences are in a template; every text that it prints is escaped."""

import re
from collections.abc import Callable
from importlib.resources import files

import yaml
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from biotune import wording
from biotune.exports.parity import Parity
from biotune.exports.script import steps_of
from biotune.exports.source import HUB, ONNX, Format, Subject
from biotune.metrics import METRICS
from biotune.report.run_sentences import alarms
from biotune.results.entry import Vote
from biotune.results.summary import Exported
from biotune.statistics import accuracy_interval

MOST_CLASSES = 200
"""Classes that the card lists; the others are in the file of labels."""

_HUB = {
    "library_name": "timm",
    "pipeline_tag": "image-classification",
    "tags": ["image-classification", "timm", "biotune"],
}
"""What the Hugging Face hub reads at the head of a card."""

_SPECIAL = re.compile(r"([\\`*{}\[\]<>|~&@$#]|(?<![a-z0-9])_|_(?![a-z0-9])|:(?=/)|(?<=www)\.)", re.IGNORECASE)
"""What Markdown would take for markup, a link or a name of somebody."""

_WRITTEN = ("plural", "percent", "multiplier", "rate", "parameters")


def markdown(text: object) -> object:
    """Return text that Markdown and HTML show as it is: printable, in one line, its markup escaped."""
    if not isinstance(text, str) or isinstance(text, Markup):
        return text
    return Markup(_SPECIAL.sub(r"\\\1", " ".join(wording.printable(text).split())))


def card(subject: Subject, format: Format, parity: Parity) -> str:  # noqa: A002
    """Return the model card of an export.

    Args:
        subject: the run.
        format: in which it is exported; the card of the hub begins with metadata.
        parity: how closely the export answers as the run does.

    Returns:
        Markdown.
    """
    summary, networks = subject.summary, len(subject.networks)
    scored: Vote | Exported = summary.vote if networks > 1 and summary.vote is not None else summary.exported
    accuracy = scored.metrics.get("accuracy")
    images = scored.groups.effective_images if scored.groups else summary.data.test
    low, high = accuracy_interval(accuracy, images) if accuracy is not None else (None, None)
    text = _environment().from_string(
        files("biotune.exports").joinpath("templates/README.md.jinja").read_text(encoding="utf-8")
    )
    body = text.render(
        network=subject.name,
        networks=networks,
        summary=summary,
        classes=subject.classifier.class_names,
        inputs=subject.preprocessing,
        onnx=format == ONNX,
        hub=format == HUB,
        steps=list(map(Markup, steps_of(subject.preprocessing))),
        accuracy=accuracy,
        metrics={name: value for name, value in scored.metrics.items() if value is not None},
        tested=summary.data.test,
        low=low,
        high=high,
        out_of_fold=summary.out_of_fold,
        alarms=alarms(summary),
        rows=scored.per_class[:MOST_CLASSES],
        most=MOST_CLASSES,
        method=wording.method_name(summary.method),
        values=wording.named_values(summary.recipe.values),
        parity=Markup(parity.sentence),
    )
    head = f"---\n{yaml.safe_dump(_HUB, sort_keys=False)}---\n\n" if format == HUB else ""
    return head + body


def _environment() -> Environment:
    environment = Environment(
        autoescape=False, undefined=StrictUndefined, finalize=markdown,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    environment.filters.update({name: _as_written(getattr(wording, name)) for name in _WRITTEN})
    environment.filters.update(
        label=wording.label,
        number=_as_written(lambda count: wording.MISSING if count is None else wording.count(count)),
        metric=_as_written(lambda name: METRICS[name].name),
        written=_as_written(lambda value, name: METRICS[name].write(value, "\N{NO-BREAK SPACE}%")),
    )
    return environment


def _as_written(write: Callable[..., str]) -> Callable[..., Markup]:
    """Return a function of numbers as a filter whose words need no escape."""
    return lambda *values: Markup(write(*values))
