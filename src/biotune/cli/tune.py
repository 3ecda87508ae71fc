"""``tune``: from a data set to a tested model; and ``do_run``, which runs a configuration for every command."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Annotated

import typer

from biotune.cli import options as opt
from biotune.cli.app import app, command_line, err, print_json, resumable
from biotune.cli.running import show_estimate, show_run
from biotune.settings.config import RunConfig

EXAMPLES = """[bold]Examples[/bold]

biotune tune photos/ --model tf_efficientnet_lite0 --out runs/photos

biotune tune mnist5000 --model tf_efficientnet_lite0 --image-size 96 --preset quick --out runs/digits

biotune tune labels.csv --model resnet50 --weights resnet50.safetensors --budget 30m --out runs/skin
"""


@app.command(cls=opt.BriefHelp, epilog=EXAMPLES)
@opt.with_settings(opt.options_of("tune"), brief=True)
def tune(
    given: opt.Given,
    data: opt.Data,
    out_folder: opt.Out,
    json: opt.Json = False,
    dry_run: opt.DryRun = False,
    serve: Annotated[
        bool,
        typer.Option(
            "--serve",
            help=r"Show a page that follows the run; prints its address \[default: false].",
            rich_help_panel=opt.RUN,
        ),
    ] = False,
    verbose: opt.Verbose = None,
) -> None:
    """Find which blocks to train and how fast; then train, test, export and report."""
    config = opt.to_config(given, {"data": {"source": opt.source(data)}})
    do_run(config, out_folder, as_json=json, dry_run=dry_run, serve=serve, verbose=verbose)


def do_run(
    config: RunConfig, folder: Path, *, as_json: bool, dry_run: bool, verbose: bool | None, serve: bool = False
) -> None:
    """Do a run, or only estimate it, showing its progress; ``train`` and ``demo`` do theirs here too."""
    if dry_run:
        show_estimate(config, folder, as_json=as_json, verbose=verbose)
        return
    from biotune.progress import Display
    from biotune.runs.folder import require_idle

    require_idle(folder)
    with resumable() as stop, Display(err, verbose) as display, _page(folder) if serve else nullcontext():
        from biotune import runner

        summary = runner.run(config, folder, command_line(), display, stop)
    if as_json:
        print_json(summary.to_json())
    else:
        show_run(summary, folder, with_tables=verbose is not False)


@contextmanager
def _page(folder: Path) -> Iterator[None]:
    """Serve the page of a run while it works, and say where."""
    from biotune.serving import served

    with served(folder) as url:
        err.print(f"Open {url}", highlight=False, soft_wrap=True)
        yield
