"""``predict``: labels for images or texts."""

import csv
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from biotune.cli import options as opt
from biotune.cli.app import app, print_json, say
from biotune.errors import InputError
from biotune.wording import csv_cell, label, percent, plural

if TYPE_CHECKING:
    from biotune.classifier import Prediction

UNSURE = "unsure"
"""What stands in the place of the class where its probability is below ``--threshold``."""


@app.command(
    epilog="[bold]Examples[/bold]\n\nbiotune predict runs/photos new/\n\n"
    "biotune predict runs/photos new/ --top 3 --threshold 0.8\n\n"
    "biotune predict runs/photos new/*.jpg --json > labels.json"
)
def predict(
    run: opt.RunFolder,
    images: Annotated[
        list[Path],
        typer.Argument(help="Image files, or folders of them; of texts also tables (.csv).", callback=opt.user_paths),
    ],
    top: Annotated[
        int | None,
        typer.Option(
            "--top",
            help="How many of the most probable classes are added, with their probabilities "
            r"\[default: none, of --json all].",
        ),
    ] = None,
    threshold: Annotated[
        float, typer.Option("--threshold", help=f"Answer '{UNSURE}' where the probability is below it.")
    ] = 0.0,
    operating_point: Annotated[
        bool,
        typer.Option(
            "--operating-point",
            help="Of two classes: answer the rarer one from the probability on that validation images chose, not from "
            r"a half \[default: off]. The report says what that does.",
        ),
    ] = False,
    vote: opt.Vote = None,
    quiet: opt.Quiet = False,
    json: opt.Json = False,
) -> None:
    """Label images or texts: CSV on standard output, or JSON with all probabilities; unreadable ones get a reason."""
    from biotune.classifier import load_run
    from biotune.datasets.unlabelled import to_label
    from biotune.pixels.inputs import kind_of

    _require_sensible(top, threshold)
    if operating_point and threshold:
        raise InputError(f"--operating-point answers one class or the other, --threshold '{UNSURE}'; leave out one.")
    classifier = load_run(run, vote=vote, operating_point=operating_point)
    if threshold and UNSURE in classifier.class_names:
        raise InputError(f"this network has a class '{UNSURE}', which --threshold would answer too; leave it out.")
    say(classifier.note, quiet)
    if classifier.operating_point is not None:
        name, chosen = classifier.operating_point
        say(f"'{label(name)}' is answered from a probability of {percent(chosen)} on.", quiet)
    kind = kind_of(classifier.preprocessing)
    items, ignored = to_label(images, kind)
    say(ignored, quiet)
    answers = []
    writer = csv.writer(sys.stdout)
    shown = min(top or 0, len(classifier.class_names))
    if not json:
        further = [f"{name}_{place}" for place in range(1, shown + 1) for name in ("label", "probability")]
        familiarity = ["unlike", "distance"] if classifier.familiarity is not None else []
        writer.writerow(["path", "label", "probability", *further, "reason", *familiarity])
    for answer in classifier.predictions(items):
        answers.append(answer)
        if answer.reason:
            say(f"cannot read the {kind} '{answer.path}': {answer.reason}.", quiet)
        if not json:
            writer.writerow([*_row(answer, shown, threshold), *(_familiarity(answer) if familiarity else [])])
    if json:
        print_json([_entry(answer, top, threshold) for answer in answers])
    readable = [answer for answer in answers if not answer.reason]
    if not readable:
        raise InputError(f"none of the {len(answers)} {kind}s can be read; give readable {kind} files.")
    if unsure := sum(answer.probability < threshold for answer in readable):
        say(f"{UNSURE}: {unsure:,} of {plural(len(readable), kind)}, below {percent(threshold)}.", quiet)
    if unlike := sum(bool(answer.unlike) for answer in readable):
        are = "is" if unlike == 1 else "are"
        say(f"{unlike:,} of {plural(len(readable), kind)} {are} unlike those that the network learned from.", quiet)


def _require_sensible(top: int | None, threshold: float) -> None:
    if top is not None and top < 1:
        raise InputError(f"--top is {top}; give a number of classes, 1 or more.")
    if not 0 <= threshold <= 1:
        raise InputError(f"--threshold is {threshold:g}; give a probability from 0 to 1, such as 0.8.")


def _label(answer: "Prediction", threshold: float) -> str:
    return UNSURE if answer.probability < threshold else answer.label


def _row(answer: "Prediction", shown: int, threshold: float) -> Iterator[str]:
    """Yield the cells of a line of CSV: the answer, then so many of the most probable classes; empty without one."""
    yield csv_cell(answer.path)
    if answer.reason:
        yield from [""] * (2 + 2 * shown)
    else:
        for name, probability in [(_label(answer, threshold), answer.probability), *answer.top(shown)]:
            yield from (csv_cell(name), f"{probability:.4f}")
    yield csv_cell(answer.reason)


def _familiarity(answer: "Prediction") -> tuple[str, str]:
    """Return whether an image is unlike those that the network learned from, and its distance; empty without one."""
    return ("", "") if answer.distance is None else (str(answer.unlike).lower(), f"{answer.distance:.3f}")


def _entry(answer: "Prediction", top: int | None, threshold: float) -> dict[str, Any]:
    """Return an answer for JSON, with the probabilities of all classes, or of the ``top`` most probable ones."""
    if answer.reason:
        return {**answer.to_json(), "label": None, "probability": None}
    kept = answer.probabilities if top is None else dict(answer.top(top))
    return {**answer.to_json(), "label": _label(answer, threshold), "probabilities": kept}
