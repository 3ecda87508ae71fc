"""How large the last feature map of a network is: below 2 x 2 values, little of the image is left."""

from typing import Any

from torch import Tensor, nn

from biotune.errors import InputError
from biotune.models.tracing import traced


def feature_side(model: nn.Module, name: str, size: int, native_size: int) -> int | None:
    """Return the side of the last feature map for images of a given size.

    The last feature map is the output of the last convolution that still sees more than one place when the images have
    the network's native size; convolutions behind a global pooling do not count.

    Args:
        model: the network.
        name: the network's name in messages.
        size: side of the images, in pixels.
        native_size: side that the network was made for, in pixels.

    Returns:
        The shorter side in values; None where no convolution gives a map at the native size, or where the network was
        built for one size (a vision transformer) that is another.

    Raises:
        InputError: the network does not take images of ``size`` pixels.
    """
    try:
        native = _sides(model, name, native_size)
    except InputError:
        return None
    maps = [path for path, side in native.items() if side > 1]
    if not maps:
        return None
    return native[maps[-1]] if size == native_size else _sides(model, name, size).get(maps[-1])


def _sides(model: nn.Module, name: str, size: int) -> dict[str, int]:
    """Name of every convolution, in the order of the calls -> shorter side of its output."""
    sides: dict[str, int] = {}

    def receive(path: str, module: nn.Module, output: Any) -> None:
        if isinstance(module, nn.Conv2d) and isinstance(output, Tensor) and output.ndim == 4:
            sides[path] = min(output.shape[-2:])

    traced(model, name, (3, size, size), on_output=receive)
    return sides
