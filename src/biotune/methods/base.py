"""The interface of a fine-tuning method: hooks that the trainer calls, each with a default that changes nothing."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from biotune.options import Options
from biotune.partition import BlockPartition
from biotune.recipe import Recipe
from biotune.records import EpochRecord


@dataclass(frozen=True)
class Network:
    """What a method needs to know about the network.

    Args:
        partition: the network's blocks.
        heads: dotted names of the fresh classifier layers.
        shapes: name -> shape of every parameter.
        buffers: names of all buffers.
        name: canonical name of the network, for the recipes.
    """

    partition: BlockPartition
    heads: tuple[str, ...]
    shapes: Mapping[str, tuple[int, ...]]
    buffers: tuple[str, ...] = ()
    name: str = ""

    def is_fresh(self, name: str) -> bool:
        """Return whether a parameter belongs to a classifier layer, which has no pretrained values."""
        return name.startswith(tuple(f"{head}." for head in self.heads))

    def recipe(self, multipliers: Sequence[float], partition: BlockPartition | None = None) -> Recipe:
        """Return a recipe of this network, by default over its own blocks."""
        return Recipe(partition or self.partition, tuple(multipliers), model=self.name)


@dataclass(frozen=True)
class Signals:
    """What a method may look at when it plans an epoch.

    Args:
        scope: the recipe that ``prepare`` returned.
        epochs: planned number of epochs.
        curve: the finished epochs.
        gradients: ``gradients(n)`` yields, for each of the first n mini-batches of the coming epoch, name -> gradient
            of the mean loss (without penalty) for every tensor that is trained now, in training mode. Nothing is
            updated, not even batch-norm statistics. Use each mapping before taking the next one.
    """

    scope: Recipe
    epochs: int
    curve: tuple[EpochRecord, ...]
    gradients: Callable[[int], Iterator[Mapping[str, Tensor]]]


@dataclass(frozen=True)
class Stage:
    """How one epoch is trained.

    Args:
        recipe: multipliers over the partition of the scope; what is 0 in the scope stays 0.
        reset: True to forget the optimiser's state (moments and step counts) before the epoch.
        may_stop: False to leave the epoch out of early stopping; patience counts from the first True.
    """

    recipe: Recipe
    reset: bool = False
    may_stop: bool = True


@dataclass(frozen=True)
class Examples:
    """The training images, for a method that fits them all at once.

    Args:
        labels: class index of each, shape (n,).
        groups: number of the group of each, shape (n,), or None where every image is its own.
        weights: weight of each in the loss, shape (n,), of mean 1.
        seed: seed of this training; deals folds, for instance.
        logits: ``logits(rows)`` runs the network, as it is now and in the mode that it is in, on the images ``rows``
            (indices into ``labels``), at most ``batch_size`` of them: shape (len(rows), classes). What the scope
            freezes is read from the recorded outputs, where there are some.
        batch_size: size of the batches that recorded outputs serve.
    """

    labels: NDArray[np.int64]
    groups: NDArray[np.int64] | None
    weights: NDArray[np.float64]
    seed: int
    logits: Callable[[NDArray[np.int64]], Tensor]
    batch_size: int


class MethodOptions(Options):
    """Options that every method takes."""

    rate: Annotated[float, Field(gt=0, le=1000, description="learning rate, as a multiple of the run's")] = 1.0


class FineTuningMethod:
    """A way to tune a network. Every hook has a default, and all defaults together are full fine-tuning.

    A method is used for one training: ``prepare``, then for every epoch ``stage`` and for every step ``penalty`` and
    ``after_step``, then ``finish``. Parameter groups are built once, for the scope. Through the recipes of its stages a
    method changes rates and what is trained, and nothing else about the optimiser. Schedules multiply these rates.

    Args:
        network: the blocks and the classifier.
        options: an instance of the class's ``Options``.
        given: the recipe of the task; only the method ``given`` needs one.
    """

    Options: ClassVar[type[MethodOptions]] = MethodOptions
    is_solved: ClassVar[bool] = False
    """Whether ``solve`` fits the network at once, in the place of ``stage`` and of all epochs."""

    def __init__(self, network: Network, options: MethodOptions, given: Recipe | None = None) -> None:
        self.network = network
        self.options = options
        self.given = given

    def outline(self) -> Recipe:
        """Return which blocks of the network may change, and how fast at most: known before any training."""
        return self.network.recipe((self.options.rate,) * len(self.network.partition))

    def trained(self, epoch: int, epochs: int) -> Recipe:
        """Return which blocks an epoch trains: known before any training, so that the cost is known too.

        Args:
            epoch: number of the epoch, from 0.
            epochs: planned number of epochs.

        Returns:
            Multipliers, over the network's partition or a finer one.
        """
        del epoch, epochs
        return self.outline()

    def num_measured(self) -> int:
        """Return how many mini-batches of gradients ``stage`` measures before every epoch."""
        return 0

    def prepare(self, model: nn.Module) -> Recipe:
        """Get a network ready for training.

        Args:
            model: has the pretrained weights and a fresh head. Draw random numbers from torch's global generator,
                which is seeded with the training's seed.

        Returns:
            The scope: every tensor that the training may ever change has a multiplier above 0, all else is frozen from
            the first step to the last. Each block of its partition becomes a parameter group.
        """
        del model
        return self.outline()

    def stage(self, epoch: int, signals: Signals) -> Stage:
        """Return how an epoch, counted from 0, is trained."""
        del epoch
        return Stage(signals.scope)

    def solve(self, model: nn.Module, examples: Examples) -> float:
        """Fit the network to all training images at once; called only where ``is_solved``.

        Args:
            model: prepared and in evaluation mode, with a fresh head; changed in place, within the scope.
            examples: the training images.

        Returns:
            The training loss that was reached, penalty included; NaN or infinite where nothing could be fitted.
        """
        raise NotImplementedError

    def penalty(self, model: nn.Module) -> Tensor | None:
        """Return what is added to the loss of a step: a scalar, or None for nothing."""
        del model
        return None

    def after_step(self, model: nn.Module, rate: float) -> None:
        """Change the network after an optimiser step.

        Args:
            model: the network in training.
            rate: learning rate of multiplier 1 in this step, the schedule included.
        """

    def finish(self, model: nn.Module) -> None:
        """Bring the network back to its own modules and tensor names. Also called after a failed training."""
