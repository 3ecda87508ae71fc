"""Random changes of the training images in every epoch; the draws depend only on seed, epoch and image."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torchvision.transforms import v2

from biotune.randomness import words
from biotune.records import Preprocessing
from biotune.training.sources import Indices, PixelSource

LARGEST_ANGLE = 10.0
"""Largest rotation of the level ``light``, in degrees; chosen by hand so that letters and digits stay readable."""

LARGEST_SHIFT = 0.05
"""Largest shift of the level ``light``, as a share of the side, in each direction."""

Transform = Callable[[Tensor], Tensor]


def make_transform(level: str, size: int, mean: tuple[float, float, float], flip: bool = True) -> Transform:
    """Return the transformation of one level, which draws from torch's global CPU generator.

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
        A function from one image, uint8 (3, size, size), to another.

    Source: Müller and Hutter, TrivialAugment (ICCV 2021); Zhong et al., Random Erasing (AAAI 2020). Departure: fixed
    crops of at least 60 %, since fine-tuning sets are small.
    """
    if level == "light":
        return v2.Compose([_moved_at_random, v2.ColorJitter(brightness=0.1, contrast=0.1)])  # type: ignore[no-any-return]
    fill = [round(255 * value) for value in mean]
    steps = [v2.RandomResizedCrop(size, scale=(0.6, 1.0)), *([v2.RandomHorizontalFlip()] if flip else [])]
    if level == "standard":
        steps += [v2.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2)]
    else:
        steps += [
            v2.TrivialAugmentWide(interpolation=v2.InterpolationMode.BILINEAR, fill=fill),
            v2.RandomErasing(p=0.25, scale=(0.02, 0.2), value=fill),
        ]
    return v2.Compose(steps)  # type: ignore[no-any-return]


def _moved_at_random(image: Tensor) -> Tensor:
    rotation, right, down = torch.empty(3).uniform_(-1.0, 1.0).tolist()
    return moved(image, LARGEST_ANGLE * rotation, LARGEST_SHIFT * right, LARGEST_SHIFT * down)


def moved(image: Tensor, degrees: float, right: float, down: float) -> Tensor:
    """Return a square image shifted, then rotated around its centre; edge pixels are repeated beyond the border.

    torchvision's affine transformations fill with one colour, which would leave a wedge in every corner.

    Args:
        image: uint8, shape (3, side, side).
        degrees: rotation, counter-clockwise.
        right: shift to the right, as a share of the side.
        down: shift downwards, as a share of the side.

    Returns:
        The new image, uint8, of the same shape.
    """
    angle = math.radians(degrees)
    cosine, sine = math.cos(angle), math.sin(angle)
    # maps positions of the result to positions in the image; the grid spans [-1, 1], hence the factor 2
    matrix = [[cosine, -sine, -2 * right], [sine, cosine, -2 * down]]
    grid = functional.affine_grid(torch.tensor([matrix]), [1, *image.shape], align_corners=False)
    warped = functional.grid_sample(image[None].float(), grid, padding_mode="border", align_corners=False)
    return warped[0].round_().to(torch.uint8)


class Augmented:
    """The images of a source as one epoch of one training sees them.

    The draws for an image are seeded by a hash of (seed, epoch, image), so they do not depend on the other images of a
    batch, on earlier trainings or on interruptions. An image that is drawn twice in an epoch is changed differently.

    Args:
        source: the images.
        transform: see ``make_transform``.
        seed: seed of the training.
        epoch: number of the epoch, from 0.
    """

    def __init__(self, source: PixelSource, transform: Transform, seed: int, epoch: int) -> None:
        self._source = source
        self._transform = transform
        self._words = words(len(source), seed, "augment", epoch)
        self._uses = np.zeros(len(source), dtype=np.uint64)

    def batch(self, indices: Tensor) -> Tensor:
        """Return changed and normalised images, shape (batch, 3, height, width)."""
        images = self._source.raw(indices)
        with torch.random.fork_rng(devices=[]):
            changed = [self._changed(image, index) for image, index in zip(images, indices.tolist(), strict=True)]
        return self._source.normalised(torch.stack(changed))

    def expect(self, parts: Sequence[Indices]) -> None:
        """Announce the next batches, in order."""
        self._source.expect(parts)

    def _changed(self, image: Tensor, index: int) -> Tensor:
        word = self._words[index] + self._uses[index]
        self._uses[index] += 1
        torch.default_generator.manual_seed(int(word))  # torch.manual_seed would also disturb dropout on a GPU
        return self._transform(image)


def augmentation(source: PixelSource, preprocessing: Preprocessing, level: str, flip: bool) -> Callable[..., Augmented]:
    """Return a maker of augmented sources: a function of (seed, epoch)."""
    transform = make_transform(level, preprocessing.image_size, preprocessing.mean, flip)
    return lambda seed, epoch: Augmented(source, transform, seed, epoch)
