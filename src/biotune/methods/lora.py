"""Low-rank adaptation of convolutions and linear layers."""

from typing import Annotated, Literal, cast

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.utils import parametrize

from biotune.methods.base import FineTuningMethod, MethodOptions, Network
from biotune.methods.fixed import LinearProbe
from biotune.partition import Block, make_partition
from biotune.recipe import Recipe

Layer = nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.Linear


class LoRAOptions(MethodOptions):
    """Options of ``lora``."""

    r: Annotated[int, Field(ge=1, le=4096, description="rank of the update")] = 8
    alpha: Annotated[float, Field(gt=0, le=10000, description="the update is scaled by alpha / r")] = 8.0
    form: Annotated[Literal["peft", "loralib"], Field(description="shape of the two factors of a convolution")] = "peft"


class LoRA(FineTuningMethod):
    """LoRA: a low-rank update of every dense convolution and hidden linear layer, and the head.

    W = W0 + (alpha / r) B A, with W0 frozen, A (r, inputs x kernel) Kaiming-uniform (a = sqrt 5), B (outputs, r) zero:
    before the first step the network answers as without adapters. Any stride, dilation, padding and kernel size works.
    Frozen are biases, norms and their statistics, every layer that is neither a convolution nor linear, and grouped
    (depthwise) convolutions, whose kernels have no channels to mix. At the end W replaces W0, so the result is a plain
    network.

    Source: Hu et al. 2022 (ICLR), equation 3; for convolutions the form of PEFT: a kernel-sized convolution to r
    channels, then a 1 x 1 one. ``form=loralib`` is that of their library: A (r k, inputs k), B (outputs k, r k),
    reshaped to the kernel; it is for square kernels only, so all others (Inception's) have the form of PEFT.
    Departures: the update is added to the weights in every step, not to the outputs, which is the same function and
    merges exactly, but costs the weight gradients of full fine-tuning; no dropout. The papers do not give their rank; a
    public LoRA for ResNet-50 uses ``form=loralib,r=4,alpha=4``, which the ``paper`` preset takes.
    """

    Options = LoRAOptions
    options: LoRAOptions

    def prepare(self, model: nn.Module) -> Recipe:
        """Put adapters into the network; announce them and the classifier."""
        layers = adaptable(model, self.network)
        self._orders = {path: list(layer._parameters) for path, layer in layers.items()}
        for layer in layers.values():
            parametrize.register_parametrization(
                layer, "weight", LowRank(layer.weight, self.options.r, self.options.alpha, self.options.form)
            )
        return self._scope(model, list(layers))

    def finish(self, model: nn.Module) -> None:
        """Merge the adapters into the weights; the network has its own modules and tensor names again."""
        for path, order in self._orders.items():
            layer = cast(Layer, model.get_submodule(path))
            merged = layer.weight.detach().clone()
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)
            with torch.no_grad():
                layer.weight.copy_(merged)
            for name in order:
                layer.register_parameter(name, layer._parameters.pop(name))

    def _scope(self, model: nn.Module, paths: list[str]) -> Recipe:
        """Return the recipe that trains the adapters and the classifier, and nothing else."""
        probe = LinearProbe(self.network, self.options).outline()
        moved = {f"{path}.weight": f"{path}.parametrizations.weight" for path in paths}
        kept = [
            Block(block.name, tuple(moved.get(prefix, prefix) for prefix in block.prefixes), inert=block.inert)
            for block in probe.partition.blocks
        ]
        adapters = [Block("adapters", tuple(f"{path}.parametrizations.weight.0" for path in paths))] if paths else []
        blocks = [*kept[:-1], *adapters, kept[-1]]
        shapes = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
        partition = make_partition(blocks, shapes, [name for name, _ in model.named_buffers()])
        trained = len(adapters) + 1
        return self.network.recipe([0.0] * (len(blocks) - trained) + [self.options.rate] * trained, partition)


class LowRank(nn.Module):
    """Adds scale x B A to a weight.

    Args:
        weight: the layer's weight, shape (outputs, inputs, *kernel).
        rank: r, at least 1.
        alpha: scale = alpha / r.
        form: ``peft`` or ``loralib``; they do not differ for linear layers and for kernels that are not square.
    """

    def __init__(self, weight: Tensor, rank: int, alpha: float, form: str) -> None:
        super().__init__()
        outputs, inputs = weight.shape[0], weight[0].numel()
        kernel = tuple(weight.shape[2:])
        square = len(kernel) == 2 and kernel[0] == kernel[1]
        side = kernel[0] if form == "loralib" and square else 1
        a, b = torch.empty(rank * side, inputs // side), torch.zeros(outputs * side, rank * side)
        nn.init.kaiming_uniform_(a, a=5**0.5)  # as PyTorch initialises a linear layer, and loralib its A
        self.a = nn.Parameter(a.to(weight))
        self.b = nn.Parameter(b.to(weight))
        self.scale = alpha / rank

    def forward(self, weight: Tensor) -> Tensor:
        """Return the adapted weight, of the same shape."""
        return weight + self.scale * (self.b @ self.a).view(weight.shape)


def adaptable(model: nn.Module, network: Network) -> dict[str, Layer]:
    """Return the layers that get an adapter, by path: dense convolutions and hidden linear layers.

    Left out are the fresh classifier layers, grouped convolutions, and weights that several layers share.
    """
    names = [id(parameter) for _, parameter in model.named_parameters(remove_duplicate=False)]
    return {
        path: module
        for path, module in model.named_modules()
        if isinstance(module, Layer)
        and getattr(module, "groups", 1) == 1
        and path not in network.heads
        and names.count(id(module.weight)) == 1
    }
