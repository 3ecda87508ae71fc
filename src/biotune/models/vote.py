"""The vote of several networks: the mean of their probabilities; and the files of all but the first of them."""

import copy
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from biotune.errors import DamagedStateError
from biotune.models.loaded_model import forward_logits
from biotune.runs.unfinished import digest

_OF = "of"
"""The one entry of a member's file, since safetensors writes several in any order: the digest of the network that it
belongs to, a space, and the key of its training."""


class Vote(nn.Module):
    """Networks that vote: the logarithm of the mean of their probabilities, in float32.

    The result takes the place of logits: its softmax is the mean probability of each class. Weights are never averaged.

    Args:
        networks: at least one, all with the same classes in the same order.
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, images: Tensor) -> Tensor:
        """Return log-probabilities, shape (batch, classes), of images, shape (batch, 3, height, width)."""
        logs = [torch.log_softmax(forward_logits(network, images).float(), dim=1) for network in self.networks]
        return torch.logsumexp(torch.stack(logs), dim=0) - math.log(len(logs))


def member_content(state: Mapping[str, Tensor], exported: bytes, key: str) -> bytes:
    """Return the content of a member's file: the tensors that differ from those of the exported network.

    Args:
        state: all tensors of the member, on the CPU.
        exported: content of ``model.safetensors``.
        key: of the member's training.

    Returns:
        A safetensors file that names the exported network by its digest, and the training.
    """
    first = safetensors.torch.load(exported)
    changed = {name: tensor for name, tensor in state.items() if not torch.equal(tensor, first[name])}
    return safetensors.torch.save(changed, {_OF: f"{digest(exported)} {key}"})


def voting(network: nn.Module, exported: bytes, members: Sequence[Path]) -> nn.Module:
    """Return the networks of a run: the exported one, in a ``Vote`` if others vote with it.

    Args:
        network: of the run's architecture; changed in place.
        exported: content of ``model.safetensors``.
        members: files of the others.

    Returns:
        In evaluation mode.

    Raises:
        DamagedStateError: as ``load_member``.
    """
    network.load_state_dict(safetensors.torch.load(exported))
    if not members:
        return network.eval()
    others = [copy.deepcopy(network) for _ in members]
    for other, path in zip(others, members, strict=True):
        other.load_state_dict(load_member(path, exported))
    return Vote([network, *others]).eval()


def is_member(path: Path, exported: bytes, key: str) -> bool:
    """Return whether a member's file is there, and belongs to the exported network and to a training."""
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            return (file.metadata() or {}) == {_OF: f"{digest(exported)} {key}"}
    except (OSError, safetensors.SafetensorError):
        return False


def load_member(path: Path, exported: bytes) -> dict[str, Tensor]:
    """Return all tensors of a member.

    Raises DamagedStateError: the file is missing or damaged, or belongs to another exported network.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            of, *_ = (file.metadata() or {}).get(_OF, "").split(" ")
        changed = safetensors.torch.load_file(path)
    except (OSError, safetensors.SafetensorError) as error:
        raise DamagedStateError(f"'{path}' is missing or damaged ({error}); run the same command again.") from None
    if of != digest(exported):
        raise DamagedStateError(f"'{path}' belongs to another network than the exported one; delete it and run again.")
    return {**safetensors.torch.load(exported), **changed}
