"""``track``: brings a run into another tool, while it works or afterwards."""

from typing import Annotated

import typer

from biotune.cli import options as opt
from biotune.cli.app import app, out, print_json


@app.command(
    epilog="[bold]Examples[/bold]\n\nbiotune track runs/photos --to tensorboard\n\n"
    "biotune track runs/photos --to mlflow:http://127.0.0.1:5000"
)
def track(
    run: opt.RunFolder,
    to: Annotated[
        str,
        typer.Option(
            "--to",
            help="tensorboard, mlflow, wandb or optuna; a destination may follow after a colon.",
        ),
    ],
    json: opt.Json = False,
) -> None:
    """Bring a run into another tool: what is missing there, and what follows as long as the run works."""
    from biotune.settings.tracking import read_tracker
    from biotune.tracking.mirror import follow

    name, where = read_tracker(to)
    identity = follow(run, name, where)
    if json:
        print_json({"tracker": name, "identity": identity})
    else:
        out.print(f"{run} is in {name}: {identity}", highlight=False, markup=False, soft_wrap=True)
