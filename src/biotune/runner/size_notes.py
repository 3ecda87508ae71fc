"""What to say about the size of the images: a network that sees too little of them, and images that are upscaled."""

import io
from collections.abc import Iterator
from pathlib import Path
from statistics import median_low

import numpy as np
from PIL import Image

from biotune.datasets.image_set import ImageSet
from biotune.models import LoadedModel, feature_side, native_size

_SAMPLE = 25  # images whose headers are read: enough for a median, and quick on a network drive
_SMALLEST_SIDE = 2  # a last feature map of 1 x 1 has lost where in the image anything was
_ENOUGH = 96
"""Pixels: of the 17 photos that EfficientNet-Lite0 names right at 224 pixels, it still names 10 at 96 and 2 at 64."""


def size_notes(loaded: LoadedModel, image_set: ImageSet) -> tuple[str, ...]:
    """Return sentences for the user about images that are small for the network; none where all is well."""
    return (*_starving(loaded), *_upscaled(loaded, image_set))


def _starving(loaded: LoadedModel) -> Iterator[str]:
    """The network shrinks its input to a single place before its last layers."""
    size, native = loaded.for_images.image_size, native_size(loaded.name)
    if native is None or size >= native:
        return
    side = feature_side(loaded.model, loaded.name, size, native)
    if side is not None and side < _SMALLEST_SIDE:
        yield (
            f"at {size} x {size} pixels this network sees too little: its last feature map is {side} x {side}, and "
            f"{loaded.name} was made for {native} x {native}; take --image-size {min(native, max(_ENOUGH, 2 * size))} "
            "or more (small images are upscaled)."
        )


def _upscaled(loaded: LoadedModel, image_set: ImageSet) -> Iterator[str]:
    size = loaded.for_images.image_size
    side, count = median_side(image_set)
    if count and side < size:
        yield (
            f"small images are upscaled: their shorter side is {side} pixels (median of {count}), "
            f"this network sees {size} x {size}."
        )


def median_side(image_set: ImageSet) -> tuple[int, int]:
    """Return the median of the images' shorter sides, in pixels, and of how many; (0, 0) where no size can be read."""
    rows = np.unique(np.linspace(0, len(image_set) - 1, _SAMPLE).astype(int))
    sides = [side for row in rows if (side := _shorter_side(image_set, int(row)))]
    return (median_low(sides), len(sides)) if sides else (0, 0)


def _shorter_side(image_set: ImageSet, row: int) -> int:
    """The shorter side in pixels, from the header alone; 0 where Pillow cannot tell."""
    source = image_set.image(row)
    if isinstance(source, np.ndarray):
        return int(min(source.shape[:2]))
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else Path(source)) as image:
            width, height = image.size
            return min(width, height)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return 0
