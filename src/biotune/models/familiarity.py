"""How far an image is from those that a network learned from: distances of what its layers make of them."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from biotune.models.tracing import traced

PLACES = (1 / 3, 1 / 2, 2 / 3)
"""Which layers are looked at besides what the classifier gets, as shares of the way through it. What others gave
is in docs/protocol.md."""

SHARE = 0.01
"""Share of images like those of the test that may be called unlike."""

_LEAST = 1e-6
"""Of a scale and of the threshold: test images may be copies of learned ones."""

_INPUT = "input of "
"""Stands before the name of a layer whose input is compared, not its output."""
_SCALES, _THRESHOLD = "scales", "threshold"


def layers_to_compare(model: nn.Module, name: str, heads: Sequence[str], sample_shape: tuple[int, ...]) -> list[str]:
    """Return where in a network images are compared: the outputs of some layers, and the input of the classifier.

    Args:
        model: the network.
        name: its name in messages.
        heads: dotted names of its classifier layers, at least one.
        sample_shape: shape of one input.

    Returns:
        Names of modules: convolutions over all channels, fully connected layers, and ``input of`` the classifier.

    Raises:
        InputError: the network does not take such an input.
    """
    called, begun = list[str](), set[str]()

    def note(path: str, module: nn.Module, output: object) -> None:
        is_whole = isinstance(module, nn.Linear) or (isinstance(module, _ConvNd) and module.groups == 1)
        if is_whole and path not in (*heads, *called) and isinstance(output, Tensor):
            called.append(path)

    traced(model, name, sample_shape, on_call=begun.add, on_output=note)
    middle = dict.fromkeys(called[round((len(called) - 1) * share)] for share in PLACES) if called else {}
    return [*middle, *(f"{_INPUT}{head}" for head in heads[:1] if head in begun)]


@contextmanager
def compared(model: nn.Module, layers: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """Yield what a network that runs within makes of a batch: by layer, averaged over places, unit vectors.

    Args:
        model: the network, in evaluation mode.
        layers: as ``layers_to_compare`` returns them.

    Yields:
        dict[str, Tensor]: filled by each forward pass: layer -> shape (batch, channels).
    """
    found = dict[str, Tensor]()

    def keep(layer: str, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        values = (inputs[0] if layer.startswith(_INPUT) else output).float()
        channels = 1 if isinstance(module, _ConvNd) else values.ndim - 1
        places = [axis for axis in range(1, values.ndim) if axis != channels]
        found[layer] = nn.functional.normalize(values.mean(dim=places) if places else values, dim=1)

    handles = [
        model.get_submodule(layer.removeprefix(_INPUT)).register_forward_hook(partial(keep, layer)) for layer in layers
    ]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


@dataclass(frozen=True, eq=False)
class Familiarity:
    """What a network made of images that it learned from, and how far images like those of the test are from them.

    Args:
        learned: layer -> unit vectors of some images that it learned from, each (n, channels) float16.
        scales: by layer: the median distance of a test image.
        threshold: a distance above it is unlike.
    """

    learned: Mapping[str, Tensor]
    scales: Mapping[str, float]
    threshold: float

    @classmethod
    def calibrated(cls, learned: Mapping[str, Tensor], test: Mapping[str, Tensor]) -> "Familiarity":
        """Return the familiarity whose threshold at most ``SHARE`` of the images like those of the test exceed.

        Of m test images it is the distance of rank ceil((1 - SHARE) (m + 1)), the largest one where there are fewer
        than 99: then one in m + 1 is called unlike.

        Args:
            learned: layer -> unit vectors of images that the network learned from, each (n, channels).
            test: the same of images that it did not learn from, at least one.

        Returns:
            The familiarity.

        Source: split conformal prediction, Vovk et al. 2005; the distance, Sun et al. 2022 (arXiv 2204.06507), eq. 2,
            of the nearest image. Departures: several layers, averages over places.
        """
        kept = {layer: values.half() for layer, values in learned.items()}
        plain = cls(kept, dict.fromkeys(kept, 1.0), np.inf)
        scales = {layer: max(float(np.median(rows)), _LEAST) for layer, rows in plain._by_layer(test).items()}
        scaled = cls(kept, scales, np.inf)
        distances = np.sort(scaled.distances(test))
        rank = int(np.ceil((1 - SHARE) * (len(distances) + 1)))
        return cls(kept, scales, max(float(distances[min(rank, len(distances)) - 1]), _LEAST))

    def distances(self, images: Mapping[str, Tensor]) -> NDArray[np.float64]:
        """Return the distance of each image to the nearest one that was learned from, shape (batch,).

        At each layer it is 1 minus the largest cosine, divided by the scale; then the mean over the layers.
        """
        rows = self._by_layer(images)
        return np.asarray(np.mean([rows[layer] / self.scales[layer] for layer in self.learned], axis=0))

    def _by_layer(self, images: Mapping[str, Tensor]) -> dict[str, NDArray[np.float64]]:
        nearest = {layer: (images[layer].cpu() @ known.float().T).amax(dim=1) for layer, known in self.learned.items()}
        return {layer: (1 - cosines).clamp(min=0).double().numpy() for layer, cosines in nearest.items()}

    def to_bytes(self) -> bytes:
        """Return the content of a safetensors file; layers are numbered, since it keeps no order."""
        tensors = {f"{place} {layer}": self.learned[layer] for place, layer in enumerate(self.learned)}
        scales = torch.tensor(list(self.scales.values()), dtype=torch.float64)
        return safetensors.torch.save(
            {**tensors, _SCALES: scales, _THRESHOLD: torch.tensor(self.threshold, dtype=torch.float64)}
        )

    @classmethod
    def from_bytes(cls, content: bytes) -> "Familiarity":
        """Rebuild from ``to_bytes``.

        Raises KeyError, ValueError, TypeError, RuntimeError or SafetensorError: it is something else.
        """
        tensors = safetensors.torch.load(content)
        scales, threshold = tensors.pop(_SCALES), tensors.pop(_THRESHOLD)
        named = sorted((int(place), layer, name) for name in tensors for place, layer in [name.split(" ", 1)])
        learned = {layer: tensors[name] for _, layer, name in named}
        return cls(learned, dict(zip(learned, scales.tolist(), strict=True)), float(threshold))
