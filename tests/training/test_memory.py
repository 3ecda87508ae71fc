"""Bytes of a training step, counted by hand on a network of two linear layers."""

import pytest
import torch
from torch import nn

from biotune.training.memory import step_bytes

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
