"""What optimisers do in a test, step by step, through the hook that PyTorch has for it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_post_hook


@contextmanager
def watched(note: Callable[[Optimizer], None]) -> Iterator[None]:
    """Call a function with the optimiser after each of its steps."""
    handle = register_optimizer_step_post_hook(lambda optimizer, _arguments, _options: note(optimizer))
    try:
        yield
    finally:
        handle.remove()
