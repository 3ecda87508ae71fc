"""Methods that are one recipe from the first step to the last."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from biotune.partition import Block, BlockPartition, make_partition
from biotune.recipe import Recipe


@dataclass(frozen=True)
class Network:
    """What a method needs to know of the network.

    Args:
        partition: its blocks.
        heads: dotted names of the fresh classifier layers.
        shapes: name -> shape of every parameter.
        buffers: name of every buffer.
        name: of the network.
    """

    partition: BlockPartition
    heads: tuple[str, ...]
    shapes: Mapping[str, tuple[int, ...]]
    buffers: tuple[str, ...] = ()
    name: str = ""


def full(network: Network, _multipliers: Sequence[float] = ()) -> Recipe:
    """Return full fine-tuning: every block at the base rate (the papers' FT)."""
    return Recipe(network.partition, (1.0,) * len(network.partition), model=network.name)


def linear_probe(network: Network, _multipliers: Sequence[float] = ()) -> Recipe:
    """Return linear probing: the fresh classifier alone at the base rate, all else frozen (LP).

    Where the last block holds more than the classifier (VGG's three linear layers), that block is split. Departure
    from the papers' code: frozen batch norms keep their statistics, as linear probing is usually meant.
    """
    *body, last = network.partition.blocks
    inside = tuple(f"{head}." for head in network.heads)
    if all(name.startswith(inside) for name in network.shapes if network.partition.owner(name) == len(body)):
        return Recipe(network.partition, (0.0,) * len(body) + (1.0,), model=network.name)
    kept = replace(last, prefixes=tuple(prefix for prefix in last.prefixes if prefix not in network.heads))
    blocks = [*body, kept, Block("classifier only", network.heads)]
    partition = make_partition(blocks, network.shapes, network.buffers)
    return Recipe(partition, (0.0,) * (len(blocks) - 1) + (1.0,), model=network.name)


def from_multipliers(network: Network, multipliers: Sequence[float]) -> Recipe:
    """Return the recipe with given multipliers: what the search finds."""
    return Recipe(network.partition, tuple(multipliers), model=network.name)
