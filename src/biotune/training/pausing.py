"""When a training stops early, and what a paused one needs to resume as if it had never paused."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from biotune.recipe import Recipe
from biotune.records import GIVEN, EpochRecord, Task
from biotune.settings.sections import TrainingConfig


class Patience:
    """Early stopping: decides when enough epochs and steps have passed without a better score.

    Args:
        config: gives the patience in epochs and in steps.
        steps_per_epoch: optimiser steps per epoch.
    """

    def __init__(self, config: TrainingConfig, steps_per_epoch: int) -> None:
        self._epochs = max(config.patience, math.ceil(config.patience_steps / steps_per_epoch))
        self._best = -1.0
        self._waited = 0

    def is_over(self, score: float, counts: bool = True) -> bool:
        """Record the score of an epoch; return whether training should stop. ``counts`` False restarts the wait."""
        self._waited = 0 if score > self._best or not counts else self._waited + 1
        self._best = max(self._best, score)
        return self._waited >= self._epochs


@dataclass(frozen=True)
class Paused:
    """A training between two epochs. Single use: resuming consumes its tensors.

    Args:
        curve: one record per epoch so far.
        best: highest fitness so far.
        best_epoch: the epoch that reached it, -1 if there is none yet.
        best_state: the weights of that epoch; empty if they are not kept.
        state: every tensor of the network that training changes.
        optimizer: the optimiser's ``state_dict``.
        patience: early stopping, with its present state.
        random: states of the random generators for dropout: the CPU's, and that of a CUDA device.
    """

    curve: tuple[EpochRecord, ...]
    best: float
    best_epoch: int
    best_state: dict[str, Tensor]
    state: dict[str, Tensor]
    optimizer: dict[str, Any]
    patience: Patience
    random: tuple[Tensor, ...]

    @property
    def num_bytes(self) -> int:
        """Memory of all tensors, in bytes."""
        moments = (value for entry in self.optimizer["state"].values() for value in entry.values())
        tensors = [*self.state.values(), *self.best_state.values(), *moments]
        return sum(tensor.nbytes for tensor in tensors if isinstance(tensor, Tensor))


class Pauses:
    """Paused trainings within a byte budget. Any may be dropped: it is then trained again from the start.

    Args:
        budget_bytes: largest size of all; the oldest are dropped first.
    """

    def __init__(self, budget_bytes: int) -> None:
        self.budget_bytes = budget_bytes
        self._kept: dict[str, Paused] = {}

    @property
    def used_bytes(self) -> int:
        """Size of all paused trainings, in bytes."""
        return sum(paused.num_bytes for paused in self._kept.values())

    def clear(self) -> None:
        """Drop all."""
        self._kept.clear()

    def put(self, task: Task, paused: Paused) -> None:
        """Keep the paused training of a task."""
        if _can_pause(task):
            self._kept[task.training] = paused
        while self._kept and self.used_bytes > self.budget_bytes:
            del self._kept[next(iter(self._kept))]

    def take(self, task: Task, keep_best: bool) -> Paused | None:
        """Remove and return the paused training that an earlier task left for this one, or None.

        That is None also if it is already past the task's last epoch, or lacks the weights of the best epoch that the
        task needs (``keep_best``; never where the last epoch counts).
        """
        paused = self._kept.pop(task.training, None) if _can_pause(task) else None
        if paused is None or len(paused.curve) > (task.last_epoch or task.epochs):
            return None
        return paused if paused.best_state or not keep_best else None


def _can_pause(task: Task) -> bool:
    """Return whether an epoch of the task depends on its number alone: the method keeps nothing from epoch to epoch."""
    return task.method == GIVEN


def resume(model: nn.Module, optimizer: torch.optim.Optimizer, paused: Paused) -> Patience:
    """Restore network, optimiser and random generators to the state of a paused training; return its patience.

    The network has the pretrained weights and is prepared as it was for the paused training; the optimiser is a fresh
    one with the same parameter groups.
    """
    model.load_state_dict(paused.state, strict=False)
    optimizer.load_state_dict(paused.optimizer)
    cpu, *device = paused.random
    torch.set_rng_state(cpu)
    for state in device:
        torch.cuda.set_rng_state(state, next(model.parameters()).device)
    return paused.patience


def trained_state(model: nn.Module, recipe: Recipe, config: TrainingConfig) -> dict[str, Tensor]:
    """Return copies of all tensors (parameters and buffers) that training may have changed."""
    everything = config.frozen_statistics == "train"
    return {
        name: tensor.detach().clone()
        for name, tensor in model.state_dict().items()
        if everything or not recipe.is_frozen(name)
    }


def random_states(model: nn.Module) -> tuple[Tensor, ...]:
    """Return the states of the generators that a training draws from: the CPU's, and that of a CUDA device."""
    return (torch.get_rng_state(), *(torch.cuda.get_rng_state(device) for device in cuda_devices(model)))


def cuda_devices(model: nn.Module) -> list[torch.device]:
    """Return a list with the CUDA device of a network, empty if it is on another device."""
    device = next(model.parameters()).device
    return [device] if device.type == "cuda" else []
