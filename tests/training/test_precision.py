"""bfloat16: what is computed in it and what is not, that nothing else changes, and which precision is chosen."""

import time

import pytest
import torch
from torch import nn

from biotune.settings.sections import TrainingConfig
from biotune.training import precision
from biotune.training.precision import FORWARDS, faster_precision, forward_bfloat16
from biotune.training.prefix.cache import PrefixCache
from biotune.training.stages import prepared
from biotune.training.trainer import Plan

CONFIG = TrainingConfig(epochs=3, batch_size=8, limit_batch=False)
ROUNDED_AWAY = 2.0**-9
"""Added to 1, it is lost in bfloat16, which has 8 significant bits."""


def linear(*weights: float) -> nn.Module:
    layer = nn.Linear(len(weights), 1, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([weights]))
    return layer.eval()


def state_of(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def test_products_are_rounded_and_weights_are_not():
    layer, one = linear(1.0 + ROUNDED_AWAY), torch.ones(1, 1)
    logits = forward_bfloat16(layer, one)
    logits.sum().backward()

    assert logits.dtype == torch.float32
    assert logits.item() == 1.0
    assert FORWARDS["float32"](layer, one).item() == 1.0 + ROUNDED_AWAY
    assert (layer.weight.item(), layer.weight.dtype) == (1.0 + ROUNDED_AWAY, torch.float32)
    assert layer.weight.grad is not None
    assert (layer.weight.grad.item(), layer.weight.grad.dtype) == (1.0, torch.float32)


def test_small_steps_add_up():
    """Sixteen steps of 2^-10, each of which bfloat16 would round away, move the weight from 1 by 2^-6."""
    layer, one = linear(1.0), torch.ones(1, 1)
    optimizer = torch.optim.SGD(layer.parameters(), lr=2.0**-10)
    for _ in range(16):
        optimizer.zero_grad()
        forward_bfloat16(layer, one).sum().backward()
        optimizer.step()
    assert layer.weight.item() == 1.0 - 2.0**-6


def test_a_training_in_bfloat16_learns_and_leaves_frozen_blocks_alone(make_problem):
    problem = make_problem()
    before = state_of(problem.model)
    result = problem.fit(CONFIG, Plan(seed=1, epochs=3, forward=forward_bfloat16))
    names = [name for name in before if problem.recipe.partition.owner(name) == 0]

    assert names
    assert all(torch.equal(problem.model.state_dict()[name], before[name]) for name in names)
    assert all(tensor.dtype == before[name].dtype for name, tensor in problem.model.state_dict().items())
    assert result.curve[-1].validation_loss < result.curve[0].validation_loss
    exact = make_problem().fit(CONFIG, Plan(seed=1, epochs=3))
    assert result.curve != exact.curve
    assert result.curve[0].train_loss == pytest.approx(exact.curve[0].train_loss, rel=0.05)


def test_recorded_outputs_in_bfloat16_are_those_of_the_network(make_problem):
    problem = make_problem()
    rows = torch.arange(len(problem.source))
    with prepared(problem.model, problem.method(), CONFIG, 0) as scope:
        model = problem.model.eval()
        cache = PrefixCache(problem.source, 2**30, forward_bfloat16)
        with torch.no_grad():
            expected = forward_bfloat16(model, problem.source.batch(rows))
            with cache.attached(model, scope) as source:
                found = forward_bfloat16(model, source.batch(rows))
        exact = PrefixCache(problem.source, 2**30, FORWARDS["float32"])
        with exact.attached(model, scope):
            pass
    assert torch.equal(found, expected)
    assert 0 < cache.used_bytes <= exact.used_bytes / 2


def test_the_choice_leaves_no_trace(make_problem):
    problem = make_problem()
    before, random = state_of(problem.model), torch.get_rng_state()
    chosen = faster_precision(problem.model.eval(), problem.source.batch(torch.arange(8)))

    assert chosen in FORWARDS
    assert all(torch.equal(tensor, before[name]) for name, tensor in problem.model.state_dict().items())
    assert all(parameter.grad is None for parameter in problem.model.parameters())
    assert torch.equal(torch.get_rng_state(), random)
    assert not problem.model.training


@pytest.mark.parametrize(
    ("waits", "expected"),
    [
        ({"float32": 0.01}, "bfloat16"),
        ({"bfloat16": 0.01}, "float32"),
        ({"float32": 0.0105, "bfloat16": 0.01}, "float32"),
    ],
    ids=["faster", "slower", "hardly faster"],
)
def test_bfloat16_is_chosen_where_it_is_clearly_faster(waits, expected, monkeypatch):
    def waiting(name):
        def forward(model, images):
            time.sleep(waits.get(name, 0.0))
            return model(images)

        return forward

    monkeypatch.setattr(precision, "FORWARDS", {name: waiting(name) for name in FORWARDS})
    assert faster_precision(linear(1.0), torch.ones(4, 1)) == expected


def test_a_network_that_cannot_be_run_in_bfloat16_stays_in_single_precision():
    class Exact(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(1, 1)

        def forward(self, images):
            return torch.zeros(len(images), 1).index_copy_(0, torch.arange(len(images)), self.layer(images))

    model, images = Exact().eval(), torch.ones(4, 1)
    with pytest.raises(RuntimeError):
        forward_bfloat16(model, images)
    assert faster_precision(model, images) == "float32"
