"""What frozen features tell at one input size: scores of a logistic regression, arithmetic, and seconds."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from biotune.datasets.image_set import ImageSet
from biotune.errors import InputError
from biotune.images.decoding import UnreadableImageError
from biotune.images.resizing import resize
from biotune.methods.logistic import HeldOut, score_out_of_fold
from biotune.models import LoadedModel, feature_side, forward_logits, has_fixed_size, native_size
from biotune.pixels.reading import read_all
from biotune.settings.compute import ComputeConfig
from biotune.training.scoring import EVALUATION_BATCH
from biotune.training.sources import RowSource
from biotune.training.work import multiplications
from biotune.trials.worker import placed, source_of

SIZES = (64, 96, 128, 160, 224)
"""Sides in pixels that are tried, and the network's own. With 32 pixels, most networks see a single place."""

ENLARGED = 128
"""Images are enlarged to this side at least before they count as large: pretrained networks see little in small ones
(EfficientNet-Lite0 names 2 of 20 photos right at 64 pixels, 11 at 128)."""

LARGEST_ENLARGEMENT = 2
"""Beyond that, a size is tried if it is at most so many times the median shorter side of the images."""

_SMALLEST_SIDE = 2
"""Values of a side of the last feature map: a network that is left with a single place has lost where anything was."""

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Learnable:
    """Images that a run learns from.

    Args:
        images: n of them, none for the test.
        groups: number of the group of each, shape (n,), or None.
        seed: deals the folds.
    """

    images: ImageSet
    groups: NDArray[np.int64] | None
    seed: int


@dataclass(frozen=True)
class Probed:
    """What was found at one input size.

    Args:
        held_out: scores out of fold.
        seconds: of a forward pass of one image, by the CPU's clock on a CPU.
    """

    held_out: HeldOut
    seconds: float


def possible_sizes(loaded: LoadedModel, median_side: int) -> tuple[int, ...]:
    """Return the input sizes that are worth trying, ascending; the network's own alone where it takes no other.

    Args:
        loaded: the network at its own size.
        median_side: median of the images' shorter sides, in pixels; 0 where it is not known.

    Returns:
        Sizes in pixels, at least one.
    """
    own = loaded.for_images.image_size
    if has_fixed_size(loaded.name):
        return (own,)
    largest = max(ENLARGED, LARGEST_ENLARGEMENT * median_side) if median_side else own
    sizes = [size for size in (*(size for size in SIZES if size < own), own) if size <= largest]
    return tuple(size for size in sizes if _takes(loaded, size)) or (own,)


def _takes(loaded: LoadedModel, size: int) -> bool:
    """Return whether a network sees more than one place in images of a size."""
    native = native_size(loaded.name) or loaded.for_images.image_size
    try:
        side = feature_side(loaded.model, loaded.name, size, native)
    except InputError:
        return False
    return side is None or side >= _SMALLEST_SIDE or size == native


def work_of(loaded: LoadedModel, size: int) -> int:
    """Return the multiplications of a forward pass of one image."""
    device = next(loaded.model.parameters()).device
    return sum(multiplications(loaded.model, torch.zeros(1, 3, size, size, device=device)).values())


def decoded_at(
    images: ImageSet, loaded: LoadedModel, sizes: Sequence[int], progress: Callable[[int, int], None]
) -> tuple[dict[int, Pixels], NDArray[np.int64]]:
    """Decode every image once and resize it to every size; nothing is kept on disk.

    Args:
        images: n images.
        loaded: says how images are resized.
        sizes: sides in pixels.
        progress: called with (images done, n).

    Returns:
        Size -> uint8 (readable images, size, size, 3), and which images these are, ascending.
    """
    ways = [replace(loaded.for_images, image_size=size) for size in sizes]
    rows, pixels = list[int](), dict[int, list[Pixels]]({size: [] for size in sizes})

    def make(image: Image.Image, _facts: object) -> list[Pixels]:
        return [resize(image, way) for way in ways]

    for index, made in read_all(images, make):
        if not isinstance(made, UnreadableImageError):
            rows.append(index)
            for size, one in zip(sizes, made, strict=True):
                pixels[size].append(one)
        progress(index + 1, len(images))
    stacked = {size: np.array(made, dtype=np.uint8) for size, made in pixels.items()}
    return stacked, np.array(rows, dtype=np.int64)


def probe(
    loaded: LoadedModel, pixels: Pixels, learnable: Learnable, compute: ComputeConfig, progress: Callable[[int], None]
) -> Probed:
    """Run the frozen network once over images, and score a logistic regression on its pooled features out of fold.

    Args:
        loaded: the network; its model is moved to the run's device.
        pixels: uint8 (n, size, size, 3).
        learnable: the same n images.
        compute: device and memory format.
        progress: called with the number of images done.

    Returns:
        What was found. Features that are not finite are as bad as can be.
    """
    model = placed(loaded.model, compute).eval()
    way = replace(loaded.for_images, image_size=pixels.shape[1])
    source = source_of(pixels, way, compute)
    features, seconds = _pooled_features(model, loaded.heads, source, progress)
    labels, names = learnable.images.labels, learnable.images.class_names
    if not np.isfinite(features).all():
        everything = np.arange(len(labels))
        bad = HeldOut(everything, np.full(len(labels), np.inf), np.zeros(len(labels), dtype=bool))
        return Probed(bad, seconds)
    return Probed(score_out_of_fold(features, labels, len(names), learnable.groups, learnable.seed), seconds)


def _pooled_features(
    model: nn.Module, heads: Sequence[str], source: RowSource, progress: Callable[[int], None]
) -> tuple[NDArray[np.float32], float]:
    """Return what the classifier layers get, averaged over places, and the seconds of an image in a forward pass.

    The seconds are the median over the batches, since the first one also warms up; on a CPU they are those that this
    process computes, whatever else the machine does.
    """
    seen: dict[str, Tensor] = {}

    def hook(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def note(_layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            seen.setdefault(name, inputs[0])

        return note

    handles = [model.get_submodule(name).register_forward_pre_hook(hook(name)) for name in heads]
    clock = time.process_time if source.device.type == "cpu" else time.perf_counter
    rows, clocks = list[Tensor](), list[float]()
    try:
        for start in range(0, len(source), EVALUATION_BATCH):
            batch = torch.arange(start, min(start + EVALUATION_BATCH, len(source)))
            seen.clear()
            began = clock()
            with torch.no_grad():
                forward_logits(model, source.batch(batch))
            rows.append(torch.cat([_pooled(seen[name]) for name in heads], 1).float().cpu())
            clocks.append((clock() - began) / len(batch))
            progress(start + len(batch))
    finally:
        for handle in handles:
            handle.remove()
    return torch.cat(rows).numpy(), float(np.median(clocks))


def _pooled(features: Tensor) -> Tensor:
    """Return the mean over places of a feature map (batch, channels, height, width) or of tokens (batch, n, channels).

    Flat features stay as they are.
    """
    if features.ndim == 4:
        return features.mean((2, 3))
    return features.mean(1) if features.ndim == 3 else features.flatten(1)
