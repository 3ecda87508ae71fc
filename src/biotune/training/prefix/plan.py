"""Decides which outputs of a network with frozen first blocks are recorded, by running the network.

Each outermost module that holds no trained tensor and gets no input from a trained block is replaced by a stub that
returns its recorded output. Which outputs are really needed is found by running the network with NaN in their place. If
a frozen module returns several tensors or is only a list, the modules inside it get stubs instead. A module is not
recorded if it runs more than once or differs between training and evaluation mode (dropout before it, for example).
Before a plan is used, a forward pass from recorded outputs must equal the network's own bit for bit, in both modes.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from biotune import frozen as frozen_modules
from biotune.recipe import Recipe
from biotune.training.precision import Forward, training_mode
from biotune.training.prefix.outputs import Recorded, RecordedSource
from biotune.training.prefix.stubs import Stub, hooked, stubbed
from biotune.training.sources import RowSource
from biotune.training.work import multiplications

FILL_BATCH = 64
"""Images per forward pass when activations are recorded. Fixed, since other batch sizes round differently; the
same number as in the batches of evaluations."""

_FEW = 2
"""Images of the forward passes that show what can be recorded; batch norm needs at least two in training mode."""


@dataclass(frozen=True)
class PrefixPlan:
    """Which outputs of a network with frozen first blocks are recorded.

    Args:
        needed: module name -> bytes per image, for modules whose outputs are read; empty if nothing is recorded.
        unread: module name -> shape of the output without the batch, for all other modules with a stub.
        work: multiplications per image that are saved.
        is_different: True if nothing is recorded because the logits would differ from the network's own.
    """

    needed: Mapping[str, int] = field(default_factory=dict)
    unread: Mapping[str, torch.Size] = field(default_factory=dict)
    work: int = 0
    is_different: bool = False

    @property
    def image_bytes(self) -> int:
        """Bytes of the needed outputs per image."""
        return sum(self.needed.values())


class Planner:
    """Finds out which outputs can be recorded.

    Args:
        source: the images.
        forward: runs a network on a batch and returns its logits.
    """

    def __init__(self, source: RowSource, forward: Forward) -> None:
        self.source = source
        self.forward = forward
        self._plans: dict[tuple[object, ...], PrefixPlan] = {}
        self._exact: dict[tuple[object, ...], bool] = {}
        self._work: dict[str, int] = {}

    def plan(self, model: nn.Module, recipe: Recipe, depth: int | None = None) -> PrefixPlan:
        """Return the plan for a recipe; it depends on which blocks are frozen, and on which modules are held.

        The network has the pretrained weights in every frozen block and the recipe applied, and is in evaluation mode.
        With a ``depth``, only frozen blocks among the first ``depth`` ones count.
        """
        frozen = tuple(_frozen_modules(model, recipe, len(recipe.partition) if depth is None else depth))
        mask = tuple(value > 0 for value in recipe.multipliers)
        key = (recipe.partition.fingerprint, mask, frozen, frozen_modules.held(model))
        if key not in self._plans:
            names = self._recordable(model, frozen)
            self._plans[key] = self._checked_plan(model, names) if names else PrefixPlan()
        return self._plans[key]

    def is_exact(self, model: nn.Module, plan: PrefixPlan, sizes: Collection[int]) -> bool:
        """Return whether a batch of each of these sizes gives the outputs that are recorded, bit for bit.

        They do not depend on the other images of a batch, but a library may choose its algorithm by the batch size: on
        one core, convolutions of fewer than 16 images often round differently.
        """
        key = (*plan.needed, *sorted(sizes))
        if key not in self._exact:
            self._exact[key] = bool(sizes) and all(self._outputs_agree(model, plan, size) for size in sizes)
        return self._exact[key]

    def _outputs_agree(self, model: nn.Module, plan: PrefixPlan, size: int) -> bool:
        recorded = dict[str, list[Tensor]]()
        for start in range(0, size, FILL_BATCH):
            for name, output in self._frozen_outputs(model, plan, start + torch.arange(FILL_BATCH)).items():
                recorded.setdefault(name, []).append(output)
        outputs = self._frozen_outputs(model, plan, torch.arange(size).flip(0))
        return all(torch.equal(output, torch.cat(recorded[name])[:size].flip(0)) for name, output in outputs.items())

    def _frozen_outputs(self, model: nn.Module, plan: PrefixPlan, rows: Tensor) -> dict[str, Tensor]:
        outputs = dict[str, Tensor]()
        with torch.no_grad(), hooked(model, {name: _keeper(outputs, name) for name in plan.needed}):
            self.forward(model, self.source.batch(rows % len(self.source)))
        return outputs

    def _recordable(self, model: nn.Module, frozen: Collection[str]) -> list[str]:
        """Return the outermost frozen modules that run once on fixed input, with the same output in both modes.

        Running in training mode shows what dropout or batch statistics affect. Batches of two sizes show whether the
        first axis is the batch (for a bias over the heads of an attention it is not).
        """
        names, fixed = list(frozen), list[str]()
        while names:
            calm, more = self._outputs_of(model, names, _FEW), self._outputs_of(model, names, _FEW + 1)
            with training_mode(model):
                live = self._outputs_of(model, names, _FEW)
            rowed = [name for name in names if _has_rows(calm[name], _FEW) and _has_rows(more[name], _FEW + 1)]
            constant = [name for name in rowed if _is_fixed(calm[name], live[name])]
            opened = [name for name in names if name not in constant and _is_open(calm[name], live[name])]
            fixed += constant
            names = [f"{name}.{child}" for name in opened for child, _ in model.get_submodule(name).named_children()]
        return fixed

    def _outputs_of(self, model: nn.Module, names: list[str], count: int) -> dict[str, list[Any]]:
        outputs: dict[str, list[Any]] = {name: [] for name in names}
        with hooked(model, {name: _collector(outputs[name]) for name in names}), torch.enable_grad():
            self.forward(model, self._sample(count))
        return outputs

    def _checked_plan(self, model: nn.Module, names: list[str]) -> PrefixPlan:
        """Return the plan for the modules, if a forward pass from recorded outputs equals the network's own."""
        sample, recorded = self._sample(), dict[str, Tensor]()
        with torch.no_grad():
            with hooked(model, {name: _keeper(recorded, name) for name in names}):
                expected = self.forward(model, sample)
            with stubbed(model, names) as stubs:
                needed = tuple(name for name in names if self._matters(model, stubs, recorded, name, expected))
            with training_mode(model):
                expected_live = self.forward(model, sample)
            plan = PrefixPlan(
                {name: recorded[name][0].nbytes for name in needed},
                {name: recorded[name].shape[1:] for name in names if name not in needed},
                self._work_of(model, names),
            )
            with stubbed(model, names) as stubs:
                kept = {name: Recorded.of(recorded[name]) for name in needed}
                source, rows = RecordedSource(self.source, stubs, kept, plan.unread), torch.arange(len(sample))
                calm = self.forward(model, source.batch(rows))
                with training_mode(model):
                    live = self.forward(model, source.batch(rows))
        same = torch.equal(calm, expected) and torch.equal(live, expected_live)
        return plan if same else PrefixPlan(is_different=True)

    def _matters(
        self, model: nn.Module, stubs: dict[str, Stub], recorded: dict[str, Tensor], name: str, expected: Tensor
    ) -> bool:
        for other, stub in stubs.items():
            stub.output = recorded[other].clone()
        stubs[name].output = torch.full_like(recorded[name], torch.nan)
        return not torch.equal(self.forward(model, self._sample()), expected)

    def _work_of(self, model: nn.Module, names: list[str]) -> int:
        if not self._work:
            self._work = multiplications(model, self._sample(1))
        outer = {name + "." for name in names}
        return sum(n for layer, n in self._work.items() if any((layer + ".").startswith(name) for name in outer))

    def _sample(self, count: int = _FEW) -> Tensor:
        return self.source.batch(torch.arange(count) % len(self.source))


