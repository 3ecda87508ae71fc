"""One forward pass over zeros, watched: what a network calls, in which order, and what comes out."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from biotune.errors import InputError

OnCall = Callable[[str], None]
OnOutput = Callable[[str, nn.Module, Any], None]


def traced(
    model: nn.Module,
    name: str,
    sample_shape: tuple[int, int, int],
    on_call: OnCall = lambda _path: None,
    on_output: OnOutput = lambda _path, _module, _output: None,
) -> Any:
    """Run a network once in eval mode on one image of zeros; it is left as it was.

    Args:
        model: the network.
        name: for messages.
        sample_shape: (3, height, width) of the image.
        on_call: told the name of each module as it is called.
        on_output: told the name, module and output of each module as it returns.

    Returns:
        What the network returned.

    Raises:
        InputError: it has no parameters, or does not take such an image.
    """
    like = next(model.parameters(), None)
    if like is None:
        raise InputError(f"{name} has no parameters, so there is nothing to train.")

    def calling(path: str) -> Callable[[nn.Module, Any], None]:
        return lambda _module, _inputs: on_call(path)

    def returning(path: str) -> Callable[[nn.Module, Any, Any], None]:
        return lambda module, _inputs, output: on_output(path, module, output)

    modes = {module: module.training for module in model.modules()}
    handles = [module.register_forward_pre_hook(calling(path)) for path, module in model.named_modules()]
    handles += [module.register_forward_hook(returning(path)) for path, module in model.named_modules()]
    model.eval()
    try:
        with torch.no_grad():
            return model(torch.zeros(1, *sample_shape, device=like.device, dtype=like.dtype))
    except Exception as error:  # a network may refuse an input with anything
        size = " x ".join(map(str, sample_shape[1:]))
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise InputError(
            f"{name} takes no images of {size} pixels ({reason}); choose another image size (--image-size)."
        ) from error
    finally:
        for handle in handles:
            handle.remove()
        for module, training in modes.items():
            module.training = training
