"""The global generator of torch, which a process has once, for one thread at a time."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

_LOCK = threading.RLock()


@contextmanager
def own_generator(devices: Sequence[torch.device] = ()) -> Iterator[None]:
    """Keep other threads from drawing random numbers by biotune, and restore the random state afterwards.

    Args:
        devices: GPUs whose random state is restored too.

    Yields:
        None: the generator may be seeded within.
    """
    with _LOCK, torch.random.fork_rng(devices=list(devices)):
        yield
