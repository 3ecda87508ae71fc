"""Which network and which input size a run works with, where it may choose: a probe ranks them before it opens."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from biotune.datasets import ImageSet
from biotune.datasets.splits import stratified_sample
from biotune.errors import InputError
from biotune.models import LoadedModel
from biotune.pixels.loading import learning_rows
from biotune.report.sizing import sizing_lines
from biotune.results.sizing import Sizing, TriedSize
from biotune.runner.size_notes import median_side
from biotune.runner.size_probe import Learnable, Probed, decoded_at, possible_sizes, probe, work_of
from biotune.runs.events import Message, Observer, Progress
from biotune.runs.folder import CONFIG
from biotune.settings.config import RunConfig
from biotune.settings.resolve import load_config
from biotune.settings.sections import ModelConfig
from biotune.settings.setting import AUTO
from biotune.trials.spec import load_network

MOST_IMAGES = 1000
"""Images that the probe looks at, drawn class by class: their log-losses are known to a few hundredths."""

SHARE = 0.1
"""Largest share of the search's allowance (of the trainings, where nothing is searched) that the forward passes take at
the largest size; of the time limit, where there is one."""

MOST_WORK = 5
"""A training at the chosen size may take so many times the multiplications of one at the smallest size tried: 128
pixels beside 64, a quarter of what 224 pixels take with room for borders. Under ``--budget``, the clock decides."""

PLAIN_SIZE = 96
"""Pixels, or the next smaller size: the choice where the probe can say nothing."""

Section = TypeVar("Section", bound=BaseModel)


@dataclass(frozen=True)
class _Network:
    """A network that may be chosen: its name as typed, and the multiplications of an image at each size to try.

    ``why`` says why there is one size, where there is one.
    """

    name: str
    loaded: LoadedModel
    work: Mapping[int, int]
    why: str

    @property
    def sizes(self) -> tuple[int, ...]:
        return tuple(self.work)


@dataclass(frozen=True)
class _Images:
    """The images to look at, and how many of all are trained on."""

    learnable: Learnable
    trained: int

    def at(self, rows: NDArray[np.int64]) -> Learnable:
        groups = self.learnable.groups
        chosen = None if groups is None else groups[rows]
        return Learnable(self.learnable.images.subset(rows), chosen, self.learnable.seed)


def networks_of(text: str) -> tuple[str, ...]:
    """Return the networks of ``--model a,b,c``; the comma of a folder that exists divides nothing.

    Raises InputError: none is named.
    """
    if text.startswith("hf:") and Path(text[3:]).expanduser().is_dir():
        return (text,)
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not names:
        raise InputError(f"'{text}' names no network; `biotune models` lists them.")
    return names


def with_network(
    config: RunConfig, folder: Path | None, image_set: ImageSet, observer: Observer
) -> tuple[RunConfig, Sizing | None]:
    """Decide network and input size, as an earlier call did, else by the probe.

    Args:
        config: device and threads are resolved.
        folder: the run folder; what an earlier call stored there is kept.
        image_set: the images; those for the test are not opened.
        observer: receives progress, and the table of what was tried.

    Returns:
        The configuration with one network and its size, and what the probe found; None where it was not asked.

    Raises:
        InputError: a network is not available.
    """
    known = _decided(config, folder)
    if known is not None:
        return _with(config, known), None
    began = time.perf_counter()
    images = _images(config, image_set)
    networks = _networks(config, images)
    if len(networks) == 1 and len(networks[0].sizes) == 1:
        observer(Message(f"Input size: {networks[0].sizes[0]} pixels, {networks[0].why}."))
        return _with(config, _section(config, networks[0].name, networks[0].sizes[0])), None
    tried = [_try(config, network, images, observer) for network in networks]
    best = min(tried, key=lambda one: one.loss)  # the first named of equals
    sizing = Sizing(
        model=best.network.loaded.name,
        image_size=best.size,
        images=best.num_scored,
        seconds=time.perf_counter() - began,
        tried=tuple(row for one in tried for row in one.rows),
    )
    observer(Message(sizing_lines(sizing)))
    return _with(config, _section(config, best.network.name, best.size)), sizing


def largest_network(
    config: RunConfig, folder: Path | None, image_set: ImageSet
) -> tuple[RunConfig, dict[str, tuple[int, ...]]]:
    """Return the configuration of the costliest network and size that ``with_network`` would try, and all of them.

    Nothing is probed. The second is empty where there is nothing to try.
    """
    known = _decided(config, folder)
    if known is not None:
        return _with(config, known), {}
    networks = _networks(config, _images(config, image_set))
    largest = max(networks, key=lambda network: max(network.work.values()))
    several = len(networks) > 1 or len(largest.sizes) > 1
    sizes = {network.name: network.sizes for network in networks} if several else {}
    return _with(config, _section(config, largest.name, largest.sizes[-1])), sizes


def smallest_as_good(losses: Sequence[NDArray[np.float64]]) -> int:
    """Return the first of several sizes whose log-loss is within one standard error of the least.

    Args:
        losses: for each size, the loss of the same images, shape (n,).

    Returns:
        Its index. The standard error is that of the mean of paired differences, image by image.
    """
    means = [float(np.mean(row)) for row in losses]
    best = int(np.argmin(means))
    if not np.isfinite(means[best]):
        return 0
    for index, row in enumerate(losses[:best]):
        worse = row - losses[best]
        if np.isfinite(means[index]) and worse.mean() <= worse.std(ddof=min(1, len(row) - 1)) / len(row) ** 0.5:
            return index
    return best


@dataclass(frozen=True)
class _Tried:
    """A network at the size that suits it best."""

    network: _Network
    size: int
    loss: float
    num_scored: int
    rows: tuple[TriedSize, ...]


def _decided(config: RunConfig, folder: Path | None) -> ModelConfig | None:
    """Return the section with one network and one size: as given, or as an earlier call stored it; else None."""
    asked, names = config.model, networks_of(config.model.name)
    if len(names) == 1 and asked.image_size != AUTO:
        return _replaced(asked, name=names[0])
    if folder is None or not (folder / CONFIG).exists():
        return None
    earlier = load_config(folder / CONFIG)[0].model
    name = earlier.name if earlier.name in names else names[0]  # another network is refused when the folder is claimed
    return _replaced(asked, name=name, image_size=earlier.image_size if asked.image_size == AUTO else asked.image_size)


def _networks(config: RunConfig, images: _Images) -> list[_Network]:
    """Load every network that is named, at its own size, and count what it would take at each size worth trying."""
    names = networks_of(config.model.name)
    if len(names) > 1 and config.model.weights not in (AUTO, "random"):
        raise InputError(
            f"--weights '{config.model.weights}' fits one network, but --model names {len(names)}; name one of them."
        )
    classes = len(images.learnable.images.class_names)
    side, _ = median_side(images.learnable.images)
    networks = []
    for name in names:
        loaded = load_network(_with(config, _section(config, name, config.model.side or 0)), classes)
        given = config.model.image_size != AUTO
        sizes = (loaded.for_images.image_size,) if given else possible_sizes(loaded, side)
        why = (
            "since the run is too short to try several" if len(sizes) > 1 else f"the only one that suits {loaded.name}"
        )
        networks.append(_Network(name, loaded, _affordable(config, loaded, sizes, images), why))
    return networks


def _affordable(config: RunConfig, loaded: LoadedModel, sizes: Sequence[int], images: _Images) -> dict[int, int]:
    """Return the sizes that the run can train at and the probe may look at, ascending, with their multiplications."""
    if len(sizes) == 1:
        return {sizes[0]: work_of(loaded, sizes[0])}
    work = {size: work_of(loaded, size) for size in sizes}
    allowed = SHARE * 3 * images.trained * config.training.epochs * (_searched(config) or config.final.seeds)
    kept, looked = dict[int, int](), 0
    for size in sizes:
        looked += len(images.learnable.images) * work[size]
        is_light = bool(config.budget.seconds) or work[size] <= MOST_WORK * work[sizes[0]]
        if not is_light or looked > allowed * work[size]:
            break
        kept[size] = work[size]
    if len(kept) > 1:
        return kept
    plain = _plain(sizes)
    return {plain: work[plain]}


def _plain(sizes: Sequence[int]) -> int:
    return max((size for size in sizes if size <= PLAIN_SIZE), default=sizes[0])


def _try(config: RunConfig, network: _Network, images: _Images, observer: Observer) -> _Tried:
    """Probe a network at its sizes, the smallest first, and choose one."""
    total = len(network.sizes) * len(images.learnable.images)

    def decoding(done: int, count: int) -> None:
        observer(Progress("decoding images for the probe", done, count))

    pixels, rows = decoded_at(images.learnable.images, network.loaded, network.sizes, decoding)
    if not len(rows):  # whoever reads them all says why
        return _Tried(network, _plain(network.sizes), np.inf, 0, ())
    learnable, found = images.at(rows), dict[int, Probed]()
    for number, size in enumerate(network.sizes):
        if found and not _is_in_time(config, network, size, found, images):
            break

        def probing(done: int, at: int = number, size: int = size) -> None:
            name = f"{network.loaded.name}, {size} pixels"
            observer(Progress("probe", at * len(images.learnable.images) + done, total, name))

        found[size] = probe(network.loaded, pixels.pop(size), learnable, config.compute, probing)
    scored = len(next(iter(found.values())).held_out.rows)
    losses = [one.held_out.losses for one in found.values()]
    size = list(found)[smallest_as_good(losses)] if scored else _plain(list(found))
    rows_of_table = tuple(_row(config, network, one, probed, images) for one, probed in found.items())
    loss = float(found[size].held_out.losses.mean()) if scored else np.inf
    return _Tried(network, size, loss, scored, rows_of_table)


def _is_in_time(config: RunConfig, network: _Network, size: int, found: Mapping[int, Probed], images: _Images) -> bool:
    """Return whether a time limit has room for a size, by the clock of the size before it; True without a limit.

    The work of a network is shared by its threads, and the trainings by the workers.
    """
    limit = config.budget.seconds
    if not limit:
        return True
    last = max(found)
    one = found[last].seconds * network.work[size] / network.work[last]
    looked = len(images.learnable.images) * (one + sum(probed.seconds for probed in found.values()))
    searched = _searched(config)
    finals = config.final_trainings(config.final.candidates) if searched else config.final.seeds
    whole = _full_finetune(config, one, images) * (searched + finals)
    cores = config.compute.threads * config.compute.workers
    return looked <= SHARE * limit * config.compute.threads and whole <= limit * cores


def _full_finetune(config: RunConfig, forward_s: float, images: _Images) -> float:
    """Return the CPU seconds of a full fine-tune: a step takes three times the arithmetic of a forward pass."""
    return 3 * forward_s * images.trained * config.training.epochs


def _searched(config: RunConfig) -> float:
    """Return the planned work of the search in full fine-tunes; 0 where nothing is searched."""
    if config.method.name != "search":
        return 0.0
    return config.search.max_work or config.searched_trainings() * config.searched_share()


def _row(config: RunConfig, network: _Network, size: int, probed: Probed, images: _Images) -> TriedSize:
    held_out = probed.held_out
    loss = float(held_out.losses.mean()) if len(held_out.rows) else np.inf
    is_known = bool(np.isfinite(loss))
    return TriedSize(
        model=network.loaded.name,
        image_size=size,
        accuracy=float(held_out.correct.mean()) if is_known else None,
        log_loss=loss if is_known else None,
        multiplications=network.work[size],
        full_finetune_seconds=_full_finetune(config, probed.seconds, images),
    )


def _images(config: RunConfig, image_set: ImageSet) -> _Images:
    """Return the training and validation images to look at: all, or some of each class."""
    train, validation = learning_rows(image_set, config.data)
    rows, seed = np.union1d(train, validation), config.data.split_seed
    most = max(MOST_IMAGES, len(image_set.class_names))
    if len(rows) > most:
        rows = stratified_sample(image_set.labels, rows, most, seed)
    chosen = image_set.subset(rows)
    groups = None if chosen.groups is None else np.unique(chosen.groups, return_inverse=True)[1].astype(np.int64)
    return _Images(Learnable(chosen, groups, seed), len(train))


def _section(config: RunConfig, name: str, size: int) -> ModelConfig:
    return _replaced(config.model, name=name, image_size=size)


def _with(config: RunConfig, model: ModelConfig) -> RunConfig:
    return _replaced(config, model=model)


def _replaced(section: Section, **changes: object) -> Section:
    return section.model_copy(update=changes)
