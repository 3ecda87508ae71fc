"""From a configuration to everything that a run works with; checks all that can be checked before the first step."""

import math
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import torch
from pydantic import BaseModel

from biotune.datasets import ImageSet, open_source
from biotune.datasets.splits import require_learnable
from biotune.errors import InputError
from biotune.executors import require
from biotune.inspection.groups import keep_together
from biotune.inspection.leaks import with_leaks
from biotune.machine import num_cores
from biotune.methods import configured
from biotune.models import Backbone, LoadedModel, forward_logits
from biotune.pixels.learning_data import LearningData
from biotune.pixels.loading import load
from biotune.recipe import Recipe
from biotune.results.sizing import Sizing
from biotune.runner.resources import num_workers, resources_of
from biotune.runner.size_notes import size_notes
from biotune.runner.sizing import largest_network, with_network
from biotune.runner.texts import with_texts
from biotune.runs.events import Message, Observer
from biotune.runs.folder import CONFIG
from biotune.search import SEARCHES
from biotune.settings.config import RunConfig
from biotune.settings.resolve import load_config
from biotune.training.memory import fitting
from biotune.training.precision import FORWARDS, faster_precision
from biotune.training.trainer import effective_batch_size
from biotune.trials.spec import load_network
from biotune.trials.worker import placed, source_of
from biotune.version import RESULT_VERSION, __version__
from biotune.wording import listed, plural

Section = TypeVar("Section", bound=BaseModel)


@dataclass(frozen=True)
class Setup:
    """What a run works with.

    Args:
        config: with device, threads and precision resolved.
        loaded: the pretrained network.
        data: what it learns from.
        facts: versions and fingerprints; a change of any of them makes it another run.
        notes: warnings about network and images, as sentences for the user.
        sizing: how network and input size were chosen, where this call chose them.
        to_try: of a dry run, network -> the input sizes that the run will try, empty where there is no choice.
    """

    config: RunConfig
    loaded: LoadedModel
    data: LearningData
    facts: dict[str, Any]
    notes: tuple[str, ...] = ()
    sizing: Sizing | None = None
    to_try: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


def set_up(
    config: RunConfig,
    folder: Path | None,
    observer: Observer,
    image_set: ImageSet | None = None,
    backbone: Backbone | None = None,
    *,
    dry: bool = False,
) -> Setup:
    """Open the data, build the network and decode the images, or encode the texts.

    Args:
        config: as asked for.
        folder: the run folder; an earlier call's choice of network, input size, device, threads and precision is kept.
            None for a new one that is not made.
        observer: receives the progress of decoding.
        image_set: the images; None opens the configuration's source.
        backbone: the module that the configuration names, where it is one of the user's own.
        dry: True to choose no network or size, but to take the costliest of those that would be tried.

    Returns:
        The parts of the run.

    Raises:
        InputError: anything wrong with method, data, network, weights, recipe or device.
    """
    config = with_device(_with_method(config), folder)
    require(config.compute.executor, resources_of(config.compute))
    start = Recipe.load(config.search.start_from) if config.search.start_from else None
    image_set = image_set if image_set is not None else open_source(config.data.source, config.data.root)
    require_learnable(image_set)
    image_set = keep_together(image_set, config.data, observer)
    config, texts = with_texts(config, image_set)
    sizing: Sizing | None = None
    to_try: Mapping[str, tuple[int, ...]] = {}
    if dry:
        config, to_try = largest_network(config, folder, image_set)
    elif backbone is None:
        config, sizing = with_network(config, folder, image_set, observer)
    loaded = load_network(config, len(image_set.class_names), backbone, texts)
    config = _with_start(config, loaded, start)
    data = with_leaks(load(image_set, config.data, loaded.preprocessing, config.cache, observer))
    config = _with_measured(config, loaded, data)
    sizes = () if texts else size_notes(loaded, image_set)
    notes = (*_head_notes(config), *sizes, *_inert_notes(loaded), *_memory_notes(config, len(data.train)))
    return Setup(config, loaded, data, facts_of(loaded, data), notes, sizing, to_try)


