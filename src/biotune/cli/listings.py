"""The lists of what there is: ``models``, ``datasets``, ``methods`` and ``searches``."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.table import Table

from biotune.cli import options as opt
from biotune.cli.app import app, out, print_json
from biotune.options import Options, described

if TYPE_CHECKING:
    from biotune.datasets import DatasetInfo


@app.command(epilog="[bold]Example[/bold]\n\nbiotune models resnet")
def models(
    contains: Annotated[str, typer.Argument(help="Only names that contain this.")] = "", json: opt.Json = False
) -> None:
    """Name a few networks to begin with, list all that can be tuned, and the weights that are installed."""
    from biotune.errors import InputError
    from biotune.models import PACKAGED, model_names
    from biotune.models.recommended import RECOMMENDED
    from biotune.wording import parameters

    names = model_names(contains)
    if json:
        print_json(list(names))
        return
    if not names:
        raise InputError(f"no network's name contains '{contains}'; `biotune models` lists all.")
    for name in names:
        out.print(name, highlight=False, soft_wrap=True)
    if not contains:
        title = f"To begin with, of these {len(names):,}"
        table = Table("name", "parameters", "what for", title=title, title_justify="left", box=box.SIMPLE_HEAD)
        for one in RECOMMENDED:
            table.add_row(one.name, parameters(one.parameters), one.purpose)
        out.print(table)
    for name, weights in PACKAGED.items():
        if name in names:
            here = "is installed" if weights.path() else f"comes with: {weights.install}"
            out.print(f"Weights of {name}: the package {weights.package} {here}", highlight=False, soft_wrap=True)


@app.command(epilog="[bold]Example[/bold]\n\nbiotune datasets")
@opt.with_settings(opt.options_of("datasets"))
def datasets(given: opt.Given, json: opt.Json = False) -> None:
    """List the named data sets: which are installed, and how to get the others."""
    from biotune.datasets import DATASETS, data_root

    root = data_root(opt.to_config(given).data.root)
    places = {name: info.find(root) for name, info in DATASETS.items()}
    if json:
        print_json([info.to_json(root, places[name]) for name, info in DATASETS.items()])
        return
    here = [info for name, info in DATASETS.items() if places[name]]
    packages = [info for name, info in DATASETS.items() if not places[name] and info.source == "package"]
    downloads = [info for name, info in DATASETS.items() if not places[name] and info.source == "download"]
    _show_datasets("Here", here)
    _show_datasets("By a package: run its command", packages, root)
    _show_datasets("By download: fetched when first used, where there is a network", downloads, root)
    out.print(f"Downloads are kept in {root}; --data-root or BIOTUNE_DATA names another folder.", soft_wrap=True)


def _show_datasets(title: str, infos: "list[DatasetInfo]", root: Path | None = None) -> None:
    """Print a table of data sets, and below it how to get each of them into ``root``; nothing if there are none."""
    if not infos:
        return
    table = Table("name", "images", "classes", "what", title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for info in infos:
        table.add_row(info.name, f"{info.images:,}", str(info.classes), info.description)
    out.print(table)
    if root is not None:
        for info in infos:
            out.print(f"  {info.name}: {info.bring_into(root)}", highlight=False, markup=False, soft_wrap=True)
        out.print()


@app.command(epilog="[bold]Example[/bold]\n\nbiotune methods")
def methods(json: opt.Json = False) -> None:
    """List the fine-tuning methods and their options."""
    from biotune.methods import METHODS
    from biotune.records import GIVEN

    rows = {name: (_first_line(METHODS[name]), METHODS[name].Options) for name in METHODS if name != GIVEN}
    _list_with_options(rows, json)


@app.command(epilog="[bold]Example[/bold]\n\nbiotune searches")
def searches(json: opt.Json = False) -> None:
    """List the search algorithms and their options."""
    from biotune.search import SEARCHES

    _list_with_options({name: (_first_line(entry), entry.Options) for name, entry in SEARCHES.items()}, json)


def _list_with_options(rows: Mapping[str, tuple[str, type[Options]]], as_json: bool) -> None:
    """Print names, what they are, and the options of each."""
    own = {name: list(described(kind)) for name, (_, kind) in rows.items()}
    if as_json:
        keys = ("option", "default", "allowed", "meaning")
        print_json(
            {
                name: {"what": what, "options": [dict(zip(keys, row, strict=True)) for row in own[name]]}
                for name, (what, _) in rows.items()
            }
        )
        return
    table = Table("name", "what", "options and their defaults")
    for name, (what, _) in rows.items():
        table.add_row(name, what, ", ".join(f"{option}={default}" for option, default, *_ in own[name]))
    out.print(table)
    out.print("--json prints what each option means and may be.", highlight=False)


def _first_line(thing: object) -> str:
    line = (thing.__doc__ or "").strip().splitlines()[0].removeprefix("Return ")
    return line[:1].upper() + line[1:]
