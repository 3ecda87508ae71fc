"""Hooks that receive the outputs of modules, and stubs that replace modules and return recorded outputs."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn

from biotune.frozen import Held


class Stub:
    """Replaces a module's forward and returns the output that was put here for the current batch.

    Args:
        forward: the module's own forward, used for batches without such an output.
    """

    def __init__(self, forward: Callable[..., Any]) -> None:
        self.output: Tensor | None = None
        self._forward = forward

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """Return the output that was put here, ignoring the arguments; else the module's own output."""
        return self._forward(*inputs, **options) if self.output is None else self.output


@contextmanager
def stubbed(model: nn.Module, names: Iterable[str]) -> Iterator[dict[str, Stub]]:
    """Replace the forward of modules while the context lasts; everything else about them stays readable.

    Their training mode stays fixed too: switching a large prefix twice an epoch takes longer than some steps.
    """
    modules = {name: model.get_submodule(name) for name in names}
    stubs = {name: Stub(module.forward) for name, module in modules.items()}
    held = {name: vars(module).get("train") for name, module in modules.items()}
    try:
        for name, module in modules.items():
            module.forward = stubs[name]
            module.__dict__["train"] = Held(module)
        yield stubs
    finally:
        for name, module in modules.items():
            del module.forward
            module.__dict__.pop("train", None)  # a new stage may have removed it
            if held[name] is not None:  # the mode of frozen modules may have been held before
                module.__dict__["train"] = held[name]


@contextmanager
def hooked(model: nn.Module, receivers: Mapping[str, Callable[[Any], None]]) -> Iterator[None]:
    """Give each named module's output to its receiver while the context lasts."""
    with ExitStack() as stack:
        for name, receive in receivers.items():
            stack.callback(model.get_submodule(name).register_forward_hook(_calling(receive)).remove)
        yield


def _calling(receive: Callable[[Any], None]) -> Callable[[nn.Module, Any, Any], None]:
    def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
        receive(output)

    return hook
