"""How much arithmetic a block, and an epoch, takes: a measure of cost that no clock and no load can change."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from biotune.models import forward_logits
from biotune.partition import BlockPartition


def work_shares(model: nn.Module, partition: BlockPartition, images: Tensor) -> list[float]:
    """Return each block's share of the multiplications of a forward pass, summing to 1.

    Args:
        model: in evaluation mode.
        partition: its blocks; what is computed outside all of them is left out.
        images: one batch, shape (batch, 3, height, width).

    Returns:
        One share per block.
    """
    counts = [0] * len(partition)
    for name, count in multiplications(model, images).items():
        owner = partition.enclosing(name)
        if owner is not None:
            counts[owner] += count
    return [count / sum(counts) for count in counts]


def multiplications(model: nn.Module, images: Tensor) -> dict[str, int]:
    """Return the multiplications of a forward pass by the name of the module that does them.

    Counted are convolutions, linear layers, products of matrices and attention, as PyTorch counts them: two operations
    for a multiplication and its addition.

    Args:
        model: in evaluation mode.
        images: one batch, shape (batch, 3, height, width).

    Returns:
        The counts of each module's own work, that of the modules inside it left out.
    """
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # a whole encoder layer as one operation, which is not counted
    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            forward_logits(model.eval(), images)
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
    root = f"{type(model).__name__}."
    found = counter.get_flop_counts()
    totals = {name.removeprefix(root): sum(counts.values()) // 2 for name, counts in found.items()}
    inside = dict.fromkeys(totals, 0)
    for name, total in totals.items():
        outer = _nearest(name, totals)
        if outer is not None:
            inside[outer] += total
    return {name: total - inside[name] for name, total in totals.items() if name not in ("Global", root[:-1])}


def _nearest(name: str, names: dict[str, int]) -> str | None:
    """Return the innermost of the modules that hold one, if there is any."""
    while "." in name:
        name = name.rpartition(".")[0]
        if name in names:
            return name
    return None


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