def _with_method(config: RunConfig) -> RunConfig:
    """Write the method in its canonical form, so that the same method is the same run; refuse an impossible search."""
    if config.method.name == "search":
        SEARCHES[config.search.name].require(config.search.settings(config.data.folds))
        return config
    return replace_fields(
        config, method=replace_fields(config.method, name=configured(config.method.name, config.method.options))
    )


def with_device(config: RunConfig, folder: Path | None) -> RunConfig:
    """Resolve ``auto``: as in the run folder, else the GPU if there is one, and the cores that this process may use.

    The workers share the cores. The precision is float32 on a CPU; on a GPU it stays ``auto`` until it can be measured.
    """
    compute = config.compute
    earlier = folder / CONFIG if folder is not None else None
    if earlier is not None and earlier.exists():
        known = load_config(earlier)[0].compute
    else:
        known = replace_fields(
            compute,
            device="cuda" if torch.cuda.is_available() else "cpu",
        )
    device = known.device if compute.device == "auto" else compute.device
    asked = replace_fields(compute, device=device, threads=compute.threads or known.threads)
    workers = num_workers(asked, config.search.population)
    threads = asked.threads or max(1, num_cores() // workers)
    try:
        float(torch.ones(1, device=device))  # a device that holds no numbers, such as meta, fails here
    except (RuntimeError, AssertionError):
        others = [name for name in ("cpu", "cuda") if name != device and (name == "cpu" or torch.cuda.is_available())]
        raise InputError(
            f"the device '{device}' cannot be used here; choose --device {' or '.join(others) or 'auto'}."
        ) from None
    precision = known.precision if compute.precision == "auto" else compute.precision
    if precision == "auto" and torch.device(device).type == "cpu":
        precision = "float32"
    torch.set_num_threads(threads)
    found = {"device": device, "threads": threads, "precision": precision, "workers": workers}
    micro_batch = compute.micro_batch or known.micro_batch
    return replace_fields(config, compute=replace_fields(compute, **found, micro_batch=micro_batch))


def _with_measured(config: RunConfig, loaded: LoadedModel, data: LearningData) -> RunConfig:
    """Resolve, on a GPU, what a few training steps tell: the images that fit into its memory, and the precision."""
    compute = config.compute
    by_memory = torch.device(compute.device).type != "cpu" and not compute.micro_batch
    if compute.precision != "auto" and not by_memory:
        return config
    devices = compute.devices_per_training
    batch = effective_batch_size(len(data.train), config.training)
    rows = data.train[: math.ceil(batch / devices)]
    images = source_of(data.selection.images, loaded.preprocessing, compute).batch(torch.from_numpy(rows))
    model = placed(loaded.model, compute)
    if by_memory:
        forward = FORWARDS.get(compute.precision, forward_logits)
        fits = fitting(model, images, config.training.optimizer, forward)
        compute = replace_fields(compute, micro_batch=min(batch, fits * devices))
    if compute.precision == "auto":
        precision = faster_precision(model, images[: compute.micro_batch // devices or None])
        compute = replace_fields(compute, precision=precision)
    return replace_fields(config, compute=compute)


def _memory_notes(config: RunConfig, num_images: int) -> tuple[str, ...]:
    """Return what the user should know where a batch does not go through the network at once."""
    batch, micro_batch = effective_batch_size(num_images, config.training), config.compute.micro_batch
    if not 0 < micro_batch < batch:
        return ()
    return (
        f"batches of {batch} images go through the network in parts of at most {micro_batch}, whose gradients are "
        "added up; batch norms of trained blocks take the statistics of a part.",
    )


def _device_notes(setup: Setup) -> tuple[str, ...]:
    """Return how a training is shared by several devices, where it is."""
    compute, training = setup.config.compute, setup.config.training
    devices, batch = compute.devices_per_training, effective_batch_size(len(setup.data.train), training)
    if devices == 1:
        return ()
    kind = (
        "GPUs" if compute.device == "cuda" else f"processes of {plural(max(1, compute.threads // devices), 'thread')}"
    )
    return (
        f"Each training is shared by {devices} {kind}: of every batch of {batch} {setup.data.kind}s, each takes "
        f"{batch / devices:.3g}; gradients and the statistics of batch norms are those of the whole batch, so the "
        f"learning rate stays {training.learning_rate:g}.",
    )


def describe(setup: Setup, observer: Observer) -> None:
    """Tell what a run will work with, and every note and warning about its images and network."""
    data, loaded, remarks = setup.data, setup.loaded, setup.data.remarks
    told = [
        Message(
            f"{data.name}: {len(data.train)} training, {len(data.validation)} validation and {data.num_test} test "
            f"{data.kind}s in {len(data.class_names)} classes; {loaded.name} in {len(loaded.partition)} blocks, "
            f"weights: {loaded.weights}."
        ),
        *(Message(sentence) for sentence in _device_notes(setup)),
        *(Message(note, warning=True) for note in remarks.warnings),
        *(Message(note) for note in remarks.notes),
        *(Message(note[:1].upper() + note[1:], warning=True) for note in setup.notes),
    ]
    if remarks.quarantined:
        first, others = remarks.quarantined[0], len(remarks.quarantined) - 1
        more = f", and {others} more" if others else ""
        told.append(Message(f"Left out, since it cannot be read: {first.id} ({first.reason}){more}.", warning=True))
    for message in told:
        observer(message)


def replace_fields(section: Section, **changes: Any) -> Section:
    """Return a copy of a configuration section with changed fields."""
    return section.model_copy(update=changes)


def _with_start(config: RunConfig, loaded: LoadedModel, recipe: Recipe | None) -> RunConfig:
    """Put the recipe of ``start_from`` into the configuration; refuse a recipe of another network."""
    if recipe is None:
        return config
    if recipe.partition.fingerprint != loaded.partition.fingerprint:
        raise InputError(
            f"the recipe '{config.search.start_from}' was made for {recipe.model or 'another network'} "
            f"with other blocks ({', '.join(recipe.partition.names)}) than {loaded.name} has "
            f"({', '.join(loaded.partition.names)})."
        )
    given = {"multipliers": recipe.multipliers, "values": dict(recipe.values)}
    return replace_fields(config, method=replace_fields(config.method, **given))


def _head_notes(config: RunConfig) -> tuple[str, ...]:
    """Say what becomes of the head of a weights file: it may be of the same classes, and expected to be kept."""
    if config.model.weights in ("auto", "random"):
        return ()
    return (f"the head in '{config.model.weights}' is not used: every training begins with a head of its own.",)


def _inert_notes(loaded: LoadedModel) -> tuple[str, ...]:
    names = [f"'{block.name}'" for block in loaded.partition.blocks if block.inert]
    if not names:
        return ()
    effect = "its multiplier has" if len(names) == 1 else "their multipliers have"
    return (f"the loss does not reach {listed(names)} of {loaded.name}, so {effect} no effect.",)


def facts_of_versions() -> dict[str, Any]:
    """Return the facts about the software that a run works with."""
    return {
        "result_version": RESULT_VERSION,
        "torch": torch.__version__,
        "timm": version("timm"),
        "torchvision": version("torchvision"),
    }


def facts_of(loaded: LoadedModel, data: LearningData) -> dict[str, Any]:
    """Return the facts about network and data that make a run what it is: with others, it is not continued."""
    return {
        **facts_of_versions(),
        "model": loaded.name,
        "weights": loaded.weights_sha256,
        "partition": loaded.partition.fingerprint,
        "heads": list(loaded.heads),
        "inputs": loaded.preprocessing.fingerprint,
        "data": data.fingerprints.splits,
        "pixels": data.fingerprints.pixels,
    }


def versions() -> dict[str, str]:
    """Return the versions that a report names."""
    packages = ("torch", "torchvision", "timm", "numpy")
    return {"biotune": __version__, "python": platform.python_version(), **{name: version(name) for name in packages}}
