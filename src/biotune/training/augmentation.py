"""Random changes of the training images in every epoch; the draws depend only on seed, epoch and image."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from torchvision.transforms import v2

from biotune.models.own_generator import own_generator
from biotune.randomness import uniform_of, words
from biotune.records import Preprocessing
from biotune.training.sources import Indices, PixelSource

LARGEST_ANGLE = 10.0
"""Largest rotation of the level ``light``, in degrees; chosen by hand so that letters and digits stay readable."""

LARGEST_SHIFT = 0.05
"""Largest shift of the level ``light``, as a share of the side, in each direction."""

SMALLEST_AREA = 0.6
"""Smallest crop of the levels ``standard`` and ``strong``, as a share of the area."""

TRIES = 10
"""Draws of area and sides until a crop fits into the image; the whole image if none does, as in torchvision."""

TOGETHER = 16
"""Images that are changed at a time: enough to share the cost of a call, few enough for the cache of a core. No result
depends on it."""

GREY = (0.2989, 0.587, 0.114)
"""Shares of red, green and blue in the brightness of a pixel (ITU-R 601-2), as in torchvision."""

Floats = NDArray[np.float64]
Words = NDArray[np.uint64]
Change = Callable[[Tensor, Words], Tensor]
"""Function from images, uint8 (batch, 3, size, size), and one random word for each to the changed images, whose whole
values lie in 0 to 255."""


def make_change(level: str, size: int, mean: tuple[float, float, float], flip: bool = True) -> Change:
    """Return the change of one level.

    ``light`` rotates and shifts a little and changes brightness and contrast by up to 10 %: safe for letters and
    digits. ``standard`` crops 60 to 100 % of the area (sides 3:4 to 4:3), resizes to the full size, mirrors half of the
    images and changes brightness, contrast and saturation by up to 20 %. ``strong`` crops and mirrors like
    ``standard``, then applies one operation of TrivialAugment (wide; it may rotate by 135 degrees, invert or equalise)
    and erases 2 to 20 % of the area of every fourth image.

    Args:
        level: ``light``, ``standard`` or ``strong``.
        size: side of the images, in pixels.
        mean: mean per channel, in [0, 1]: the colour that ``strong`` fills with, which normalises to 0.
        flip: False for data where left and right matter: ``standard`` and ``strong`` then do not mirror.

    Returns:
        The change; an image becomes the same whatever is in its batch.

    Source: Müller and Hutter, TrivialAugment (ICCV 2021); Zhong et al., Random Erasing (AAAI 2020). Departure: fixed
    crops of at least 60 %, since fine-tuning sets are small.
    """
    if level == "strong":
        return _one_by_one(_strong(size, mean, flip))
    return _light if level == "light" else lambda images, seeds: _standard(images, seeds, flip)


def _strong(size: int, mean: tuple[float, float, float], flip: bool) -> v2.Compose:
    fill = [round(255 * value) for value in mean]
    return v2.Compose(
        [
            v2.RandomResizedCrop(size, scale=(SMALLEST_AREA, 1.0)),
            *([v2.RandomHorizontalFlip()] if flip else []),
            v2.TrivialAugmentWide(interpolation=v2.InterpolationMode.BILINEAR, fill=fill),
            v2.RandomErasing(p=0.25, scale=(0.02, 0.2), value=fill),
        ]
    )


def _one_by_one(transform: Callable[[Tensor], Tensor]) -> Change:
    """Return the change that a transformation makes, which draws from torch's global CPU generator."""

    def change(images: Tensor, seeds: Words) -> Tensor:
        changed = []
        with own_generator():
            for image, word in zip(images.cpu(), seeds, strict=True):
                torch.default_generator.manual_seed(int(word))  # torch.manual_seed would disturb dropout on a GPU
                changed.append(transform(image))
        return torch.stack(changed)

    return change


def _light(images: Tensor, seeds: Words) -> Tensor:
    draws = 2 * uniform_of(seeds, 5) - 1
    moves = movements(LARGEST_ANGLE * draws[:, 0], LARGEST_SHIFT * draws[:, 1], LARGEST_SHIFT * draws[:, 2])
    return recoloured(warped(images, moves), 1 + 0.1 * draws[:, 3:])


def _standard(images: Tensor, seeds: Words, flip: bool) -> Tensor:
    draws = uniform_of(seeds, 2 * TRIES + 6)
    mirrored = flip & (draws[:, -4] < 0.5)
    moves = crops(draws[:, :-6].reshape(-1, TRIES, 2), draws[:, -6:-4], mirrored)
    return recoloured(warped(images, moves), 0.8 + 0.4 * draws[:, -3:])


def movements(degrees: Floats, right: Floats, down: Floats) -> Floats:
    """Return the matrices, shape (n, 2, 3), of a shift and then a rotation around the centre, for ``warped``.

    Args:
        degrees: rotation, counter-clockwise, shape (n,).
        right: shift to the right, as a share of the side, shape (n,).
        down: shift downwards, as a share of the side, shape (n,).

    Returns:
        The matrices.
    """
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    # maps positions of the result to positions in the image; both span [-1, 1], hence the factor 2
    return np.stack([cosine, -sine, -2 * right, sine, cosine, -2 * down], axis=1).reshape(-1, 2, 3)


