"""Carries out what a method plans: which tensors are trained in an epoch, and at which rates."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from biotune.errors import BioTuneError
from biotune.methods import FineTuningMethod, Signals, Stage
from biotune.recipe import Recipe
from biotune.settings.sections import TrainingConfig


@contextmanager
def prepared(model: nn.Module, method: FineTuningMethod, config: TrainingConfig, seed: int) -> Iterator[Recipe]:
    """Get a network ready for a method's training; afterwards it has its own modules, modes and flags again.

    Args:
        model: on its device, with the pretrained weights and a fresh head.
        method: fresh; it serves one training.
        config: says whether frozen blocks keep their batch-norm statistics.
        seed: of the training, for what the method draws.

    Yields:
        Recipe: the scope of the method, applied to the network.
    """
    trainable = {name: parameter.requires_grad for name, parameter in model.named_parameters()}
    modes = {module: module.training for module in model.modules()}
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        scope = method.prepare(model)
    try:
        freeze(model, scope, config)
        yield scope
    finally:
        _let_go(model)
        method.finish(model)
        Recipe.release(model)
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(trainable[name])
        for module, mode in modes.items():
            module.training = mode


def freeze(model: nn.Module, recipe: Recipe, config: TrainingConfig) -> None:
    """Freeze and free the blocks of a network as the recipe says, in place.

    With ``frozen_statistics="train"`` (the papers' code) batch-norm statistics and dropout of frozen blocks stay live.
    """
    _let_go(model)
    if config.frozen_statistics == "eval":
        recipe.apply(model)
        _hold(model, recipe)
    else:
        recipe.check(model)
        recipe.release(model)
        recipe.set_trainable(model)


class _Held:
    """Takes the place of a frozen module's ``train``: the module stays in evaluation mode, and so do all below it."""

    def __init__(self, module: nn.Module) -> None:
        self._module = module

    def __call__(self, _mode: bool = True) -> nn.Module:
        """Change nothing."""
        return self._module


def _hold(model: nn.Module, recipe: Recipe) -> None:
    """Put frozen modules into evaluation mode for good, so that no epoch has to walk through them."""
    whole, _ = recipe.frozen_modules(model)
    for name in whole:
        module = model.get_submodule(name).eval()
        module.__dict__["train"] = _Held(module)


def _let_go(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(vars(module).get("train"), _Held):
            del module.__dict__["train"]


class Stages:
    """The stages of one training.

    Args:
        method: plans them.
        scope: what ``prepare`` returned, applied to the network.
        model: in training.
        optimizer: with one or more groups per trained block of the scope.
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
        self._mask = _mask(scope)

    def enter(self, epoch: int, signals: Signals) -> Stage:
        """Ask for the stage of an epoch; freeze, free and set the initial rates as it says.

        Args:
            epoch: from 0.
            signals: for the method.

        Returns:
            The stage.

        Raises:
            BioTuneError: the method trains outside its scope.
        """
        stage = self._method.recipe(epoch, signals)
        mask = _mask(stage.recipe)
        if stage.recipe.partition != self._scope.partition or not mask <= _mask(self._scope):
            raise BioTuneError(f"{type(self._method).__name__} trains blocks that its prepare() did not announce.")
        if mask != self._mask:
            freeze(self._model, stage.recipe, self._config)
            self._mask = mask
        rates = dict(zip(stage.recipe.partition.names, stage.recipe.multipliers, strict=True))
        for group in self._optimizer.param_groups:
            group["initial_lr"] = self._config.learning_rate * rates[group["name"]]
        if stage.reset:
            self._optimizer.state.clear()
        return stage


def _mask(recipe: Recipe) -> frozenset[int]:
    """Return the indices of the trained blocks."""
    return frozenset(index for index, value in enumerate(recipe.multipliers) if value > 0)
