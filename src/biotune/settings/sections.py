"""The settings of a run, each written once: name, type, bounds, default, meaning, option, and whether it may change."""

from typing import Annotated, Literal, get_args

from pydantic import BaseModel, Field, field_validator

from biotune.errors import InputError
from biotune.metrics import METRICS
from biotune.options import Checked
from biotune.recipe import Value
from biotune.settings.reading import read_duration, read_names, read_side
from biotune.settings.setting import (
    AUTO,
    DATA,
    NETWORK,
    RUN,
    RUN_COMMANDS,
    SEARCH,
    SEARCH_COMMANDS,
    TRAINING,
    WITH_REFINE,
    OneOf,
    Option,
    OrAuto,
    Setting,
)

Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]
Share = Annotated[float, Field(gt=0.0, le=1.0)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
CountOrZero = Annotated[int, Field(ge=0, le=1_000_000_000)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Amount = Annotated[float, Field(ge=0.0, le=1e9)]
Baseline = Literal["full", "full_tuned", "mask_one_rate", "linear_probe", "probe"]
BASELINES: tuple[Baseline, ...] = get_args(Baseline)

SMALLEST_SIDE = 8
"""Pixels of an input's side that a run takes: the images of the smallest named data set have as many."""


class Section(Checked, BaseModel):  # by name, since ruff does not look into other modules
    """A group of settings: a table of ``config.toml``."""


class ModelConfig(Section):
    """Which network is fine-tuned, and how it is cut into blocks."""

    name: Annotated[
        str,
        Setting(
            "timm or torchvision network, or hf:FOLDER; of several (a,b,c) the probe chooses; see 'biotune models'",
            Option("", name="model", short="-m", main=True),
            page="models.md",
        ),
    ] = "tf_efficientnet_lite0"
    weights: Annotated[
        str,
        Setting("Weights: auto, random or a .safetensors file", Option(NETWORK, WITH_REFINE), page="models.md#weights"),
    ] = "auto"
    image_size: Annotated[
        int | Literal["auto"],
        OrAuto(SMALLEST_SIDE, 4096, besides=0),
        Setting(
            "Side of the input, in pixels; 0 for the network's own, auto to let the probe choose before a run",
            Option(NETWORK, (*WITH_REFINE, "blocks"), read=read_side, default=AUTO, main=True),
            page="models.md#input-size",
        ),
    ] = "auto"
    resize: Annotated[
        Literal["crop", "squash", "pad"],
        Setting("How images that are not square are fitted", Option(NETWORK, WITH_REFINE)),
    ] = "crop"
    trust_checkpoint: Annotated[
        bool, Setting("Accept a weights file that is not .safetensors, such as a .pth", Option(NETWORK, WITH_REFINE))
    ] = False
    keep_auxiliary: Annotated[
        bool, Setting("Keep the auxiliary head of torchvision's Inception-v3", Option(NETWORK, ("blocks",)))
    ] = False
    granularity: Annotated[
        Literal["block", "layer"],
        Setting(
            "At most 16 blocks, or one unit for each layer that has a weight matrix",
            Option(NETWORK, (*RUN_COMMANDS, "blocks")),
        ),
    ] = "block"

    @property
    def side(self) -> int | None:
        """The input size that is asked for, in pixels; None for the network's own, and where it is not decided yet."""
        return None if self.image_size == "auto" else self.image_size or None


class DataConfig(Section):
    """Which images are used, and how they are split if they are not split already."""

    source: Annotated[str, Setting("DATA as typed", page="data.md")] = ""
    root: Annotated[
        str,
        Setting(
            "Folder of the named data sets",
            Option(
                DATA,
                (*WITH_REFINE, "check", "evaluate", "datasets"),
                name="data_root",
                default="$BIOTUNE_DATA, or ~/.cache/biotune/data",
            ),
            page="datasets.md",
            may_change=True,
        ),
    ] = ""
    validation_fraction: Annotated[
        Fraction,
        Setting(
            "Share of the training images for validation, if no validation set is given", Option(DATA, WITH_REFINE)
        ),
    ] = 0.2
    test_fraction: Annotated[
        Fraction,
        Setting("Share set aside for the test if none is given; 0 for no test", Option(DATA, WITH_REFINE, main=True)),
    ] = 0.2
    split_seed: Annotated[Seed, Setting("Seed of the splits and folds", Option(DATA, WITH_REFINE))] = 0
    train_images: Annotated[
        CountOrZero, Setting("Use at most this many training images, drawn class by class; 0 for all", Option(DATA))
    ] = 0
    validation_images: Annotated[
        CountOrZero, Setting("Use at most this many validation images; 0 for all", Option(DATA))
    ] = 0
    test_images: Annotated[CountOrZero, Setting("Use at most this many test images; 0 for all", Option(DATA))] = 0
    folds: Annotated[Count, Setting("Training folds, which the generations of the search use in turn")] = 1
    fold_validation: Annotated[bool, Setting("Fold the validation set too")] = False
    groups: Annotated[
        Literal["source", "near-copies"],
        Setting(
            "Images that stay in one part: those of a group of DATA, or near-copies of one picture too",
            Option(DATA, (*RUN_COMMANDS, "check")),
            page="check.md#groups",
            later=True,
        ),
    ] = "source"
    bad_images: Annotated[
        Literal["skip", "error"],
        Setting(
            "Images that cannot be read are left out and reported, or the run is refused",
            Option(DATA, RUN_COMMANDS),
            may_change=True,
        ),
    ] = "skip"


class TrainingConfig(Section):
    """One training, the same for every method of a run."""

    epochs: Annotated[Count, Setting("Largest number of epochs", Option(TRAINING, main=True))] = 20
    patience: Annotated[
        Count,
        Setting(
            "Epochs without a better score after which training stops",
            Option(TRAINING, sets={"patience_steps": 0, "stopping": "early"}, default="planned stopping"),
        ),
    ] = 3
    stopping: Annotated[
        Literal["early", "planned"],
        Setting(
            "When a training ends, and which epoch counts: early after --patience, and the best one; planned at "
            "--epochs, and the last one",
            Option(TRAINING),
            page="protocol.md#stopping",
            later=True,
        ),
    ] = "early"
    patience_steps: Annotated[
        CountOrZero, Setting("Training stops only after at least this many optimiser steps without a better score")
    ] = 50
    batch_size: Annotated[
        Count,
        Setting(
            "Images per step; an exact number if given as an option",
            Option(TRAINING, sets={"limit_batch": False}, default="at most a sixteenth of the images"),
        ),
    ] = 32
    limit_batch: Annotated[
        bool, Setting("Limit the batch to a sixteenth of the training images, but to no fewer than 8")
    ] = True
    learning_rate: Annotated[
        float, Field(gt=0, le=10), Setting("Base rate: that of a block with multiplier 1", Option(TRAINING))
    ] = 1e-3
    optimizer: Annotated[Literal["adam", "adamw", "sgd"], Setting("Optimiser", Option(TRAINING))] = "adam"
    scheduler: Annotated[
        Literal["cosine", "linear", "constant"], Setting("Schedule of the learning rates", Option(TRAINING))
    ] = "cosine"
    cosine_epochs: Annotated[CountOrZero, Setting("Length of the schedule in epochs; 0 for the planned epochs")] = 0
    warmup: Annotated[CountOrZero, Setting("Epochs of linear warm-up", Option(TRAINING))] = 0
    weight_decay: Annotated[
        float, Field(ge=0, le=1), Setting("Weight decay; biases and norms have none", Option(TRAINING))
    ] = 0.0
    head_start: Annotated[
        Literal["fresh", "fitted"],
        Setting(
            "Classifier before the first epoch: random weights, or those that the method probe gives",
            Option(TRAINING),
            page="method.md#named-values",
            later=True,
        ),
    ] = "fresh"
    statistics: Annotated[
        Literal["batch", "kept"],
        Setting(
            "Batch norms of trained blocks: the statistics of each batch, or the pretrained ones, kept",
            Option(TRAINING),
            page="method.md#named-values",
            later=True,
        ),
    ] = "batch"
    clip_gradient: Annotated[Amount, Setting("Largest norm of the gradient; 0 for no limit", Option(TRAINING))] = 0.0
    metric: Annotated[
        str,
        OneOf(METRICS),
        Setting(
            "Validation score to select by", Option(TRAINING, sets={"fitness": "score"}), page="protocol.md#fitness"
        ),
    ] = "macro"
    fitness: Annotated[
        Literal["score", "loss"],
        Setting(
            "What trainings are ranked by: the score of --metric, or the log-loss at the best temperature, which tells "
            "more of few images",
            Option(TRAINING),
            page="protocol.md#fitness",
            later=True,
        ),
    ] = "score"
    tie_break: Annotated[bool, Setting("Order equal scores by their validation loss")] = True
    frozen_statistics: Annotated[
        Literal["eval", "train"],
        Setting("Mode of frozen batch norms; train lets their statistics drift, as the papers' code does"),
    ] = "eval"
    augment: Annotated[
        Literal["none", "light", "standard", "strong"],
        Setting("Augmentation of the final trainings", Option(TRAINING), page="protocol.md#augmentation"),
    ] = "none"
    augment_search: Annotated[bool, Setting("Augment the trainings of the search too")] = False
    augment_flip: Annotated[
        bool, Setting("Whether the standard and strong augmentations may mirror an image", Option(TRAINING))
    ] = True
    imbalance: Annotated[
        Literal["none", "weights", "sampling"],
        Setting("How to compensate for rare classes", Option(TRAINING), page="protocol.md#unequal-classes"),
    ] = "none"


class MethodConfig(Section):
    """How the network is tuned."""

    name: Annotated[
        str,
        Setting(
            "search, given for a recipe, or a method: NAME or NAME:option=value,...; see 'biotune methods'",
            page="methods.md",
        ),
    ] = "search"
    multipliers: Annotated[tuple[float, ...], Setting("Multipliers of a given recipe, one per block")] = ()
    values: Annotated[dict[str, Value], Setting("Named values of a given recipe")] = {}
    options: Annotated[
        dict[str, dict[str, Value]],
        Setting(
            "Options of methods, by the name of the method, where a name does not give them; see 'biotune methods'",
            page="methods.md",
            may_change=True,
            later=True,
        ),
    ] = {}


class FinalConfig(Section):
    """The final phase: the best recipes are trained again from the start, one is chosen by validation and tested."""

    candidates: Annotated[Count, Setting("Finalists: best recipes of the search, which are trained again")] = 2
    seeds: Annotated[Count, Setting("Final trainings of the chosen recipe and of each method", Option(RUN))] = 3
    screening: Annotated[
        Literal["one_seed", "all_seeds"],
        Setting("Whether finalists are trained on the first final seed only, and the winner on the others, or on all"),
    ] = "one_seed"
    companions: Annotated[
        CountOrZero,
        Setting(
            "Final seeds at most that recipes of other kinds get, for the vote, where final trainings use all images",
            page="method.md#the-vote",
        ),
    ] = 0
    data: Annotated[
        Literal["all", "training"],
        Setting(
            "Images of the final trainings: all but the test set, where training stops as planned, or the training set",
            Option(RUN, name="final_data"),
            page="protocol.md#final-trainings",
        ),
    ] = "training"
    test_all: Annotated[bool, Setting("Test the other finalists too, for the papers' best-of-5 figure")] = False
    baselines: Annotated[
        tuple[Baseline, ...],
        Setting(
            "Other ways of fine-tuning to compare with, separated by commas, or none",
            Option(RUN, ("tune",), read=read_names, default="all"),
        ),
    ] = BASELINES

    @field_validator("baselines")
    @classmethod
    def _each_once(cls, baselines: tuple[Baseline, ...]) -> tuple[Baseline, ...]:
        """Refuse a name that is given twice: its trainings would be one and the same."""
        if twice := [name for name in baselines if baselines.count(name) > 1]:
            raise InputError(f"the baseline '{twice[0]}' is given twice (--baselines); name each once.")
        return baselines


class CacheConfig(Section):
    """What is kept on disk to save time."""

    limit_gib: Annotated[
        Amount,
        Setting(
            "Disk for all decoded images together, in GiB; 0 keeps none",
            Option(DATA, RUN_COMMANDS, name="cache_gib"),
            may_change=True,
        ),
    ] = 64.0
    verify: Annotated[
        bool, Setting("Hash sources and decoded images again", Option(DATA, RUN_COMMANDS), may_change=True)
    ] = False
    activations_gib: Annotated[
        Amount,
        Setting(
            "Disk for outputs of frozen blocks that do not fit into memory, in GiB; 0 for none",
            page="architecture.md",
            may_change=True,
        ),
    ] = 8.0


class BudgetConfig(Section):
    """Limits of time and of candidates."""

    seconds: Annotated[
        Amount,
        Setting(
            "Limit of the run's wall-clock time; as an option, for example, 30m or 1h30m, in config.toml seconds",
            Option(RUN, ("tune",), name="budget", read=read_duration, default="none", main=True),
            is_limit=True,
        ),
    ] = 0.0
    max_evaluations: Annotated[
        CountOrZero,
        Setting("Largest number of candidates; 0 for no limit", Option(SEARCH, SEARCH_COMMANDS), is_limit=True),
    ] = 0
    max_cost: Annotated[
        Amount,
        Setting(
            "Limit of the search's time, in full fine-tunes; 0 for no limit",
            Option(SEARCH, SEARCH_COMMANDS),
            is_limit=True,
        ),
    ] = 0.0
