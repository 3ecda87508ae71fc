"""The configuration of a run: one frozen tree of defaults, kinds and limits, saved as ``config.toml``."""

import difflib
import hashlib
import json
import math
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from biotune.errors import InputError
from biotune.runs.presets import PRESETS
from biotune.search import EvolutionSettings

Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]
Count = Annotated[int, Field(ge=1)]
Baseline = Literal["full", "full_tuned", "mask_one_rate", "linear_probe"]
BASELINES: tuple[Baseline, ...] = ("full", "full_tuned", "mask_one_rate", "linear_probe")


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ModelConfig(_Section):
    """Which network. ``weights``: auto, random, or a file; ``image_size`` 0 = the network's own.

    ``granularity``: ``block`` for at most 16 blocks, ``layer`` for one unit per layer with a weight matrix.
    """

    name: str = "tf_efficientnet_lite0"
    weights: str = "auto"
    image_size: Annotated[int, Field(ge=0, le=4096)] = 0
    resize: Literal["crop", "squash", "pad"] = "crop"
    trust_checkpoint: bool = False
    keep_auxiliary: bool = False
    granularity: Literal["block", "layer"] = "block"


class DataConfig(_Section):
    """Which images, and how they are split where they are not split already.

    ``root`` is where named data sets lie; empty: the usual place. ``bad_images`` says what happens to images that
    cannot be read: they are left out and reported, or the run is refused.
    """

    source: str = ""
    root: str = ""
    validation_fraction: Fraction = 0.2
    test_fraction: Fraction = 0.2
    split_seed: Annotated[int, Field(ge=0)] = 0
    train_images: Annotated[int, Field(ge=0)] = 0
    validation_images: Annotated[int, Field(ge=0)] = 0
    test_images: Annotated[int, Field(ge=0)] = 0
    folds: Count = 1
    fold_validation: bool = False
    bad_images: Literal["skip", "error"] = "skip"


class TrainingConfig(_Section):
    """One training, the same for every method of a run.

    ``patience`` counts epochs and ``patience_steps`` optimiser steps: training stops when both have passed without a
    better score. ``limit_batch`` caps the batch at a sixteenth of the training images (at least 8). ``cosine_epochs`` 0
    means the planned epochs. ``augment`` applies to the final trainings, and to the search's with ``augment_search``;
    ``augment_flip`` says that mirroring keeps the label.
    """

    epochs: Count = 20
    patience: Count = 3
    patience_steps: Annotated[int, Field(ge=0)] = 50
    batch_size: Count = 32
    limit_batch: bool = True
    learning_rate: Annotated[float, Field(gt=0, le=10)] = 1e-3
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    scheduler: Literal["cosine", "linear", "constant"] = "cosine"
    cosine_epochs: Annotated[int, Field(ge=0)] = 0
    warmup: Annotated[int, Field(ge=0)] = 0
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.0
    clip_gradient: Annotated[float, Field(ge=0)] = 0.0
    metric: Literal["accuracy", "macro", "auroc", "f1", "log_loss"] = "macro"
    tie_break: bool = True
    frozen_statistics: Literal["eval", "train"] = "eval"
    augment: Literal["none", "light", "standard", "strong"] = "none"
    augment_search: bool = False
    augment_flip: bool = True
    imbalance: Literal["none", "weights", "sampling"] = "none"


class MethodConfig(_Section):
    """How it is tuned: ``search`` finds a recipe; ``NAME`` or ``NAME:option=value,...`` trains without a search."""

    name: str = "search"
    multipliers: tuple[float, ...] = ()


KEPT = 1 / 3
"""Share of all candidates seen at a rung whose score admits a candidate to the next one (successive halving with eta 3,
Jamieson and Talwalkar 2016, but judged against the whole search so far, so that a poor batch sends nobody on)."""

SEARCHED_SHARE = 0.7
"""Typical cost of a candidate that is trained to its end, in full fine-tunes: frozen prefixes are computed once, frozen
blocks need no gradient."""


