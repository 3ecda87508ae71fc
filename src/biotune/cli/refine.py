"""``refine``: a search for better weights of a layer of a trained network."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from biotune.cli import options as opt
from biotune.cli.app import app, command_line, err, out, print_json, resumable
from biotune.errors import InputError
from biotune.runs.folder import CONFIG
from biotune.settings.config import SETTINGS, RunConfig
from biotune.settings.refining import refine_config
from biotune.settings.setting import SEARCH
from biotune.user_files import user_path

if TYPE_CHECKING:
    from biotune.results import Summary

EXAMPLES = """[bold]Examples[/bold]

biotune refine runs/photos --layers

biotune refine runs/photos --heuristic pso --bound 0.01 --out runs/refined

biotune refine runs/photos new-photos/ --objective f1 --out runs/refined

biotune refine resnet18 photos/ --weights trained.safetensors --layer fc --out runs/refined
"""
SEEDS = SETTINGS["refine.seeds"]

LISTED_CLASSES = 1000
"""Classes of a network that has no run, where its layers are listed: as many as ImageNet has."""


@app.command(cls=opt.BriefHelp, epilog=EXAMPLES)
@opt.with_settings(opt.options_of("refine"), brief=True, remarks={"model": "Of MODEL (a RUN has its own)"})
def refine(
    given: opt.Given,
    network: Annotated[
        str, typer.Argument(metavar="RUN|MODEL", help="A run folder, or a network whose weights --weights gives.")
    ],
    data: Annotated[
        str | None, typer.Argument(help=r"Images, as for 'biotune tune' \[default: those of RUN].", show_default=False)
    ] = None,
    out_folder: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help=r"Run folder; the same command again continues it \[default: none, needed but for --layers].",
            callback=opt.user_paths,
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(
            min=1, max=1000, help=rf"{SEEDS.setting.help} \[default: {SEEDS.default}].", rich_help_panel=SEARCH
        ),
    ] = None,
    layers: Annotated[
        bool, typer.Option("--layers", help=r"List the layers that have weights, refine nothing \[default: false].")
    ] = False,
    json: opt.Json = False,
    verbose: opt.Verbose = None,
) -> None:
    """Refine the weights of a layer by a search that sees held-out images, beside a refit that sees all labels."""
    run = _run_folder(network)
    if layers:
        _list_layers(network, run, as_json=json)
        return
    if out_folder is None:
        raise InputError("name the folder of the result: --out FOLDER.")
    config = _config(given, network, run, data, seeds)
    from biotune.progress import Display
    from biotune.runs.folder import require_idle

    require_idle(out_folder)
    with resumable() as stop, Display(err, verbose) as display:
        from biotune.runner.refine import refine as run_refinement

        summary = run_refinement(config, run, out_folder, command_line(), display, stop)
    if json:
        print_json(summary.to_json())
    else:
        show_refinement(summary, out_folder, with_tables=verbose is not False)


def _run_folder(network: str) -> Path | None:
    """Return the run that is refined; None for the name of a network."""
    from biotune.runs.folder import is_begun

    folder = user_path(network)
    if is_begun(folder):
        return folder
    if folder.is_dir():
        raise InputError(f"'{network}' holds no run of biotune; give a run folder, or the name of a network.")
    if "/" in network and not network.startswith("hf:"):
        raise InputError(f"there is no run folder '{network}'; give one, or the name of a network.")
    return None


def _config(given: opt.Given, network: str, run: Path | None, data: str | None, seeds: int | None) -> RunConfig:
    """Return the configuration: that of the run with the options on top, or that of the network."""
    return refine_config(
        network,
        None if run is None else run / CONFIG,
        opt.source(data) if data else "",
        given.options,
        {} if seeds is None else {"refine": {"seeds": seeds}},
        given.file,
        lambda row: row.spelling,
    )


def _list_layers(network: str, run: Path | None, *, as_json: bool) -> None:
    """Print the layers of a network that have weights."""
    from biotune.refinement import weighted_layers
    from biotune.report.refinement_tables import layers_table

    if run is not None:
        from biotune.runner.refine_source import network_of_run

        model = network_of_run(run)[0]
    else:
        from biotune.models import load_model

        model = load_model(network, LISTED_CLASSES, weights="random").model
    rows = [asdict(layer) for layer in weighted_layers(model)]
    if as_json:
        print_json({"model": network, "layers": rows})
    else:
        out.print(layers_table(network, rows))


def show_refinement(summary: "Summary", folder: Path, *, with_tables: bool = True) -> None:
    """Print the closing table and sentences of a refinement, or its verdict alone, and where everything lies."""
    from biotune.report.refinement_sentences import words_of
    from biotune.report.refinement_tables import refinement_table
    from biotune.runs.folder import MODEL, REPORT

    found = summary.refinement
    if found is None:
        raise InputError(f"the run '{folder}' did not refine weights.")
    words = words_of(summary, found)
    lines = [words.lead, f"{words.claim}. {words.reason}", words.refit]
    if with_tables:
        out.print()
        out.print(refinement_table(summary, found))
        lines = ["", *lines, words.how, ""]
    for line in lines:
        out.print(line, highlight=False, markup=False)
    out.print(f"Report:  {folder / REPORT}", highlight=False, soft_wrap=True)
    out.print(f"Model:   {folder / MODEL}", highlight=False, soft_wrap=True)
