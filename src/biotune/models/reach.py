"""Which blocks the training loss cannot reach: they are marked inert, so that training them is no error."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from biotune.models.loaded import logits_of
from biotune.partition import Block, owner_of


def with_inert(
    model: nn.Module, blocks: Sequence[Block], first_use: Mapping[str, int], sample_shape: tuple[int, int, int]
) -> list[Block]:
    """Mark the blocks of which no parameter has a part in the logits.

    A module that is never called may still be used (a parameter in a list, the output weights of an attention), so
    where one block has such modules only, the graph of the logits decides.

    Args:
        model: the network; left as it was.
        blocks: that hold every parameter.
        first_use: names of the modules that a forward pass calls.
        sample_shape: (3, height, width) of an image that the network takes.

    Returns:
        The blocks, with ``inert`` set where it was or where the loss does not reach them.
    """
    parameters = list(model.named_parameters(remove_duplicate=False))
    owners = [owner_of(name, blocks) for name, _ in parameters]
    called = {
        owner for owner, (name, _) in zip(owners, parameters, strict=True) if name.rpartition(".")[0] in first_use
    }
    if called >= set(owners):
        return list(blocks)
    reached = _reached(model, sample_shape)
    live = called | {owner for owner, (_, tensor) in zip(owners, parameters, strict=True) if id(tensor) in reached}
    return [replace(block, inert=block.inert or index not in live) for index, block in enumerate(blocks)]


def _reached(model: nn.Module, sample_shape: tuple[int, int, int]) -> set[int]:
    """Return the identities of the parameters in the graph of the logits, in evaluation mode on one image of zeros."""
    asked = {parameter: parameter.requires_grad for parameter in model.parameters() if parameter.is_floating_point()}
    modes = {module: module.training for module in model.modules()}
    like = next(iter(asked))
    try:
        model.eval()
        for parameter in asked:
            parameter.requires_grad_(True)
        with torch.enable_grad():
            logits: Tensor = logits_of(model(torch.zeros(1, *sample_shape, device=like.device, dtype=like.dtype)))
        return _leaves(logits)
    finally:
        for parameter, trained in asked.items():
            parameter.requires_grad_(trained)
        for module, training in modes.items():
            module.training = training


def _leaves(output: Tensor) -> set[int]:
    """Return the identities of the leaf tensors that an output was computed from."""
    seen, waiting, leaves = set(), [output.grad_fn], set[int]()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            leaves.add(id(node.variable))
        waiting += [before for before, _ in node.next_functions]
    return leaves
