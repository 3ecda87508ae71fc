"""One training by several processes, the ranks, each on a device of its own: shares of batches, sums over all ranks.

The arithmetic is that of one process up to rounding: every batch is dealt out, a rank's loss counts by its share of the
batch, gradients are summed, and a batch norm that takes the statistics of a batch takes those of all shares together.
"""

import itertools
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from biotune.errors import InputError
from biotune.randomness import derived_seeds
from biotune.training.augmentation import Augmented
from biotune.training.precision import Forward, training_mode
from biotune.training.shared_statistics import SharedStatistics
from biotune.training.sources import InputSource

Indices = NDArray[np.int64]

PATIENCE = timedelta(minutes=10)
"""How long a rank waits for the others, chosen by hand: all do the same work, so they differ by seconds."""


@dataclass(frozen=True)
class Ranks:
    """The processes that train one network together; the default is a single one, for which nothing is done.

    Args:
        rank: number of this process, from 0.
        size: how many there are.
    """

    rank: int = 0
    size: int = 1

    def shares(self, part: Indices) -> list[Indices]:
        """Cut a batch into one share for each rank, in their order, of the same size but for one image.

        Raises InputError: there are fewer images than ranks.
        """
        if len(part) < self.size:
            raise InputError(
                f"{len(part)} images at a time cannot be shared by {self.size} devices; use larger batches "
                "(--batch-size, --micro-batch) or fewer devices (--devices-per-training)."
            )
        return np.array_split(part, self.size)

    def share(self, part: Indices) -> Indices:
        """Return the images of a batch that this rank takes."""
        return self.shares(part)[self.rank]

    def inputs(self, source: InputSource, part: Indices) -> Tensor:
        """Return the network's input for this rank's share of a batch.

        An image that is drawn twice in an epoch is augmented differently each time, whoever gets it.
        """
        shares = self.shares(part)
        if not isinstance(source, Augmented):
            return source.batch(torch.from_numpy(shares[self.rank]))
        for before in shares[: self.rank]:
            source.skip(before)
        images = source.batch(torch.from_numpy(shares[self.rank]))
        for after in shares[self.rank + 1 :]:
            source.skip(after)
        return images

    def own(self, parts: Sequence[Indices]) -> Sequence[Indices]:
        """Return those of many batches that this rank evaluates: the ranks take turns."""
        return parts[self.rank :: self.size]

    def put_together(self, rows: Sequence[Tensor]) -> list[Tensor]:
        """Return what all ranks found for their ``own`` batches, in the order of the batches."""
        if self.size == 1:
            return list(rows)
        found: list[Any] = [None] * self.size
        distributed.all_gather_object(found, list(rows))
        return [row for turn in itertools.zip_longest(*found) for row in turn if row is not None]

    def seed(self, seed: int) -> int:
        """Return the seed of this rank for what it draws about its own images, such as dropout."""
        return seed if self.rank == 0 else derived_seeds(self.rank, seed, "rank")[-1]

    def total(self, values: Tensor) -> Tensor:
        """Return the sum over all ranks, the same bits on each; the tensor is worked on."""
        if self.size > 1:
            distributed.all_reduce(values)
        return values

    def total_of(self, value: float) -> float:
        """Return the sum of a number over all ranks."""
        device = "cuda" if self.size > 1 and distributed.get_backend() == "nccl" else "cpu"
        return float(self.total(torch.tensor(value, dtype=torch.float64, device=device)))

    @contextmanager
    def together(self) -> Iterator[None]:
        """Let batch norms that take the statistics of a batch take those of all ranks."""
        if self.size == 1:
            yield
            return
        with SharedStatistics():
            yield

    def wrapped(self, model: nn.Module, unreached: Sequence[str]) -> nn.Module:
        """Return what runs the network in training, so that gradients become their means over all ranks.

        A wrapper is for one epoch: what is trained must not change, and torch arranges its buffers again after a first
        step, so that sums of three or more would be rounded otherwise in a training that paused in between.

        Args:
            model: frozen as the epoch needs it; frozen parameters and all buffers are left alone.
            unreached: trained parameters that get no gradient, which would be waited for.

        Returns:
            The network itself for a single process, and where nothing gets a gradient.
        """
        trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad} - set(unreached)
        if self.size == 1 or not trained:
            return model
        tensors = itertools.chain(model.named_parameters(), model.named_buffers())
        left_alone = [name for name, _ in tensors if name not in trained]
        DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(model, left_alone)  # type: ignore[no-untyped-call]
        return DistributedDataParallel(model)

    def unreached(self, model: nn.Module, forward: Forward, source: InputSource, part: Indices) -> list[str]:
        """Return the trained parameters that get no gradient from the loss, tried with a few images.

        They are nobody's business in a single process, for which the list is empty.
        """
        if self.size == 1:
            return []
        images = source.batch(torch.from_numpy(part[:2]))
        with self.together(), training_mode(model):
            forward(model, images).sum().backward()  # type: ignore[no-untyped-call]
        names = [name for name, one in model.named_parameters() if one.requires_grad and one.grad is None]
        model.zero_grad(set_to_none=True)
        return names


ALONE = Ranks()


def join(rank: int, size: int, meeting: Path, device: str) -> Ranks:
    """Find the other ranks, on this machine and over its loopback interface alone.

    Args:
        rank: number of this process, from 0.
        size: how many there are; each calls this, and waits for the others.
        meeting: file that all of them can write, new for every group of ranks.
        device: ``cpu`` or ``cuda``; of the latter the current one is this rank's.

    Returns:
        The ranks of which this process is one.
    """
    loopback = next(name for _, name in socket.if_nameindex() if name.startswith("lo"))
    for variable in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"):
        os.environ.setdefault(variable, loopback)
    store = distributed.FileStore(str(meeting), size)  # type: ignore[attr-defined]
    backend = "nccl" if device == "cuda" else "gloo"
    distributed.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=PATIENCE)
    return Ranks(rank, size)
