"""Search spaces: what the points of the unit box mean, one module per space."""

from biotune.space.base import Genes, MaskSpace, SearchSpace
from biotune.space.blocks import BlockSpace
from biotune.space.box import BoxSpace
from biotune.space.recipes import RecipeSpace

__all__ = ["BlockSpace", "BoxSpace", "Genes", "MaskSpace", "RecipeSpace", "SearchSpace"]
