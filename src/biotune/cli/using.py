"""Commands that use a finished run: ``predict`` and ``evaluate``."""

import csv
import sys
from pathlib import Path
from typing import Annotated

import typer

from biotune.cli import options as opt
from biotune.cli.app import app, err, out, print_json
from biotune.cli.looking import RunFolder
from biotune.errors import InputError
from biotune.report.text import csv_cell


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
    answers = []
    writer = csv.writer(sys.stdout)
    if not json:
        writer.writerow(["path", "label", "probability", "reason"])
    for answer in classifier.predictions(image_files(images)):
        answers.append(answer)
        if answer.reason:
            err.print(
                f"biotune: cannot read the image '{answer.path}': {answer.reason}.", highlight=False, markup=False
            )
        if not json:
            probability = "" if answer.reason else f"{answer.probability:.4f}"
            writer.writerow([csv_cell(answer.path), csv_cell(answer.label), probability, csv_cell(answer.reason)])
    if json:
        print_json([answer.__dict__ for answer in answers])
    if not any(answer.label for answer in answers):
        raise InputError(f"none of the {len(answers)} images can be read; give images that can.")


@app.command(epilog="[bold]Example[/bold]\n\nbiotune evaluate runs/photos more-photos/")
def evaluate(run: RunFolder, data: opt.Data, data_root: opt.DataRoot = None, json: opt.Json = False) -> None:
    """Score a finished run on labelled images; classes are matched by name."""
    from biotune.predict import evaluate_run

    scores = evaluate_run(run, data, data_root)
    if json:
        print_json(scores)
        return
    out.print(
        f"{scores['images']} images: accuracy {scores['accuracy']:.2%}, mean per-class recall "
        f"{scores['macro_accuracy']:.2%}",
        highlight=False,
    )
    if scores["left_out"]:
        out.print(
            f"Left out, since they cannot be read: {', '.join(scores['left_out'])}.", highlight=False, markup=False
        )
    for name, recall in scores["per_class"].items():
        out.print(f"  {recall:7.2%}  {name}", highlight=False, markup=False)
