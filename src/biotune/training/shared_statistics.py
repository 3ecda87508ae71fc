"""Batch norm over the images of several processes; torch's own ``SyncBatchNorm`` refuses to work on a CPU."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, distributed
from torch.nn import functional
from torch.overrides import TorchFunctionMode


class SharedStatistics(TorchFunctionMode):
    """Inside, every batch norm that takes the statistics of a batch takes those of all processes together.

    All of them must run the same network at the same time, each on images of its own. Other batch norms, and everything
    else, stay as they are.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Replace one function."""
        del types
        if func is functional.batch_norm:
            return _batch_norm(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def _batch_norm(
    images: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Do what ``torch.nn.functional.batch_norm`` does, on the statistics of all processes where it takes a batch's."""
    if not training:
        return functional.batch_norm(images, running_mean, running_var, weight, bias, eps=eps)
    values = images.to(torch.promote_types(images.dtype, torch.float32))
    mean, variance, count = _statistics(values.detach())
    if count <= 1:
        raise ValueError(f"expected more than 1 value per channel when training, got input of size {images.shape}")
    with torch.no_grad():
        if running_mean is not None:
            running_mean.lerp_(mean, momentum)
        if running_var is not None:
            running_var.lerp_(variance * (count / (count - 1)), momentum)
    weight = torch.ones_like(mean) if weight is None else weight
    bias = torch.zeros_like(mean) if bias is None else bias
    normalised: Tensor = _Normalised.apply(values, weight, bias, mean, torch.rsqrt(variance + eps), count)
    return normalised.to(images.dtype)


def _statistics(values: Tensor) -> tuple[Tensor, Tensor, int]:
    """Return mean and biased variance of each channel over all processes, shape (channels,), and its number of values.

    Those of each process are put together by the formula of Chan, Golub and LeVeque (1979), in the order of the ranks.
    """
    dimensions = _all_but_channels(values)
    mean = values.mean(dimensions)
    variance = (values - _beside(mean, values)).square_().mean(dimensions)
    own = torch.stack([mean, variance, torch.full_like(mean, values.numel() // values.shape[1])])
    gathered = [torch.empty_like(own) for _ in range(distributed.get_world_size())]
    distributed.all_gather(gathered, own)
    means, variances, counts = torch.stack(gathered, dim=1).double()
    total = counts.sum(0)
    mean = (counts * means).sum(0) / total
    variance = (counts * (variances + (means - mean).square())).sum(0) / total
    return mean.to(values.dtype), variance.to(values.dtype), int(total[0])


def _all_but_channels(values: Tensor) -> list[int]:
    return [0, *range(2, values.dim())]


def _beside(channels: Tensor, values: Tensor) -> Tensor:
    """Return a number for each channel in a shape that is broadcast against the values."""
    return channels.view(1, -1, *[1] * (values.dim() - 2))


class _Normalised(torch.autograd.Function):
    """y = weight n + bias with n = (x - mean) scale, where mean and scale depend on the images of all processes."""

    @staticmethod
    def forward(
        ctx: Any, values: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, scale: Tensor, count: int
    ) -> Tensor:
        ctx.save_for_backward(values, weight, mean, scale)
        ctx.count = count
        slope = weight * scale
        return torch.addcmul(_beside(bias - mean * slope, values), values, _beside(slope, values))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Return gradients: of x, weight scale (g - mean(g) - n mean(g n)), with means over all processes."""
        values, weight, mean, scale = ctx.saved_tensors
        dimensions = _all_but_channels(values)
        of_bias = gradient.sum(dimensions)
        of_weight = (gradient * (values - _beside(mean, values))).sum(dimensions) * scale
        sums = torch.stack([of_bias, of_weight])
        distributed.all_reduce(sums)
        first, second = sums / ctx.count
        slope = weight * scale
        offset = slope * (second * scale * mean - first)
        pulled = torch.addcmul(_beside(offset, values), values, _beside(-slope * scale * second, values))
        return pulled.addcmul_(gradient, _beside(slope, values)), of_weight, of_bias, None, None, None
