"""Which layers of a network have weights, and the weights of some of them as one vector."""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd

from biotune.errors import InputError
from biotune.wording import listed, quoted

Vector = NDArray[np.float64]

KINDS: dict[str, tuple[type[nn.Module], ...]] = {
    "fully connected": (nn.Linear,),
    "convolution": (_ConvNd,),
    "norm": (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm),
    "embedding": (nn.Embedding, nn.EmbeddingBag),
    "recurrent": (nn.RNNBase,),
}
"""Kind of a layer in words -> its classes in PyTorch; classes that are derived from them belong to it too."""

_NAMED = 5
"""Layers that an error names."""


@dataclass(frozen=True)
class Layer:
    """A layer with weights.

    Args:
        name: dotted name of the module.
        kind: a name in ``KINDS``.
        shape: shape of the tensor of its weights, of the first one in a recurrent layer.
        weights: how many weights it has.
        biases: how many biases it has, 0 without any.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    weights: int
    biases: int


def weighted_layers(model: nn.Module) -> list[Layer]:
    """Return the layers of a network that have weights, in the order of their definition."""
    layers = []
    for name, module in model.named_modules():
        kind = next((kind for kind, classes in KINDS.items() if isinstance(module, classes)), None)
        weights, biases = (_tensors_of(module, one) for one in ("weight", "bias"))
        if kind is None or not weights:
            continue
        counts = (sum(tensor.numel() for tensor in tensors.values()) for tensors in (weights, biases))
        layers.append(Layer(name, kind, tuple(next(iter(weights.values())).shape), *counts))
    return layers


def _tensors_of(module: nn.Module, kind: str) -> dict[str, nn.Parameter]:
    """Return the parameters of a module itself that are weights, or biases: one of each, several if it is recurrent."""
    own = dict(module.named_parameters(recurse=False))
    return {
        name: tensor for name, tensor in own.items() if re.fullmatch(rf"{kind}(_(ih|hh|hr)_l\d+(_reverse)?)?", name)
    }


@dataclass(frozen=True, eq=False)
class Weights:
    """Some tensors of a network as one vector: one after the other, each in its own order.

    Args:
        names: names of the tensors in the network, such as ``fc.weight``.
        shapes: one for each tensor.
        centre: their trained values, shape (number of values,).
    """

    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    centre: Vector

    def tensors(self, vector: Vector, device: torch.device | str = "cpu") -> dict[str, Tensor]:
        """Return the tensors of a vector, shape (number of values,), in float32, by name."""
        flat = torch.from_numpy(np.asarray(vector, dtype=np.float32)).to(device)
        parts = torch.split(flat, [int(np.prod(shape)) for shape in self.shapes])
        return {name: part.view(shape) for name, shape, part in zip(self.names, self.shapes, parts, strict=True)}


def chosen_weights(model: nn.Module, names: Sequence[str], bias: bool) -> Weights:
    """Return the weights of layers.

    Args:
        model: the network.
        names: dotted names of the layers, each once.
        bias: True to add the biases of those that have some.

    Returns:
        The weight of each layer, followed by its bias; a recurrent layer has several of both.

    Raises:
        InputError: a name is unknown or given twice, a layer has no weights, or no bias is there.
    """
    known = {layer.name: layer for layer in weighted_layers(model)}
    if twice := [name for name in names if list(names).count(name) > 1]:
        raise InputError(f"the layer '{twice[0]}' is given twice (--layer); name each once.")
    for name in names:
        if name not in known:
            raise InputError(_unknown(name, known))
    if bias and not any(known[name].biases for name in names):
        raise InputError(f"{quoted(list(names))} has no bias to refine; leave out --bias.")
    kinds = ("weight", "bias") if bias else ("weight",)
    tensors = [
        f"{name}.{tensor}"
        for name in names
        for kind in kinds
        for tensor in _tensors_of(model.get_submodule(name), kind)
    ]
    values = [model.get_parameter(name).detach().cpu() for name in tensors]
    if not all(value.is_floating_point() for value in values):
        raise InputError(f"the weights of {quoted(list(names))} are not floating-point numbers; choose other layers.")
    centre = np.concatenate([value.double().numpy().ravel() for value in values])
    return Weights(tuple(tensors), tuple(tuple(value.shape) for value in values), centre)


def _unknown(name: str, known: Mapping[str, Layer]) -> str:
    """Return the refusal of a layer that a network does not have, with the nearest names."""
    near = difflib.get_close_matches(name, known, 1) or [other for other in known if other.startswith(f"{name}.")][:1]
    hint = f" (did you mean '{near[0]}'?)" if near else ""
    names = listed(list(known)[-_NAMED:])
    return f"the network has no layer '{name}' with weights{hint}; the last ones are {names}: --layers lists all."
