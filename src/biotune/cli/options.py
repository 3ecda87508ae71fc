"""The options that ``tune`` and ``train`` share, and how they become a configuration."""

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from biotune.errors import InputError
from biotune.runs.config import BASELINES, RunConfig, load_config, resolve

_RUN, _TRAINING, _DATA, _SEARCH = "Run", "Training", "Data", "Search"

Data = Annotated[
    str,
    typer.Argument(
        help="Folder of class folders, train/val/test folders, a CSV or Parquet file, hf:NAME, or a data set's name."
    ),
]
Out = Annotated[Path, typer.Option("--out", "-o", help="Run folder; the same command again continues it.")]
Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        help=r"timm or torchvision network, or hf:FOLDER; see 'biotune models' \[default: tf_efficientnet_lite0].",
    ),
]
Weights = Annotated[str | None, typer.Option(help="auto, random, or a .safetensors file.", rich_help_panel="Network")]
Trust = Annotated[
    bool | None, typer.Option("--trust-checkpoint", help="Admit a .pth weights file.", rich_help_panel="Network")
]
ImageSize = Annotated[int | None, typer.Option(help="Side of the input, in pixels.", rich_help_panel="Network")]
Granularity = Annotated[
    str | None, typer.Option(help=r"block, or layer for one unit per layer.", rich_help_panel="Network")
]
Resize = Annotated[str | None, typer.Option(help="crop, squash or pad.", rich_help_panel="Network")]
Preset = Annotated[str | None, typer.Option(help="quick, standard, reference or paper.", rich_help_panel=_SEARCH)]
Config = Annotated[Path | None, typer.Option("--config", help="A config.toml to start from.", rich_help_panel=_RUN)]
Seed = Annotated[int | None, typer.Option(help="Root seed of every random number.", rich_help_panel=_RUN)]
Epochs = Annotated[int | None, typer.Option(help="Largest number of epochs.", rich_help_panel=_TRAINING)]
BatchSize = Annotated[
    int | None,
    typer.Option(
        help=r"Exact batch size \[default: 32, at most a sixteenth of the images].", rich_help_panel=_TRAINING
    ),
]
LearningRate = Annotated[float | None, typer.Option(help="Rate of multiplier 1.", rich_help_panel=_TRAINING)]
Optimizer = Annotated[str | None, typer.Option(help="adam, adamw or sgd.", rich_help_panel=_TRAINING)]
Patience = Annotated[
    int | None,
    typer.Option(help=r"Epochs without a better score \[default: 3, at least 50 steps].", rich_help_panel=_TRAINING),
]
WeightDecay = Annotated[float | None, typer.Option(help="Not on biases and norms.", rich_help_panel=_TRAINING)]
Scheduler = Annotated[str | None, typer.Option(help="cosine, linear or constant.", rich_help_panel=_TRAINING)]
Warmup = Annotated[int | None, typer.Option(help="Epochs of linear warm-up.", rich_help_panel=_TRAINING)]
ClipGradient = Annotated[float | None, typer.Option(help="Largest gradient norm.", rich_help_panel=_TRAINING)]
Metric = Annotated[str | None, typer.Option(help="accuracy, macro, auroc, f1 or log_loss.", rich_help_panel=_TRAINING)]
Augment = Annotated[
    str | None, typer.Option(help="Final trainings: none, light, standard or strong.", rich_help_panel=_TRAINING)
]
AugmentFlip = Annotated[
    bool | None, typer.Option(help="Whether standard and strong may mirror.", rich_help_panel=_TRAINING)
]
Imbalance = Annotated[
    str | None, typer.Option(help="Rare classes: none, weights or sampling.", rich_help_panel=_TRAINING)
]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1 ...", rich_help_panel=_RUN)]
Threads = Annotated[int | None, typer.Option(help="CPU threads; part of the trajectory.", rich_help_panel=_RUN)]
Precision = Annotated[
    str | None, typer.Option(help="float32, bfloat16, or auto: what is faster on a GPU.", rich_help_panel=_RUN)
]
MemoryFormat = Annotated[
    str | None, typer.Option(help="channels_last, or contiguous if training crashes.", rich_help_panel=_RUN)
]
ValidationFraction = Annotated[
    float | None, typer.Option(help="Share carved from the training images.", rich_help_panel=_DATA)
]
TestFraction = Annotated[
    float | None, typer.Option(help="Share locked away first, where there is no test set.", rich_help_panel=_DATA)
]
SplitSeed = Annotated[int | None, typer.Option(help="Seed of the splits.", rich_help_panel=_DATA)]
TrainImages = Annotated[int | None, typer.Option(help="Use at most so many.", rich_help_panel=_DATA)]
ValidationImages = Annotated[int | None, typer.Option(help="Use at most so many.", rich_help_panel=_DATA)]
TestImages = Annotated[int | None, typer.Option(help="Use at most so many.", rich_help_panel=_DATA)]
DataRoot = Annotated[
    str | None,
    typer.Option(
        help=r"Where named data sets lie \[default: $BIOTUNE_DATA, or ~/.cache/biotune/data].", rich_help_panel=_DATA
    ),
]
BadImages = Annotated[str | None, typer.Option(help="Unreadable images: skip or error.", rich_help_panel=_DATA)]
CacheGib = Annotated[
    float | None, typer.Option(help="Decoded images kept on disk, in GiB; 0 keeps none.", rich_help_panel=_DATA)
]
Verify = Annotated[
    bool | None, typer.Option("--verify", help="Hash sources and decoded images again.", rich_help_panel=_DATA)
]
Budget = Annotated[str | None, typer.Option(help="Wall-clock limit, for example 30m or 1h30m.", rich_help_panel=_RUN)]
MaxEvaluations = Annotated[int | None, typer.Option(help="Limit of searched points.", rich_help_panel=_SEARCH)]
MaxCost = Annotated[
    float | None, typer.Option(help="Limit of the search's time, in full fine-tunes.", rich_help_panel=_SEARCH)
]
MaxWork = Annotated[
    float | None,
    typer.Option(
        help=r"Limit of the search's work, in full fine-tunes; 0 for none \[quick, standard: 3.5].",
        rich_help_panel=_SEARCH,
    ),
]
SearchName = Annotated[
    str | None,
    typer.Option(
        "--search", help=r"Search algorithm; see 'biotune searches' \[default: evolution].", rich_help_panel=_SEARCH
    ),
]
Population = Annotated[int | None, typer.Option(help="Individuals.", rich_help_panel=_SEARCH)]
Generations = Annotated[int | None, typer.Option(help="Generations.", rich_help_panel=_SEARCH)]
StartFrom = Annotated[
    str | None, typer.Option(help="A recipe.yaml or run to start the search from.", rich_help_panel=_SEARCH)
]
Seeds = Annotated[int | None, typer.Option(help="Final trainings of each method.", rich_help_panel=_RUN)]
Baselines = Annotated[str | None, typer.Option(help=f"none, or some of {','.join(BASELINES)}.", rich_help_panel=_RUN)]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.", rich_help_panel=_RUN)]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print size and time, train nothing.", rich_help_panel=_RUN)]

