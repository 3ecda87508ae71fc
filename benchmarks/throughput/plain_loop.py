"""The reference for measuring the trainer: a plain PyTorch loop, and the tail of a network without its first blocks."""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from biotune.models import forward_logits
from biotune.partition import BlockPartition
from biotune.training.precision import Forward
from biotune.training.prefix.stubs import hooked


@dataclass(frozen=True)
class BareData:
    """The tensors that a plain loop learns from, all on one device.

    Args:
        inputs: inputs of the network, shape (images, ...): normalised images, or the activations that its tail starts
            from.
        labels: class indices, shape (images,).
        train: indices of the training images.
        validation: indices of the validation images.
    """

    inputs: Tensor
    labels: Tensor
    train: Tensor
    validation: Tensor


def train_bare(
    model: nn.Module,
    data: BareData,
    epochs: int,
    batch_size: int,
    evaluation_batch: int,
    learning_rate: float,
    forward: Forward = forward_logits,
) -> float:
    """Train a whole network with Adam in a hand-written loop; return the last accuracy on the validation images.

    Args:
        model: the network on its device; trained in place.
        data: see ``BareData``.
        epochs: number of epochs, each followed by an evaluation on all validation images.
        batch_size: images per training step.
        evaluation_batch: images per validation batch.
        learning_rate: Adam's learning rate.
        forward: runs the network on a batch and returns its logits.

    Returns:
        The share of correct answers, in [0, 1].
    """
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate, fused=True)
    accuracy = 0.0
    for _ in range(epochs):
        model.train()
        total = torch.zeros((), device=data.inputs.device)
        order = data.train[torch.randperm(len(data.train)).to(data.train.device)]
        for part in torch.split(order, batch_size):
            loss = nn.functional.cross_entropy(forward(model, data.inputs[part]), data.labels[part])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total += loss.detach() * len(part)
        accuracy = _accuracy(model, data, evaluation_batch, forward)
        if not total.isfinite():
            raise ArithmeticError("the plain loop diverged")
    return accuracy


@torch.inference_mode()
def _accuracy(model: nn.Module, data: BareData, batch_size: int, forward: Forward) -> float:
    model.eval()
    right = [
        forward(model, data.inputs[part]).argmax(1) == data.labels[part]
        for part in torch.split(data.validation, batch_size)
    ]
    return float(torch.cat(right).float().mean())


def split_chain(
    model: nn.Module, partition: BlockPartition, first: int, images: Tensor
) -> tuple[nn.Sequential, nn.Sequential] | None:
    """Cut a copy of a network before a block, if the network is a chain of modules.

    Args:
        model: the network, in evaluation mode.
        partition: the blocks of the network.
        first: index of the block that the tail begins with, at least 1.
        images: a few inputs, shape (batch, 3, height, width): the two halves must give the network's logits for them.

    Returns:
        The modules before the block and those from it on; None if these, called one after the other, do not equal the
        network bit for bit.
    """
    own = copy.deepcopy(model)
    order: list[str] = []
    with torch.no_grad(), hooked(own, {name: _noting(order, name) for name in _links(own, partition)}):
        expected = forward_logits(own, images)
    owners = [_owners(own, partition, name) for name in order]
    frozen = [bool(blocks) and max(blocks) < first for blocks in owners]
    cut = 1 + max(place for place, is_frozen in enumerate(frozen) if is_frozen)
    if len(set(order)) < len(order) or any(blocks and max(blocks) >= first for blocks in owners[:cut]):
        return None
    while not owners[cut] and not isinstance(own.get_submodule(order[cut]), nn.Dropout):
        cut += 1  # the outputs of activations and poolings are the same in every epoch; those of dropout are not
    head, tail = _chain(own, order[:cut]), _chain(own, order[cut:])
    tail.append(nn.Flatten(1))
    try:
        with torch.no_grad():
            same = torch.equal(tail(head(images)), expected)
    except RuntimeError:  # something between the modules changes the shape
        return None
    return (head, tail) if same else None


@torch.no_grad()
def activations(head: nn.Module, images: Tensor, batch_size: int) -> Tensor:
    """Return the outputs of the first modules for all images, in the memory layout that the modules use."""
    head.eval()
    return torch.cat([head(part) for part in torch.split(images, batch_size)])


def _links(model: nn.Module, partition: BlockPartition, name: str = "") -> list[str]:
    """Return the outermost modules that lie within one block; plain sequences are opened."""
    module = model.get_submodule(name)
    if name and type(module) is not nn.Sequential and len(_owners(model, partition, name)) <= 1:
        return [name]
    children = [f"{name}.{child}" if name else child for child, _ in module.named_children()]
    return [link for child in children for link in _links(model, partition, child)]


def _owners(model: nn.Module, partition: BlockPartition, name: str) -> set[int]:
    """Return the blocks that the tensors of a module belong to."""
    module = model.get_submodule(name)
    tensors = [*module.named_parameters(), *module.named_buffers()]
    return {partition.owner(f"{name}.{tensor}") for tensor, _ in tensors}


def _noting(order: list[str], name: str) -> Callable[[object], None]:
    def note(_output: object) -> None:
        order.append(name)

    return note


def _chain(model: nn.Module, names: list[str]) -> nn.Sequential:
    """Return the modules as a sequence; a linear layer takes rows, so feature maps are flattened before it."""
    chain = nn.Sequential()
    for name in names:
        module = model.get_submodule(name)
        if isinstance(module, nn.Linear):
            chain.append(nn.Flatten(1))
        chain.append(module)
    return chain
