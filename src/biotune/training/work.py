"""Counts the arithmetic of blocks and epochs: a measure of cost that does not depend on clocks or load."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from biotune.models import forward_logits
from biotune.partition import BlockPartition


def work_shares(model: nn.Module, partition: BlockPartition, images: Tensor) -> list[float]:
    """Return each block's share of the multiplications of a forward pass, summing to 1; others are left out.

    The network is in evaluation mode; ``images`` are one batch, shape (batch, 3, height, width).
    """
    counts = [0] * len(partition)
    for name, count in multiplications(model, images).items():
        owner = partition.enclosing(name)
        if owner is not None:
            counts[owner] += count
    return [count / sum(counts) for count in counts]


def multiplications(model: nn.Module, images: Tensor) -> dict[str, int]:
    """Return the multiplications of a forward pass, by the name of the module that does them.

    Counted are convolutions, linear layers, products of matrices and attention, as PyTorch counts them: two operations
    for a multiplication and its addition, so its counts are halved.

    Args:
        model: the network, in evaluation mode.
        images: one batch, shape (batch, 3, height, width).

    Returns:
        Module name -> multiplications, without those of the modules inside it.
    """
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # it runs an encoder layer as one operation that is not counted
    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            forward_logits(model.eval(), images)
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
    root = f"{type(model).__name__}."
    operations = counter.get_flop_counts()
    totals = {name.removeprefix(root): sum(counts.values()) // 2 for name, counts in operations.items()}
    inside = dict.fromkeys(totals, 0)
    for name, total in totals.items():
        outer = _nearest(name, totals)
        if outer is not None:
            inside[outer] += total
    return {name: total - inside[name] for name, total in totals.items() if name not in ("Global", root[:-1])}


def _nearest(name: str, names: dict[str, int]) -> str | None:
    """Return the innermost module around a module, if it is among the names."""
    while "." in name:
        name = name.rpartition(".")[0]
        if name in names:
            return name
    return None


def epoch_work(shares: Sequence[float], multipliers: Sequence[float], num_recorded: int = 0) -> float:
    """Return the work of one epoch, as a share of an epoch that trains every block.

    In a convolution and a linear layer, three passes take the same number of multiplications: the forward pass, the
    gradients of the inputs, and those of the weights. A block takes all three if it is trained, the first two if it is
    frozen above the lowest trained block, the first one below that, and none if its outputs are recorded.

    Args:
        shares: share of each block in the forward pass, summing to 1.
        multipliers: multiplier of each block in the epoch, at least one above 0.
        num_recorded: number of first blocks, all frozen, whose outputs are read instead of computed.

    Returns:
        The work, in (0, 1].
    """
    lowest = next(index for index, value in enumerate(multipliers) if value > 0)
    passes = [1 + (index >= lowest) + (value > 0) for index, value in enumerate(multipliers)]
    return sum(share * count / 3 for share, count in zip(shares[num_recorded:], passes[num_recorded:], strict=True))
