"""Methods that pull the weights towards their pretrained values."""

from collections.abc import Iterator
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from biotune.methods.base import FineTuningMethod, MethodOptions, Network
from biotune.recipe import Recipe

Strength = Annotated[float, Field(ge=0, le=100, description="strength of the pull to the pretrained weights")]
HeadStrength = Annotated[float, Field(ge=0, le=100, description="strength of the weight decay of the classifier")]


class L2SPOptions(MethodOptions):
    """Options of ``l2_sp``."""

    alpha: Strength = 0.01
    beta: HeadStrength = 0.01


class L1SPOptions(MethodOptions):
    """Options of ``l1_sp``."""

    alpha: Strength = 1e-4
    beta: HeadStrength = 0.01
    proximal: Annotated[bool, Field(description="soft-threshold after each step instead of adding to the loss")] = False


class L2SP(FineTuningMethod):
    """L2-SP: full fine-tuning with a squared pull to the pretrained weights.

    Added to the loss: alpha/2 ||w_S - w_S0||^2 + beta/2 ||w_N||^2, where w_S are the pretrained kernels (parameters of
    two dimensions and more: no biases, no norms), w_S0 their start, and w_N the kernels of the fresh classifier.

    Source: Li, Grandvalet, Davoine 2018 (ICML), equations 2 and 3, as in their code, whose ``l2_loss`` holds the 1/2.
    Departures: the optimiser and schedule of the run (theirs: SGD, momentum 0.9, rate 0.01, 9000 steps, a tenth after
    5000). Their values: alpha = beta = 0.01 by default, alpha 0.1 and beta 0.01 for Stanford Dogs; the paper fixes
    beta = 0.01 and chooses alpha from a logarithmic grid. ``--weight-decay`` is added to the penalty; leave it at 0.
    """

    Options = L2SPOptions
    options: L2SPOptions

    def prepare(self, model: nn.Module) -> Recipe:
        """Remember the pretrained kernels."""
        self._start = pretrained_kernels(model, self.network)
        return self.outline()

    def penalty(self, model: nn.Module) -> Tensor:
        """Return alpha/2 ||w_S - w_S0||^2 + beta/2 ||w_N||^2."""
        pull = torch.stack([(weight - start).square().sum() for weight, start in _paired(model, self._start)]).sum()
        return 0.5 * self.options.alpha * pull + head_decay(model, self.network, self.options.beta)


class L1SP(FineTuningMethod):
    """L1-SP: full fine-tuning with an absolute pull to the pretrained weights.

    Added to the loss: alpha ||w_S - w_S0||_1 + beta/2 ||w_N||^2, with w_S, w_S0 and w_N as in L2-SP. With
    ``proximal=true`` the first term is a soft threshold after each step: weights closer than rate x alpha to their
    start are set to it, the others move towards it by that much.

    Source: Li, Grandvalet, Davoine 2018 (ICML), section 3. Departures: alpha is 1e-4 by default, since under Adam,
    whose steps do not depend on the size of the gradient, 0.01 holds everything in place; the threshold uses the rate
    of the schedule, not Adam's rate of each weight. ``--weight-decay`` is added to the penalty; leave it at 0.
    """

    Options = L1SPOptions
    options: L1SPOptions

    def prepare(self, model: nn.Module) -> Recipe:
        """Remember the pretrained kernels."""
        self._start = pretrained_kernels(model, self.network)
        return self.outline()

    def penalty(self, model: nn.Module) -> Tensor:
        """Return alpha ||w_S - w_S0||_1 + beta/2 ||w_N||^2, without the first term in the proximal form."""
        decay = head_decay(model, self.network, self.options.beta)
        if self.options.proximal:
            return decay
        pull = torch.stack([(weight - start).abs().sum() for weight, start in _paired(model, self._start)]).sum()
        return self.options.alpha * pull + decay

    @torch.no_grad()
    def after_step(self, model: nn.Module, rate: float) -> None:
        """In the proximal form, move every pretrained kernel towards its start by rate x alpha, at most onto it."""
        if not self.options.proximal:
            return
        threshold = rate * self.options.rate * self.options.alpha
        for weight, start in _paired(model, self._start):
            away = weight - start
            weight.copy_(torch.where(away.abs() <= threshold, start, weight - away.sign() * threshold))


def pretrained_kernels(model: nn.Module, network: Network) -> dict[str, Tensor]:
    """Return copies of all parameters of two dimensions and more outside the fresh classifier."""
    return {
        name: parameter.detach().clone()
        for name, parameter in model.named_parameters()
        if parameter.ndim > 1 and not network.is_fresh(name)
    }


def head_decay(model: nn.Module, network: Network, beta: float) -> Tensor:
    """Return beta/2 times the squared norm of the kernels of the fresh classifier."""
    fresh = [p for name, p in model.named_parameters() if p.ndim > 1 and network.is_fresh(name)]
    return 0.5 * beta * torch.stack([parameter.square().sum() for parameter in fresh]).sum()


def _paired(model: nn.Module, start: dict[str, Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield every pretrained kernel with its start."""
    for name, parameter in model.named_parameters():
        if name in start:
            yield parameter, start[name]
