"""Networks ready to be tuned: pretrained, with a fresh head, their preprocessing and their blocks."""

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import timm
import timm.data
import torch
import torchvision
from torch import nn

from biotune.errors import InputError
from biotune.models.blocks import partition_for
from biotune.models.hugging_face import load_hugging_face
from biotune.models.loaded_model import LoadedModel, class_layers, finish_loading
from biotune.models.mlp import MEAN, NATIVE_SIZE, STD, Mlp
from biotune.models.names import LIBRARIES, ModelName, resolve_name, takes_texts
from biotune.models.own_generator import own_generator
from biotune.models.tracing import require_side
from biotune.models.weights import AUXILIARY, install, read_pretrained
from biotune.records import Preprocessing

_WITH_AUXILIARY = ("inception_v3", "googlenet")
"""Networks of torchvision with auxiliary classifiers, by architecture."""
_SMALLEST_WITH_AUXILIARY = 299
"""Smaller images leave the auxiliary head of Inception-v3 too few places in training."""

_KNOWN = (*LIBRARIES, "image")
"""Libraries whose networks say which size they were made for."""

_RESIZE = {"center": "crop", "squash": "squash", "border": "pad"}
"""timm's ``crop_mode`` -> the word of ``Preprocessing.resize``."""


def load_model(
    name: str,
    num_classes: int,
    *,
    weights: str | Path = "auto",
    image_size: int | None = None,
    trust_checkpoint: bool = False,
    keep_auxiliary: bool = False,
    granularity: str = "block",
) -> LoadedModel:
    """Build a network with pretrained weights and a fresh head; the caller's random state is not touched.

    Args:
        name: ``timm:NAME``, ``torchvision:NAME``, ``hf:FOLDER``, ``hf:ORG/NAME``, or ``NAME`` alone, looked up in timm
            first.
        num_classes: at least 2.
        weights: ``auto`` (installed package, else local cache, else hub), ``random`` (always the same), or the path
            of a state dict whose head may have any class count.
        image_size: side of the square input in pixels, at most 4096; by default the one of the pretrained weights.
        trust_checkpoint: True to admit a weights file that is not safetensors.
        keep_auxiliary: True to keep the auxiliary head of torchvision's Inception-v3, as in the papers.
        granularity: ``block`` for at most 16 blocks, ``layer`` for one unit per layer with a weight matrix.

    Returns:
        The network and what belongs to it.

    Raises:
        InputError: an argument is out of range, the name is unknown, the network does not take images of this size or
            has no classifier, or the weights are not available or do not fit.
    """
    if num_classes < 2:
        raise InputError(f"the number of classes (--classes) is {num_classes}; a classifier needs at least 2.")
    if image_size is not None:
        require_side(image_size)
    resolved = resolve_name(name)
    if takes_texts(str(resolved)):
        raise InputError(
            f"{resolved} takes texts and is built for the words of a run; give it texts (biotune train texts.csv "
            f"--model {resolved}), or a run folder in its place."
        )
    if keep_auxiliary and str(resolved) != "torchvision:inception_v3":
        raise InputError(f"{resolved} has no auxiliary head to keep; only torchvision:inception_v3 has one.")
    with own_generator():
        torch.default_generator.manual_seed(0)
        if resolved.library == "hf":
            return load_hugging_face(resolved, num_classes, weights, image_size, trust_checkpoint, granularity)
        return _load(resolved, num_classes, weights, image_size, trust_checkpoint, keep_auxiliary, granularity)


