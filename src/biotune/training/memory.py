"""The memory of a training step: how much it is, whether a failure was for want of it, and what fits.

What is counted are bytes of tensors, independent of allocator and other processes.
"""

import gc

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from biotune.machine import is_lack_of_memory
from biotune.models import forward_logits
from biotune.training.precision import Forward, training_mode

OPTIMIZER_SLOTS = {"adam": 2, "adamw": 2, "sgd": 1}
"""Tensors that an optimiser keeps for each trained one: two moments, or a momentum buffer."""


def step_bytes(
    model: nn.Module, images: Tensor, labels: Tensor, optimizer: str, forward: Forward = forward_logits
) -> int:
    """Return the bytes of one training step: all tensors, gradients, optimiser state, and what backward needs.

    An activation is counted once, even if several operations keep it. Temporary buffers inside single operations and
    the recorded activations of a frozen prefix are left out.

    Args:
        model: prepared by a method, so ``requires_grad`` says which tensors are trained.
        images: one batch, shape (batch, 3, height, width).
        labels: class indices, shape (batch,).
        optimizer: name in ``OPTIMIZER_SLOTS``.
        forward: runs the network on a batch and returns its logits.

    Returns:
        The number of bytes.
    """
    storages = {tensor.untyped_storage().data_ptr() for tensor in (*model.parameters(), *model.buffers())}
    kept: dict[int, int] = {}
    alive: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in storages:
            kept[storage.data_ptr()] = storage.nbytes()
            alive.append(tensor)  # otherwise the next tensor could get its address
        return tensor

    training = model.training
    model.train()
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    with saved_tensors_hooks(keep, lambda tensor: tensor):
        nn.functional.cross_entropy(forward(model, images), labels)
    for name, buffer in model.named_buffers():
        buffer.copy_(buffers[name])
    model.train(training)
    tensors = sum(tensor.nbytes for tensor in (*model.parameters(), *model.buffers()))
    trained = sum(parameter.nbytes for parameter in model.parameters() if parameter.requires_grad)
    return tensors + trained * (1 + OPTIMIZER_SLOTS[optimizer]) + sum(kept.values())


def give_back() -> None:
    """Give memory that nothing refers to any more back to the system, on a GPU too."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def fitting(model: nn.Module, images: Tensor, optimizer: str, forward: Forward) -> int:
    """Return how many images of a batch fit into memory at a time, when all blocks are trained.

    Tried are the whole batch, half of it, a quarter and so on, with a step each: forward, backward, and room for the
    optimiser's state.

    Args:
        model: the network on its device, in evaluation mode; unchanged afterwards.
        images: one batch, shape (batch, 3, height, width), or tokens of texts.
        optimizer: name in ``OPTIMIZER_SLOTS``.
        forward: runs the network on a batch and returns its logits.

    Returns:
        At least 1, at most the size of the batch; 1 also where not even one image fits.
    """
    size = len(images)
    while size > 1 and not _fits(model, images[:size], optimizer, forward):
        give_back()
        size = (size + 1) // 2
    return size


def _fits(model: nn.Module, images: Tensor, optimizer: str, forward: Forward) -> bool:
    try:
        with training_mode(model):
            state = [torch.empty_like(p) for p in model.parameters() for _ in range(OPTIMIZER_SLOTS[optimizer])]
            forward(model, images).square().mean().backward()  # type: ignore[no-untyped-call]
            del state
    except (MemoryError, RuntimeError) as error:
        if not is_lack_of_memory(error):
            raise
        return False
    finally:
        model.zero_grad(set_to_none=True)
    return True
