"""``explain``: what a network looks at in images."""

import csv
import re
import sys
from pathlib import Path
from typing import Annotated

import typer

from biotune.cli import options as opt
from biotune.cli.app import app, print_json, say
from biotune.errors import InputError
from biotune.runs.files import make_output_folder, write_atomic
from biotune.runs.folder import require_no_work
from biotune.wording import csv_cell, plural


@app.command(
    epilog="[bold]Examples[/bold]\n\nbiotune explain runs/photos new/ --out seen/\n\n"
    "biotune explain runs/photos a.jpg b.jpg --single --out seen/"
)
def explain(
    run: opt.RunFolder,
    images: Annotated[list[Path], typer.Argument(help="Image files, or folders of them.", callback=opt.user_paths)],
    folder: Annotated[
        Path, typer.Option("--out", "-o", help="Folder for the pictures, one for each image.", callback=opt.user_paths)
    ],
    vote: opt.Vote = None,
    quiet: opt.Quiet = False,
    json: opt.Json = False,
) -> None:
    """Draw which places of images speak for the answer (Grad-CAM); answers and pictures as CSV on standard output."""
    from biotune.classifier import load_run
    from biotune.datasets.unlabelled import to_label
    from biotune.explained import explain as explain_images
    from biotune.pixels.inputs import as_pixels
    from biotune.report.figures import to_png
    from biotune.report.overlays import explanation

    require_no_work(folder)
    classifier = load_run(run, vote=vote)
    as_pixels(classifier.preprocessing)
    say(classifier.note, quiet)
    items, ignored = to_label(images)
    say(ignored, quiet)
    make_output_folder(folder)
    answers = []
    writer = csv.writer(sys.stdout)
    if not json:
        writer.writerow(["path", "label", "probability", "picture", "reason"])
    for number, found in enumerate(explain_images(classifier, items), 1):
        answer, picture = found.answer, ""
        if found.seen is None:
            say(f"cannot read the image '{answer.path}': {answer.reason}.", quiet)
        else:
            picture = _file_name(number, answer.path)
            write_atomic(folder / picture, to_png(explanation(found.seen, answer.label, answer.probability)))
        answers.append({**answer.to_json(), "picture": picture})
        if not json:
            probability = "" if answer.reason else f"{answer.probability:.4f}"
            cells = map(csv_cell, (answer.path, answer.label, probability, picture, answer.reason))
            writer.writerow(cells)
    if json:
        unknown = {"label": None, "probability": None, "picture": None}
        print_json([answer | (unknown if answer["reason"] else {}) for answer in answers])
    if drawn := sum(bool(answer["picture"]) for answer in answers):
        say(f"{plural(drawn, 'picture')} in '{folder}'.", quiet)
    else:
        raise InputError(f"none of the {len(answers)} images can be read; give readable image files.")


def _file_name(number: int, path: str) -> str:
    """Return the name of a picture: the image's number, since names may come twice, and what is safe of its name."""
    return f"{number:04}-{re.sub(r'[^A-Za-z0-9._-]+', '_', Path(path).stem)[:60]}.png"