def _frozen_modules(model: nn.Module, recipe: Recipe, depth: int, prefix: str = "") -> Iterator[str]:
    """Yield the outermost modules all of whose parameters and buffers lie in frozen blocks among the first ones."""
    for child, module in model.named_children():
        name = prefix + child
        tensors = [*module.named_parameters(), *module.named_buffers()]
        owners = [recipe.partition.enclosing(f"{name}.{tensor}") for tensor, _ in tensors]
        if all(owner is not None and owner < depth and recipe.multipliers[owner] == 0 for owner in owners):
            yield name
        else:
            yield from _frozen_modules(module, recipe, depth, name + ".")


def _has_rows(outputs: list[Any], batch: int) -> bool:
    """Return whether a module ran once and returned one floating-point tensor with a row per image of the batch."""
    if len(outputs) != 1 or not isinstance(outputs[0], Tensor):
        return False
    return outputs[0].ndim > 1 and len(outputs[0]) == batch and outputs[0].is_floating_point()


def _is_fixed(calm: list[Any], live: list[Any]) -> bool:
    """Return whether training mode leaves the single output of a module unchanged and without gradient."""
    if len(live) != 1 or not isinstance(live[0], Tensor):
        return False
    return not live[0].requires_grad and torch.equal(calm[0], live[0])


def _is_open(calm: list[Any], live: list[Any]) -> bool:
    """Return whether to look inside a module: a list that is never called, or several fixed output tensors."""
    if not calm and not live:
        return True
    if len(calm) != 1 or len(live) != 1 or isinstance(calm[0], Tensor):
        return False
    return not any(tensor.requires_grad for tensor in _tensors(live[0]))


def _tensors(output: Any) -> Iterator[Tensor]:
    """Yield the tensors in nested sequences and mappings."""
    if isinstance(output, Tensor):
        yield output
    elif isinstance(output, Mapping):
        output = tuple(output.values())
    if isinstance(output, list | tuple):
        for item in output:
            yield from _tensors(item)


def _collector(outputs: list[Any]) -> Callable[[Any], None]:
    """Keep copies: a later in-place activation must not change the compared values."""

    def keep(output: Any) -> None:
        outputs.append(output.clone() if isinstance(output, Tensor) else output)

    return keep


def _keeper(store: dict[str, Tensor], name: str) -> Callable[[Tensor], None]:
    def keep(output: Tensor) -> None:
        store[name] = output.clone()

    return keep
