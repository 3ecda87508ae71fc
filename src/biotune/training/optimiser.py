"""The optimiser of a training, with one group for each trained block, and the schedule of its rates."""

import math

import torch
from torch import nn

from biotune.recipe import Recipe
from biotune.settings.sections import TrainingConfig


def make_optimizer(recipe: Recipe, model: nn.Module, config: TrainingConfig) -> torch.optim.Optimizer:
    """Return the optimiser over one group per trained block."""
    groups = recipe.parameter_groups(model, config.learning_rate, config.weight_decay)
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=config.learning_rate, momentum=0.9, fused=True)  # the usual momentum
    kind = torch.optim.Adam if config.optimizer == "adam" else torch.optim.AdamW
    return kind(groups, lr=config.learning_rate, fused=True)


def set_rates(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Multiply every group's initial rate by the schedule's factor; ratios between blocks do not change."""
    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"] * factor


def rate_factor(epoch: int, epochs: int, config: TrainingConfig) -> float:
    """Return the schedule's factor for an epoch, in (0, 1].

    Linear warm-up over ``warmup`` epochs, then cosine (0.5 (1 + cos(pi t / T)), T = ``cosine_epochs`` or the planned
    epochs, without warm-up), linear to zero, or constant; t counts epochs after the warm-up.

    Args:
        epoch: number of the epoch, from 0.
        epochs: planned number of epochs.
        config: gives scheduler, warmup and cosine_epochs.

    Returns:
        The factor.
    """
    if epoch < config.warmup:
        return (epoch + 1) / (config.warmup + 1)
    length = max(1, (config.cosine_epochs or epochs) - config.warmup)
    position = min(1.0, (epoch - config.warmup) / length)
    if config.scheduler == "cosine":
        return 0.5 * (1.0 + math.cos(math.pi * position))
    return 1.0 - position if config.scheduler == "linear" else 1.0
