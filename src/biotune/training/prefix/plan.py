"""What is recorded of a network whose first blocks are frozen, found by running it.

Each outermost module without trained tensors that no trained block feeds gets a stub for its forward, which returns
its recorded output, for any network: which outputs are needed is found by running with poisoned values. A frozen
module that returns several tensors, or is a mere list, is opened, and those inside it get stubs. Nothing is recorded of
a module that runs more than once or differs between training and evaluation mode (dropout before it, say). Before it is
used, a forward from recorded outputs must equal the network's own, in both modes and bit for bit.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from biotune.recipe import Recipe
from biotune.training.precision import Forward, training_mode
from biotune.training.prefix.outputs import Recorded, RecordedSource
from biotune.training.prefix.stubs import Stub, hooked, stubbed
from biotune.training.sources import PixelSource
from biotune.training.work import multiplications

FILL_BATCH = 64
"""Images per forward when activations are recorded: fixed, since other batch sizes round differently."""

_FEW = 2
"""Images of the forwards that show what can be recorded."""


@dataclass(frozen=True)
class PrefixPlan:
    """What is recorded of a network whose first blocks are frozen.

    Args:
        needed: bytes for one image of the modules whose outputs something else reads; none if nothing is recorded.
        unread: shape, without the batch, of the outputs of all other modules that get a stub.
        work: multiplications for one image that need not be done.
        is_different: whether the logits would not be the network's own bit for bit, so that nothing is recorded.
    """

    needed: Mapping[str, int] = field(default_factory=dict)
    unread: Mapping[str, torch.Size] = field(default_factory=dict)
    work: int = 0
    is_different: bool = False

    @property
    def image_bytes(self) -> int:
        """Bytes of the needed outputs for one image."""
        return sum(self.needed.values())


class Planner:
    """Finds out what can be recorded.

    Args:
        source: the images.
        forward: runs a network on a batch and returns its logits.
    """

    def __init__(self, source: PixelSource, forward: Forward) -> None:
        self.source = source
        self.forward = forward
        self._plans: dict[tuple[object, ...], PrefixPlan] = {}
        self._exact: dict[tuple[object, ...], bool] = {}
        self._work: dict[str, int] = {}

    def plan(self, model: nn.Module, recipe: Recipe, depth: int | None = None) -> PrefixPlan:
        """Return what is recorded for a recipe; it depends on which blocks are frozen, not on rates.

        Args:
            model: with the pretrained weights in every frozen block and the recipe applied; in evaluation mode.
            recipe: says which blocks are frozen.
            depth: only frozen blocks among the first ``depth`` ones count; by default all.

        Returns:
            The plan.
        """
        frozen = tuple(_frozen_modules(model, recipe, len(recipe.partition) if depth is None else depth))
        key = (recipe.partition.fingerprint, tuple(value > 0 for value in recipe.multipliers), frozen)
        if key not in self._plans:
            names = self._recordable(model, frozen)
            self._plans[key] = self._checked_plan(model, names) if names else PrefixPlan()
        return self._plans[key]

    def is_exact(self, model: nn.Module, plan: PrefixPlan, sizes: Collection[int]) -> bool:
        """Return whether a batch of each of these sizes gives the outputs that are recorded, bit for bit.

        They do not depend on the other images of a batch, but on its size where a library chooses its way by that: on
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
        found = self._frozen_outputs(model, plan, torch.arange(size).flip(0))
        return all(torch.equal(output, torch.cat(recorded[name])[:size].flip(0)) for name, output in found.items())

    def _frozen_outputs(self, model: nn.Module, plan: PrefixPlan, rows: Tensor) -> dict[str, Tensor]:
        outputs = dict[str, Tensor]()
        with torch.no_grad(), hooked(model, {name: _keeper(outputs, name) for name in plan.needed}):
            self.forward(model, self.source.batch(rows % len(self.source)))
        return outputs

    def _recordable(self, model: nn.Module, frozen: Collection[str]) -> list[str]:
        """Return the outermost of the frozen modules that run once, and alike in both modes, on fixed input.

        Running in training mode shows what dropout or live batch statistics reach; batches of two sizes show which
        first axes are the batch (that of a bias over the heads of an attention is not, however many there are).
        """
        names, fixed = list(frozen), list[str]()
        while names:
            calm, more = self._outputs_of(model, names, _FEW), self._outputs_of(model, names, _FEW + 1)
            with training_mode(model):
                live = self._outputs_of(model, names, _FEW)
            rowed = [name for name in names if _has_rows(calm[name], _FEW) and _has_rows(more[name], _FEW + 1)]
            found = [name for name in rowed if _is_fixed(calm[name], live[name])]
            opened = [name for name in names if name not in found and _is_open(calm[name], live[name])]
            fixed += found
            names = [f"{name}.{child}" for name in opened for child, _ in model.get_submodule(name).named_children()]
        return fixed

    def _outputs_of(self, model: nn.Module, names: list[str], count: int) -> dict[str, list[Any]]:
        outputs: dict[str, list[Any]] = {name: [] for name in names}
        with hooked(model, {name: _collector(outputs[name]) for name in names}), torch.enable_grad():
            self.forward(model, self._sample(count))
        return outputs

    def _checked_plan(self, model: nn.Module, names: list[str]) -> PrefixPlan:
        """Return what is needed of the modules, if a forward from it equals the network's own."""
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
    """Yield the outermost modules whose parameters and buffers, if any, lie in frozen ones of the first blocks."""
    for child, module in model.named_children():
        name = prefix + child
        tensors = [*module.named_parameters(), *module.named_buffers()]
        owners = [recipe.partition.enclosing(f"{name}.{tensor}") for tensor, _ in tensors]
        if all(owner is not None and owner < depth and recipe.multipliers[owner] == 0 for owner in owners):
            yield name
        else:
            yield from _frozen_modules(module, recipe, depth, name + ".")


def _has_rows(outputs: list[Any], batch: int) -> bool:
    """Return whether a module ran once and gave one tensor of numbers with a row for each image of the batch."""
    if len(outputs) != 1 or not isinstance(outputs[0], Tensor):
        return False
    return outputs[0].ndim > 1 and len(outputs[0]) == batch and outputs[0].is_floating_point()


def _is_fixed(calm: list[Any], live: list[Any]) -> bool:
    """Return whether training neither changes the one output of a module nor sends a gradient to it."""
    if len(live) != 1 or not isinstance(live[0], Tensor):
        return False
    return not live[0].requires_grad and torch.equal(calm[0], live[0])


def _is_open(calm: list[Any], live: list[Any]) -> bool:
    """Return whether to look inside a module: a list that is never called, or one that gives several fixed tensors."""
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
    """Keep copies: a later in-place activation must not change what is compared."""

    def keep(output: Any) -> None:
        outputs.append(output.clone() if isinstance(output, Tensor) else output)

    return keep


def _keeper(store: dict[str, Tensor], name: str) -> Callable[[Tensor], None]:
    def keep(output: Tensor) -> None:
        store[name] = output.clone()

    return keep
