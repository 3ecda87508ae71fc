"""A network that is ready to be tuned, wherever it came from; how to get its logits and reset its head."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from biotune.errors import InputError
from biotune.models.own_generator import own_generator
from biotune.models.weights import digest
from biotune.partition import BlockPartition
from biotune.records import Inputs, Preprocessing


@dataclass(frozen=True)
class LoadedModel:
    """A network and what belongs to it.

    Args:
        model: in eval mode, on the CPU, with a fresh head.
        name: canonical, for example ``timm:resnet50``.
        heads: dotted names of the fresh classifier layers; most networks have one, distilled ones two.
        partition: the network's blocks.
        preprocessing: what the weights expect of an image, or of a text.
        weights: where the weights came from, as shown to the user.
        weights_sha256: SHA-256 over all tensors outside the head, as loaded.
    """

    model: nn.Module
    name: str
    heads: tuple[str, ...]
    partition: BlockPartition
    preprocessing: Inputs
    weights: str
    weights_sha256: str

    @property
    def for_images(self) -> Preprocessing:
        """What the weights expect of an image; raises InputError for a network of texts."""
        if isinstance(self.preprocessing, Preprocessing):
            return self.preprocessing
        raise InputError(f"{self.name} takes texts, not images; this works for image classifiers alone.")


def finish_loading(
    model: nn.Module,
    name: str,
    heads: tuple[str, ...],
    partition: BlockPartition,
    preprocessing: Inputs,
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

    Inception-v3 and GoogLeNet return a tuple that begins with the logits, networks of ``transformers`` a mapping with
    the key ``logits``.
    """
    if isinstance(output, Mapping):
        output = output.get("logits")
    return output[0] if isinstance(output, tuple) else output


def class_layers(model: nn.Module, name: str, num_classes: int, build: Callable[[int], nn.Module]) -> tuple[str, ...]:
    """Return the layers whose shape depends on the number of classes: a new data set needs these to be fresh.

    Args:
        model: built for ``num_classes``.
        name: the network's name in messages.
        num_classes: classes that ``model`` was built for.
        build: builds the same network for another number of classes; called on the device ``meta`` first, which needs
            no memory for the tensors.

    Returns:
        Dotted names, in the order of definition.

    Raises:
        InputError: there is no such layer, or PyTorch cannot reset one.
    """
    try:
        with torch.device("meta"):
            larger = build(num_classes + 1)
    except NotImplementedError:  # some networks compute with tensors while they are built (torchvision's RegNet)
        larger = build(num_classes + 1)
    other = {key: parameter.shape for key, parameter in larger.named_parameters()}
    layers = {key.rpartition(".")[0]: None for key, value in model.named_parameters() if other.get(key) != value.shape}
    if not layers or not all(hasattr(model.get_submodule(layer), "reset_parameters") for layer in layers):
        raise InputError(f"{name} does not end in a classifier for class labels; choose another network.")
    return tuple(layers)


def reset_heads(model: nn.Module, heads: Sequence[str], seed: int) -> None:
    """Give layers fresh initial values that depend only on the seed, not on the device; nothing else changes.

    Args:
        model: changed in place.
        heads: dotted names of layers with ``reset_parameters``.
        seed: root of the random initial values; the layers' values differ from each other.
    """
    with own_generator():
        torch.default_generator.manual_seed(seed)
        for head in heads:
            layer = model.get_submodule(head)
            fresh = cast(Any, copy.deepcopy(layer).cpu())
            fresh.reset_parameters()
            layer.load_state_dict(fresh.state_dict())