class SearchConfig(_Section):
    """Where the search looks, and for how long.

    ``rungs`` are shares of the planned epochs: a candidate pauses at each, and the better third goes on to the next;
    the last one is where candidates are compared, (1.0,) trains each to the end. ``max_work`` ends the search, in full
    fine-tunes of this run counted in multiplications of training steps, not in seconds; 0 = no limit. With fewer
    validation images than ``out_of_fold_below``, the last rung trains a candidate anew on each of five folds of all
    training and validation images, and compares what it scores on the images that were held out; 0 = never.
    """

    name: Literal["evolution", "random", "ga", "pso", "de", "dehb", "cmaes", "tpe", "gp", "nsga2", "greedy"] = (
        "evolution"
    )
    population: Count = 9
    elites: Count = 1
    generations: Annotated[int, Field(ge=0)] = 3
    seeds: Count = 1
    given_seeds: tuple[int, ...] = ()
    reevaluate: Literal["population", "elites", "none"] = "population"
    rank_law: Literal["bioik", "code"] = "bioik"
    same_parents: bool = True
    smallest_pool: Count = 1
    exploit: Literal["one_trained", "one_any", "all", "off"] = "one_trained"
    amplitude: Annotated[float, Field(gt=0, le=1)] = 0.25
    momentum: bool = True
    mutation: bool = True
    adaptation: Literal["per_gene", "scalar", "off"] = "per_gene"
    survivors: Literal["generational", "mu+lambda"] = "generational"
    wipeout: Literal["off", "pivot", "starke"] = "off"
    infeasible: Literal["penalise", "repair"] = "penalise"
    offspring: Literal["sequential", "batch"] = "batch"
    law: Literal["exponential", "scaled", "normalized", "discriminative"] = "exponential"
    head: Literal["evolve", "always_train"] = "evolve"
    threshold: Literal["evolve", "none"] | Fraction = "evolve"
    start: Literal["informed", "random"] = "informed"
    start_from: str = ""
    rungs: tuple[Annotated[float, Field(gt=0, le=1)], ...] = (0.15, 0.4)
    max_work: Annotated[float, Field(ge=0)] = 3.5
    out_of_fold_below: Annotated[int, Field(ge=0)] = 200

    def epochs_of_rungs(self, epochs: int) -> tuple[int, ...]:
        """Return after how many epochs a candidate pauses, ascending; 0 stands for training to the end."""
        ends = {min(epochs, math.ceil(share * epochs)) for share in self.rungs}
        return tuple(0 if end == epochs else end for end in sorted(ends))

    def evolution_settings(self, folds: int) -> EvolutionSettings:
        """Return the settings of the evolution."""
        shared = set(EvolutionSettings.__dataclass_fields__) & set(type(self).model_fields)
        return EvolutionSettings(folds=folds, **{name: getattr(self, name) for name in shared})


class FinalConfig(_Section):
    """The final phase: ``candidates`` best recipes are trained anew, one is chosen by validation and tested.

    ``screening`` ``one_seed`` trains the candidates on the first final seed and only the winner on the others;
    ``all_seeds`` trains every candidate on every final seed. ``test_all`` also tests the losers, for the papers'
    best-of-5 figure.
    """

    candidates: Count = 2
    seeds: Count = 3
    screening: Literal["one_seed", "all_seeds"] = "one_seed"
    test_all: bool = False
    baselines: tuple[Baseline, ...] = BASELINES


class ComputeConfig(_Section):
    """Where and how it is computed: part of the trajectory.

    ``auto`` and 0 threads are resolved at the first call of a run, and kept. On a CPU, the reference, the precision
    ``auto`` is float32, and on a GPU what a short measurement finds faster.
    """

    device: str = "auto"
    threads: Annotated[int, Field(ge=0, le=512)] = 0
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    memory_format: Literal["channels_last", "contiguous"] = "channels_last"
    prefix_cache_mib: Annotated[int, Field(ge=0)] = 2048


