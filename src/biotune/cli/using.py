"""Commands that use a finished run: ``predict`` and ``evaluate``."""

import csv
import sys
from pathlib import Path
from typing import Annotated

import typer

from biotune.cli import options as opt
from biotune.cli.app import app, out, print_json
from biotune.cli.looking import RunFolder


@app.command(epilog="[bold]Example[/bold]\n\nbiotune predict runs/photos new/*.jpg")
def predict(
    run: RunFolder,
    images: Annotated[list[Path], typer.Argument(help="Image files.")],
    json: opt.Json = False,
) -> None:
    """Label images: CSV on standard output, or JSON with all probabilities."""
    from biotune.predict import load_run

    predictions = load_run(run).predict(images)
    if json:
        print_json([prediction.__dict__ for prediction in predictions])
        return
    writer = csv.writer(sys.stdout)
    writer.writerow(["path", "label", "probability"])
    for prediction in predictions:
        writer.writerow([_cell(prediction.path), _cell(prediction.label), f"{prediction.probability:.4f}"])


def _cell(text: str) -> str:
    """Return a cell that no spreadsheet takes for a formula."""
    return "'" + text if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


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
