"""``predict``: labels for images."""

import csv
import sys
from pathlib import Path
from typing import Annotated

import typer

from biotune.cli import options as opt
from biotune.cli.app import app, print_json, say
from biotune.errors import InputError
from biotune.wording import csv_cell


@app.command(
    epilog="[bold]Examples[/bold]\n\nbiotune predict runs/photos new/\n\n"
    "biotune predict runs/photos new/*.jpg --json > labels.json"
)
def predict(
    run: opt.RunFolder,
    images: Annotated[list[Path], typer.Argument(help="Image files, or folders of them.", callback=opt.user_paths)],
    vote: opt.Vote = None,
    json: opt.Json = False,
) -> None:
    """Label images: CSV on standard output, or JSON with all probabilities; unreadable ones get a reason, no label."""
    from biotune.predict import image_files, load_run

    classifier = load_run(run, vote=vote)
    say(classifier.note)
    paths, ignored = image_files(images)
    say(ignored)
    answers = []
    writer = csv.writer(sys.stdout)
    if not json:
        writer.writerow(["path", "label", "probability", "reason"])
    for answer in classifier.predictions(paths):
        answers.append(answer)
        if answer.reason:
            say(f"cannot read the image '{answer.path}': {answer.reason}.")
        if not json:
            probability = "" if answer.reason else f"{answer.probability:.4f}"
            writer.writerow([csv_cell(answer.path), csv_cell(answer.label), probability, csv_cell(answer.reason)])
    if json:
        unknown = {"label": None, "probability": None}
        print_json([answer.__dict__ | (unknown if answer.reason else {}) for answer in answers])
    if not any(answer.label for answer in answers):
        raise InputError(f"none of the {len(answers)} images can be read; give readable image files.")
