"""Blocks of a network as named sets of parameters and modules: only names, without tensors and torch."""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from biotune.errors import InputError
from biotune.wording import quoted


@dataclass(frozen=True)
class Block:
    """One block: the unit that is frozen or trained with one learning rate.

    Args:
        name: unique within the partition, for example ``layer3``.
        prefixes: dotted names of modules, parameters or buffers; a tensor belongs to the block with the longest
            prefix of its name (whole path components).
        num_parameters: number of scalar parameters.
        inert: True if the training loss does not reach it (the auxiliary head of Inception-v3).
    """

    name: str
    prefixes: tuple[str, ...]
    num_parameters: int = 0
    inert: bool = False


@dataclass(frozen=True)
class BlockPartition:
    """Ordered, disjoint blocks that together hold every parameter and buffer; the last one is the head.

    Args:
        blocks: the blocks, from the input side to the head.
        fingerprint: SHA-256 (16 hexadecimal digits) over the block names, the parameter names and the shapes of all
            parameters outside the head: two networks with the same fingerprint can share a recipe.
    """

    blocks: tuple[Block, ...]
    fingerprint: str

    def __len__(self) -> int:
        return len(self.blocks)

    @property
    def names(self) -> tuple[str, ...]:
        """Block names, in order."""
        return tuple(block.name for block in self.blocks)

    def owner(self, name: str) -> int:
        """Return the index of the block that holds a parameter or buffer, by its dotted name.

        Raises InputError: the tensor belongs to no block of this partition.
        """
        index = _nearest(name, self._owners)
        if index is None:
            raise InputError(f"the tensor '{name}' belongs to no block of this partition ({quoted(list(self.names))}).")
        return index

    def enclosing(self, name: str) -> int | None:
        """Return the index of the block that a module lies in; None for a container of several blocks."""
        return _nearest(name, self._owners)

    @cached_property
    def _owners(self) -> dict[str, int]:
        return _by_prefix(self.blocks)


def unnamed_partition(num_blocks: int) -> BlockPartition:
    """Return blocks ``1``, ``2``, ... without parameters, at least one, for searches that train nothing."""
    if num_blocks < 1:
        raise InputError(f"a partition needs at least one block, not {num_blocks}.")
    blocks = tuple(Block(str(number), (str(number),)) for number in range(1, num_blocks + 1))
    return BlockPartition(blocks, "unnamed")


def owner_of(name: str, blocks: Iterable[Block]) -> int | None:
    """Return the index of the block whose prefix is the longest match of a dotted name, or None."""
    return _nearest(name, _by_prefix(blocks))


def _by_prefix(blocks: Iterable[Block]) -> dict[str, int]:
    """Return prefix -> index of its block, the first one if several have it."""
    owners: dict[str, int] = {}
    for index, block in enumerate(blocks):
        for prefix in block.prefixes:
            owners.setdefault(prefix, index)
    return owners


def _nearest(name: str, owners: Mapping[str, int]) -> int | None:
    """Return the owner of a dotted name: its own, or that of the nearest module around it."""
    while name not in owners and "." in name:
        name = name.rpartition(".")[0]
    return owners.get(name)


def make_partition(
    blocks: Iterable[Block], shapes: Mapping[str, tuple[int, ...]], buffers: Iterable[str] = ()
) -> BlockPartition:
    """Check blocks against a network's tensors, and add parameter counts and a fingerprint.

    Args:
        blocks: the blocks, from the input side to the head; ``num_parameters`` is filled in here.
        shapes: parameter name -> shape, for every parameter of the network.
        buffers: names of every buffer of the network.

    Returns:
        The partition, with ``num_parameters`` of each block.

    Raises:
        InputError: a tensor belongs to no block, two blocks share a name or prefix, or a block holds no parameter.
    """
    blocks = tuple(blocks)
    _check_distinct("block name", [block.name for block in blocks])
    _check_distinct("prefix", [prefix for block in blocks for prefix in block.prefixes])
    by_prefix = _by_prefix(blocks)
    nearest = {name: _nearest(name, by_prefix) for name in [*shapes, *buffers]}
    homeless = [name for name, owner in nearest.items() if owner is None]
    if homeless:
        raise InputError(
            f"the partition leaves out {len(homeless)} parameters or buffers ({quoted(homeless)}); "
            "every one must belong to a block: add a prefix for them."
        )
    owners = {name: owner for name, owner in nearest.items() if owner is not None}
    counts = [0] * len(blocks)
    for name, shape in shapes.items():
        counts[owners[name]] += math.prod(shape)
    empty = [block.name for block, count in zip(blocks, counts, strict=True) if count == 0]
    if empty:
        raise InputError(f"block {quoted(empty)} holds no parameter of this network; remove it or correct its names.")
    filled = tuple(
        Block(block.name, block.prefixes, count, block.inert) for block, count in zip(blocks, counts, strict=True)
    )
    return BlockPartition(filled, _fingerprint(filled, shapes))


def _fingerprint(blocks: tuple[Block, ...], shapes: Mapping[str, tuple[int, ...]]) -> str:
    head = len(blocks) - 1
    by_prefix = _by_prefix(blocks)
    rows: list[Any] = []
    for name in sorted(shapes):
        owner = _nearest(name, by_prefix)
        rows.append([owner, name, list(shapes[name]) if owner != head else None])
    text = json.dumps([[block.name for block in blocks], rows])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _check_distinct(what: str, values: list[str]) -> None:
    twice = sorted({value for value in values if values.count(value) > 1})
    if twice:
        raise InputError(f"the {what} {quoted(twice)} is claimed twice; each must belong to one block.")
