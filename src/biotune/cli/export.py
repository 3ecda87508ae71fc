"""``export``: the model of a run in the format of another tool."""

from pathlib import Path
from typing import Annotated, Any

import typer

from biotune.cli import options as opt
from biotune.cli.app import app, err, out, print_json


@app.command(
    epilog="[bold]Examples[/bold]\n\nbiotune export runs/photos --format timm\n\n"
    "biotune export runs/photos --format onnx --single --out photos-onnx\n\n"
    "biotune export runs/photos --format hub --push me/photos"
)
def export(
    run: opt.RunFolder,
    format: Annotated[  # noqa: A002 - the option's name
        str,
        typer.Option("--format", help="timm (a folder that timm loads), onnx (one file) or hub (for Hugging Face)."),
    ],
    folder: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help=r"New folder \[default: exports/FORMAT in the run folder].",
            show_default=False,
            callback=opt.user_paths,
        ),
    ] = None,
    push: Annotated[
        str,
        typer.Option(
            "--push", help=r"Upload it to this repository of the hub: OWNER/NAME \[default: none].", show_default=False
        ),
    ] = "",
    vote: opt.Vote = None,
    quiet: opt.Quiet = False,
    json: opt.Json = False,
) -> None:
    """Export the model for use without BioTune, with a model card and a small program that predicts."""
    from biotune.exports import export as export_run
    from biotune.progress import Display

    known: Any = format  # checked there
    with Display(err, verbose=False if quiet else None) as display:
        done = export_run(run, known, out=folder, vote=vote, push=push, observer=display)
    if json:
        print_json(done.to_json())
        return
    lines = [
        done.parity.sentence,
        f"Export:  {done.folder}",
        f"Try it:  python {done.folder / 'predict.py'} IMAGE...",
        *([f"Hub:     {done.address}"] if done.address else []),
    ]
    for line in lines:
        out.print(line, highlight=False, markup=False, soft_wrap=True)
