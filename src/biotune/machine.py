"""The share of this machine that the process may use, and errors that say that it is used up."""

import os


def num_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_REFUSALS = (
    *("out of memory", "can't allocate memory", "cannot allocate memory", "not enough memory"),
    *("can't start new thread", "failed to map segment"),
)
"""What libraries say where they have no error of their own: PyTorch on a CPU, some libraries of a GPU, the system."""
_PRIMITIVE = "could not create a primitive"
"""All that oneDNN says where it gets no memory; with more words behind, it means an operation that it lacks."""


def is_lack_of_memory(error: BaseException) -> bool:
    """Return whether an error says that there was no memory left, or none for another thread."""
    text = str(error).strip().lower()
    is_said = text == _PRIMITIVE or any(words in text for words in _REFUSALS)
    return isinstance(error, MemoryError) or (isinstance(error, (RuntimeError, ImportError, OSError)) and is_said)
