"""Commands that use the model of a run: ``predict`` and ``evaluate``."""

import csv
import sys
from pathlib import Path
from typing import Annotated

import typer

from biotune.cli import options as opt
from biotune.cli.app import app, err, out, print_json
from biotune.cli.looking import RunFolder
from biotune.errors import InputError
from biotune.wording import csv_cell


@app.command(
    epilog="[bold]Examples[/bold]\n\nbiotune predict runs/photos new/\n\n"
    "biotune predict runs/photos new/*.jpg --json > labels.json"
)
def predict(
    run: RunFolder,
    images: Annotated[list[Path], typer.Argument(help="Image files, or folders of them.")],
    json: opt.Json = False,
) -> None:
    """Label images: CSV on standard output, or JSON with all probabilities; unreadable images get a reason instead."""
    from biotune.predict import image_files, load_run

    classifier = load_run(run)
    _say(classifier.note)
    paths = image_files(images)
    answers = []
    writer = csv.writer(sys.stdout)
    if not json:
        writer.writerow(["path", "label", "probability", "reason"])
    for answer in classifier.predictions(paths):
        answers.append(answer)
        if answer.reason:
            _say(f"cannot read the image '{answer.path}': {answer.reason}.")
        if not json:
            probability = "" if answer.reason else f"{answer.probability:.4f}"
            writer.writerow([csv_cell(answer.path), csv_cell(answer.label), probability, csv_cell(answer.reason)])
    if json:
        unknown = {"label": None, "probability": None}
        print_json([answer.__dict__ | (unknown if answer.reason else {}) for answer in answers])
    if not any(answer.label for answer in answers):
        raise InputError(f"none of the {len(answers)} images can be read; give images that can.")


@app.command(
    epilog="[bold]Examples[/bold]\n\nbiotune evaluate runs/photos more-photos/\n\n"
    "biotune evaluate runs/photos photos/ --split validation"
)
def evaluate(
    run: RunFolder,
    data: opt.Data,
    split: Annotated[
        str,
        typer.Option(
            "--split", help="train, validation, test or all; the default is test if DATA has such a part, else all."
        ),
    ] = "",
    data_root: opt.DataRoot = None,
    json: opt.Json = False,
) -> None:
    """Score a run on labelled images; classes are matched by name."""
    from biotune.predict import evaluate_run

    scores = evaluate_run(run, data, data_root, split)
    _say(scores["note"])
    if json:
        print_json(scores)
        return
    whose = "of the run's own data" if scores["seen"] is not None else f"of {data}"
    part = "all images" if scores["split"] == "all" else f"the {scores['split']} images"
    lines = [
        f"Scored {part} {whose}: {scores['images']}.",
        f"Accuracy {scores['accuracy']:.2%}, mean per-class recall {scores['macro_accuracy']:.2%}.",
    ]
    if scores["seen"]:
        lines.append(f"The run learnt from or chose by {scores['seen']} of these images: the scores are too good.")
    if scores["left_out"]:
        lines.append(f"Left out, since they cannot be read: {', '.join(scores['left_out'])}.")
    lines += [f"  {recall:7.2%}  {name}" for name, recall in scores["per_class"].items()]
    for line in lines:
        out.print(line, highlight=False, markup=False, soft_wrap=True)


def _say(sentence: str) -> None:
    """Print a sentence on standard error, nothing for an empty one."""
    if sentence:
        err.print(f"biotune: {sentence}", highlight=False, markup=False, soft_wrap=True)
