"""Activations of a frozen prefix, computed once and shared by every training that freezes it.

Each outermost module without trained tensors that no trained block feeds gets a stub for its forward, which returns
its recorded output, for any network: which outputs are needed is found by running with poisoned values. Nothing is
cached where a module runs more than once, returns something other than one tensor, differs between training and
evaluation mode (dropout before it, say), or does not fit the budget.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from biotune.recipe import Recipe
from biotune.training.sources import Indices, InputSource, PixelSource

FILL_BATCH = 64
"""Images per forward when activations are recorded: fixed, since other batch sizes round differently."""

Forward = Callable[[nn.Module, Tensor], Tensor]


class _Stub:
    """Takes the place of a module's forward and returns the recorded output of the current batch."""

    def __init__(self) -> None:
        self.output: Tensor | None = None

    def __call__(self, *_inputs: Any, **_options: Any) -> Tensor | None:
        return self.output


class PrefixCache:
    """Outputs of frozen modules for all images of a source, kept within a byte budget.

    Args:
        source: the images.
        budget_bytes: outputs of one recipe that need more than this are not cached; the least recently used go first.
        forward: runs a network on a batch and returns its logits.
        check: called between fill batches; may raise to stop.
    """

    def __init__(
        self, source: PixelSource, budget_bytes: int, forward: Forward, check: Callable[[], None] = lambda: None
    ) -> None:
        self.source = source
        self.budget_bytes = budget_bytes
        self.forward = forward
        self.check = check
        self._outputs: OrderedDict[str, Tensor] = OrderedDict()
        self._needed: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._shapes: dict[str, torch.Size] = {}

    @property
    def used_bytes(self) -> int:
        """Bytes held now."""
        return sum(output.nbytes for output in self._outputs.values())

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
        names = self._recordable(model, recipe) if self.budget_bytes else ()
        needed = self._needed_of(model, names) if names else ()
        if not needed or not self._fits(model, needed):
            yield self.source
            return
        self._record(model, needed)
        with _stubbed(model, names) as stubs:
            recorded = {stubs[name]: self._outputs[name] for name in needed}
            unread = {stubs[name]: self._shapes[name] for name in names if name not in needed}
            yield _RecordedSource(self.source, recorded, unread)

    def _recordable(self, model: nn.Module, recipe: Recipe) -> tuple[str, ...]:
        """Return the outermost modules without trained tensors that run once, and alike in both modes, on fixed input.

        Running in training mode shows what dropout or live batch statistics reach; the buffers it changes are restored.
        """
        names = list(_fixed_modules(model, recipe))
        buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
        calm = self._outputs_of(model.eval(), names)
        with torch.random.fork_rng(devices=[]):
            live = self._outputs_of(model.train(), names)
        model.eval()
        with torch.no_grad():
            for name, buffer in model.named_buffers():
                buffer.copy_(buffers[name])
        return tuple(name for name in names if _is_fixed(calm[name], live[name]))

    def _outputs_of(self, model: nn.Module, names: list[str]) -> dict[str, list[Any]]:
        outputs: dict[str, list[Any]] = {name: [] for name in names}
        with _hooked(model, {name: _collector(outputs[name]) for name in names}), torch.enable_grad():
            self.forward(model, self._sample())
        return outputs

    def _needed_of(self, model: nn.Module, names: tuple[str, ...]) -> tuple[str, ...]:
        """Return the modules whose output something other than a recorded module reads."""
        if names not in self._needed:
            sample, recorded = self._sample(), dict[str, Tensor]()
            with torch.no_grad():
                with _hooked(model, {name: _keeper(recorded, name) for name in names}):
                    expected = self.forward(model, sample)
                self._shapes.update({name: output.shape[1:] for name, output in recorded.items()})
                with _stubbed(model, names) as stubs:
                    needed = tuple(name for name in names if self._matters(model, stubs, recorded, name, expected))
            self._needed[names] = needed
        return self._needed[names]

    def _matters(
        self, model: nn.Module, stubs: dict[str, _Stub], recorded: dict[str, Tensor], name: str, expected: Tensor
    ) -> bool:
        for other, stub in stubs.items():
            stub.output = recorded[other].clone()
        stubs[name].output = torch.full_like(recorded[name], torch.nan)
        return not torch.equal(self.forward(model, self._sample()), expected)

    def _fits(self, model: nn.Module, needed: tuple[str, ...]) -> bool:
        sizes = dict[str, int]()
        with torch.no_grad(), _hooked(model, {name: _sizer(sizes, name) for name in needed}):
            self.forward(model, self._sample())
        return sum(sizes.values()) * len(self.source) <= self.budget_bytes

    def _record(self, model: nn.Module, needed: tuple[str, ...]) -> None:
        """Make sure that the outputs of all images are there; the prefix is pretrained, so they never go stale."""
        for name in needed:
            if name in self._outputs:
                self._outputs.move_to_end(name)
        missing = [name for name in needed if name not in self._outputs]
        if not missing:
            return
        filled = dict[str, Tensor]()
        count = len(self.source)
        parts = [np.arange(start, min(start + FILL_BATCH, count)) for start in range(0, count, FILL_BATCH)]
        self.source.expect(parts)
        for part in parts:
            self.check()
            rows = torch.from_numpy(part)
            with torch.no_grad(), _hooked(model, {n: _filler(filled, n, rows, count) for n in missing}):
                self.forward(model, self.source.batch(rows))
        self._outputs.update(filled)
        while self.used_bytes > self.budget_bytes:
            oldest = next(name for name in self._outputs if name not in needed)
            del self._outputs[oldest]

    def _sample(self) -> Tensor:
        return self.source.batch(torch.arange(min(2, len(self.source))))


