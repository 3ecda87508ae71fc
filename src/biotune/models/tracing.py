"""One observed forward pass over zeros: which modules a network calls, in which order, and what they return."""

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from biotune.errors import InputError
from biotune.machine import is_lack_of_memory

OnCall = Callable[[str], None]
OnOutput = Callable[[str, nn.Module, Any], None]

_RGB = 3
MAX_SIDE = 4096
"""Largest side of the square input in pixels, chosen by hand: far above any pretrained network, it catches mistyped
numbers."""


def require_side(size: object) -> None:
    """Raise InputError unless a size is one side of a square that BioTune takes, in pixels."""
    if not isinstance(size, int) or not 1 <= size <= MAX_SIDE:
        raise InputError(
            f"the image size (--image-size) is {size}; give one side of a square in pixels, a whole number from 1 to "
            f"{MAX_SIDE}."
        )


def traced(
    model: nn.Module,
    name: str,
    sample_shape: tuple[int, ...],
    on_call: OnCall = lambda _path: None,
    on_output: OnOutput = lambda _path, _module, _output: None,
) -> Any:
    """Run a network once in eval mode on one image of zeros; it is unchanged afterwards.

    Args:
        model: the network.
        name: the network's name in messages.
        sample_shape: (3, height, width) of the image; (length,) of a row of tokens, for a network of texts.
        on_call: called with the name of each module before it runs.
        on_output: called with the name, module and output of each module when it returns.

    Returns:
        The network's output.

    Raises:
        InputError: it has no parameters, or does not take such an image.
    """
    like = next(model.parameters(), None)
    if like is None:
        raise InputError(f"{name} has no parameters, so there is nothing to train.")

    last: list[Any] = []

    def calling(path: str) -> Callable[[nn.Module, Any], None]:
        def watch(module: nn.Module, inputs: Any) -> None:
            last[:] = [path, module, *inputs]
            on_call(path)

        return watch

    def returning(path: str) -> Callable[[nn.Module, Any, Any], None]:
        return lambda module, _inputs, output: on_output(path, module, output)

    modes = {module: module.training for module in model.modules()}
    handles = [module.register_forward_pre_hook(calling(path)) for path, module in model.named_modules()]
    handles += [module.register_forward_hook(returning(path)) for path, module in model.named_modules()]
    model.eval()
    try:
        with torch.no_grad():
            return model(torch.zeros(1, *sample_shape, device=like.device, dtype=like.dtype))
    except Exception as error:  # a network may raise anything for an input that it cannot take
        if is_lack_of_memory(error):
            raise
        size = " x ".join(map(str, sample_shape[1:]))
        reason, advice = _reason(error), _advice(model, *last)
        raise InputError(f"{name} takes no images of {size} pixels ({reason}); {advice}.") from error
    finally:
        for handle in handles:
            handle.remove()
        for module, training in modes.items():
            module.training = training


def _reason(error: Exception) -> str:
    words = str(error).partition("\n")[0].rstrip(" .;:") or type(error).__name__
    return "not enough memory" if isinstance(error, MemoryError) or "allocate memory" in words else words


def _advice(model: nn.Module, path: str = "", module: nn.Module | None = None, *inputs: Any) -> str:
    """What to do about a network that failed in or after the most recent call."""
    try:
        inspect.signature(model.forward).bind(None)
    except TypeError:
        return "its forward must take a batch of images and nothing else, so wrap it in a module that does"
    channels = inputs[0].shape[1] if isinstance(module, nn.Conv2d) and isinstance(inputs[0], Tensor) else 0
    if isinstance(module, nn.Conv2d) and channels == _RGB != module.in_channels:
        return (
            f"its layer '{path}' takes {module.in_channels} channels where images have {_RGB}, so give the network a "
            f"first layer for {_RGB} channels, for example with the old weight in each, divided by {_RGB}"
        )
    return "choose another image size (--image-size); images are square"
