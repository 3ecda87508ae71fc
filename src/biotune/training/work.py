"""How much of a network's arithmetic lies in each block: a measure of cost that no clock and no load can change."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from biotune.models import forward_logits
from biotune.partition import BlockPartition


def work_shares(model: nn.Module, partition: BlockPartition, images: Tensor) -> list[float]:
    """Return each block's share of the multiplications of a forward pass, summing to 1.

    Counted in convolutions and linear layers: output elements times weights per output channel.

    Args:
        model: in evaluation mode.
        partition: its blocks.
        images: one batch, shape (batch, 3, height, width).

    Returns:
        One share per block.
    """
    counts = [0.0] * len(partition)

    def counting(owner: int) -> Callable[[nn.Module, Any, Any], None]:
        def hook(module: nn.Module, _inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor) and isinstance(module.weight, Tensor):
                counts[owner] += output.numel() * module.weight[0].numel()

        return hook

    handles = [
        module.register_forward_hook(counting(partition.owner(name) or 0))
        for name, module in model.named_modules()
        if isinstance(getattr(module, "weight", None), Tensor) and module.weight.ndim > 1
    ]
    try:
        with torch.no_grad():
            forward_logits(model.eval(), images)
    finally:
        for handle in handles:
            handle.remove()
    total = sum(counts)
    return [count / total for count in counts]
