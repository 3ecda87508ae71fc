"""Marks the blocks that the loss cannot reach as inert, so that a recipe may train them without an error."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from biotune.models.loaded_model import logits_of
from biotune.partition import Block, owner_of


def mark_inert(
    model: nn.Module, blocks: Sequence[Block], first_use: Mapping[str, int], sample_shape: tuple[int, ...]
) -> list[Block]:
    """Mark the blocks whose parameters do not affect the logits.

    A module that is never called may still be used (a parameter in a list, the output weights of an attention). So
    where a block holds only such modules, the autograd graph of the logits decides.

    Args:
        model: the network; unchanged afterwards.
        blocks: together they hold every parameter.
        first_use: names of the modules that a forward pass calls.
        sample_shape: (3, height, width) of an image that the network takes, or (length,) of a text.

    Returns:
        The blocks, with ``inert`` also set where the loss does not reach them.
    """
    parameters = list(model.named_parameters(remove_duplicate=False))
    owners = [owner_of(name, blocks) for name, _ in parameters]
    called = {
        owner for owner, (name, _) in zip(owners, parameters, strict=True) if name.rpartition(".")[0] in first_use
    }
    if called >= set(owners):
        return list(blocks)
    used = _used_by_logits(model, sample_shape)
    live = called | {owner for owner, (_, tensor) in zip(owners, parameters, strict=True) if id(tensor) in used}
    return [replace(block, inert=block.inert or index not in live) for index, block in enumerate(blocks)]


def _used_by_logits(model: nn.Module, sample_shape: tuple[int, ...]) -> set[int]:
    """Return the ``id`` of each parameter in the autograd graph of the logits, in eval mode on one image of zeros."""
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
    """Return the ``id`` of each leaf tensor that an output was computed from."""
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
