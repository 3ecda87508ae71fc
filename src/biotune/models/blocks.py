"""Where a network is cut into blocks: the papers' tables, and a general rule for every other network."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import nn

from biotune.errors import InputError
from biotune.models.grouping import Group, body_groups
from biotune.models.tables import PARTITIONS
from biotune.partition import Block, BlockPartition, make_partition, owner_of

__all__ = ["MAX_BLOCKS", "PARTITIONS", "partition_for"]

MAX_BLOCKS = 16


def partition_for(
    model: nn.Module, name: str, heads: Sequence[str], sample_shape: tuple[int, int, int]
) -> BlockPartition:
    """Cut a network into blocks: by the papers' table for this name, else by the general rule.

    The general rule: the classifiers are the last block, ``head``; the groups of ``grouping.body_groups`` come before
    it; a tensor under two names (tied) belongs to one block; a buffer goes with the parameters around it.

    Args:
        model: the network; left as it was.
        name: canonical name, for the table and for messages; a tag is ignored.
        heads: dotted names of the classifier layers.
        sample_shape: (3, height, width) of one input.

    Returns:
        Blocks in the order of their first use that hold every parameter and buffer.

    Raises:
        InputError: the network does not take inputs of this shape.
    """
    first_use = _first_use(model, name, sample_shape)
    names = _tensor_names(model)
    table = PARTITIONS.get(name.partition(".")[0])
    if table:
        blocks = [block for block in table if not block.inert or any(owner_of(key, [block]) == 0 for key in names)]
    else:
        groups = body_groups(model, heads, first_use, MAX_BLOCKS - 1)
        blocks = _blocks(_owners(model, groups, names), heads, model)
    shapes = {key: tuple(parameter.shape) for key, parameter in model.named_parameters()}
    return make_partition(blocks, shapes, [key for key in names if key not in shapes])


def _first_use(model: nn.Module, name: str, sample_shape: tuple[int, int, int]) -> dict[str, int]:
    """Module name -> position of its first call in a forward pass over zeros; it also proves that the size fits."""
    calls: dict[str, int] = {}

    def recorder(path: str) -> Callable[[nn.Module, object], None]:
        def record(_module: nn.Module, _inputs: object) -> None:
            calls.setdefault(path, len(calls))

        return record

    modes = {module: module.training for module in model.modules()}
    handles = [module.register_forward_pre_hook(recorder(path)) for path, module in model.named_modules()]
    like = next(model.parameters())
    try:
        with torch.no_grad():
            model.eval()(torch.zeros(1, *sample_shape, device=like.device, dtype=like.dtype))
    except (AssertionError, IndexError, RuntimeError, ValueError) as error:
        size = " x ".join(map(str, sample_shape[1:]))
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise InputError(f"{name} takes no images of {size} pixels ({reason}); choose another --image-size.") from error
    finally:
        for handle in handles:
            handle.remove()
        for module, training in modes.items():
            module.training = training
    return calls


def _tensor_names(model: nn.Module) -> list[str]:
    """Every name of every parameter and buffer, module by module; a tied tensor has several."""
    return [
        f"{path}.{key}" if path else key
        for path, module in model.named_modules(remove_duplicate=False)
        for own in (module.named_parameters, module.named_buffers)
        for key, _ in own(recurse=False, remove_duplicate=False)
    ]


def _owners(model: nn.Module, groups: list[Group], names: list[str]) -> dict[str, int]:
    """Tensor name -> index of its block, in the order of the names; the head comes after the groups."""
    parameters = dict(model.named_parameters(remove_duplicate=False))
    blocks = {id(parameters[key]): index for index, group in enumerate(groups) for key in group}
    owners = {key: blocks.get(id(parameters[key]), len(groups)) for key in names if key in parameters}
    body = [position for position, key in enumerate(names) if owners.get(key, len(groups)) < len(groups)]
    for position, key in enumerate(names):
        if key not in parameters:
            near = _nearest(position, body, names)
            owners[key] = len(groups) if near is None else owners[names[near]]
    return {key: owners[key] for key in names}


def _nearest(position: int, candidates: list[int], names: list[str]) -> int | None:
    """The candidate in the innermost module around a tensor: the last before it, else the first after it."""
    path = names[position]
    while path:
        path = path.rpartition(".")[0]
        inside = [other for other in candidates if not path or names[other].startswith(f"{path}.")]
        if inside:
            return max((other for other in inside if other < position), default=inside[0])
    return None


def _blocks(owners: Mapping[str, int], heads: Sequence[str], model: nn.Module) -> list[Block]:
    weights = [key for key, parameter in model.named_parameters() if parameter.dim() >= 2]
    cover = _cover(owners, heads)
    body = sorted({owner for _, owner in cover} - {max(owners.values())})
    blocks: list[Block] = []
    for index in body:
        prefixes = [prefix for prefix, owner in cover if owner == index]
        modules = [prefix for prefix in prefixes if any(key.startswith(f"{prefix}.") for key in weights)]
        name = _block_name(modules or prefixes, first=not blocks)
        if name in {"head", *(block.name for block in blocks)}:
            name = f"{name}-{len(blocks)}"
        blocks.append(Block(name, tuple(prefixes)))
    return [*blocks, Block("head", tuple(prefix for prefix, owner in cover if owner == max(owners.values())))]


def _cover(owners: Mapping[str, int], heads: Sequence[str], path: str = "") -> list[tuple[str, int]]:
    """The shortest dotted names that tell the blocks apart, each with its block; heads keep their own names."""
    found = set(owners.values())
    if path and len(found) == 1 and not any(head.startswith(f"{path}.") for head in heads):
        return [(path, found.pop())]
    start = len(path) + 1 if path else 0
    parts: dict[str, dict[str, int]] = {}
    for key, owner in owners.items():
        end = key.find(".", start)
        parts.setdefault(key if end < 0 else key[:end], {})[key] = owner
    return [row for part, inner in parts.items() for row in _cover(inner, heads, part)]


def _block_name(prefixes: list[str], first: bool) -> str:
    """A short name: the module's own, ``blocks.0-2`` for a run, ``stem`` for a mixed start, else its two ends."""
    parents = {prefix.rpartition(".")[0] for prefix in prefixes}
    leaves = [prefix.rpartition(".")[2] for prefix in prefixes]
    if len(prefixes) == 1:
        return prefixes[0]
    if len(parents) == 1 and all(leaf.isdigit() for leaf in leaves):
        return f"{prefixes[0]}-{leaves[-1]}"
    return "stem" if first else f"{prefixes[0]}+{prefixes[-1]}"
