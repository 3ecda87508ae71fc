"""The logits that a network gives with other weights in some layers: many vectors of weights, the same images.

What comes before the layers is computed once. Of a last fully connected layer all vectors are one matrix product; other
layers are tried one vector after the other, from recorded outputs on.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call

from biotune.methods.base import Examples
from biotune.methods.probe import pooled_features
from biotune.models import forward_logits
from biotune.models.loaded_model import logits_of as logits_in
from biotune.partition import BlockPartition
from biotune.recipe import Recipe
from biotune.refinement.layers import Vector, Weights
from biotune.training.prefix.cache import PrefixCache
from biotune.training.prefix.outputs import RecordedSource
from biotune.training.scoring import EVALUATION_BATCH
from biotune.training.sources import InputSource, RowSource

Labels = NDArray[np.int64]

ROWS = 1000
"""Images of one product: enough for full speed with ten or a hundred vectors of ten classes (measured: 1,000 to 5,000
are alike, 500 cost a tenth), and few enough that the logits take little memory."""

_COPIES = 4
"""Arrays of the size of the logits that judging them needs at a time, at most."""


@dataclass(frozen=True)
class Part:
    """Logits of some vectors on some images.

    Args:
        vectors: which vectors, of those that were asked for.
        images: which images, of all.
        logits: float32, shape (vectors, classes, images); whoever gets it may overwrite it.
    """

    vectors: slice
    images: slice
    logits: Tensor


class Outputs(Protocol):
    """A network with changeable weights, on a fixed set of images."""

    @property
    def num_images(self) -> int:
        """Number of images."""

    def parts(self, vectors: Vector) -> Iterator[Part]:
        """Yield the logits of vectors, shape (num_vectors, num_values): all images of a vector, ascending."""


class LastLayer:
    """A last fully connected layer on recorded inputs: logits = weight @ features + bias.

    Args:
        features: what the layer gets of each image, shape (n, num_features), float32.
        weights: the layer's weight, and its bias if that is refined too.
        bias: of the layer, shape (classes,); unused where the vectors hold one.
        device: where to compute.
        memory_bytes: largest size of weights and logits at a time; one vector and one image are always computed.
        check: called between products; may raise to stop.
    """

    def __init__(
        self,
        features: NDArray[np.float32],
        weights: Weights,
        bias: Tensor,
        device: str = "cpu",
        memory_bytes: int = 2**28,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self.num_images, self._num_features = features.shape
        self._num_classes = weights.shapes[0][0]
        self._has_bias = len(weights.shapes) > 1
        self._features = torch.from_numpy(features).T.contiguous().to(device)
        self._bias = bias.detach().float().to(device)
        self._memory = memory_bytes // 4  # float32
        self._check = check

    def parts(self, vectors: Vector) -> Iterator[Part]:
        """Yield the logits of vectors, shape (num_vectors, num_values), a group of vectors after the other."""
        count, images = self._sizes(len(vectors), vectors.shape[1])
        for first in range(0, len(vectors), count):
            chosen = slice(first, min(first + count, len(vectors)))
            weight, bias = self._split(vectors[chosen])
            for start in range(0, self.num_images, images):
                self._check()
                rows = slice(start, min(start + images, self.num_images))
                logits = torch.addmm(bias, weight, self._features[:, rows])
                yield Part(chosen, rows, logits.view(chosen.stop - first, self._num_classes, -1))

    def _split(self, vectors: Vector) -> tuple[Tensor, Tensor]:
        """Return weights, shape (vectors * classes, num_features), and biases, (vectors * classes, 1)."""
        flat = torch.from_numpy(vectors.astype(np.float32)).to(self._features.device)
        size = self._num_classes * self._num_features
        weight = flat[:, :size].reshape(-1, self._num_features)
        bias = flat[:, size:] if self._has_bias else self._bias.expand(len(flat), -1)
        return weight, bias.reshape(-1, 1)

    def _sizes(self, num_vectors: int, num_values: int) -> tuple[int, int]:
        """Return vectors and images of one product: half of the memory is for weights, half for logits."""
        vectors = max(1, min(num_vectors, self._memory // (4 * num_values)))  # float64 beside float32, and a copy
        images = max(1, min(ROWS, self._memory // (2 * _COPIES * vectors * self._num_classes)))
        return vectors, images


class Rest:
    """Any layers: the network runs from recorded outputs on, once for each vector.

    Args:
        model: the network, in evaluation mode; its own weights stay as they are.
        weights: which tensors a vector replaces.
        source: gives the batches, of recorded outputs where there are some.
        num_images: number of images of the source.
        device: where to compute.
        check: called between batches; may raise to stop.
    """

    def __init__(
        self,
        model: nn.Module,
        weights: Weights,
        source: InputSource,
        num_images: int,
        device: str = "cpu",
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self.num_images = num_images
        self._model = model
        self._weights = weights
        self._source = source
        self._device = device
        self._check = check

    @property
    def is_recorded(self) -> bool:
        """Whether the network begins with recorded outputs."""
        return isinstance(self._source, RecordedSource)

    def parts(self, vectors: Vector) -> Iterator[Part]:
        """Yield the logits of vectors, shape (num_vectors, num_values), batch by batch."""
        starts = range(0, self.num_images, EVALUATION_BATCH)
        batches = [np.arange(start, min(start + EVALUATION_BATCH, self.num_images)) for start in starts]
        for index, vector in enumerate(vectors):
            tensors = self._weights.tensors(vector, self._device)
            self._source.expect(batches)
            for rows in batches:
                self._check()
                with torch.inference_mode():
                    images = self._source.batch(torch.from_numpy(rows))
                    logits = logits_in(functional_call(self._model, tensors, (images,))).float()
                yield Part(slice(index, index + 1), slice(rows[0], rows[-1] + 1), logits.T[None].clone())


def logits_of(outputs: Outputs, vector: Vector) -> NDArray[np.float64]:
    """Return the logits of one vector, shape (num_values,), on all images: shape (num_images, classes)."""
    found = [part.logits[0].T.cpu() for part in outputs.parts(vector[None])]
    return torch.cat(found).numpy().astype(np.float64)


def last_features(model: nn.Module, head: str, source: RowSource) -> NDArray[np.float32] | None:
    """Return what the classifier of a network gets of every image, shape (n, num_features).

    Args:
        model: the network, in evaluation mode.
        head: dotted name of the classifier.
        source: the images.

    Returns:
        None unless the classifier is one fully connected layer with a bias that gives the logits.
    """
    layer, count = model.get_submodule(head), len(source)
    if type(layer) is not nn.Linear:
        return None
    examples = Examples(
        labels=np.zeros(count, dtype=np.int64),
        groups=None,
        weights=np.ones(count),
        seed=0,
        logits=lambda rows: forward_logits(model, source.batch(torch.from_numpy(rows))),
        batch_size=EVALUATION_BATCH,
    )
    return pooled_features([layer], examples)


@contextmanager
def rest_of(
    model: nn.Module,
    weights: Weights,
    partition: BlockPartition,
    source: RowSource,
    memory_bytes: int,
    check: Callable[[], None] = lambda: None,
) -> Iterator[Rest]:
    """Record what comes before the refined tensors, as far as the network allows; see ``PrefixCache``.

    Args:
        model: the network, in evaluation mode.
        weights: which tensors are refined.
        partition: the network's blocks; the finer they are, the more is recorded.
        source: the images.
        memory_bytes: room for recorded outputs.
        check: called between batches; may raise to stop.

    Yields:
        Rest: to be used inside the context.
    """
    owners = {partition.enclosing(name) for name in weights.names}
    recipe = Recipe(partition, tuple(float(index in owners) for index in range(len(partition))))
    cache = PrefixCache(source, memory_bytes, forward_logits, check)
    recipe.apply(model)  # frozen modules stay in evaluation mode, which shows that their outputs can be recorded
    try:
        with cache.attached(model.eval(), recipe) as recorded:
            yield Rest(model, weights, recorded, len(source), str(source.device), check)
    finally:
        Recipe.release(model).eval()


def is_last(head: str, layers: Sequence[str]) -> bool:
    """Return whether the classifier, and nothing else, is refined."""
    return list(layers) == [head]
