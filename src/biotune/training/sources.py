"""Where a training gets its input batches from: pixels in memory, or activations of a frozen prefix."""

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from biotune.records import Preprocessing


class InputSource(Protocol):
    """Gives the network's input for given images."""

    def batch(self, indices: Tensor) -> Tensor:
        """Return the input for images ``indices``, shape (batch,): a float tensor (batch, 3, height, width)."""


class PixelSource:
    """Decoded images, normalised batch by batch.

    Args:
        pixels: uint8 (n, height, width, 3), in memory or memory-mapped.
        preprocessing: gives mean and standard deviation.
        device: where batches go.
        channels_last: memory format of the batches (the pixels lie that way already).
    """

    def __init__(
        self, pixels: NDArray[np.uint8], preprocessing: Preprocessing, device: str = "cpu", channels_last: bool = True
    ) -> None:
        self.pixels = pixels
        self.device = torch.device(device)
        self.channels_last = channels_last
        scale = 1.0 / (255.0 * torch.tensor(preprocessing.std))
        shift = torch.tensor(preprocessing.mean) / torch.tensor(preprocessing.std)
        self._scale = scale.view(1, 3, 1, 1).to(self.device)
        self._shift = shift.view(1, 3, 1, 1).to(self.device)

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of one input."""
        _, height, width, channels = self.pixels.shape
        return channels, height, width

    def batch(self, indices: Tensor) -> Tensor:
        """Return normalised images, (x / 255 - mean) / std, shape (batch, 3, height, width)."""
        raw = torch.from_numpy(self.pixels[indices.cpu().numpy()]).to(self.device)
        images = raw.permute(0, 3, 1, 2).float().mul_(self._scale).sub_(self._shift)
        return images if self.channels_last else images.contiguous()