_FIELDS = {
    "data": ("data", "source"),
    "model": ("model", "name"),
    "weights": ("model", "weights"),
    "trust_checkpoint": ("model", "trust_checkpoint"),
    "image_size": ("model", "image_size"),
    "resize": ("model", "resize"),
    "granularity": ("model", "granularity"),
    "epochs": ("training", "epochs"),
    "batch_size": ("training", "batch_size"),
    "learning_rate": ("training", "learning_rate"),
    "optimizer": ("training", "optimizer"),
    "patience": ("training", "patience"),
    "weight_decay": ("training", "weight_decay"),
    "scheduler": ("training", "scheduler"),
    "warmup": ("training", "warmup"),
    "clip_gradient": ("training", "clip_gradient"),
    "metric": ("training", "metric"),
    "augment": ("training", "augment"),
    "augment_flip": ("training", "augment_flip"),
    "imbalance": ("training", "imbalance"),
    "device": ("compute", "device"),
    "threads": ("compute", "threads"),
    "precision": ("compute", "precision"),
    "memory_format": ("compute", "memory_format"),
    "data_root": ("data", "root"),
    "validation_fraction": ("data", "validation_fraction"),
    "test_fraction": ("data", "test_fraction"),
    "split_seed": ("data", "split_seed"),
    "train_images": ("data", "train_images"),
    "validation_images": ("data", "validation_images"),
    "test_images": ("data", "test_images"),
    "bad_images": ("data", "bad_images"),
    "cache_gib": ("cache", "limit_gib"),
    "verify": ("cache", "verify"),
    "max_evaluations": ("budget", "max_evaluations"),
    "max_cost": ("budget", "max_cost"),
    "max_work": ("search", "max_work"),
    "search": ("search", "name"),
    "population": ("search", "population"),
    "generations": ("search", "generations"),
    "start_from": ("search", "start_from"),
    "seeds": ("final", "seeds"),
}


