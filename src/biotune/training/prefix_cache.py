"""Activations of a frozen prefix, computed once and shared by every training that freezes it.

Each outermost module without trained tensors that no trained block feeds gets a stub for its forward, which returns
its recorded output, for any network: which outputs are needed is found by running with poisoned values. A frozen
module that returns several tensors, or is a mere list, is opened, and those inside it get stubs. Nothing is recorded of
a module that runs more than once or differs between training and evaluation mode (dropout before it, say). Before it is
used, a forward from recorded outputs must equal the network's own, in both modes and bit for bit; else the cache
declines and says so, as it does where the outputs do not fit the budget.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from biotune.recipe import Recipe
from biotune.training.recorded import Recorded, RecordedSource
from biotune.training.sources import InputSource, PixelSource
from biotune.training.stubs import Stub, hooked, stubbed, training_mode

FILL_BATCH = 64
"""Images per forward when activations are recorded: fixed, since other batch sizes round differently."""

_FEW = 2
"""Images of the forwards that show what can be recorded."""

Forward = Callable[[nn.Module, Tensor], Tensor]


@dataclass(frozen=True)
class _Plan:
    """What is recorded of a network whose blocks are frozen in a certain way.

    Args:
        needed: modules whose outputs something else reads; none if nothing is recorded.
        unread: shape, without the batch, of the outputs of all other modules that get a stub.
        image_bytes: of the needed outputs for one image.
        reason: why nothing is recorded although the first block is frozen; empty if that is as it should be.
    """

    needed: tuple[str, ...] = ()
    unread: Mapping[str, torch.Size] = field(default_factory=dict)
    image_bytes: int = 0
    reason: str = ""


class PrefixCache:
    """Outputs of frozen modules for all images of a source, kept within a byte budget.

    Args:
        source: the images.
        budget_bytes: outputs of one recipe that need more than this are not cached; the least recently used go first.
        forward: runs a network on a batch and returns its logits.
        check: called between fill batches; may raise to stop.
        say: told once in a sentence why a recipe's frozen blocks are computed anew in every step.
    """

    def __init__(
        self,
        source: PixelSource,
        budget_bytes: int,
        forward: Forward,
        check: Callable[[], None] = lambda: None,
        say: Callable[[str], None] = lambda _sentence: None,
    ) -> None:
        self.source = source
        self.budget_bytes = budget_bytes
        self.forward = forward
        self.check = check
        self.say = say
        self._outputs: OrderedDict[str, Recorded] = OrderedDict()
        self._plans: dict[tuple[str, tuple[bool, ...], tuple[str, ...]], _Plan] = {}
        self._said: set[str] = set()

    @property
    def used_bytes(self) -> int:
        """Bytes held now."""
        return sum(output.values.nbytes for output in self._outputs.values())

    def covers(self, model: nn.Module, recipe: Recipe) -> bool:
        """Return whether the frozen prefix is read, not computed in every step; arguments as of ``attached``."""
        plan = self._plan(model, recipe) if self.budget_bytes else _Plan()
        return bool(plan.needed) and not self._too_large(plan)

    @contextmanager
    def attached(self, model: nn.Module, recipe: Recipe) -> Iterator[InputSource]:
        """Swap the frozen prefix of a network for recorded outputs, and put it back afterwards.

        Args:
            model: with the pretrained weights in every frozen block and the recipe applied; in evaluation mode.
            recipe: says which blocks are frozen.

        Yields:
            InputSource: of the batches that the network must be run on: this cache's, or the pixels where nothing of
            the network can be cached.
        """
        plan = self._plan(model, recipe) if self.budget_bytes else _Plan()
        reason = plan.reason or self._too_large(plan)
        if reason and reason not in self._said:
            self._said.add(reason)
            self.say(reason)
        if not plan.needed or reason:
            yield self.source
            return
        self._record(model, plan.needed)
        with stubbed(model, (*plan.needed, *plan.unread)) as stubs:
            yield RecordedSource(self.source, stubs, {name: self._outputs[name] for name in plan.needed}, plan.unread)

    def _too_large(self, plan: _Plan) -> str:
        needed = plan.image_bytes * len(self.source)
        if needed <= self.budget_bytes:
            return ""
        return (
            f"Frozen blocks are computed anew in every step of some recipes: their outputs need {needed / 2**20:,.0f} "
            f"MiB, and the cache holds {self.budget_bytes / 2**20:,.0f} (compute.prefix_cache_mib)."
        )

    def _plan(self, model: nn.Module, recipe: Recipe) -> _Plan:
        """Return what is recorded for a recipe; it depends on which blocks are frozen, not on rates."""
        frozen = tuple(_frozen_modules(model, recipe))
        key = (recipe.partition.fingerprint, tuple(value > 0 for value in recipe.multipliers), frozen)
        if key not in self._plans:
            names = self._recordable(model, frozen)
            self._plans[key] = self._checked_plan(model, names) if names else _Plan()
            if not self._plans[key].needed and recipe.multipliers[0] == 0:
                self._plans[key] = _Plan(reason=self._plans[key].reason or _NOTHING)
        return self._plans[key]

    def _recordable(self, model: nn.Module, frozen: Sequence[str]) -> list[str]:
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

    def _checked_plan(self, model: nn.Module, names: list[str]) -> _Plan:
        """Return what is needed of the modules, or why a forward from it would differ from the network's own."""
        sample, recorded = self._sample(), dict[str, Tensor]()
        with torch.no_grad():
            with hooked(model, {name: _keeper(recorded, name) for name in names}):
                expected = self.forward(model, sample)
            with stubbed(model, names) as stubs:
                needed = tuple(name for name in names if self._matters(model, stubs, recorded, name, expected))
            with training_mode(model):
                expected_live = self.forward(model, sample)
            plan = _Plan(
                needed,
                {name: recorded[name].shape[1:] for name in names if name not in needed},
                sum(recorded[name][0].nbytes for name in needed),
            )
            with stubbed(model, names) as stubs:
                kept = {name: Recorded.of(recorded[name]) for name in needed}
                source, rows = RecordedSource(self.source, stubs, kept, plan.unread), torch.arange(len(sample))
                calm = self.forward(model, source.batch(rows))
                with training_mode(model):
                    live = self.forward(model, source.batch(rows))
        same = torch.equal(calm, expected) and torch.equal(live, expected_live)
        return plan if same else _Plan(reason=_DIFFERENT)

    def _matters(
        self, model: nn.Module, stubs: dict[str, Stub], recorded: dict[str, Tensor], name: str, expected: Tensor
    ) -> bool:
        for other, stub in stubs.items():
            stub.output = recorded[other].clone()
        stubs[name].output = torch.full_like(recorded[name], torch.nan)
        return not torch.equal(self.forward(model, self._sample()), expected)

    def _record(self, model: nn.Module, needed: tuple[str, ...]) -> None:
        """Make sure that the outputs of all images are there; the prefix is pretrained, so they never go stale."""
        for name in needed:
            if name in self._outputs:
                self._outputs.move_to_end(name)
        missing = [name for name in needed if name not in self._outputs]
        if not missing:
            return
        filled = dict[str, Recorded]()
        count = len(self.source)
        for start in range(0, count, FILL_BATCH):
            self.check()
            rows = torch.arange(start, min(start + FILL_BATCH, count))
            with torch.no_grad(), hooked(model, {n: _filler(filled, n, rows, count) for n in missing}):
                self.forward(model, self.source.batch(rows))
        self._outputs.update(filled)
        while self.used_bytes > self.budget_bytes:
            oldest = next(name for name in self._outputs if name not in needed)
            del self._outputs[oldest]

    def _sample(self, count: int = _FEW) -> Tensor:
        return self.source.batch(torch.arange(count) % len(self.source))


_NOTHING = (
    "Frozen blocks are computed anew in every step of some recipes: this network has no frozen module whose output is "
    "one tensor that is the same in every step."
)
_DIFFERENT = (
    "Frozen blocks are computed anew in every step of some recipes: with recorded outputs this network's logits would "
    "not be its own bit for bit."
)


def _frozen_modules(model: nn.Module, recipe: Recipe, prefix: str = "") -> Iterator[str]:
    """Yield the outermost modules all of whose parameters and buffers lie in frozen blocks (or that have none)."""
    for child, module in model.named_children():
        name = prefix + child
        tensors = [*module.named_parameters(), *module.named_buffers()]
        if all(recipe.is_frozen(f"{name}.{tensor}") for tensor, _ in tensors):
            yield name
        else:
            yield from _frozen_modules(module, recipe, name + ".")


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


def _filler(store: dict[str, Recorded], name: str, rows: Tensor, count: int) -> Callable[[Tensor], None]:
    """Store one batch of outputs."""

    def fill(output: Tensor) -> None:
        if name not in store:
            store[name] = Recorded.room(output, count)
        store[name].put(rows, output)

    return fill
