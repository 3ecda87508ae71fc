"""Counts the memory that a training step needs, in bytes of tensors: independent of allocator and other processes."""

from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from biotune.models import forward_logits
from biotune.training.precision import Forward

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
