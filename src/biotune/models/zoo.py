"""Networks ready to be tuned: pretrained, with a fresh head, their preprocessing and their blocks."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import timm
import timm.data
import torch
import torchvision
from torch import Tensor, nn

from biotune.errors import InputError
from biotune.models.blocks import partition_for
from biotune.models.names import ModelName, resolve_name
from biotune.models.weights import AUXILIARY, digest, install, read_pretrained
from biotune.partition import BlockPartition
from biotune.records import Preprocessing

__all__ = ["LoadedModel", "forward_logits", "load_model", "reset_heads"]

_WITH_AUXILIARY = ("inception_v3", "googlenet")
_RESIZE = {"center": "crop", "squash": "squash", "border": "pad"}


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


def load_model(
    name: str,
    num_classes: int,
    *,
    weights: str | Path = "auto",
    image_size: int | None = None,
    trust_checkpoint: bool = False,
    keep_auxiliary: bool = False,
) -> LoadedModel:
    """Build a network with pretrained weights and a fresh head; no random state outside is touched.

    Args:
        name: ``timm:NAME``, ``torchvision:NAME``, or ``NAME`` alone, looked up in timm first.
        num_classes: at least 2.
        weights: ``auto`` (installed package, else local cache, else hub), ``random`` (always the same), or the path
            of a state dict whose head may have any class count.
        image_size: side of the square input in pixels; by default the one of the pretrained weights.
        trust_checkpoint: True to admit a weights file that is not safetensors.
        keep_auxiliary: True to keep the auxiliary head of torchvision's Inception-v3, as in the papers.

    Returns:
        The network and what belongs to it.

    Raises:
        InputError: an argument is out of range, the name is unknown, the network does not take images of this size or
            has no classifier, or the weights cannot be had or do not fit.
    """
    if num_classes < 2:
        raise InputError(f"num_classes is {num_classes}; a classifier needs at least 2 classes.")
    if image_size is not None and image_size < 1:
        raise InputError(f"image_size is {image_size}; give a number of pixels, at least 1.")
    resolved = resolve_name(name)
    if keep_auxiliary and str(resolved) != "torchvision:inception_v3":
        raise InputError(f"{resolved} has no auxiliary head to keep; only torchvision:inception_v3 has one.")
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        return _load(resolved, num_classes, weights, image_size, trust_checkpoint, keep_auxiliary)


def _load(
    name: ModelName,
    num_classes: int,
    weights: str | Path,
    image_size: int | None,
    trust_checkpoint: bool,
    keep_auxiliary: bool,
) -> LoadedModel:
    size = image_size or _default_size(name)
    build = _size_arguments(name, size)
    arguments = {**build, **_auxiliary_arguments(name, keep_auxiliary)}
    model = _build(name, num_classes, arguments)
    fresh = _class_layers(model, name, num_classes, arguments)
    heads = tuple(layer for layer in fresh if not layer.startswith(AUXILIARY))
    auxiliary = tuple(layer for layer in fresh if layer not in heads)
    preprocessing = _preprocessing(model, name, size)
    label = "random"
    if weights != "random":
        pretrained = read_pretrained(model, name, weights, build, trust_checkpoint)
        install(model, name, pretrained.state, fresh)
        label = pretrained.label
        if pretrained.package:
            preprocessing = replace(preprocessing, mean=pretrained.package.mean, std=pretrained.package.std)
    for layers in (heads, auxiliary):
        reset_heads(model, layers, seed=0)
    model.eval()
    partition = partition_for(model, str(name), heads, (3, size, size))
    return LoadedModel(model, str(name), heads, partition, preprocessing, label, digest(model, fresh))


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


def forward_logits(model: nn.Module, images: Tensor) -> Tensor:
    """Return the main logits, shape (batch, classes), of images of shape (batch, 3, height, width).

    Inception-v3 and GoogLeNet return them together with auxiliary ones in training mode; those are left out.
    """
    output = model(images)
    return cast(Tensor, output[0] if isinstance(output, tuple) else output)


def _default_size(name: ModelName) -> int:
    if name.library == "timm":
        return int(_timm_config(name).input_size[-1])
    return int(_torchvision_transform(name).crop_size[0])


def _timm_config(name: ModelName) -> Any:
    return timm.get_pretrained_cfg(name.architecture)


def _torchvision_transform(name: ModelName) -> Any:
    return torchvision.models.get_model_weights(name.architecture).DEFAULT.transforms()


def _size_arguments(name: ModelName, size: int) -> dict[str, Any]:
    """Keywords for networks whose tensors depend on the image size."""
    if name.library == "timm":
        return {"img_size": size} if _timm_config(name).fixed_input_size else {}
    if name.architecture.startswith("vit_"):
        return {"image_size": size}
    return {"input_size": (size, size)} if name.architecture.startswith("maxvit") else {}


def _auxiliary_arguments(name: ModelName, keep: bool) -> dict[str, Any]:
    if name.library == "torchvision" and name.architecture in _WITH_AUXILIARY:
        return {"aux_logits": keep, "init_weights": True}
    return {}


def _build(name: ModelName, num_classes: int, arguments: dict[str, Any]) -> nn.Module:
    create = timm.create_model if name.library == "timm" else torchvision.models.get_model
    try:
        return cast(nn.Module, create(name.architecture, num_classes=num_classes, **arguments))
    except (AssertionError, ValueError, RuntimeError, ZeroDivisionError) as error:
        if not arguments:
            raise
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise InputError(f"{name} cannot be built with {arguments} ({reason}); choose another --image-size.") from error


def _class_layers(model: nn.Module, name: ModelName, num_classes: int, arguments: dict[str, Any]) -> tuple[str, ...]:
    """The layers whose shape depends on the number of classes, found by building the network for one class more."""
    with torch.device("meta"):
        other = dict(_build(name, num_classes + 1, arguments).named_parameters())
    found = {
        key.rpartition(".")[0]: None
        for key, parameter in model.named_parameters()
        if key not in other or other[key].shape != parameter.shape
    }
    if not found or not all(hasattr(model.get_submodule(layer), "reset_parameters") for layer in found):
        raise InputError(f"{name} does not end in a classifier for class labels; choose another network.")
    return tuple(found)


def _preprocessing(model: nn.Module, name: ModelName, size: int) -> Preprocessing:
    if name.library == "timm":
        config = cast(Any, timm.data).resolve_model_data_config(model)
        return Preprocessing(
            image_size=size,
            mean=config["mean"],
            std=config["std"],
            resize=_RESIZE.get(config["crop_mode"], "crop"),
            crop_fraction=config["crop_pct"],
            interpolation="bilinear" if config["interpolation"] == "bilinear" else "bicubic",
        )
    transform = _torchvision_transform(name)
    # torchvision feeds these two with (x - 0.5) / 0.5, made from ImageNet's normalisation inside the network if its
    # `transform_input` is set; it stays unset here, so that the preprocessing says all.
    half = (0.5, 0.5, 0.5) if name.architecture in _WITH_AUXILIARY else None
    return Preprocessing(
        image_size=size,
        mean=half or tuple(transform.mean),
        std=half or tuple(transform.std),
        crop_fraction=transform.crop_size[0] / transform.resize_size[0],
        interpolation="bilinear" if transform.interpolation.value == "bilinear" else "bicubic",
    )
