"""What a network ready to be tuned is, wherever it came from, and how its logits and its head are reached."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from biotune.errors import InputError
from biotune.models.weights import digest
from biotune.partition import BlockPartition
from biotune.records import Preprocessing


@dataclass(frozen=True)
class LoadedModel:
    """A network and what belongs to it.

    Args:
        model: in eval mode, on the CPU, with a fresh head.
        name: canonical, for example ``timm:resnet50``.
        heads: dotted names of the fresh classifier layers; most networks have one, distilled ones two.
        partition: its blocks.
        preprocessing: what the weights expect of an image.
        weights: where the weights came from, for people.
        weights_sha256: over all tensors outside the head, as loaded.
    """

    model: nn.Module
    name: str
    heads: tuple[str, ...]
    partition: BlockPartition
    preprocessing: Preprocessing
    weights: str
    weights_sha256: str


def completed(
    model: nn.Module,
    name: str,
    heads: tuple[str, ...],
    partition: BlockPartition,
    preprocessing: Preprocessing,
    weights: str,
    auxiliary: tuple[str, ...] = (),
) -> LoadedModel:
    """Return the loaded network with fresh heads, in eval mode; ``auxiliary`` names further fresh layers."""
    for layers in (heads, auxiliary):
        reset_heads(model, layers, seed=0)
    digested = digest(model, (*heads, *auxiliary))
    return LoadedModel(model.eval(), name, heads, partition, preprocessing, weights, digested)


def forward_logits(model: nn.Module, images: Tensor) -> Tensor:
    """Return the main logits, shape (batch, classes), of images of shape (batch, 3, height, width)."""
    return cast(Tensor, logits_of(model(images)))


def logits_of(output: Any) -> Any:
    """Return the logits of what a network returned.

    Some return more than those: Inception-v3 and GoogLeNet a tuple that begins with them, networks of ``transformers``
    a mapping that holds them as ``logits``.
    """
    if isinstance(output, Mapping):
        output = output.get("logits")
    return output[0] if isinstance(output, tuple) else output


def class_layers(model: nn.Module, name: str, num_classes: int, build: Callable[[int], nn.Module]) -> tuple[str, ...]:
    """Return the layers whose shape depends on the number of classes: those that a new data set needs fresh.

    Args:
        model: built for ``num_classes``.
        name: for messages.
        num_classes: of the model.
        build: builds the same network for another number of classes; without memory for its tensors if it can.

    Returns:
        Dotted names, in the order of definition.

    Raises:
        InputError: there is no such layer, or one whose initial values PyTorch cannot draw anew.
    """
    try:
        with torch.device("meta"):
            larger = build(num_classes + 1)
    except NotImplementedError:  # some networks compute with tensors while they are built (torchvision's RegNet)
        larger = build(num_classes + 1)
    other = {key: parameter.shape for key, parameter in larger.named_parameters()}
    found = {key.rpartition(".")[0]: None for key, value in model.named_parameters() if other.get(key) != value.shape}
    if not found or not all(hasattr(model.get_submodule(layer), "reset_parameters") for layer in found):
        raise InputError(f"{name} does not end in a classifier for class labels; choose another network.")
    return tuple(found)


def reset_heads(model: nn.Module, heads: Sequence[str], seed: int) -> None:
    """Give layers fresh initial values, the same for one seed on every device; nothing else changes.

    Args:
        model: changed in place.
        heads: dotted names of layers with ``reset_parameters``.
        seed: of the initial values; each layer's are its own.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        for head in heads:
            layer = model.get_submodule(head)
            fresh = cast(Any, copy.deepcopy(layer).cpu())
            fresh.reset_parameters()
            layer.load_state_dict(fresh.state_dict())