def _load(
    name: ModelName,
    num_classes: int,
    weights: str | Path,
    image_size: int | None,
    trust_checkpoint: bool,
    keep_auxiliary: bool,
    granularity: str,
) -> LoadedModel:
    size = image_size or _default_size(name)
    if keep_auxiliary and size < _SMALLEST_WITH_AUXILIARY:
        raise InputError(
            f"the auxiliary head of {name} takes no images of {size} pixels; give --image-size "
            f"{_SMALLEST_WITH_AUXILIARY} or more, or set model.keep_auxiliary to false."
        )
    build = _size_arguments(name, size)
    arguments = {**build, **_auxiliary_arguments(name, keep_auxiliary)}
    model = _build(name, num_classes, arguments)
    fresh = class_layers(model, str(name), num_classes, lambda number: _build(name, number, arguments))
    heads = tuple(layer for layer in fresh if not layer.startswith(AUXILIARY))
    preprocessing = _preprocessing(model, name, size)
    label = "random"
    if weights != "random" and not (weights == "auto" and name.library == "image"):  # nobody trained it
        pretrained = read_pretrained(model, name, weights, build, trust_checkpoint)
        install(model, name, pretrained.state, fresh)
        label = pretrained.label
        if pretrained.package:
            preprocessing = replace(preprocessing, mean=pretrained.package.mean, std=pretrained.package.std)
    _require_no_blind_edge(model, str(name), size)
    partition = partition_for(model, str(name), heads, (3, size, size), granularity)
    auxiliary = tuple(layer for layer in fresh if layer not in heads)
    return finish_loading(model, str(name), heads, partition, preprocessing, label, auxiliary)


def _require_no_blind_edge(model: nn.Module, name: str, size: int) -> None:
    """Refuse a size that leaves columns and rows at the edge outside the network's patches."""
    embedding = getattr(model, "patch_embed", None)
    cut = getattr(embedding, "proj", None)
    if not isinstance(cut, nn.Conv2d) or cut.stride != cut.kernel_size or cut.padding != (0, 0):
        return
    patch = cut.stride[0]
    if size % patch and not getattr(embedding, "dynamic_img_pad", False):
        below = size // patch * patch
        sizes = " or ".join(str(side) for side in (below, below + patch) if side)
        raise InputError(
            f"{name} would not see the last {size % patch} columns and rows of {size} pixels, since its patches have "
            f"{patch}; give --image-size {sizes}."
        )


def native_size(name: str) -> int | None:
    """Return the image side, in pixels, that a network was made for; None for modules and those of ``transformers``."""
    return _default_size(resolve_name(name)) if name.partition(":")[0] in _KNOWN else None


def has_fixed_size(name: str) -> bool:
    """Return whether tensors of a network depend on the image size; not known of modules and of ``transformers``.

    ``name`` is canonical.
    """
    return name.partition(":")[0] in _KNOWN and bool(_size_arguments(resolve_name(name), 64))


def _default_size(name: ModelName) -> int:
    if name.library == "image":
        return NATIVE_SIZE
    if name.library == "timm":
        return int(_timm_config(name).input_size[-1])
    return int(_torchvision_transform(name).crop_size[0])


def _timm_config(name: ModelName) -> Any:
    return timm.get_pretrained_cfg(name.architecture)


def _torchvision_transform(name: ModelName) -> Any:
    return torchvision.models.get_model_weights(name.architecture).DEFAULT.transforms()


def _size_arguments(name: ModelName, size: int) -> dict[str, Any]:
    """Keywords for networks whose tensors depend on the image size."""
    if name.library == "image":
        return {"image_size": size}
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
    if name.library == "image":
        return Mlp(num_classes, **arguments)
    create = timm.create_model if name.library == "timm" else torchvision.models.get_model
    try:
        return cast(nn.Module, create(name.architecture, num_classes=num_classes, **arguments))
    except (AssertionError, ValueError, RuntimeError, ZeroDivisionError) as error:
        if not arguments:
            raise
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise InputError(
            f"{name} cannot be built with {arguments} ({reason}); choose another image size (--image-size)."
        ) from error


def _preprocessing(model: nn.Module, name: ModelName, size: int) -> Preprocessing:
    if name.library == "image":
        return Preprocessing(size, MEAN, STD)
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
    # These two expect (x - 0.5) / 0.5. torchvision converts ImageNet's normalisation to it inside the network if
    # `transform_input` is set; it stays unset here, so that the preprocessing alone decides.
    half = (0.5, 0.5, 0.5) if name.architecture in _WITH_AUXILIARY else None
    return Preprocessing(
        image_size=size,
        mean=half or tuple(transform.mean),
        std=half or tuple(transform.std),
        crop_fraction=transform.crop_size[0] / transform.resize_size[0],
        interpolation="bilinear" if transform.interpolation.value == "bilinear" else "bicubic",
    )
