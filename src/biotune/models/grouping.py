"""The general rule that groups the parameters of any network, from the input side to the head."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

from timm.models import group_parameters
from torch import nn

Group = list[str]
"""Parameter names."""

_MIN_UNITS = 5
"""The module tree is opened until at least this many units with a weight matrix stand before the head.

With the head that makes six blocks, as many as the papers' ResNets have."""


def body_groups(model: nn.Module, heads: Sequence[str], first_use: Mapping[str, int], limit: int) -> list[Group]:
    """Group the parameters outside the head.

    Groups come from timm's ``group_matcher``, or else from the module tree. What the matcher put into the head's group
    joins the group before it; groups without a weight matrix (norms, scales) join their neighbour; the neighbours with
    the smallest sum of parameters are merged down to the limit.

    Args:
        model: any network.
        heads: dotted names of the classifier layers.
        first_use: module name -> position of its first call.
        limit: largest number of groups, at least 1.

    Returns:
        Groups in the order of their first use.
    """
    in_head = {id(parameter) for head in heads for parameter in model.get_submodule(head).parameters()}
    body = {key: parameter for key, parameter in model.named_parameters() if id(parameter) not in in_head}
    sizes = {key: parameter.numel() for key, parameter in body.items()}
    weights = {key for key, parameter in body.items() if parameter.dim() >= 2}
    matched = _matched(model)
    if not matched:
        return _merged(_joined(_ordered(_tree(model, sizes, weights), first_use), weights), sizes, limit)
    head_numbers = {number for key, number in matched.items() if key not in body}
    groups: dict[int, Group] = {}
    for key in body:
        groups.setdefault(matched[key], []).append(key)
    beside_head = [key for number in sorted(head_numbers) for key in groups.pop(number, [])]
    ordered = _ordered(list(groups.values()), first_use)
    if ordered:
        ordered[-1] += beside_head
    return _merged(_joined(ordered or [beside_head], weights), sizes, limit)


def layer_groups(model: nn.Module, heads: Sequence[str], first_use: Mapping[str, int]) -> list[Group]:
    """Group the parameters outside the head by layer: one group for every module with a weight matrix of its own.

    Every other parameter (of a norm, a scale, a token, a position embedding) joins one of them: in the innermost module
    around it, the last that is called before it, else the first after it.

    Args:
        model: any network.
        heads: dotted names of the classifier layers.
        first_use: module name -> position of its first call.

    Returns:
        Groups in the order of their first use.
    """
    in_head = {id(parameter) for head in heads for parameter in model.get_submodule(head).parameters()}
    body = [key for key, parameter in model.named_parameters() if id(parameter) not in in_head]
    layers: dict[str, Group] = {_layer_of(key): [] for key in body if _is_matrix(model, key)}
    if not layers:
        return [body] if body else []
    calls, position = dict[str, int](), -1
    for path, _ in model.named_modules():
        position = calls[path] = first_use.get(path, position)
    for key in body:
        path = _layer_of(key)
        layers[path if path in layers else _layer_near(path, list(layers), calls)].append(key)
    return _ordered(list(layers.values()), first_use)


def _layer_of(key: str) -> str:
    """The module that a parameter serves; a parametrized one (weight norm) lies below it."""
    return key.rpartition(".")[0].partition(".parametrizations.")[0]


def _is_matrix(model: nn.Module, key: str) -> bool:
    """Whether a parameter is a layer's weight matrix; a norm over several axes, a table or a token is not."""
    layer = _layer_of(key)
    module, leaf = model.get_submodule(layer), key[len(layer) + 1 :]
    # An LSTM calls them weight_ih_l0 and so on; a parametrized layer has parametrizations.weight.original0.
    is_weight = leaf.endswith("weight") or leaf.startswith(("weight_", "parametrizations.weight."))
    in_list = isinstance(module, nn.ParameterList | nn.ParameterDict)
    is_norm = "Norm" in type(module).__name__
    return (is_weight or in_list) and model.get_parameter(key).dim() >= 2 and not is_norm


def _layer_near(path: str, layers: list[str], calls: Mapping[str, int]) -> str:
    """The layer in the innermost module around a path: the last called before it, else the first after it."""
    around = path
    inside = [layer for layer in layers if layer.startswith(f"{around}.")] if around else layers
    while not inside:
        around = around.rpartition(".")[0]
        inside = [layer for layer in layers if not around or layer.startswith(f"{around}.")]
    before = [layer for layer in inside if calls[layer] < calls[path]]
    return max(before, key=calls.__getitem__) if before else min(inside, key=calls.__getitem__)


