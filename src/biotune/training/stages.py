"""Applies the plan of a method to a network: which tensors are trained in an epoch, and at which rates."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn

from biotune import frozen
from biotune.errors import BioTuneError
from biotune.methods import FineTuningMethod, Signals, Stage
from biotune.models.own_generator import own_generator
from biotune.recipe import KEPT, Recipe
from biotune.settings.sections import TrainingConfig


@contextmanager
def prepared(model: nn.Module, method: FineTuningMethod, config: TrainingConfig, seed: int) -> Iterator[Recipe]:
    """Get a network ready for a method's training; afterwards restore its modules, modes and ``requires_grad``.

    Args:
        model: the network on its device, with the pretrained weights and a fresh head.
        method: a fresh method, good for one training.
        config: says whether frozen blocks keep their batch-norm statistics.
        seed: seed of the training, for random numbers of the method.

    Yields:
        Recipe: the scope of the method, applied to the network.
    """
    trainable = {name: parameter.requires_grad for name, parameter in model.named_parameters()}
    modes = {module: module.training for module in model.modules()}
    with own_generator():
        torch.default_generator.manual_seed(seed)
        scope = method.prepare(model)
    try:
        freeze(model, scope, config)
        yield scope
    finally:
        frozen.let_go(model)  # before the method restores the network's modules
        method.finish(model)
        Recipe.release(model)
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(trainable[name])
        for module, mode in modes.items():
            module.training = mode


def freeze(model: nn.Module, recipe: Recipe, config: TrainingConfig) -> None:
    """Freeze and unfreeze the blocks of a network as the recipe says, in place.

    With ``frozen_statistics="train"`` (the papers' code) batch-norm statistics and dropout of frozen blocks stay
    active; with ``statistics="kept"`` the batch norms of trained blocks keep theirs, whatever those of frozen ones do.
    """
    if config.frozen_statistics == "eval":
        recipe.apply(model)
    else:
        recipe.check(model)
        recipe.release(model)
        recipe.set_trainable(model)
    if config.statistics == KEPT:
        recipe.keep_statistics(model)


class Stages:
    """The stages of one training.

    Args:
        method: plans the stages.
        scope: the recipe that ``prepare`` returned, applied to the network.
        model: the network in training.
        optimizer: has one or more groups per trained block of the scope.
        config: gives the base rate and the handling of frozen blocks.
    """

    def __init__(
        self,
        method: FineTuningMethod,
        scope: Recipe,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        config: TrainingConfig,
    ) -> None:
        self._method = method
        self._scope = scope
        self._model = model
        self._optimizer = optimizer
        self._config = config
        self._mask = scope.mask

    def enter(self, epoch: int, signals: Signals) -> Stage:
        """Ask for the stage of an epoch, from 0; freeze, unfreeze and set the initial rates accordingly.

        ``signals`` are what the method may look at. Raises BioTuneError: the method trains outside its scope.
        """
        stage = self._method.stage(epoch, signals)
        mask = stage.recipe.mask
        if stage.recipe.partition != self._scope.partition or not _within(mask, self._scope.mask):
            raise BioTuneError(f"{type(self._method).__name__} trains blocks that its prepare() did not announce.")
        if mask != self._mask:
            freeze(self._model, stage.recipe, self._config)
            self._mask = mask
        rates = stage.recipe.rates(self._config.learning_rate)
        for group in self._optimizer.param_groups:
            group["initial_lr"] = rates[group["name"]]
        if stage.reset:
            self._optimizer.state.clear()
        return stage


def _within(mask: Sequence[bool], scope: Sequence[bool]) -> bool:
    """Return whether every trained block is one of the scope."""
    return all(announced or not trained for trained, announced in zip(mask, scope, strict=True))
