"""Grad-CAM: which places of an image speak for a class, seen from a network's last map of places."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from biotune.errors import InputError
from biotune.models.loaded_model import forward_logits
from biotune.models.vote import Vote

_MOST_PREFIX_TOKENS = 8
"""Class and register tokens that may stand before those of places; networks of timm have at most 5."""


def heat(model: nn.Module, images: Tensor, classes: Sequence[int]) -> Tensor:
    """Return how much each place of some images speaks for a class, as the mean over the networks of a vote.

    The map of each network is enlarged to the size of the images and divided by its largest value, so that every
    network counts the same. Where nothing speaks for the class, all values are 0.

    Args:
        model: a network, or a ``Vote``, in evaluation mode; unchanged afterwards.
        images: normalised, shape (n, 3, height, width).
        classes: a class index for each image.

    Returns:
        Values in [0, 1], shape (n, height, width).

    Raises:
        InputError: as for ``grad_cam``.
    """
    networks = list(model.networks) if isinstance(model, Vote) else [model]
    maps = [_scaled(grad_cam(network, images, classes), images.shape[-2:]) for network in networks]
    return torch.stack(maps).mean(dim=0)


def places(model: nn.Module, image: Tensor) -> int:
    """Return how many places a row of the map has that ``heat`` enlarges, the fewest of the networks of a vote.

    ``image`` has the shape (1, 3, height, width). Raises InputError: as for ``grad_cam``.
    """
    networks = list(model.networks) if isinstance(model, Vote) else [model]
    return min(grad_cam(network, image, [0]).shape[-1] for network in networks)


def grad_cam(model: nn.Module, images: Tensor, classes: Sequence[int]) -> Tensor:
    """Return the Grad-CAM of the last map of places that the logits of the classes depend on.

    With the map A, channels k and the logit y of the class: relu(sum over k of w_k A_k), w_k the mean over all places
    of the derivative of y with respect to A_k. Maps are outputs of modules: (n, channels, h, w), the same with the
    channels last, or tokens of the places of an earlier map, as in vision transformers; class tokens are left out.

    Args:
        model: a network in evaluation mode; its parameters get no gradients.
        images: normalised, shape (n, 3, height, width), height equal to width.
        classes: a class index for each image.

    Returns:
        Shape (n, h, w), at least 0.

    Raises:
        InputError: the logits depend on no such map.

    Source:
        Selvaraju et al., Grad-CAM: visual explanations from deep networks via gradient-based localization, ICCV 2017,
        equations 1 and 2.
    """
    with torch.enable_grad(), _watched(model, len(images)) as maps:
        logits = forward_logits(model, images.detach().requires_grad_())
        chosen = logits[torch.arange(len(images)), torch.as_tensor(classes)].sum()
        for found in reversed(maps):
            (gradient,) = torch.autograd.grad(chosen, found.output, retain_graph=True, allow_unused=True)
            if gradient is not None and (slope := found.places(gradient)).any():
                weights = slope.mean(dim=(2, 3), keepdim=True)
                return torch.relu((weights * found.places(found.output)).sum(dim=1)).detach()
    raise InputError(
        f"the answer of {type(model).__name__} depends on no map of the places of an image, as convolutions and tokens "
        "of places give, so there is nothing to show."
    )


def _scaled(maps: Tensor, size: torch.Size) -> Tensor:
    """Enlarge maps, shape (n, h, w), and divide each by its largest value, if that is above 0."""
    large = interpolate(maps[:, None], tuple(size), mode="bicubic", align_corners=False)[:, 0].clamp_min(0)
    return large / large.amax(dim=(1, 2), keepdim=True).clamp_min(torch.finfo(large.dtype).tiny)


@dataclass(frozen=True)
class _Map:
    """The output of a module that has values for each place of the images.

    Args:
        output: maps, or tokens of shape (n, tokens, channels).
        side: places in a row, and in a column.
        channels: values for each place.
        channels_last: whether maps have the shape (n, side, side, channels).
    """

    output: Tensor
    side: int
    channels: int
    channels_last: bool = False

    def places(self, values: Tensor) -> Tensor:
        """Return values of the shape of the output as maps, shape (n, channels, side, side)."""
        if values.ndim == 3:
            values = values[:, -(self.side**2) :].reshape(len(values), self.side, self.side, self.channels)
        return values.movedim(-1, 1) if self.channels_last else values


def _map_of(output: Any, images: int, last: _Map | None) -> _Map | None:
    """Return the output of a module as a map of so many images, not finer than the last one; None if it is none."""
    if not isinstance(output, Tensor) or not output.requires_grad or output.shape[:1] != (images,):
        return None
    if output.ndim == 4:
        _, first, second, third = output.shape
        is_map = second in (first, third) and 1 < second <= (last.side if last else second)
        return _Map(output, second, third if second != third else first, second != third) if is_map else None
    if output.ndim != 3 or last is None:
        return None
    _, tokens, channels = output.shape
    if channels == last.channels and 0 <= tokens - last.side**2 <= _MOST_PREFIX_TOKENS:
        return _Map(output, last.side, channels, channels_last=True)
    side = math.isqrt(tokens)
    is_merged = side**2 == tokens and 1 < side < last.side and last.side % side == 0
    return _Map(output, side, channels, channels_last=True) if is_merged else None


@contextmanager
def _watched(model: nn.Module, images: int) -> Iterator[list[_Map]]:
    """Collect the maps of so many images in a forward pass, in the order of the calls."""
    maps = list[_Map]()

    def watch(_module: nn.Module, _inputs: Any, output: Any) -> None:
        if found := _map_of(output, images, maps[-1] if maps else None):
            maps.append(found)

    handles = [module.register_forward_hook(watch) for module in model.modules()]
    try:
        yield maps
    finally:
        for handle in handles:
            handle.remove()
