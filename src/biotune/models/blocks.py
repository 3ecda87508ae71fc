"""Where a network is cut into blocks: the papers' tables, and a general rule for every other network."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from torch import nn

from biotune.errors import InputError
from biotune.models.grouping import Group, body_groups, layer_groups
from biotune.models.inert import mark_inert
from biotune.models.tables import PARTITIONS
from biotune.models.tracing import traced
from biotune.partition import Block, BlockPartition, make_partition, owner_of

__all__ = ["GRANULARITIES", "MAX_BLOCKS", "PARTITIONS", "partition_for"]

MAX_BLOCKS = 16
"""Maximum number of blocks in the automatic partition, chosen by hand: the largest of the papers' tables (Inception-v3)
has 14, and every block adds a gene to the search."""

GRANULARITIES = ("block", "layer")


def partition_for(
    model: nn.Module,
    name: str,
    heads: Sequence[str],
    sample_shape: tuple[int, ...],
    granularity: str = "block",
) -> BlockPartition:
    """Cut a network into blocks: by the papers' table for this name, else by the general rule.

    The general rule: the classifiers are the last block, ``head``; the groups of ``grouping.body_groups`` come before
    it; a tensor under two names (tied) belongs to one block; a buffer goes with the parameters around it; a block that
    does not affect the logits is inert.

    Args:
        model: the network; unchanged afterwards.
        name: canonical name, for the table and for messages; a tag is ignored.
        heads: dotted names of the classifier layers.
        sample_shape: (3, height, width) of one input; (length,) of one row of tokens.
        granularity: ``block``, or ``layer`` for the groups of ``grouping.layer_groups``, as many as there are.

    Returns:
        Blocks in the order of their first use that hold every parameter and buffer.

    Raises:
        InputError: another granularity, or the network does not take inputs of this shape or has no parameter outside
            the head.
    """
    if granularity not in GRANULARITIES:
        raise InputError(f"the granularity '{granularity}' is unknown; choose one of {', '.join(GRANULARITIES)}.")
    first_use = _first_use(model, name, sample_shape)
    table = PARTITIONS.get(name.partition(".")[0], ())
    inert = tuple(f"{prefix}." for block in table if block.inert for prefix in block.prefixes)
    names = tensor_names(model)
    if table and granularity == "block":
        present = [block for block in table if not block.inert or any(owner_of(key, [block]) == 0 for key in names)]
        return checked_partition(model, present)
    if granularity == "layer":
        groups = _merged(layer_groups(model, heads, first_use), inert)
    else:
        groups = body_groups(model, heads, first_use, MAX_BLOCKS - 1)
    if not any(groups):
        raise InputError(f"{name} has no parameter before its classifier, so there is nothing to freeze.")
    blocks = [
        replace(block, inert=all(f"{prefix}.".startswith(inert) for prefix in block.prefixes))
        for block in _blocks(_owners(model, groups, names), heads, model)
    ]
    return checked_partition(model, mark_inert(model, blocks, first_use, sample_shape))


def checked_partition(model: nn.Module, blocks: Sequence[Block]) -> BlockPartition:
    """Return the partition of a network into given blocks; raises InputError unless they hold every tensor."""
    shapes = {key: tuple(parameter.shape) for key, parameter in model.named_parameters()}
    return make_partition(blocks, shapes, [key for key in tensor_names(model) if key not in shapes])


def _first_use(model: nn.Module, name: str, sample_shape: tuple[int, ...]) -> dict[str, int]:
    """Module name -> position of its first call in a forward pass; raises if the input size is wrong."""
    calls: dict[str, int] = {}

    def record(path: str) -> None:
        calls.setdefault(path, len(calls))

    traced(model, name, sample_shape, on_call=record)
    return calls


def tensor_names(model: nn.Module) -> list[str]:
    """Return every name of every parameter and buffer, module by module; a tied tensor has several."""
    return [
        f"{path}.{key}" if path else key
        for path, module in model.named_modules(remove_duplicate=False)
        for tensors in (module.named_parameters, module.named_buffers)
        for key, _ in tensors(recurse=False, remove_duplicate=False)
    ]


def _owners(model: nn.Module, groups: list[Group], names: list[str]) -> dict[str, int]:
    """Tensor name -> index of its block, in the order of the names; the head comes after the groups."""
    parameters = dict(model.named_parameters(remove_duplicate=False))
    blocks = {id(parameters[key]): index for index, group in enumerate(groups) for key in group}
    owners = {key: blocks.get(id(parameters[key]), len(groups)) for key in names if key in parameters}
    body = [position for position, key in enumerate(names) if owners.get(key, len(groups)) < len(groups)]
    for position, key in enumerate(names):
        if key not in parameters:
            near = nearest(position, body, names)
            owners[key] = len(groups) if near is None else owners[names[near]]
    _unite_shared_buffers(model, owners)
    return {key: owners[key] for key in names}


def _unite_shared_buffers(model: nn.Module, owners: dict[str, int]) -> None:
    """Put layers that share a buffer (batch norms with the same statistics) into the block of the first of them."""
    first: dict[int, str] = {}
    for name, buffer in model.named_buffers(remove_duplicate=False):
        earlier = first.setdefault(id(buffer), name)
        if owners[earlier] != owners[name]:
            layer = name.rpartition(".")[0]
            owners.update({key: owners[earlier] for key in owners if key.rpartition(".")[0] == layer})


def _merged(groups: list[Group], prefixes: tuple[str, ...]) -> list[Group]:
    """The groups, with neighbours under the same prefixes joined."""
    merged: list[Group] = []
    for group in groups:
        if merged and group[0].startswith(prefixes) and merged[-1][0].startswith(prefixes):
            merged[-1] = merged[-1] + group
        else:
            merged.append(group)
    return merged


def nearest(position: int, candidates: list[int], names: list[str]) -> int | None:
    """Return the candidate in the innermost module around a tensor: the last one before it, else the first after."""
    path = names[position]
    while path:
        path = path.rpartition(".")[0]
        inside = [other for other in candidates if not path or names[other].startswith(f"{path}.")]
        if inside:
            return max((other for other in inside if other < position), default=inside[0])
    return None


def _blocks(owners: Mapping[str, int], heads: Sequence[str], model: nn.Module) -> list[Block]:
    weights = [key for key, parameter in model.named_parameters() if parameter.dim() >= 2]
    rows = cover(owners, heads)
    body = sorted({owner for _, owner in rows} - {max(owners.values())})
    blocks: list[Block] = []
    for index in body:
        prefixes = [prefix for prefix, owner in rows if owner == index]
        modules = [prefix for prefix in prefixes if any(key.startswith(f"{prefix}.") for key in weights)]
        name = _block_name(modules or prefixes, first=not blocks)
        if name in {"head", *(block.name for block in blocks)}:
            name = f"{name}-{len(blocks)}"
        blocks.append(Block(name, tuple(prefixes)))
    return [*blocks, Block("head", tuple(prefix for prefix, owner in rows if owner == max(owners.values())))]


def cover(owners: Mapping[str, int], heads: Sequence[str], path: str = "") -> list[tuple[str, int]]:
    """Return the shortest dotted names that identify the blocks, each with its block; heads keep their own names."""
    blocks = set(owners.values())
    if path and len(blocks) == 1 and not any(head.startswith(f"{path}.") for head in heads):
        return [(path, blocks.pop())]
    start = len(path) + 1 if path else 0
    parts: dict[str, dict[str, int]] = {}
    for key, owner in owners.items():
        end = key.find(".", start)
        parts.setdefault(key if end < 0 else key[:end], {})[key] = owner
    return [row for part, inner in parts.items() for row in cover(inner, heads, part)]


def _block_name(prefixes: list[str], first: bool) -> str:
    """A short name: the module's own, ``blocks.0-2`` for a run, ``stem`` for a mixed start, else its two ends."""
    parents = {prefix.rpartition(".")[0] for prefix in prefixes}
    leaves = [prefix.rpartition(".")[2] for prefix in prefixes]
    if len(prefixes) == 1:
        return prefixes[0]
    if len(parents) == 1 and all(leaf.isdigit() for leaf in leaves):
        return f"{prefixes[0]}-{leaves[-1]}"
    return "stem" if first else f"{prefixes[0]}+{prefixes[-1]}"