def crops(tries: Floats, places: Floats, mirrored: NDArray[np.bool_]) -> Floats:
    """Return the matrices, shape (n, 2, 3), of random crops that are enlarged to the full side, for ``warped``.

    Args:
        tries: numbers in [0, 1), shape (n, TRIES, 2): of each try, the area and the ratio of the sides.
        places: numbers in [0, 1), shape (n, 2): where the crop lies, across and down.
        mirrored: whether left and right change places, shape (n,).

    Returns:
        The matrices.
    """
    area = SMALLEST_AREA + (1 - SMALLEST_AREA) * tries[..., 0]
    ratio = (3 / 4) ** (1 - 2 * tries[..., 1])
    sides = np.sqrt(np.stack([area * ratio, area / ratio], axis=2))
    fits = sides.max(axis=2) <= 1
    chosen = sides[np.arange(len(sides)), fits.argmax(axis=1)]
    chosen[chosen.max(axis=1) > 1] = 1.0
    centre = (2 * places - 1) * (1 - chosen)
    scale = chosen * np.stack([np.where(mirrored, -1.0, 1.0), np.ones(len(chosen))], axis=1)
    zero = np.zeros(len(chosen))
    return np.stack([scale[:, 0], zero, centre[:, 0], zero, scale[:, 1], centre[:, 1]], axis=1).reshape(-1, 2, 3)


def warped(images: Tensor, matrices: Floats) -> Tensor:
    """Return square images seen through affine maps, bilinear; edge pixels are repeated beyond the border.

    torchvision's affine transformations fill with one colour, which would leave a wedge in every corner.

    Args:
        images: uint8, shape (n, 3, side, side).
        matrices: from positions (x, y, 1) of the result to positions in the image, both from -1 to 1, shape (n, 2, 3).

    Returns:
        The new images, float32 of whole values, of the same shape.
    """
    side = images.shape[-1]
    lines = torch.linspace(1 / side - 1, 1 - 1 / side, side, device=images.device)
    across, down, start = torch.from_numpy(matrices).float().to(images.device)[:, None, None].unbind(4)
    grid = start + across * lines[:, None] + down * lines[:, None, None]
    values = images.contiguous().float()
    return functional.grid_sample(values, grid, padding_mode="border", align_corners=False).round_()


def recoloured(images: Tensor, factors: Floats) -> Tensor:
    """Return images of another brightness, contrast and saturation, changed in place.

    With factors b, c and s: ``b (c (s x + (1 - s) g) + (1 - c) m)`` for values x, the grey g of a pixel, and its mean m
    over the image. torchvision does the same in three steps, and clamps and rounds after each.

    Args:
        images: float32 of whole values in 0 to 255, shape (n, 3, side, side).
        factors: 1 changes nothing, shape (n, 3); with (n, 2), the saturation stays.

    Returns:
        The images, clamped to 0 to 255 and rounded.
    """
    bright, contrast, *saturation = torch.from_numpy(factors).float().to(images.device).t()[..., None, None, None]
    rich = saturation[0] if saturation else torch.ones_like(bright)
    sums = images.sum(3).sum(2, dtype=torch.float64)  # exact, so it depends neither on threads nor on the batch
    shift = bright * (1 - contrast) * (_grey(sums) / images[0, 0].numel()).float()[:, None, None, None]
    grey = _grey(images)[:, None].mul_(bright * contrast * (1 - rich)).add_(shift)
    return images.mul_(bright * contrast * rich).add_(grey).clamp_(0, 255).round_()


def _grey(values: Tensor) -> Tensor:
    """Return the brightness of colours, whose channels are the second axis; that axis is left out."""
    return GREY[0] * values[:, 0] + GREY[1] * values[:, 1] + GREY[2] * values[:, 2]


class Augmented:
    """The images of a source as one epoch of one training sees them.

    The draws for an image are seeded by a hash of (seed, epoch, image), so they do not depend on the other images of a
    batch, on earlier trainings or on interruptions. An image that is drawn twice in an epoch is changed differently.

    Args:
        source: the images.
        change: see ``make_change``.
        seed: seed of the training.
        epoch: number of the epoch, from 0.
    """

    def __init__(self, source: PixelSource, change: Change, seed: int, epoch: int) -> None:
        self._source = source
        self._change = change
        self._words = words(len(source), seed, "augment", epoch)
        self._uses = np.zeros(len(source), dtype=np.uint64)

    def batch(self, indices: Tensor) -> Tensor:
        """Return changed and normalised images, shape (batch, 3, height, width)."""
        seeds = np.array([self._next_word(index) for index in indices.tolist()], dtype=np.uint64)
        images = self._source.raw(indices).to(self._source.device)
        starts = range(0, len(seeds), TOGETHER)
        parts = [self._change(images[at : at + TOGETHER], seeds[at : at + TOGETHER]) for at in starts]
        return self._source.normalised(torch.cat(parts))

    def skip(self, indices: Indices) -> None:
        """Count draws of images that another process takes."""
        np.add.at(self._uses, indices, np.uint64(1))

    def expect(self, parts: Sequence[Indices]) -> None:
        """Announce the next batches, in order."""
        self._source.expect(parts)

    def _next_word(self, index: int) -> int:
        self._uses[index] += 1
        return int(self._words[index] + self._uses[index] - np.uint64(1))


def augmentation(source: PixelSource, preprocessing: Preprocessing, level: str, flip: bool) -> Callable[..., Augmented]:
    """Return a maker of augmented sources: a function of (seed, epoch)."""
    change = make_change(level, preprocessing.image_size, preprocessing.mean, flip)
    return lambda seed, epoch: Augmented(source, change, seed, epoch)
