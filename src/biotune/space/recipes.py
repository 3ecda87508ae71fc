"""The space of recipes with named values: blocks and rates, and how they are trained.

A point has the genes of ``BlockSpace``, then one gene for each value that the search chooses. Such a gene is a
category: the unit interval is divided into as many equal cells as there are choices.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from biotune.errors import InputError
from biotune.randomness import Stream
from biotune.recipe import FITTED, HEAD_START, KEPT, STATISTICS, Recipe, Value
from biotune.space.base import Genes, category, checked_genes, middle
from biotune.space.blocks import BlockSpace

CHOICES: dict[str, tuple[str, ...]] = {
    HEAD_START: ("fresh", FITTED),
    STATISTICS: ("batch", KEPT),
    "augment": ("none", "standard"),
}
"""Name of a value -> what a search chooses from; neighbours are near in meaning, and the first is the default of a
run."""


@dataclass(frozen=True)
class Choice:
    """One value that a search chooses.

    Args:
        name: the setting of a training.
        values: at least two, neighbours near in meaning. The first one is the run's own setting, which holds where a
            recipe does not name the value.
    """

    name: str
    values: tuple[Value, ...]


def choices_of(names: Collection[str], own: Mapping[str, Value]) -> tuple[Choice, ...]:
    """Return what a search chooses: the named values, in the order of ``CHOICES``.

    Args:
        names: of values in ``CHOICES``.
        own: the run's own settings. One that is not the default is what the user wants: the search leaves it alone.

    Returns:
        No choice, if the search has nothing to choose but the multipliers.
    """
    return tuple(
        Choice(name, values)
        for name, values in CHOICES.items()
        if name in names and own.get(name, values[0]) == values[0]
    )


@dataclass(frozen=True)
class RecipeSpace:
    """Recipes with named values: the genes of ``BlockSpace``, then one category for each choice.

    A decoded recipe names only what has an effect: no value that is the run's own setting, no ``statistics`` where no
    batch norm is trained, and of a probe nothing but its fitted head. So equal trainings have equal keys.

    Args:
        blocks: the meaning of the first genes.
        choices: the values that are chosen, each by one gene, in this order.
        normalised: whether each block has batch norms; by default all but the head.
    """

    blocks: BlockSpace
    choices: tuple[Choice, ...]
    normalised: tuple[bool, ...] = ()

    def __post_init__(self) -> None:
        if self.normalised and len(self.normalised) != self.num_parts:
            raise InputError(f"expected {self.num_parts} blocks with or without norms, got {len(self.normalised)}.")

    @property
    def num_parts(self) -> int:
        """Number of blocks."""
        return self.blocks.num_parts

    @property
    def num_genes(self) -> int:
        """Blocks, the threshold and the choices."""
        return self.blocks.num_genes + len(self.choices)

    @cached_property
    def categories(self) -> Mapping[int, int]:
        """Index of a gene -> number of its categories."""
        return {self.blocks.num_genes + place: len(choice.values) for place, choice in enumerate(self.choices)}

    def is_feasible(self, genes: Genes) -> bool:
        """Return whether a block is trained, or the frozen network gets a fitted head."""
        return self._trains(genes) or self._chosen(genes).get(HEAD_START) == FITTED

    def movable(self, genes: Genes) -> NDArray[np.intp]:
        """Return the genes of the trained blocks and the categories that have an effect; of a probe, all blocks."""
        if not self._trains(genes):
            return np.arange(self.num_parts)
        trained = self.blocks.movable(self._first(genes))
        effective = self._effective(self.blocks.decode(self._first(genes)))
        switches = [index for index, choice in zip(self.categories, self.choices, strict=True) if choice in effective]
        return np.append(trained, np.asarray(switches, dtype=np.intp))

    def repair(self, genes: Genes, stream: Stream) -> Genes:
        """Return genes that train a block, if possible, with the same choices; see ``MaskSpace``."""
        return np.append(self.blocks.repair(self._first(genes), stream), genes[self.blocks.num_genes :])

    def select(self, parts: Collection[int]) -> Genes:
        """Return genes that train these blocks only, at multiplier 1, with the run's own settings."""
        return np.append(self.blocks.select(parts), self._genes_of({}))

    def decode(self, genes: Genes) -> Recipe:
        """Return a recipe with the multipliers of ``BlockSpace`` and the values that have an effect.

        Raises InputError: wrong number of genes (shape (num_genes,)), or a gene outside [0, 1].
        """
        genes = checked_genes(genes, self.num_genes)
        recipe, chosen = self.blocks.decode(self._first(genes)), self._chosen(genes)
        named = {c.name: chosen[c.name] for c in self._effective(recipe) if chosen[c.name] != c.values[0]}
        return recipe.with_values({**dict(recipe.values), **named})

    def encode(self, decoded: Recipe) -> Genes:
        """Return genes that decode to a recipe, each category in the middle of its cell; see ``BlockSpace.encode``.

        A value that is not among the choices becomes the run's own setting.

        Args:
            decoded: a recipe over the same blocks that trains at least one, or a probe.

        Returns:
            Genes, shape (num_genes,).

        Raises:
            InputError: the number of blocks differs, or every block is frozen and the head not fitted.
        """
        values = dict(decoded.values)
        is_probe = decoded.is_probe and len(decoded.multipliers) == self.num_parts
        if is_probe and any(choice.name == HEAD_START for choice in self.choices):
            return np.append(self.blocks.mask.freeze(), self._genes_of(values))
        return np.append(self.blocks.encode(decoded), self._genes_of(values))

    def _effective(self, recipe: Recipe) -> tuple[Choice, ...]:
        """Return the choices that change a training at these multipliers."""
        if not any(recipe.multipliers):
            return tuple(choice for choice in self.choices if choice.name == HEAD_START)
        normalised = self.normalised or (True,) * (self.num_parts - 1) + (False,)
        has_norms = any(trained and norms for trained, norms in zip(recipe.mask, normalised, strict=True))
        return tuple(choice for choice in self.choices if choice.name != STATISTICS or has_norms)

    def _first(self, genes: Genes) -> Genes:
        """Return the genes of the blocks and the threshold."""
        return np.asarray(genes)[: self.blocks.num_genes]

    def _trains(self, genes: Genes) -> bool:
        return self.blocks.is_feasible(self._first(genes))

    def _chosen(self, genes: Genes) -> dict[str, Value]:
        """Return the value of every choice."""
        pairs = zip(self.choices, self.categories.items(), strict=True)
        return {choice.name: choice.values[category(genes[index], count)] for choice, (index, count) in pairs}

    def _genes_of(self, values: Mapping[str, Value]) -> Genes:
        """Return the genes of the choices, shape (num_choices,), for named values; the run's own for all others."""
        numbers = [
            choice.values.index(values[choice.name]) if values.get(choice.name) in choice.values else 0
            for choice in self.choices
        ]
        counts = self.categories.values()
        return np.array([middle(number, count) for number, count in zip(numbers, counts, strict=True)])
