"""Methods with one recipe from the first step to the last."""

from dataclasses import replace
from typing import Annotated

from pydantic import Field

from biotune.errors import InputError
from biotune.methods.base import FineTuningMethod, MethodOptions
from biotune.partition import Block, make_partition
from biotune.recipe import Recipe


class Full(FineTuningMethod):
    """Full fine-tuning: every block at the base rate.

    Source: the papers' FT. Departure: none. All defaults of ``FineTuningMethod`` together.
    """


class LinearProbe(FineTuningMethod):
    """Linear probing: the fresh classifier alone, all else frozen.

    Where the last block holds more than the classifier (VGG's three linear layers), that block is split.

    Source: the papers' LP. Departure: frozen batch norms keep their statistics, as is usual for linear probing; the
    ``paper`` preset lets them drift as the papers' code does.
    """

    def outline(self) -> Recipe:
        """Return the recipe that trains the classifier only."""
        network = self.network
        *body, last = network.partition.blocks
        inside = [name for name in network.shapes if network.partition.owner(name) == len(body)]
        if all(network.is_fresh(name) for name in inside):
            return network.recipe((*(0.0,) * len(body), self.options.rate))
        rest = tuple(name for name in last.prefixes if name not in network.heads and not network.is_fresh(name))
        kept = replace(last, prefixes=rest)
        blocks = [*body, kept, Block("classifier only", network.heads)]
        partition = make_partition(blocks, network.shapes, network.buffers)
        return network.recipe((*(0.0,) * len(partition.blocks[1:]), self.options.rate), partition)


class GivenRecipe(FineTuningMethod):
    """A given recipe: one multiplier per block, as the search finds it.

    Source: CONF, equation 2: learning rate of a block = base rate x multiplier. Departure: none.
    """

    def outline(self) -> Recipe:
        """Return the recipe of the task."""
        if self.given is None:
            raise InputError("the method 'given' trains a recipe, but its task has none.")
        return self.given.with_multipliers([self.options.rate * value for value in self.given.multipliers])


class LayerDecayOptions(MethodOptions):
    """Options of ``llrd``."""

    decay: Annotated[float, Field(gt=0, le=1, description="factor from a block to the one before it")] = 0.75
    smallest: Annotated[float, Field(ge=0, le=1, description="smallest multiplier")] = 0.0


class LayerDecay(FineTuningMethod):
    """Layer-wise learning-rate decay: the deeper below the head, the slower.

    Multiplier of block b of B (the last one is the head): max(smallest, decay^(B - 1 - b)).

    Source: timm, ``param_groups_layer_decay`` (``layer_decay`` 0.75, ``min_scale`` 0), after BEiT (Bao et al. 2022).
    Departure: a step of the decay is a block of the partition here and a layer of timm's ``group_matcher`` there. The
    two agree for a small vision transformer; for a ResNet-50 timm counts 18 layers and BioTune 6 blocks.
    """

    Options = LayerDecayOptions
    options: LayerDecayOptions

    def outline(self) -> Recipe:
        """Return the recipe of decaying multipliers."""
        depths = range(len(self.network.partition) - 1, -1, -1)
        scales = [max(self.options.smallest, self.options.decay**depth) for depth in depths]
        return self.network.recipe(tuple(self.options.rate * scale for scale in scales))
