"""Recorded outputs of modules, and batches of them instead of pixels."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from biotune.training.prefix.stubs import Stub
from biotune.training.sources import Indices, RowSource


@dataclass(frozen=True)
class Recorded:
    """Outputs of one module, in the memory layout that the module uses, so that later layers round the same way.

    Args:
        values: one row per image; the other axes are ordered by their strides, largest first.
        order: for each axis of a row, the axis of the output that it is.
    """

    values: Tensor
    order: tuple[int, ...]

    @classmethod
    def empty(cls, like: Tensor, images: int) -> "Recorded":
        """Return uninitialised memory for the outputs of ``images`` images, each like a row of ``like``."""
        order = tuple(sorted(range(1, like.ndim), key=like.stride, reverse=True))
        return cls(like.new_empty((images, *(like.shape[axis] for axis in order))), order)

    @classmethod
    def of(cls, output: Tensor) -> "Recorded":
        """Return a copy of one batch of outputs."""
        recorded = cls.empty(output, len(output))
        recorded.put(torch.arange(len(output)), output)
        return recorded

    def put(self, rows: Tensor, output: Tensor) -> None:
        """Store the outputs of some images. Too few rows raise an error here, while an assignment would repeat them."""
        self.values.index_copy_(0, rows.to(self.values.device), output.permute(0, *self.order))

    def rows(self, rows: Tensor) -> Tensor:
        """Return a copy of the outputs of some images."""
        back = sorted(range(len(self.order)), key=self.order.__getitem__)
        return self.values[rows.to(self.values.device)].permute(0, *(position + 1 for position in back))


class RecordedSource:
    """Puts the recorded outputs of a batch into the stubs; outputs that nothing reads are placeholders.

    Args:
        source: the images.
        stubs: module name -> its stub.
        recorded: module name -> outputs, for some of these modules.
        unread: module name -> shape of the output without the batch, for the others.
        sizes: batch sizes that recorded outputs are used for; on batches of other sizes the modules themselves run.
            None for any size.
    """

    def __init__(
        self,
        source: RowSource,
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
        """Return a placeholder while the stubs hold the activations; for other batch sizes pixels, with empty stubs."""
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
        """Announce the next batches, in order; only those without recorded outputs are read."""
        if self._sizes is not None:
            self._source.expect([part for part in parts if len(part) not in self._sizes])

    def _placeholder(self, count: int, shape: torch.Size) -> Tensor:
        key = (count, shape)
        if key not in self._placeholders:
            self._placeholders[key] = torch.zeros(count, *shape, device=self._source.device)
        return self._placeholders[key]
