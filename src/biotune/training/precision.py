"""Runs a network on a batch in float32 or bfloat16, and measures which is faster on this machine."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from biotune.models import forward_logits
from biotune.models.own_generator import own_generator

Forward = Callable[[nn.Module, Tensor], Tensor]

LEAST_SPEEDUP = 1.15
"""Speed-up from which bfloat16 is chosen, set by hand: a smaller one could be noise in so short a measurement."""

_ROUNDS = 5
"""Timed steps for each precision, of which the fastest counts; chosen by hand, so that measuring takes seconds."""


@contextmanager
def training_mode(model: nn.Module) -> Iterator[None]:
    """Run a network in training mode, always with the same random numbers, without side effects.

    Afterwards buffers (batch-norm statistics) and random states are restored, and the network is in evaluation mode.
    """
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    device = next(model.parameters()).device
    with own_generator([device] if device.type == "cuda" else []):
        torch.manual_seed(0)
        try:
            model.train()
            yield
        finally:
            model.eval()
            with torch.no_grad():
                for name, buffer in model.named_buffers():
                    buffer.copy_(buffers[name])


def forward_bfloat16(model: nn.Module, images: Tensor) -> Tensor:
    """Return the logits in float32, shape (batch, classes); products and convolutions are computed in bfloat16.

    Weights, gradients and optimiser state stay in float32, so that a small rate still changes a weight.
    """
    with torch.autocast(images.device.type, torch.bfloat16):
        logits = forward_logits(model, images)
    return logits.float()


FORWARDS: dict[str, Forward] = {"float32": forward_logits, "bfloat16": forward_bfloat16}
"""Name of a precision -> function that runs a network in it."""


def faster_precision(model: nn.Module, images: Tensor) -> str:
    """Return ``bfloat16`` where a training step of the whole network is clearly faster with it, else ``float32``.

    Args:
        model: the network on its device, in evaluation mode; unchanged afterwards.
        images: one batch, shape (batch, 3, height, width), on the same device.

    Returns:
        A name in ``FORWARDS``; ``float32`` also if the network cannot be run in bfloat16.
    """
    seconds = dict.fromkeys(FORWARDS, float("inf"))
    try:
        with training_mode(model):
            for turn in range(_ROUNDS + 1):  # the first round is a warm-up
                for name, forward in FORWARDS.items():
                    measured = _step_seconds(model, images, forward)
                    seconds[name] = min(seconds[name], measured) if turn else seconds[name]
    except RuntimeError:
        return "float32"
    finally:
        model.zero_grad(set_to_none=True)
    return "bfloat16" if seconds["bfloat16"] * LEAST_SPEEDUP < seconds["float32"] else "float32"


def _step_seconds(model: nn.Module, images: Tensor, forward: Forward) -> float:
    """Return the seconds of one forward and backward pass."""
    start = time.perf_counter()
    model.zero_grad(set_to_none=True)
    forward(model, images).square().mean().backward()  # type: ignore[no-untyped-call]
    if images.device.type == "cuda":
        torch.cuda.synchronize(images.device)
    return time.perf_counter() - start
