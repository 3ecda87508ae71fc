"""The user's own network: any module, given in Python, that takes images and returns logits."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from biotune.errors import InputError
from biotune.frozen import unwrapped
from biotune.models.blocks import partition_for
from biotune.models.loaded_model import LoadedModel, finish_loading, logits_of
from biotune.models.names import OWN
from biotune.models.own_generator import own_generator
from biotune.models.tracing import require_side, traced
from biotune.models.user_blocks import Blocks, user_partition
from biotune.partition import BlockPartition
from biotune.records import Preprocessing

Channels = tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class Backbone:
    """A module to be tuned, with what only its owner knows about it.

    Args:
        module: takes images of shape (batch, 3, height, width) and returns logits of shape (batch, classes), alone,
            first in a tuple, or as ``logits`` of a mapping. It is copied, never changed. If it is wrapped
            (``torch.compile``, ``DataParallel``), the inner module is used.
        image_size: side of the square input in pixels; by default that of ``module.pretrained_cfg`` or
            ``module.default_cfg``.
        mean: mean of the inputs that the weights expect, per RGB channel, for values in [0, 1]; by default that of the
            same configuration, else ImageNet's.
        std: standard deviation of the same inputs, with the same defaults.
        head: dotted name of the layer that gives the logits, or names where several give them; by default the last
            linear or convolutional layer of that width.
        blocks: the partition from the input side to the head, as names or patterns by block name; by default an
            automatic one.
        granularity: how finely the automatic partition cuts, ``block`` or ``layer``.
    """

    module: nn.Module
    image_size: int | None = None
    mean: Channels | None = None
    std: Channels | None = None
    head: str | Sequence[str] | None = None
    blocks: Blocks | None = None
    granularity: str = "block"

    def __post_init__(self) -> None:
        object.__setattr__(self, "module", _unwrapped(self.module))
        if self.image_size is not None:
            require_side(self.image_size)

    @property
    def name(self) -> str:
        """Canonical name, for example ``module:MyNet``."""
        return f"{OWN}:{type(self.module).__name__}"

    @property
    def preprocessing(self) -> Preprocessing:
        """What the weights expect of an image; raises InputError where nothing says the size."""
        config = getattr(self.module, "pretrained_cfg", None) or getattr(self.module, "default_cfg", None) or {}
        known: dict[str, Any] = dict(config) if isinstance(config, Mapping) else dict(vars(config))
        size = self.image_size or (known.get("input_size") or (0,))[-1]
        if not isinstance(size, int) or size < 1:
            raise InputError(
                f"the input size of {self.name} is unknown; give it: biotune.Backbone(module, image_size=224)."
            )
        default = Preprocessing(size)
        return Preprocessing(
            image_size=size,
            mean=_channels(self.mean or known.get("mean") or default.mean),
            std=_channels(self.std or known.get("std") or default.std),
            crop_fraction=known.get("crop_pct") or 1.0,
            interpolation="bilinear" if known.get("interpolation") == "bilinear" else "bicubic",
        )


def as_backbone(model: nn.Module | Backbone) -> Backbone:
    """Wrap a module into a ``Backbone`` with defaults; return a ``Backbone`` unchanged."""
    return model if isinstance(model, Backbone) else Backbone(model)


def load_backbone(backbone: Backbone, num_classes: int) -> LoadedModel:
    """Copy a module and give it a fresh head, in single precision on the CPU; the caller's random state is not touched.

    Raises InputError: the module does not take images of this size, its head cannot be replaced, or its blocks do not
    hold every parameter exactly once.
    """
    own, heads = _with_fresh_heads(backbone, num_classes)
    return finish_loading(own.module, own.name, heads, _partition(own, heads), own.preprocessing, "as given")


def partition_of(
    model: nn.Module | Backbone,
    *,
    image_size: int | None = None,
    head: str | Sequence[str] | None = None,
    blocks: Blocks | None = None,
    granularity: str = "block",
) -> BlockPartition:
    """Return the partition that tuning uses for a network: for a ``Recipe`` in your own training loop.

    A head that is tied to a layer of the body counts as untied, since tuning gives it fresh weights.

    Args:
        model: the network, which is not changed; the other arguments are for a plain module, not for a ``Backbone``.
        image_size: see ``Backbone``.
        head: see ``Backbone``.
        blocks: see ``Backbone``.
        granularity: see ``Backbone``.

    Returns:
        Ordered blocks that hold every parameter and buffer; the head is last.

    Raises:
        InputError: the network does not take images of this size, its head cannot be found, or the blocks do not hold
            every parameter exactly once.
    """
    if not isinstance(model, Backbone):
        model = Backbone(model, image_size=image_size, head=head, blocks=blocks, granularity=granularity)
    return _partition(*_with_fresh_heads(model))


def _unwrapped(module: object) -> nn.Module:
    """The network inside the wrappers of PyTorch; raises InputError if it cannot be tuned."""
    module = unwrapped(module)
    if isinstance(module, torch.jit.ScriptModule):
        raise InputError("a network of TorchScript cannot be tuned; give the module that it was made from.")
    if not isinstance(module, nn.Module):
        raise InputError(
            f"the network is {module!r}, not a module; give a torch.nn.Module (a name is for biotune.tune and "
            "`biotune blocks`)."
        )
    return module


def _with_fresh_heads(backbone: Backbone, num_classes: int | None = None) -> tuple[Backbone, tuple[str, ...]]:
    """A copy of the backbone with fresh heads for ``num_classes`` (default: as before), and the names of the heads."""
    preprocessing, name = backbone.preprocessing, backbone.name
    size = preprocessing.image_size
    with own_generator():
        torch.default_generator.manual_seed(0)
        try:
            model = copy.deepcopy(backbone.module).cpu()
        except (RuntimeError, TypeError, ValueError) as error:
            reason = str(error).partition("\n")[0]
            raise InputError(
                f"{name} cannot be copied ({reason}); give a module that copy.deepcopy can copy."
            ) from error
        if any(map(is_lazy, model.parameters())):
            traced(model, name, (3, size, size))
        own = replace(backbone, module=model.float(), image_size=size)
        heads, width = _heads(own)
        # Another width is tried first: only so is it shown that these layers give the logits if the width stays the
        # same.
        for classes in (width + 1, num_classes or width):
            _replace(model, heads, classes)
            _require_width(own, heads, classes)
    return own, heads


def _partition(backbone: Backbone, heads: tuple[str, ...]) -> BlockPartition:
    if backbone.blocks is not None:
        if backbone.granularity != "block":
            raise InputError("give either blocks or granularity='layer': your own blocks already decide it.")
        return user_partition(backbone.module, backbone.blocks, heads)
    size = backbone.preprocessing.image_size
    return partition_for(backbone.module, backbone.name, heads, (3, size, size), backbone.granularity)


def _heads(backbone: Backbone) -> tuple[tuple[str, ...], int]:
    """The layers that give the logits, and the width of the logits."""
    widths: dict[str, int] = {}

    def receive(path: str, module: nn.Module, output: Any) -> None:
        if isinstance(output, Tensor) and _is_replaceable(module):
            widths[path] = output.shape[1] if isinstance(module, nn.Conv2d) else output.shape[-1]

    size, name = backbone.preprocessing.image_size, backbone.name
    width = _width(name, traced(backbone.module, name, (3, size, size), on_output=receive))
    fitting = [path for path, value in widths.items() if value == width]
    heads = (backbone.head,) if isinstance(backbone.head, str) else tuple(backbone.head or fitting[-1:])
    for head in heads:
        if head not in widths:
            near = f"; layers of that width are {', '.join(fitting[-5:])}" if fitting else ""
            raise InputError(
                f"'{head}' is not a plain linear or convolutional layer that {name} calls, so it cannot be the head"
                f"{near}."
            )
    if not heads:
        raise InputError(
            f"no plain linear or convolutional layer of {name} gives its {width} logits, and another head (weight or "
            "spectral norm, a bare parameter) cannot be replaced; put a torch.nn.Linear in its place."
        )
    return heads, width


def _width(name: str, output: Any) -> int:
    logits = logits_of(output)
    if not isinstance(logits, Tensor) or logits.ndim != 2:
        returned = f"shape {tuple(logits.shape)}" if isinstance(logits, Tensor) else type(logits).__name__
        if isinstance(output, Mapping) and "logits" not in output:
            returned = f"a mapping of {', '.join(map(repr, output))} without 'logits'"
        raise InputError(f"{name} must return logits of shape (batch, classes); it returned {returned} for one image.")
    return logits.shape[1]


def _require_width(backbone: Backbone, heads: tuple[str, ...], classes: int) -> None:
    """Refuse layers that are not the head: when they change their width, so must the logits."""
    size, name = backbone.preprocessing.image_size, backbone.name
    message = (
        f"{name} does not give {classes} logits when its layer '{', '.join(heads)}' has {classes} outputs; say which "
        "layers give the logits: biotune.Backbone(module, head=('one', 'other'))."
    )
    try:
        width = _width(name, traced(backbone.module, name, (3, size, size)))
    except InputError as error:
        raise InputError(message) from error
    if width != classes:
        raise InputError(message)


def _is_replaceable(module: nn.Module) -> bool:
    """Whether a layer is one whose number of outputs can be changed: linear, or a convolution without groups."""
    plain = isinstance(module, nn.Linear) or (isinstance(module, nn.Conv2d) and module.groups == 1)
    return plain and "weight" in module._parameters


def _replace(model: nn.Module, heads: Sequence[str], classes: int) -> None:
    """Replace the heads by fresh layers with ``classes`` outputs, in every parent that holds them."""
    for head in heads:
        old: Any = model.get_submodule(head)
        fresh = copy.deepcopy(old)
        setattr(fresh, "out_channels" if isinstance(fresh, nn.Conv2d) else "out_features", classes)
        fresh.weight = nn.Parameter(torch.empty(classes, *old.weight.shape[1:]))
        if old.bias is not None:
            fresh.bias = nn.Parameter(torch.empty(classes))
        fresh.reset_parameters()
        for parent in list(model.modules()):
            for key, child in parent._modules.items():
                if child is old:
                    parent._modules[key] = fresh


def _channels(values: Sequence[float]) -> Channels:
    red, green, blue = values
    return red, green, blue
