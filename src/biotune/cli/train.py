"""``train``: one fine-tuning method, or a recipe, without a search."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from biotune.cli import options as opt
from biotune.cli.app import app
from biotune.cli.tune import do_run
from biotune.errors import InputError
from biotune.recipe import Recipe
from biotune.records import GIVEN, GIVEN_ONCE

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
    changes = {"data": {"source": opt.source(data)}, **_changes(method, recipe)}
    do_run(
        opt.to_config(given if recipe is None else _like(recipe, given), changes),
        out_folder,
        as_json=json,
        dry_run=dry_run,
        verbose=verbose,
    )


def _changes(method: str | None, recipe: Path | None) -> dict[str, dict[str, str]]:
    """Return the settings that say what is trained."""
    if method is not None and recipe is None:
        return {"method": {"name": _method(method)}}
    if recipe is not None and method is None:
        return {"method": {"name": GIVEN}, "search": {"start_from": str(recipe)}}
    raise InputError("give either --method NAME or --recipe FILE (see 'biotune methods').")


def _method(text: str) -> str:
    """Return the one spelling of a method; refuse what only a file can give."""
    from biotune.methods import canonical

    if text.partition(":")[0] in (GIVEN, GIVEN_ONCE):
        raise InputError("give a recipe by its file: --recipe FILE instead of --method.")
    return canonical(text)


def _like(recipe: Path, given: opt.Given) -> opt.Given:
    """Return what was given and, unless --config is given, the network, base rate and optimiser of a recipe."""
    found = Recipe.load(recipe)
    options: dict[str, Any] = {"learning_rate": found.base_learning_rate, "optimizer": found.optimizer}
    if found.model:
        options["model"] = found.model
    return given if given.file is not None else replace(given, options={**options, **given.options})
