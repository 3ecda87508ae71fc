"""Recorded outputs of modules, and batches of them in the place of pixels."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from biotune.training.prefix.stubs import Stub
from biotune.training.sources import Indices, PixelSource


@dataclass(frozen=True)
class Recorded:
    """Outputs of one module, laid out in memory as the module does, so that later layers round as they do without it.

    Args:
        values: one row per image; the other axes stand in the order of their strides, widest first.
        order: which axis of the output each axis of a row is.
    """

    values: Tensor
    order: tuple[int, ...]

    @classmethod
    def room(cls, like: Tensor, images: int) -> "Recorded":
        """Return uninitialised room for the outputs of ``images`` images, each like a row of ``like``."""
        order = tuple(sorted(range(1, like.ndim), key=like.stride, reverse=True))
        return cls(like.new_empty((images, *(like.shape[axis] for axis in order))), order)

    @classmethod
    def of(cls, output: Tensor) -> "Recorded":
        """Return a copy of one batch of outputs."""
        recorded = cls.room(output, len(output))
        recorded.put(torch.arange(len(output)), output)
        return recorded

    def put(self, rows: Tensor, output: Tensor) -> None:
        """Store the outputs of some images; too few rows are an error, where an assignment would repeat them."""
        self.values.index_copy_(0, rows.to(self.values.device), output.permute(0, *self.order))

    def rows(self, rows: Tensor) -> Tensor:
        """Return the outputs of some images, as a tensor of its own."""
        back = sorted(range(len(self.order)), key=self.order.__getitem__)
        return self.values[rows.to(self.values.device)].permute(0, *(position + 1 for position in back))


class RecordedSource:
    """Puts the recorded outputs of a batch into the stubs; what nothing reads is a placeholder of the right shape.

    Args:
        source: the images.
        stubs: in the places of modules, by their names.
        recorded: outputs of some of these modules.
        unread: shape, without the batch, of the outputs of the others.
        sizes: batch sizes that recorded outputs are used for; on batches of other sizes the modules themselves run.
            None for any size.
    """

    def __init__(
        self,
        source: PixelSource,
        stubs: Mapping[str, Stub],
        recorded: Mapping[str, Recorded],
        unread: Mapping[str, torch.Size],
        sizes: Collection[int] | None = None,
    ) -> None:
        self._source = source
        self._stubs = stubs
        self._recorded = recorded
        self._unread = unread
        self._sizes = sizes
        self._shape = torch.Size(source.input_shape)
        self._placeholders: dict[tuple[int, torch.Size], Tensor] = {}

    def batch(self, indices: Tensor) -> Tensor:
        """Return a placeholder input, while the stubs hold the real activations; or the pixels and empty stubs."""
        if self._sizes is not None and len(indices) not in self._sizes:
            for stub in self._stubs.values():
                stub.output = None
            return self._source.batch(indices)
        for name, output in self._recorded.items():
            self._stubs[name].output = output.rows(indices).to(self._source.device)
        for name, shape in self._unread.items():
            self._stubs[name].output = self._placeholder(len(indices), shape)
        return self._placeholder(len(indices), self._shape)

    def expect(self, parts: Sequence[Indices]) -> None:
        """Announce the batches to come, in order: only those that are not recorded are read."""
        if self._sizes is not None:
            self._source.expect([part for part in parts if len(part) not in self._sizes])

    def _placeholder(self, count: int, shape: torch.Size) -> Tensor:
        key = (count, shape)
        if key not in self._placeholders:
            self._placeholders[key] = torch.zeros(count, *shape, device=self._source.device)
        return self._placeholders[key]
