"""``compare``: many methods on the same data, at equal budget."""

from pathlib import Path
from typing import Annotated, Any

import typer

from biotune.cli import options as opt
from biotune.cli.app import app, command_line, err, out, print_json, resumable
from biotune.cli.progress import Display
from biotune.errors import InputError

_COMPARE = "Comparison"

EXAMPLES = """[bold]Examples[/bold]

biotune compare photos/ --methods biotune,full,linear_probe,lora --seeds 3 --out runs/compare

biotune compare digits8 mnist5000 --methods all --no-tuned --preset quick --out runs/digits

biotune compare photos/ --methods biotune,random,full,l2_sp:alpha=0.1 --out runs/searches

biotune compare photos/ --ablation operators --out runs/ablation
"""


@app.command(epilog=EXAMPLES)
def compare(
    data: Annotated[list[str], typer.Argument(help="One or more data sets, as for 'biotune tune'.")],
    out_folder: opt.Out,
    model: opt.Model = None,
    methods: Annotated[
        str | None,
        typer.Option(
            help=r"Methods, searches, biotune, or all, separated by commas \[default: all].", rich_help_panel=_COMPARE
        ),
    ] = None,
    ablation: Annotated[
        str | None,
        typer.Option(help="Compare BioTune's variants: operators, law, data or budget.", rich_help_panel=_COMPARE),
    ] = None,
    tuned: Annotated[
        bool,
        typer.Option(
            "--tuned/--no-tuned", help="Add a sweep of each method, as dear as the search.", rich_help_panel=_COMPARE
        ),
    ] = True,
    best_on_test: Annotated[
        bool,
        typer.Option(
            "--best-on-test", help="Also the papers' best-of-finalists on the test set.", rich_help_panel=_COMPARE
        ),
    ] = False,
    preset: opt.Preset = None,
    weights: opt.Weights = None,
    trust_checkpoint: opt.Trust = None,
    image_size: opt.ImageSize = None,
    resize: opt.Resize = None,
    data_root: opt.DataRoot = None,
    validation_fraction: opt.ValidationFraction = None,
    test_fraction: opt.TestFraction = None,
    split_seed: opt.SplitSeed = None,
    train_images: opt.TrainImages = None,
    validation_images: opt.ValidationImages = None,
    test_images: opt.TestImages = None,
    epochs: opt.Epochs = None,
    batch_size: opt.BatchSize = None,
    learning_rate: opt.LearningRate = None,
    optimizer: opt.Optimizer = None,
    patience: opt.Patience = None,
    weight_decay: opt.WeightDecay = None,
    scheduler: opt.Scheduler = None,
    warmup: opt.Warmup = None,
    clip_gradient: opt.ClipGradient = None,
    metric: opt.Metric = None,
    augment: opt.Augment = None,
    augment_flip: opt.AugmentFlip = None,
    imbalance: opt.Imbalance = None,
    population: opt.Population = None,
    generations: opt.Generations = None,
    max_evaluations: opt.MaxEvaluations = None,
    max_cost: opt.MaxCost = None,
    max_work: opt.MaxWork = None,
    seeds: opt.Seeds = None,
    seed: opt.Seed = None,
    device: opt.Device = None,
    threads: opt.Threads = None,
    precision: opt.Precision = None,
    memory_format: opt.MemoryFormat = None,
    config: opt.Config = None,
    json: opt.Json = False,
) -> None:
    """Compare methods over the same data, splits, seeds, schedule and budget; the same command again continues."""
    given = dict(locals())
    comparison = _work(given)
    if given["json"]:
        print_json(comparison)
    else:
        show(comparison, given["out_folder"])


def _work(given: dict[str, Any]) -> dict[str, Any]:
    from biotune.compare import ComparePlan
    from biotune.compare import compare as run_comparison

    config = opt.to_config({**given, "data": given["data"][0]})
    entries = _entries(given, config.search.rungs)
    config = config.model_copy(update={"final": config.final.model_copy(update=_final(given, config.final.test_all))})
    tuned = given["tuned"] and given["ablation"] is None
    plan = ComparePlan(config, tuple(map(opt.source, given["data"])), entries, tuned)
    with resumable() as stop, Display(err) as display:
        return run_comparison(plan, given["out_folder"], command_line(), display, stop)


def _final(given: dict[str, Any], test_all: bool) -> dict[str, Any]:
    return {"baselines": (), "test_all": given["best_on_test"] or test_all}


def _entries(given: dict[str, Any], rungs: tuple[float, ...]) -> tuple[Any, ...]:
    from biotune.compare import ABLATIONS, ablation, parse_entries

    if given["ablation"] is None:
        return parse_entries("all" if given["methods"] is None else given["methods"])
    if given["methods"] is not None:
        raise InputError("give either --methods or --ablation: an ablation names its variants itself.")
    if given["ablation"] not in ABLATIONS:
        raise InputError(f"the ablation '{given['ablation']}' is unknown; choose one of {', '.join(ABLATIONS)}.")
    return ablation(given["ablation"], rungs)


def show(comparison: dict[str, Any], folder: Path) -> None:
    """Print the tables and where everything lies."""
    from biotune.report.comparison_tables import comparison_view

    out.print()
    out.print(comparison_view(comparison, out.width))
    out.print(f"Report:  {folder / 'comparison.html'}", highlight=False, soft_wrap=True)
    out.print(f"Tables:  {folder / 'table.md'}, table.csv, table.tex, comparison.json", highlight=False, soft_wrap=True)
