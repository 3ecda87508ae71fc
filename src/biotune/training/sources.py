"""Sources of input batches for a training: here pixels and tokens; ``prefix`` has recorded activations."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from biotune.pixels.inputs import Row, as_pixels
from biotune.pixels.rows import ImageRows, expect
from biotune.records import Inputs, Preprocessing, TextInputs

Indices = NDArray[np.int64]


class InputSource(Protocol):
    """Gives the network's input for images, or texts, by index."""

    def batch(self, indices: Tensor) -> Tensor:
        """Return the input for images ``indices``, shape (batch,).

        It is a float tensor (batch, 3, height, width), or tokens of texts (batch, length).
        """

    def expect(self, parts: Sequence[Indices]) -> None:
        """Announce the next batches, in order, so that each can be read while the one before it is in use."""


class RowSource(InputSource, Protocol):
    """Gives the inputs of all images, or texts, of a set, without any network."""

    device: torch.device

    def __len__(self) -> int:
        """Return the number of images."""

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input."""


class TokenSource:
    """Encoded texts.

    Args:
        tokens: int32 (n, length).
        device: device of the batches.
    """

    def __init__(self, tokens: ImageRows, device: str = "cpu") -> None:
        self.tokens = tokens
        self.device = torch.device(device)

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Tokens of one input."""
        return self.tokens.shape[1:]

    def batch(self, indices: Tensor) -> Tensor:
        """Return the tokens of texts, int64 (batch, length)."""
        return torch.from_numpy(self.tokens[indices.cpu().numpy()]).long().to(self.device)

    def expect(self, parts: Sequence[Indices]) -> None:
        """Do nothing: all texts are in memory."""


class PixelSource:
    """Decoded images, normalised batch by batch.

    Args:
        pixels: uint8 (n, height, width, 3), in memory, memory-mapped, or decoded on demand.
        preprocessing: gives mean and standard deviation.
        device: device of the batches.
        channels_last: memory format of the batches (pixels are already stored that way).
    """

    def __init__(
        self, pixels: ImageRows, preprocessing: Preprocessing, device: str = "cpu", channels_last: bool = True
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
        return self.normalised(self.raw(indices))

    def expect(self, parts: Sequence[Indices]) -> None:
        """Announce the next batches, in order."""
        expect(self.pixels, parts)

    def raw(self, indices: Tensor) -> Tensor:
        """Return the pixels of images, uint8 (batch, 3, height, width), on the CPU."""
        return torch.from_numpy(self.pixels[indices.cpu().numpy()]).permute(0, 3, 1, 2)

    def normalised(self, images: Tensor) -> Tensor:
        """Return (x / 255 - mean) / std of images (batch, 3, height, width), on the device.

        Their values lie in 0 to 255; floating-point ones may be overwritten.
        """
        scaled = images.to(self.device).float().mul_(self._scale).sub_(self._shift)
        layout = torch.channels_last if self.channels_last else torch.contiguous_format
        return scaled.contiguous(memory_format=layout)


def batch_of(rows: Sequence[Row], inputs: Inputs) -> Tensor:
    """Return a network's input for rows: (x / 255 - mean) / std, shape (n, 3, size, size); tokens, (n, max_length)."""
    stacked = torch.from_numpy(np.stack(rows))
    if isinstance(inputs, TextInputs):
        return stacked.long()
    own = as_pixels(inputs)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (own.mean, own.std))
    return (stacked.permute(0, 3, 1, 2).float() / 255.0 - mean) / std
