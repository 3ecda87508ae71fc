"""Rates per tensor from relative gradient norms."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from biotune.methods.base import FineTuningMethod, MethodOptions, Network, Signals, Stage
from biotune.partition import Block, make_partition
from biotune.recipe import Recipe

SMALLEST = 1e-12
"""Multiplier of a tensor without gradient. It has no effect in single precision, but unlike 0 it keeps the tensor
among the trained ones, so that it is measured again."""


class AutoRGNOptions(MethodOptions):
    """Options of ``auto_rgn``."""

    batches: Annotated[int, Field(ge=1, le=1000, description="mini-batches measured before every epoch")] = 5
    reset: Annotated[bool, Field(description="reset the optimiser before every epoch, as published")] = True


class AutoRGN(FineTuningMethod):
    """AutoRGN: before every epoch, each tensor's rate follows its relative gradient norm.

    RGN of a tensor = ||g||_2 / ||w||_2, its mean over the first ``batches`` mini-batches of the epoch;
    multiplier = RGN / (largest RGN of all tensors), in (0, 1].

    Batch-norm layers are left out, by their type: their weights and, unless the run lets frozen statistics drift, their
    statistics stay as they are, in the measurement and in training. A tensor that starts at 0 (a new bias) has no
    finite RGN, and an enormous one after its first steps: it gets multiplier 1 in every epoch and does not count for
    the largest, which would slow all others.

    Source: Lee et al. 2023 (ICLR), "Auto-RGN", and its code, which makes a new Adam for every epoch and runs batch
    norms in evaluation mode. Departures: batch norms by type (its filter by name misses those of ResNet's shortcuts);
    the run's weight decay and schedule instead of 1e-4 and a constant rate, which the authors choose from
    1e-1 ... 1e-5.
    """

    Options = AutoRGNOptions
    options: AutoRGNOptions

    def prepare(self, model: nn.Module) -> Recipe:
        """Announce every tensor outside batch norms as a group of its own."""
        self._parameters = dict(model.named_parameters())
        self._from_zero = {name for name, tensor in self._parameters.items() if not tensor.detach().any()}
        return _by_tensor(model, self.network, self.options.rate)

    def num_measured(self) -> int:
        """Return the option ``batches``."""
        return self.options.batches

    def stage(self, epoch: int, signals: Signals) -> Stage:
        """Measure, and set one rate per tensor."""
        scope = signals.scope
        names = [name for name, value in zip(scope.partition.names, scope.multipliers, strict=True) if value > 0]
        with torch.no_grad():
            norms = {name: 0.0 if name in self._from_zero else float(self._parameters[name].norm()) for name in names}
        ratios = normalised_ratios(signals.gradients(self.num_measured()), norms)
        multipliers = [
            value * ratios[name] if value > 0 else 0.0
            for name, value in zip(scope.partition.names, scope.multipliers, strict=True)
        ]
        return Stage(scope.with_multipliers(multipliers), reset=self.options.reset and epoch > 0)


def normalised_ratios(batches: Iterable[Mapping[str, Tensor]], norms: Mapping[str, float]) -> dict[str, float]:
    """Return the mean relative gradient norm of every tensor over the largest one.

    Args:
        batches: name -> gradient, one mapping per mini-batch; a missing tensor has no gradient.
        norms: name -> norm of the weights, for every tensor that counts.

    Returns:
        Name -> ratio in [1e-12, 1]; 1 for a tensor of norm 0, and for all where a gradient is not finite.
    """
    sums = dict.fromkeys(norms, 0.0)
    for gradients in batches:
        for name, size in _sizes({name: gradients[name] for name in norms if name in gradients}).items():
            sums[name] += size
    relative = {name: sums[name] / norm for name, norm in norms.items() if norm > 0}
    largest = max(relative.values(), default=0.0)
    if not all(map(math.isfinite, relative.values())) or largest == 0:
        return dict.fromkeys(norms, 1.0)
    return {name: max(relative.get(name, largest) / largest, SMALLEST) for name in norms}


def _sizes(gradients: Mapping[str, Tensor]) -> dict[str, float]:
    """Return the norms of tensors, copied from the device in one transfer."""
    norms = [gradient.norm() for gradient in gradients.values()]
    return dict(zip(gradients, torch.stack(norms).tolist(), strict=True)) if norms else {}


def _by_tensor(model: nn.Module, network: Network, rate: float) -> Recipe:
    """Return the recipe with one block per tensor, and one frozen block per batch norm."""
    names = [name for name, _ in model.named_parameters()]
    norms = [path for path, module in model.named_modules() if isinstance(module, _BatchNorm)]
    norms = [path for path in norms if any(name.startswith(f"{path}.") for name in names)]
    inside = tuple(f"{path}." for path in norms)
    inert = network.partition.blocks
    tensors = [
        Block(name, (name,), inert=inert[network.partition.owner(name)].inert)
        for name in names
        if not name.startswith(inside)
    ]
    buffers = [name for name, _ in model.named_buffers()]
    others = tuple(name for name in buffers if not name.startswith(inside))
    tensors[0] = replace(tensors[0], prefixes=tensors[0].prefixes + others)
    blocks = [*(Block(path, (path,)) for path in norms), *tensors]
    shapes = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    return network.recipe([0.0] * len(norms) + [rate] * len(tensors), make_partition(blocks, shapes, buffers))
