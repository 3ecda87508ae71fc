"""How much arithmetic a block, and an epoch, takes: a measure of cost that no clock and no load can change."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from biotune.models import forward_logits
from biotune.partition import BlockPartition


def work_shares(model: nn.Module, partition: BlockPartition, images: Tensor) -> list[float]:
    """Return each block's share of the multiplications of a forward pass, summing to 1.

    Args:
        model: in evaluation mode.
        partition: its blocks.
        images: one batch, shape (batch, 3, height, width).

    Returns:
        One share per block.
    """
    counts = [0] * len(partition)
    for name, count in multiplications(model, images).items():
        counts[partition.owner(f"{name}.weight" if name else "weight")] += count
    return [count / sum(counts) for count in counts]


def multiplications(model: nn.Module, images: Tensor) -> dict[str, int]:
    """Return the multiplications of a forward pass by the name of the layer.

    Counted in convolutions and linear layers: output elements times weights per output channel.

    Args:
        model: in evaluation mode.
        images: one batch, shape (batch, 3, height, width).

    Returns:
        The counts; layers that do not run are left out.
    """
    counts: dict[str, int] = {}

    def counting(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(module: nn.Module, _inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor) and isinstance(module.weight, Tensor):
                counts[name] = counts.get(name, 0) + output.numel() * module.weight[0].numel()

        return hook

    handles = [
        module.register_forward_hook(counting(name))
        for name, module in model.named_modules()
        if isinstance(getattr(module, "weight", None), Tensor) and module.weight.ndim > 1
    ]
    try:
        with torch.no_grad():
            forward_logits(model.eval(), images)
    finally:
        for handle in handles:
            handle.remove()
    return counts


def epoch_work(shares: Sequence[float], multipliers: Sequence[float], num_recorded: int = 0) -> float:
    """Return the work of one epoch, as a share of one that trains every block.

    In a convolution and a linear layer, three passes take the same number of multiplications: the forward pass, the
    gradients of the inputs, and those of the weights. A block takes all three where it is trained, the first two where
    it is frozen above the lowest trained block, the first one below that, and none where its outputs are recorded.

    Args:
        shares: of the forward pass, one per block, summing to 1.
        multipliers: of the epoch, one per block, at least one above 0.
        num_recorded: so many of the first blocks, all frozen, are not computed but read.

    Returns:
        The work, in (0, 1].
    """
    lowest = next(index for index, value in enumerate(multipliers) if value > 0)
    passes = [1 + (index >= lowest) + (value > 0) for index, value in enumerate(multipliers)]
    return sum(share * count / 3 for share, count in zip(shares[num_recorded:], passes[num_recorded:], strict=True))