class CacheConfig(_Section):
    """What is kept on disk to save time.

    ``limit_gib`` caps all decoded images together (0 keeps none), ``verify`` hashes them again. ``activations_gib``
    caps the outputs of frozen blocks that memory has no room for, while a run works (0 keeps none).
    """

    limit_gib: Annotated[float, Field(ge=0)] = 64.0
    verify: bool = False
    activations_gib: Annotated[float, Field(ge=0)] = 8.0


class BudgetConfig(_Section):
    """Limits that may change between calls of the same run. 0 = no limit."""

    seconds: Annotated[float, Field(ge=0)] = 0.0
    max_evaluations: Annotated[int, Field(ge=0)] = 0
    max_cost: Annotated[float, Field(ge=0)] = 0.0


class RunConfig(_Section):
    """Everything that a run is."""

    preset: Literal["quick", "standard", "reference", "paper"] = "standard"
    seed: Annotated[int, Field(ge=0)] = 0
    model: ModelConfig = ModelConfig()
    data: DataConfig = DataConfig()
    training: TrainingConfig = TrainingConfig()
    method: MethodConfig = MethodConfig()
    search: SearchConfig = SearchConfig()
    final: FinalConfig = FinalConfig()
    compute: ComputeConfig = ComputeConfig()
    cache: CacheConfig = CacheConfig()
    budget: BudgetConfig = BudgetConfig()

    def limits(self) -> dict[str, float]:
        """Return everything that decides how far a run goes, and not which way; JSON-able."""
        return {**self.budget.model_dump(), "max_work": self.search.max_work}

    def first_batch(self, folds: int = 1) -> tuple[int, int]:
        """Return the trainings and the epochs of the search's first batch, which is always tried, if nothing is frozen.

        Args:
            folds: that judge a candidate at the last rung, each in a training from its beginning.

        Returns:
            Both for all search seeds; a candidate that goes on to a further rung is trained again.
        """
        racing, trainings, epochs, start = self.search.population, 0, 0, 0
        ends = [end or self.training.epochs for end in self.search.epochs_of_rungs(self.training.epochs)]
        for end in ends:
            judging = folds if end == ends[-1] else 1
            trainings += racing * judging
            epochs += racing * (judging * end if judging > 1 else end - start)
            racing, start = max(self.search.elites, math.ceil(KEPT * self.search.population)), end
        return trainings * self.search.seeds, epochs * self.search.seeds

    def searched_trainings(self) -> int:
        """Return how many trainings the search plans: of every point, or what the allowance or the budget admits."""
        evaluations = self.search.evolution_settings(self.data.folds).evaluations
        planned = min(evaluations, self.budget.max_evaluations or evaluations) * self.search.seeds
        if not self.search.max_work:
            return planned
        trainings, epochs = self.first_batch()
        affordable = math.ceil(self.search.max_work * self.training.epochs * trainings / epochs)
        return min(planned, max(trainings, affordable))

    def searched_share(self) -> float:
        """Return the expected cost of a training of the search, as a share of a full fine-tune."""
        trainings, epochs = self.first_batch()
        return min(SEARCHED_SHARE, epochs / (trainings * self.training.epochs))

    def final_trainings(self, recipes: int) -> int:
        """Return how many trainings it takes to choose one of so many recipes; one that goes on counts as another."""
        if self.final.screening == "all_seeds":
            return recipes * self.final.seeds
        goes_on = self.search.epochs_of_rungs(self.training.epochs)[-1] > 0
        return recipes + self.final.seeds - (not goes_on)

    def to_toml(self, facts: dict[str, Any]) -> str:
        """Return the text of ``config.toml``: the configuration and the facts it was resolved with."""
        return tomli_w.dumps({**self.model_dump(mode="json"), "resolved": facts})


MAY_CHANGE = ("budget", "search.max_work", "cache", "data.root", "data.bad_images")
"""What may differ when a run is continued: when to stop, where data lie and what is kept, never a training's result."""