class _RecordedSource:
    """Puts the recorded outputs of a batch into the stubs; what nothing reads is a placeholder of the right shape."""

    def __init__(self, source: PixelSource, recorded: dict[_Stub, Tensor], unread: dict[_Stub, torch.Size]) -> None:
        self._recorded = recorded
        self._unread = unread
        self._device = source.device
        self._shape = torch.Size(source.input_shape)
        self._placeholders: dict[tuple[int, torch.Size], Tensor] = {}

    def batch(self, indices: Tensor) -> Tensor:
        """Return a placeholder input; the stubs hold the real activations."""
        for stub, output in self._recorded.items():
            rows = output[indices.to(output.device)]
            stub.output = rows.movedim(-1, 1) if rows.ndim == 4 else rows
        for stub, shape in self._unread.items():
            stub.output = self._placeholder(len(indices), shape)
        return self._placeholder(len(indices), self._shape)

    def expect(self, parts: Sequence[Indices]) -> None:
        """Do nothing: everything is recorded."""
        del parts

    def _placeholder(self, count: int, shape: torch.Size) -> Tensor:
        key = (count, shape)
        if key not in self._placeholders:
            self._placeholders[key] = torch.zeros(count, *shape, device=self._device)
        return self._placeholders[key]


def _fixed_modules(model: nn.Module, recipe: Recipe, prefix: str = "") -> Iterator[str]:
    """Yield the outermost modules all of whose parameters and buffers lie in frozen blocks (or that have none)."""
    for child, module in model.named_children():
        name = prefix + child
        tensors = [*module.named_parameters(), *module.named_buffers()]
        if all(recipe.is_frozen(f"{name}.{tensor}") for tensor, _ in tensors):
            yield name
        else:
            yield from _fixed_modules(module, recipe, name + ".")


def _is_fixed(calm: list[Any], live: list[Any]) -> bool:
    """Return whether a module ran once and gave one tensor that training neither changes nor sends a gradient to."""
    if len(calm) != 1 or len(live) != 1 or not isinstance(calm[0], Tensor) or not isinstance(live[0], Tensor):
        return False
    return not live[0].requires_grad and calm[0].ndim > 1 and torch.equal(calm[0], live[0])


@contextmanager
def _hooked(model: nn.Module, receivers: dict[str, Callable[[Any], Any]]) -> Iterator[None]:
    """Give each named module's output to its receiver while the context lasts."""
    with ExitStack() as stack:
        for name, receive in receivers.items():
            stack.callback(model.get_submodule(name).register_forward_hook(_calling(receive)).remove)
        yield


def _calling(receive: Callable[[Any], Any]) -> Callable[[nn.Module, Any, Any], None]:
    def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
        receive(output)

    return hook


@contextmanager
def _stubbed(model: nn.Module, names: tuple[str, ...]) -> Iterator[dict[str, _Stub]]:
    """Replace the forward of modules while the context lasts; all else of them stays readable."""
    modules = {name: model.get_submodule(name) for name in names}
    stubs = {name: _Stub() for name in names}
    try:
        for name, module in modules.items():
            module.forward = stubs[name]
        yield stubs
    finally:
        for module in modules.values():
            del module.forward


def _collector(outputs: list[Any]) -> Callable[[Any], None]:
    """Keep copies: a later in-place activation must not change what is compared."""

    def keep(output: Any) -> None:
        outputs.append(output.clone() if isinstance(output, Tensor) else output)

    return keep


def _keeper(store: dict[str, Tensor], name: str) -> Callable[[Tensor], None]:
    def keep(output: Tensor) -> None:
        store[name] = output.clone()

    return keep


def _sizer(sizes: dict[str, int], name: str) -> Callable[[Tensor], None]:
    def measure(output: Tensor) -> None:
        sizes[name] = output[0].nbytes

    return measure


def _filler(store: dict[str, Tensor], name: str, rows: Tensor, count: int) -> Callable[[Tensor], None]:
    """Store one batch of outputs; maps lie channels-last so that their batches need no copy."""

    def fill(output: Tensor) -> None:
        values = output.movedim(1, -1) if output.ndim == 4 else output
        if name not in store:
            store[name] = torch.empty((count, *values.shape[1:]), dtype=values.dtype, device=values.device)
        store[name][rows.to(values.device)] = values

    return fill
