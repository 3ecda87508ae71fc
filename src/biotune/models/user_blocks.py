"""A partition that the user writes: what each block holds, by name or pattern, checked to cover everything once."""

import fnmatch
from collections.abc import Iterable, Mapping, Sequence

from torch import nn

from biotune.errors import InputError
from biotune.models.blocks import checked_partition, cover, nearest, tensor_names
from biotune.partition import Block, BlockPartition
from biotune.wording import listed

Blocks = Mapping[str, str | Sequence[str]]
"""Block name -> names of modules or parameters, or patterns such as ``layers.[0-3]``; ordered from the input side."""

_SHOWN = 10
"""Names listed in an error, chosen by hand: a network has hundreds."""


def user_partition(model: nn.Module, blocks: Blocks, heads: Sequence[str]) -> BlockPartition:
    """Return the partition that the user described.

    Args:
        model: the network.
        blocks: must hold every parameter exactly once; a tied tensor counts once under all its names. Buffers that no
            block names go with the parameters around them.
        heads: dotted names of the classifier layers; the last block must hold them.

    Returns:
        The partition.

    Raises:
        InputError: a name or pattern fits nothing, parameters are left out or claimed twice (they are listed), or the
            classifier is not in the last block.
    """
    if not isinstance(blocks, Mapping):
        raise InputError(f"blocks is {blocks!r}; give a mapping of block name to names, such as {{'head': 'fc'}}.")
    names = tensor_names(model)
    claims: dict[str, set[str]] = {name: set() for name in names}
    for block, patterns in blocks.items():
        for pattern in patterns.split() if isinstance(patterns, str) else patterns:
            matching = [name for name in names if _fits(name, pattern)]
            if not matching:
                raise InputError(f"block '{block}': nothing in this network is called '{pattern}'; correct the name.")
            for name in matching:
                claims[name].add(block)
    parameters = dict(model.named_parameters(remove_duplicate=False))
    tensors = {**parameters, **dict(model.named_buffers(remove_duplicate=False))}
    shared: dict[int, set[str]] = {}
    for name in names:
        shared.setdefault(id(tensors[name]), set()).update(claims[name])
    owners = {name: shared[id(tensors[name])] for name in names}
    _require_exact(parameters, owners)
    order = {block: index for index, block in enumerate(blocks)}
    known = {name: order[min(owner)] for name, owner in owners.items() if owner}
    positions = [position for position, name in enumerate(names) if name in known]
    indices: dict[str, int] = {}
    for position, name in enumerate(names):
        near = position if name in known else nearest(position, positions, names)
        indices[name] = known[names[positions[0] if near is None else near]]
    rows = cover(indices, heads)
    _require_head(indices, heads, list(blocks))
    prefixes = {block: tuple(prefix for prefix, owner in rows if owner == index) for block, index in order.items()}
    return checked_partition(model, [Block(block, prefixes[block]) for block in blocks])


def _fits(name: str, pattern: str) -> bool:
    plain = name == pattern or name.startswith(f"{pattern}.")
    return plain or fnmatch.fnmatchcase(name, pattern) or fnmatch.fnmatchcase(name, f"{pattern}.*")


def _require_exact(parameters: Iterable[str], owners: Mapping[str, set[str]]) -> None:
    left = [f"'{name}'" for name in parameters if not owners[name]]
    twice = [f"'{name}' ({' and '.join(sorted(owner))})" for name, owner in owners.items() if len(owner) > 1]
    faults = [
        f"{len(rows)} {kind}: {listed(rows, _SHOWN)}"
        for kind, rows in (("left out", left), ("claimed twice", twice))
        if rows
    ]
    if faults:
        raise InputError(f"these blocks do not hold every parameter exactly once; {'; '.join(faults)}.")


def _require_head(indices: Mapping[str, int], heads: Sequence[str], blocks: list[str]) -> None:
    inside = tuple(f"{head}." for head in heads)
    for name, index in indices.items():
        if name.startswith(inside) and index != len(blocks) - 1:
            raise InputError(
                f"the classifier's '{name}' is in block '{blocks[index]}', but it belongs to the last one, "
                f"'{blocks[-1]}'."
            )
