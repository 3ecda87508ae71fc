"""``tune`` and ``train``: commands that make a run."""

from pathlib import Path
from typing import Annotated, Any

import typer

from biotune.cli import options as opt
from biotune.cli.app import app, command_line, err, out, print_json, resumable
from biotune.cli.progress import Display
from biotune.errors import InputError
from biotune.recipe import Recipe
from biotune.runs.config import RunConfig
from biotune.runs.folder import REPORT, require_idle

TUNE_EXAMPLES = """[bold]Examples[/bold]

biotune tune photos/ --model tf_efficientnet_lite0 --out runs/photos

biotune tune mnist5000 --model tf_efficientnet_lite0 --image-size 96 --preset quick --out runs/digits

biotune tune labels.csv --model resnet50 --weights resnet50.safetensors --budget 30m --out runs/skin
"""


@app.command(epilog=TUNE_EXAMPLES)
def tune(
    data: opt.Data,
    out_folder: opt.Out,
    model: opt.Model = None,
    preset: opt.Preset = None,
    weights: opt.Weights = None,
    trust_checkpoint: opt.Trust = None,
    image_size: opt.ImageSize = None,
    resize: opt.Resize = None,
    data_root: opt.DataRoot = None,
    granularity: opt.Granularity = None,
    validation_fraction: opt.ValidationFraction = None,
    test_fraction: opt.TestFraction = None,
    split_seed: opt.SplitSeed = None,
    train_images: opt.TrainImages = None,
    validation_images: opt.ValidationImages = None,
    test_images: opt.TestImages = None,
    bad_images: opt.BadImages = None,
    cache_gib: opt.CacheGib = None,
    verify: opt.Verify = None,
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
    search: opt.SearchName = None,
    population: opt.Population = None,
    generations: opt.Generations = None,
    max_evaluations: opt.MaxEvaluations = None,
    max_cost: opt.MaxCost = None,
    max_work: opt.MaxWork = None,
    start_from: opt.StartFrom = None,
    seeds: opt.Seeds = None,
    baselines: opt.Baselines = None,
    budget: opt.Budget = None,
    seed: opt.Seed = None,
    device: opt.Device = None,
    threads: opt.Threads = None,
    precision: opt.Precision = None,
    memory_format: opt.MemoryFormat = None,
    config: opt.Config = None,
    json: opt.Json = False,
    dry_run: opt.DryRun = False,
) -> None:
    """Find which blocks to train and how fast; then train, test, export and report."""
    given = dict(locals())
    work(opt.to_config(given), given["out_folder"], as_json=given["json"], dry_run=given["dry_run"])


@app.command(
    epilog="[bold]Examples[/bold]\n\nbiotune train photos/ --method linear_probe --out runs/probe\n\n"
    "biotune train photos/ --method llrd:decay=0.8 --out runs/decay\n\n"
    "biotune train photos/ --recipe runs/photos/recipe.yaml --out runs/again"
)
def train(
    data: opt.Data,
    out_folder: opt.Out,
    model: opt.Model = None,
    method: Annotated[str | None, typer.Option(help="NAME or NAME:option=value,...; see 'biotune methods'.")] = None,
    recipe: Annotated[Path | None, typer.Option(help="A recipe.yaml, or a run folder that holds one.")] = None,
    weights: opt.Weights = None,
    trust_checkpoint: opt.Trust = None,
    image_size: opt.ImageSize = None,
    resize: opt.Resize = None,
    data_root: opt.DataRoot = None,
    granularity: opt.Granularity = None,
    validation_fraction: opt.ValidationFraction = None,
    test_fraction: opt.TestFraction = None,
    split_seed: opt.SplitSeed = None,
    train_images: opt.TrainImages = None,
    validation_images: opt.ValidationImages = None,
    test_images: opt.TestImages = None,
    bad_images: opt.BadImages = None,
    cache_gib: opt.CacheGib = None,
    verify: opt.Verify = None,
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
    seeds: opt.Seeds = None,
    seed: opt.Seed = None,
    device: opt.Device = None,
    threads: opt.Threads = None,
    precision: opt.Precision = None,
    memory_format: opt.MemoryFormat = None,
    config: opt.Config = None,
    preset: opt.Preset = None,
    json: opt.Json = False,
    dry_run: opt.DryRun = False,
) -> None:
    """Train one fine-tuning method, or a recipe, without a search."""
    given = dict(locals())
    if (given["method"] is None) == (given["recipe"] is None):
        raise InputError("give either --method NAME or --recipe FILE (see 'biotune methods').")
    if given["recipe"] is not None:
        given = _like_the_recipe(given)
    fields = {"name": "recipe" if given["method"] is None else _method(given["method"])}
    work(opt.to_config(given, fields), given["out_folder"], as_json=given["json"], dry_run=given["dry_run"])


def _method(text: str) -> str:
    """Return the one spelling of a method; refuse what only a file can give."""
    from biotune.methods import canonical

    name = canonical(text)
    if name.partition(":")[0] == "recipe":
        raise InputError("give a recipe by its file: --recipe FILE instead of --method recipe.")
    return name


def _like_the_recipe(given: dict[str, Any]) -> dict[str, Any]:
    """Return the options with the recipe's network, base rate and optimiser where none were given."""
    recipe = Recipe.load(given["recipe"])
    told = {"model": recipe.model or None, "learning_rate": recipe.base_learning_rate, "optimizer": recipe.optimizer}
    missing = {name: value for name, value in told.items() if given[name] is None and given["config"] is None}
    return {**given, **missing, "start_from": str(given["recipe"])}


def work(config: RunConfig, folder: Path, *, as_json: bool, dry_run: bool) -> dict[str, Any]:
    """Do a run, or only estimate it, showing its progress; return its summary."""
    if dry_run:
        return _estimate(config, folder, as_json)
    require_idle(folder)
    with resumable() as stop, Display(err) as display:
        from biotune import runner

        summary = runner.run(config, folder, command_line(), display, stop)
    if as_json:
        print_json(summary)
    else:
        show(summary, folder)
    return summary


def _estimate(config: RunConfig, folder: Path, as_json: bool) -> dict[str, Any]:
    from biotune.runner.estimate import estimate_run

    with Display(err) as display:
        estimate = estimate_run(config, folder, display)
    if as_json:
        print_json(estimate.to_json())
    else:
        out.print(estimate.sentence(), highlight=False, soft_wrap=True)
    return estimate.to_json()


def show(summary: dict[str, Any], folder: Path) -> None:
    """Print the closing tables and where everything lies."""
    from biotune.report import story, tables

    out.print()
    out.print(tables.comparison_table(summary))
    if summary.get("out_of_fold"):
        out.print(story.headline(summary).lead, highlight=False, markup=False)
        out.print()
    out.print(tables.recipe_table(summary))
    out.print(f"Report:  {folder / REPORT}", highlight=False, soft_wrap=True)
    out.print(
        f"Model:   {folder / 'model.safetensors'}   Recipe: {folder / 'recipe.yaml'}", highlight=False, soft_wrap=True
    )
