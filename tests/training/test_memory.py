"""Bytes of a training step, counted by hand on a network of two linear layers."""

import errno

import pytest
import torch
from torch import nn

from biotune.machine import is_lack_of_memory
from biotune.training.memory import fitting, step_bytes

FLOAT = 4
BATCH, INPUTS, HIDDEN, CLASSES = 8, 3 * 2 * 2, 10, 5
FIRST, SECOND = INPUTS * HIDDEN + HIDDEN, HIDDEN * CLASSES + CLASSES
LOGITS_KEPT = BATCH * CLASSES + 1
"""Cross-entropy keeps the log-softmax and the total weight of the batch; labels are counted apart."""


def network() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(INPUTS, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, CLASSES))


@pytest.mark.parametrize(
    ("first_is_trained", "optimizer", "states", "activations"),
    [
        (True, "adam", 2, BATCH * INPUTS + BATCH * HIDDEN),  # the input and the output of the ReLU
        (True, "sgd", 1, BATCH * INPUTS + BATCH * HIDDEN),
        (False, "adam", 2, BATCH * HIDDEN),  # the input of the trained layer alone
    ],
)
def test_a_step_by_hand(first_is_trained, optimizer, states, activations):
    model = network()
    model[1].requires_grad_(first_is_trained)
    images, labels = torch.randn(BATCH, 3, 2, 2), torch.zeros(BATCH, dtype=torch.int64)
    trained = SECOND + (FIRST if first_is_trained else 0)
    expected = FLOAT * (FIRST + SECOND + (1 + states) * trained + activations + LOGITS_KEPT) + 8 * BATCH
    assert step_bytes(model, images, labels, optimizer) == expected


def test_nothing_is_changed():
    model = nn.Sequential(nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, 2)).eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    step_bytes(model, torch.randn(4, 3, 2, 2), torch.zeros(4, dtype=torch.int64), "adam")
    assert not model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


class SmallMemory:
    """A network's forward pass on a device with room for few images: a larger batch is refused, as PyTorch does it."""

    def __init__(self, room: int, error: Exception) -> None:
        self.room, self.error, self.tried = room, error, []

    def __call__(self, model: nn.Module, images: torch.Tensor) -> torch.Tensor:
        self.tried.append(len(images))
        if len(images) > self.room:
            raise self.error
        return model(images)


FULL = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


@pytest.mark.parametrize(
    ("room", "tried", "fits"), [(32, [32], 32), (31, [32, 16], 16), (5, [32, 16, 8, 4], 4), (0, [32, 16, 8, 4, 2], 1)]
)
def test_the_largest_part_of_a_batch_that_fits(room, tried, fits):
    model, memory = network(), SmallMemory(room, FULL)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert fitting(model, torch.randn(32, 3, 2, 2), "adam", memory) == fits
    assert memory.tried == tried
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_other_errors_of_a_step_are_not_taken_for_want_of_memory():
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        fitting(network(), torch.randn(4, 3, 3, 3), "adam", SmallMemory(9, FULL))


def test_what_the_system_says_where_memory_is_short():
    """The real thing: no machine has 2^60 bytes."""
    with pytest.raises(RuntimeError) as refused:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_lack_of_memory(refused.value)
    assert is_lack_of_memory(MemoryError())
    assert is_lack_of_memory(FULL)
    assert not is_lack_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not is_lack_of_memory(ValueError("out of memory"))
    assert is_lack_of_memory(RuntimeError("could not create a primitive"))  # oneDNN, under a limit of memory
    assert is_lack_of_memory(ImportError("x.so: failed to map segment from shared object"))
    assert is_lack_of_memory(OSError(errno.ENOMEM, "Cannot allocate memory"))
    assert not is_lack_of_memory(RuntimeError("could not create a primitive descriptor for a matmul"))
