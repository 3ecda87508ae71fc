"""``train``: one fine-tuning method, or a recipe, without a search."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from biotune.cli import options as opt
from biotune.cli.app import app
from biotune.cli.tune import do_run

EXAMPLES = """[bold]Examples[/bold]

biotune train photos/ --method linear_probe --out runs/probe

biotune train photos/ --method llrd:decay=0.8 --out runs/decay

biotune train photos/ --recipe runs/photos/recipe.yaml --out runs/again
"""


@app.command(cls=opt.BriefHelp, epilog=EXAMPLES)
@opt.with_settings(opt.options_of("train"), brief=True)
def train(
    given: opt.Given,
    data: opt.Data,
    out_folder: opt.Out,
    method: Annotated[
        str | None, typer.Option(help=r"NAME or NAME:option=value,...; see 'biotune methods' \[default: none].")
    ] = None,
    recipe: Annotated[
        Path | None,
        typer.Option(help=r"A recipe.yaml, or a run folder that holds one \[default: none].", callback=opt.user_paths),
    ] = None,
    json: opt.Json = False,
    dry_run: opt.DryRun = False,
    verbose: opt.Verbose = None,
) -> None:
    """Train one fine-tuning method, or a recipe, without a search."""
    from biotune.methods.choice import options_of_method, options_of_recipe, trained_by

    changes = {"data": {"source": opt.source(data)}, **trained_by(method, recipe)}
    if given.file is None:
        own = options_of_method(method) if recipe is None else options_of_recipe(recipe)
        given = replace(given, options={**own, **given.options})
    do_run(opt.to_config(given, changes), out_folder, as_json=json, dry_run=dry_run, verbose=verbose)
