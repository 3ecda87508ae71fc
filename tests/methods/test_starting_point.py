"""L1-SP and L2-SP on two weights, by hand."""

import pytest
import torch
from torch import nn

from biotune.methods import Network, make_method
from biotune.methods.starting_point import pretrained_kernels
from biotune.partition import Block, make_partition

START = [[1.0, -2.0]]


class TwoWeights(nn.Module):
    """Two pretrained weights with a bias and a norm, and a fresh classifier of two weights."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(2, 1)
        self.norm = nn.BatchNorm1d(1)
        self.classifier = nn.Linear(1, 2)
        with torch.no_grad():
            self.body.weight.copy_(torch.tensor(START))
            self.classifier.weight.copy_(torch.tensor([[2.0], [-1.0]]))


def prepared(text: str, away=(0.0, 0.0)):
    """Return the network, moved away from its start, and the method that remembers the start."""
    model = TwoWeights()
    shapes = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    buffers = tuple(name for name, _ in model.named_buffers())
    blocks = [Block("body", ("body", "norm")), Block("head", ("classifier",))]
    method = make_method(text, Network(make_partition(blocks, shapes, buffers), ("classifier",), shapes, buffers))
    scope = method.prepare(model)
    assert scope == method.outline()
    with torch.no_grad():
        model.body.weight.add_(torch.tensor([away]))
        model.body.bias.add_(5.0)
        model.norm.weight.add_(5.0)
    return model, method


@pytest.mark.parametrize(
    ("text", "away", "penalty", "body", "head"),
    [
        ("l2_sp:alpha=0.1,beta=0.01", (0.5, -0.25), 0.05 * 0.3125 + 0.005 * 5, (0.05, -0.025), (0.02, -0.01)),
        ("l2_sp:alpha=0.1,beta=0.01", (0.0, 0.0), 0.005 * 5, (0.0, 0.0), (0.02, -0.01)),
        ("l2_sp:alpha=2,beta=0", (0.5, -0.25), 0.3125, (1.0, -0.5), (0.0, 0.0)),
        ("l2_sp", (1.0, 0.0), 0.005 + 0.005 * 5, (0.01, 0.0), (0.02, -0.01)),
        ("l1_sp:alpha=0.1,beta=0.01", (0.5, -0.25), 0.1 * 0.75 + 0.005 * 5, (0.1, -0.1), (0.02, -0.01)),
        ("l1_sp:alpha=0.1,beta=0.01", (0.0, 0.0), 0.005 * 5, (0.0, 0.0), (0.02, -0.01)),
        ("l1_sp:alpha=0.1,beta=0,proximal=true", (0.5, -0.25), 0.0, (0.0, 0.0), (0.0, 0.0)),
        ("l1_sp", (3.0, 0.0), 3e-4 + 0.005 * 5, (1e-4, 0.0), (0.02, -0.01)),
    ],
)
def test_penalty_and_gradient_by_hand(text, away, penalty, body, head):
    """L2: a/2 d^2 + b/2 w^2, gradients a d and b w. L1: a |d|, gradient a sign(d). Biases and norms are free."""
    model, method = prepared(text, away)
    model.zero_grad()
    value = method.penalty(model) + 0.0 * sum(parameter.sum() for parameter in model.parameters())
    value.backward()
    assert value.item() == pytest.approx(penalty, rel=1e-6)
    assert model.body.weight.grad.tolist()[0] == pytest.approx(body)
    assert model.classifier.weight.grad.flatten().tolist() == pytest.approx(head)
    assert [model.body.bias.grad.item(), model.norm.weight.grad.item()] == [0.0, 0.0]
    assert model.classifier.bias.grad.tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("text", "rate", "away", "expected"),
    [
        ("l1_sp:alpha=1,proximal=true", 0.25, (0.5, -0.125), (1.25, -2.0)),
        ("l1_sp:alpha=1,proximal=true", 0.125, (-0.5, -0.5), (0.625, -2.375)),
        ("l1_sp:alpha=2,rate=0.5,proximal=true", 0.25, (0.25, -0.5), (1.0, -2.25)),
        ("l1_sp:alpha=1", 0.25, (0.5, -0.125), (1.5, -2.125)),
    ],
)
def test_the_proximal_step_by_hand(text, rate, away, expected):
    """Threshold = rate x alpha: nearer weights are exactly their start again, others come nearer by as much."""
    model, method = prepared(text, away)
    before = [model.classifier.weight.clone(), model.body.bias.clone()]
    method.after_step(model, rate)
    assert tuple(model.body.weight.tolist()[0]) == expected
    assert torch.equal(model.classifier.weight, before[0])
    assert torch.equal(model.body.bias, before[1])


def test_only_kernels_outside_the_classifier_are_pulled():
    model, method = prepared("l2_sp")
    assert list(pretrained_kernels(model, method.network)) == ["body.weight"]