def to_config(given: dict[str, Any], method: dict[str, Any] | None = None) -> RunConfig:
    """Return the configuration of a command line.

    Args:
        given: option name -> value; None was not given. Options win over ``config``, which wins over the preset.
        method: fields of the method section, for ``train``.

    Returns:
        The checked configuration.
    """
    changes: dict[str, dict[str, Any]] = {}
    options = {"seed": "--seed"} if given.get("seed") is not None else {}
    preset, seed = given.get("preset"), given.get("seed")
    if given.get("config") is not None:
        if preset is not None:
            raise InputError("give either --config or --preset: a config.toml holds every setting of its preset.")
        base = load_config(given["config"])[0].model_dump()
        preset, seed = preset or base["preset"], base["seed"] if seed is None else seed
        changes = {name: fields for name, fields in base.items() if isinstance(fields, dict)}
    for name, value in given.items():
        if value is not None and name in _FIELDS:
            section, field = _FIELDS[name]
            changes.setdefault(section, {})[field] = value
            options[f"{section}.{field}"] = f"--{name.replace('_', '-')}"
    if given.get("data") is not None:
        changes["data"]["source"] = source(given["data"])
    if given.get("patience") is not None:
        changes["training"]["patience_steps"] = 0
    if given.get("batch_size") is not None:
        changes["training"]["limit_batch"] = False
    if given.get("budget") is not None:
        changes.setdefault("budget", {})["seconds"] = parse_duration(given["budget"])
    if given.get("baselines") is not None:
        names = [name for name in given["baselines"].split(",") if name not in ("", "none")]
        changes.setdefault("final", {})["baselines"] = names
        options["final.baselines"] = "--baselines"
    if method:
        changes["method"] = method
    return resolve(preset or "standard", changes, seed or 0, options)


def source(typed: str) -> str:
    """Return DATA without its last slashes; where a data set has that name, they say that the folder is meant."""
    source = typed.rstrip("/") or "/"
    if source == typed:
        return source
    from biotune.datasets import DATASETS

    return f"./{source}" if source in DATASETS else source


def parse_duration(text: str) -> float:
    """Return seconds of a duration such as ``90``, ``45s``, ``30m`` or ``1h30m``.

    Args:
        text: as typed.

    Returns:
        Seconds, above 0.

    Raises:
        InputError: something else.
    """
    match = re.fullmatch(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s?)?", text.strip())
    parts = [float(part or 0) for part in match.groups()] if match else [0.0]
    seconds = parts[0] * 3600 + parts[1] * 60 + parts[2] if len(parts) == 3 else 0.0
    if seconds <= 0:
        raise InputError(f"the duration '{text}' cannot be read; write seconds, or for example 45s, 30m or 1h30m.")
    return seconds
