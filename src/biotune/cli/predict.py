"""``predict``: labels for images or texts."""

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
    images: Annotated[
        list[Path],
        typer.Argument(help="Image files, or folders of them; of texts also tables (.csv).", callback=opt.user_paths),
    ],
    vote: opt.Vote = None,
    json: opt.Json = False,
) -> None:
    """Label images or texts: CSV on standard output, or JSON with all probabilities; unreadable ones get a reason."""
    from biotune.datasets.unlabelled import to_label
    from biotune.pixels.inputs import kind_of
    from biotune.predict import load_run

    classifier = load_run(run, vote=vote)
    say(classifier.note)
    kind = kind_of(classifier.preprocessing)
    items, ignored = to_label(images, kind)
    say(ignored)
    answers = []
    writer = csv.writer(sys.stdout)
    if not json:
        writer.writerow(["path", "label", "probability", "reason"])
    for answer in classifier.predictions(items):
        answers.append(answer)
        if answer.reason:
            say(f"cannot read the {kind} '{answer.path}': {answer.reason}.")
        if not json:
            probability = "" if answer.reason else f"{answer.probability:.4f}"
            writer.writerow([csv_cell(answer.path), csv_cell(answer.label), probability, csv_cell(answer.reason)])
    if json:
        unknown = {"label": None, "probability": None}
        print_json([answer.__dict__ | (unknown if answer.reason else {}) for answer in answers])
    if not any(answer.label for answer in answers):
        raise InputError(f"none of the {len(answers)} {kind}s can be read; give readable {kind} files.")
