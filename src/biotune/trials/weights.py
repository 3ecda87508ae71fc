"""Weights of finished trainings that are kept: only the tensors that differ from the pretrained ones, with a digest."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from biotune.errors import DamagedStateError
from biotune.records import Task
from biotune.runs.files import make_folder, tidy, write_atomic

_DIGEST_BYTES = 32  # of a SHA-256, in front of the safetensors content


class KeptWeights:
    """The weights that trainings of a run have left.

    Args:
        folder: made when the first ones are saved.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, task: Task) -> Path:
        """Return where the weights of a task lie."""
        return self.folder / f"{task.key}.weights"

    def has(self, task: Task) -> bool:
        """Return whether the weights of a task are there and whole."""
        return self._content(task) is not None

    def save(self, task: Task, state: Mapping[str, Tensor], pretrained: Mapping[str, Tensor]) -> None:
        """Keep every tensor of a network that differs from the pretrained ones."""
        changed = {name: tensor for name, tensor in state.items() if not torch.equal(tensor, pretrained[name])}
        content = safetensors.torch.save(portable(changed))
        make_folder(self.folder)
        write_atomic(self.path(task), hashlib.sha256(content).digest() + content)

    def load(self, task: Task) -> dict[str, Tensor]:
        """Return the tensors that a task left, by name, on the CPU.

        Raises DamagedStateError: they are missing, or differ from their digest.
        """
        content = self._content(task)
        if content is None:
            raise DamagedStateError(f"'{self.path(task)}' is missing or damaged; run the same command again.")
        return safetensors.torch.load(content)

    def remove(self, task: Task) -> None:
        """Delete the weights of a task, if there are any; what cannot be deleted goes at the end, with the folder."""
        tidy(self.path(task))

    def _content(self, task: Task) -> bytes | None:
        if not self.path(task).exists():
            return None
        stored = self.path(task).read_bytes()
        digest, content = stored[:_DIGEST_BYTES], stored[_DIGEST_BYTES:]
        return content if hashlib.sha256(content).digest() == digest else None


def portable(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return copies on the CPU: tied tensors share their memory, which safetensors refuses."""
    return {name: tensor.cpu().clone(memory_format=torch.contiguous_format) for name, tensor in state.items()}