def resolve(
    preset: str, changes: dict[str, dict[str, Any]], seed: int = 0, options: Mapping[str, str] | None = None
) -> RunConfig:
    """Return the configuration of a preset with changes on top.

    Args:
        preset: name in ``PRESETS``.
        changes: section -> field -> value; they win over the preset.
        seed: root seed of the run.
        options: dotted name of a setting -> the option that it was given by, which errors then name.

    Returns:
        The checked configuration.

    Raises:
        InputError: unknown preset, section or field, or values out of range; all problems in one message.
    """
    if preset not in PRESETS:
        raise InputError(f"the preset '{preset}' is unknown; choose one of {', '.join(PRESETS)}.")
    merged: dict[str, Any] = {"preset": preset, "seed": seed}
    for layer in (PRESETS[preset], changes):
        for section, fields in layer.items():
            merged[section] = {**merged.get(section, {}), **fields}
    return _validated(merged, options or {})


def load_config(path: Path) -> tuple[RunConfig, dict[str, Any]]:
    """Read ``config.toml``.

    Args:
        path: the file.

    Returns:
        The configuration and the facts it was resolved with.

    Raises:
        InputError: not a readable configuration.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read '{path}': {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"'{path}' is not TOML ({error}).") from None
    facts = data.pop("resolved", {})
    try:
        return _validated(data, {}), facts
    except InputError as error:
        raise InputError(f"'{path}' cannot be used: {error}") from None


def _validated(data: dict[str, Any], options: Mapping[str, str]) -> RunConfig:
    try:
        config = RunConfig.model_validate(data)
    except ValidationError as error:
        problems = [_problem(item, options) for item in error.errors()]
        raise InputError(" ".join(problems)) from None
    config.search.evolution_settings(config.data.folds)
    return config


def _problem(item: Any, options: Mapping[str, str]) -> str:
    where = ".".join(str(part) for part in item["loc"])
    if item["type"] == "extra_forbidden":
        sections = RunConfig.model_fields
        known = [name for section in sections.values() for name in _fields(section.annotation)]
        known = list(sections) if len(item["loc"]) == 1 else known
        given = str(item["loc"][-1])
        homes = [f"{name}.{field}" for name, part in sections.items() for field in _fields(part.annotation)]
        near = [home for home in homes if given == home.replace(".", "_") or given == home.partition(".")[2]]
        near = near or difflib.get_close_matches(given, known, 1)
        return f"The setting '{where}' is unknown" + (f"; did you mean '{near[0]}'?" if near else ".")
    option = options.get(".".join(str(part) for part in item["loc"][:2]))
    name = f"The option {option}" if option else f"The setting '{where}'"
    return f"{name} cannot be {item['input']!r}: {str(item['msg']).lower()}."


def _fields(annotation: Any) -> list[str]:
    return list(annotation.model_fields) if isinstance(annotation, type) and issubclass(annotation, _Section) else []


def differences(first: RunConfig, second: RunConfig) -> list[str]:
    """Return, in words, the settings that differ where a continued run may not differ."""
    one, two = first.model_dump(mode="json"), second.model_dump(mode="json")
    rows = []
    for section in one:
        if section in MAY_CHANGE:
            continue
        left, right = one[section], two[section]
        if not isinstance(left, dict):
            left, right = {"": left}, {"": right}
        rows += [
            f"{section}{'.' if name else ''}{name} (was {left[name]!r}, now {right[name]!r})"
            for name in left
            if left[name] != right[name] and f"{section}.{name}" not in MAY_CHANGE
        ]
    return rows


def result_hash(config: RunConfig, facts: dict[str, Any]) -> str:
    """Return the hash of everything, besides a task, that the result of a training depends on.

    Args:
        config: of the run; its model, data, training and compute sections count, but not where the data
            lie and whether unreadable images are refused.
        facts: JSON-able: versions, fingerprints of data and partition, hash of the weights.

    Returns:
        24 hexadecimal digits of a SHA-256.
    """
    sections = config.model_dump(mode="json", include={"model", "data", "training", "compute"})
    for harmless in ("root", "bad_images"):
        del sections["data"][harmless]
    text = json.dumps([sections, facts], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:24]