def _matched(model: nn.Module) -> dict[str, int]:
    """Parameter name -> number of its timm group; empty without a usable matcher."""
    matcher = getattr(model, "group_matcher", None)
    if matcher is None:
        return {}
    try:
        numbers: dict[str, int] = group_parameters(model, matcher(coarse=True), reverse=True)
    except (AssertionError, AttributeError, KeyError, NotImplementedError, RuntimeError, TypeError, ValueError):
        return {}  # some families declare a matcher and do not implement this granularity
    filled: dict[str, int] = {}
    number = min(numbers.values(), default=0)
    for key, _ in model.named_parameters():
        number = numbers.get(key, number)
        filled[key] = number
    return filled


def _tree(model: nn.Module, sizes: Mapping[str, int], weights: set[str]) -> list[Group]:
    """Modules as groups: the largest one is split into its children until there are enough."""
    units = _opened("", list(sizes), weights)
    while sum(not weights.isdisjoint(keys) for _, keys in units) < _MIN_UNITS:
        openable = [unit for unit in units if _can_open(model.get_submodule(unit[0]))]
        closed = [unit for unit in openable if _opened(*unit, weights) != [unit]]
        if not closed:
            break
        largest = max(closed, key=lambda unit: sum(sizes[key] for key in unit[1]))
        index = units.index(largest)
        units[index : index + 1] = _opened(*largest, weights)
    return [keys for _, keys in units]


def _can_open(module: nn.Module) -> bool:
    """Whether a module can be split: PyTorch's layers cannot, its containers and other people's modules can."""
    container = isinstance(module, nn.Sequential | nn.ModuleList | nn.ModuleDict)
    has_inner = any(next(child.parameters(), None) is not None for child in module.children())
    return has_inner and (container or not type(module).__module__.startswith("torch.nn"))


def _opened(path: str, keys: Group, weights: set[str]) -> list[tuple[str, Group]]:
    """Split a module by its children; parameters of its own (tokens, position embeddings) join the first of them."""
    start = len(path) + 1 if path else 0
    own = [key for key in keys if "." not in key[start:]]
    children: dict[str, Group] = {}
    for key in keys:
        if key not in own:
            children.setdefault(key[: key.index(".", start)], []).append(key)
    first = next((child for child, inner in children.items() if not weights.isdisjoint(inner)), None)
    if first is None:
        return [(path, keys)]
    children[first] = own + children[first]
    return list(children.items())


def _ordered(groups: list[Group], first_use: Mapping[str, int]) -> list[Group]:
    """Sort by first use; a group that the forward pass does not call stays behind the one before it."""
    positions: list[int] = []
    for group in groups:
        used = _used(group, first_use)
        positions.append(used if used is not None else positions[-1] if positions else -1)
    return [groups[index] for index in sorted(range(len(groups)), key=positions.__getitem__)]


def _used(group: Group, first_use: Mapping[str, int]) -> int | None:
    """First call of a module of the group; a module around others counts only if none inside is called."""
    owners = {key.rpartition(".")[0] for key in group}
    leaves = {
        owner for owner in owners if not any(other.startswith(f"{owner}.") or not owner for other in owners - {owner})
    }
    calls = [first_use[owner] for owner in leaves if owner in first_use]
    calls = calls or [first_use[owner] for owner in owners if owner in first_use]
    return min(calls, default=None)


def _joined(groups: list[Group], weights: set[str]) -> list[Group]:
    """Join every group without a weight matrix to the one before it, the first ones to the one after."""
    joined: list[Group] = []
    for group in groups:
        if joined and (weights.isdisjoint(group) or weights.isdisjoint(joined[-1])):
            joined[-1] = joined[-1] + group
        else:
            joined.append(group)
    return joined


def _merged(groups: list[Group], sizes: Mapping[str, int], limit: int) -> list[Group]:
    """Merge the neighbours with the smallest sum of parameters until the limit holds."""
    groups = list(groups)
    while len(groups) > limit:
        sums = [sum(sizes[key] for key in left + right) for left, right in pairwise(groups)]
        index = sums.index(min(sums))
        groups[index : index + 2] = [groups[index] + groups[index + 1]]
    return groups
