"""Methods that unfreeze the blocks one after the other."""

from typing import Annotated

from pydantic import Field

from biotune.methods.base import FineTuningMethod, MethodOptions, Signals, Stage
from biotune.recipe import Recipe

EpochsPerStage = Annotated[
    int,
    Field(
        ge=0,
        le=1000,
        description="epochs until the next block is unfrozen; 0 spreads the stages evenly over the planned epochs",
    ),
]


class LastFirstOptions(MethodOptions):
    """Options of ``gradual_last_first``."""

    epochs_per_stage: EpochsPerStage = 1


class FirstLastOptions(MethodOptions):
    """Options of ``gradual_first_last``."""

    epochs_per_stage: EpochsPerStage = 1
    head_always: Annotated[bool, Field(description="train the head from the first epoch on")] = True


class _Gradual(FineTuningMethod):
    """What both directions share: early stopping does not count epochs before all blocks are trained."""

    def stage(self, epoch: int, signals: Signals) -> Stage:
        """Train the blocks that have been unfrozen."""
        recipe = self.trained(epoch, signals.epochs)
        return Stage(recipe, may_stop=all(recipe.mask))

    def _only(self, blocks: set[int]) -> Recipe:
        outline = self.outline()
        values = [value if index in blocks else 0.0 for index, value in enumerate(outline.multipliers)]
        return outline.with_multipliers(values)


class GradualLastFirst(_Gradual):
    """Gradual unfreezing from the head down (G-LF): one more block every epoch.

    Stage s trains the last s + 1 blocks at one rate. A block joins the optimiser with fresh state. Early stopping waits
    until all blocks are trained; the best epoch is the best of all.

    Source: Howard and Ruder 2018 (ACL), section 3.3: one epoch per stage. Departures: blocks of the partition
    instead of layers, and one rate with the run's schedule instead of discriminative rates with slanted triangles.
    """

    Options = LastFirstOptions
    options: LastFirstOptions

    def trained(self, epoch: int, epochs: int) -> Recipe:
        """Return the last blocks, as many as have been unfrozen."""
        count = len(self.network.partition)
        unfrozen = num_unfrozen(epoch, epochs, count, self.options.epochs_per_stage)
        return self._only(set(range(count - unfrozen, count)))


class GradualFirstLast(_Gradual):
    """Gradual unfreezing from the input up (G-FL): one more block every epoch.

    Stage s trains the first s + 1 blocks at one rate, and the head with them unless ``head_always=false``. The rest is
    as in ``gradual_last_first``.

    Source: Mukherjee and Awadallah 2019, and the direction "first to last" of Lee et al. 2023 (ICLR). Departure: the
    head is trained from the start, since it is new here; ``head_always=false`` does what the sources say.
    """

    Options = FirstLastOptions
    options: FirstLastOptions

    def trained(self, epoch: int, epochs: int) -> Recipe:
        """Return the first blocks, as many as have been unfrozen, and the head unless ``head_always=false``."""
        count = len(self.network.partition)
        unfrozen = num_unfrozen(epoch, epochs, count, self.options.epochs_per_stage)
        head = {count - 1} if self.options.head_always else set()
        return self._only(set(range(unfrozen)) | head)


def num_unfrozen(epoch: int, epochs: int, blocks: int, epochs_per_stage: int) -> int:
    """Return how many blocks of the order are trained in an epoch, from 1 to ``blocks``.

    Args:
        epoch: number of the epoch, from 0.
        epochs: planned number of epochs.
        blocks: number of blocks of the network.
        epochs_per_stage: 0 gives every stage the same share of the planned epochs.

    Returns:
        1 + epoch // epochs_per_stage, or 1 + epoch * blocks // epochs; at most ``blocks``.
    """
    stage = epoch // epochs_per_stage if epochs_per_stage else epoch * blocks // epochs
    return min(blocks, 1 + stage)
