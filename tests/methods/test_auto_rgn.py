"""AutoRGN: ratios by hand, gradients of a linear model by formula, and measuring without a trace."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from biotune.methods import FineTuningMethod, Network, Signals, make_method
from biotune.methods.auto_rgn import SMALLEST, normalised_ratios
from biotune.partition import Block, make_partition
from biotune.training import trainer
from biotune.training.imbalance import shuffled
from biotune.training.stages import prepared
from biotune.training.trainer import Plan, TrainingData, fit
from small_network import CONFIG, Case, changed, copies
from steps import watched

NORMS = {"a": 5.0, "b": 2.0}
GRADIENTS = [
    {"a": torch.tensor([6.0, 8.0]), "b": torch.tensor([1.0])},
    {"a": torch.tensor([0.0, 0.0]), "b": torch.tensor([-2.0])},
]


def test_ratios_by_hand():
    """a: (10 + 0) / 5 = 2; b: (1 + 2) / 2 = 1.5; over the largest: 1 and 0.75."""
    assert normalised_ratios(GRADIENTS, NORMS) == pytest.approx({"a": 1.0, "b": 0.75})


@given(scale=st.integers(-40, 40), more=st.integers(1, 4))
def test_ratios_do_not_depend_on_the_scale_of_the_loss(scale, more):
    scaled = [{name: gradient * 2.0**scale for name, gradient in row.items()} for row in GRADIENTS]
    assert normalised_ratios(scaled * more, NORMS) == pytest.approx(normalised_ratios(GRADIENTS, NORMS), rel=1e-6)
    assert max(normalised_ratios(scaled, NORMS).values()) == 1.0


@pytest.mark.parametrize(
    ("norms", "expected"),
    [
        ({**NORMS, "new bias": 0.0}, {"a": 1.0, "b": 0.75, "new bias": 1.0}),
        ({**NORMS, "unreached": 3.0}, {"a": 1.0, "b": 0.75, "unreached": SMALLEST}),
        ({"a": 0.0, "b": 0.0}, {"a": 1.0, "b": 1.0}),
        ({"unreached": 3.0}, {"unreached": 1.0}),
    ],
)
def test_tensors_without_norm_or_gradient(norms, expected):
    assert normalised_ratios(GRADIENTS, norms) == pytest.approx(expected)


def test_gradients_that_are_not_finite_leave_the_verdict_to_training():
    broken = [{"a": torch.tensor([math.nan]), "b": torch.tensor([1.0])}]
    assert normalised_ratios(broken, NORMS) == {"a": 1.0, "b": 1.0}


class Linear(nn.Module):
    """Softmax regression on the mean colour."""

    def __init__(self) -> None:
        super().__init__()
        self.classifier = nn.Linear(3, 2)

    def forward(self, images):
        return self.classifier(images.mean((2, 3)))


class Colours:
    """Four images of one pixel."""

    values = torch.tensor([[1.0, 0.0, 2.0], [0.0, -1.0, 1.0], [3.0, 1.0, 0.0], [-1.0, 2.0, 1.0]])

    def expect(self, parts):
        """Everything is there."""

    def batch(self, indices):
        return self.values[indices][:, :, None, None]


def test_multipliers_of_a_linear_model_follow_its_known_gradients():
    """For the mean cross-entropy: gradient of W = mean of (p - y) x^T, gradient of b = mean of (p - y)."""
    model, labels = Linear(), np.array([0, 1, 1, 0])
    weight, bias = np.array([[1.0, -1.0, 0.5], [0.0, 2.0, -0.5]]), np.array([0.25, -0.75])
    with torch.no_grad():
        model.classifier.weight.copy_(torch.tensor(weight))
        model.classifier.bias.copy_(torch.tensor(bias))
    shapes = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    network = Network(make_partition([Block("head", ("classifier",))], shapes), ("classifier",), shapes)
    case = Case()
    method = case.noted(make_method("auto_rgn:batches=2,rate=3", network))
    config = CONFIG.model_copy(update={"batch_size": 2})
    data = TrainingData(Colours(), labels, np.arange(4), np.arange(4))
    with prepared(model, method, config, 0) as scope:
        fit(model, method, scope, data, config, Plan(0, 1))

    sizes = np.zeros(2)
    for part in trainer.batches(shuffled(np.arange(4), 0, 0), 2):
        inputs, truth = Colours.values.numpy()[part].astype(float), np.eye(2)[labels[part]]
        exponents = np.exp(inputs @ weight.T + bias)
        error = (exponents / exponents.sum(1, keepdims=True) - truth) / len(part)
        sizes += [np.linalg.norm(error.T @ inputs), np.linalg.norm(error.sum(0))]
    relative = sizes / [np.linalg.norm(weight), np.linalg.norm(bias)]
    assert scope.partition.names == ("classifier.weight", "classifier.bias")
    assert case.stages[0].recipe.multipliers == pytest.approx(3 * relative / relative.max(), rel=1e-5)


def test_batch_norms_are_left_out_by_type():
    case = Case()
    with prepared(case.model, case.method("auto_rgn"), CONFIG, 0) as scope:
        groups = dict(zip(scope.partition.names, scope.multipliers, strict=True))
    assert {name for name, value in groups.items() if value == 0} == {"stem.1", "norm"}
    assert {name for name, value in groups.items() if value > 0} == {
        name for name, _ in case.model.named_parameters() if not name.startswith(("stem.1", "norm"))
    }


@pytest.mark.parametrize(("text", "resets"), [("auto_rgn", [False, True, True]), ("auto_rgn:reset=false", [False] * 3)])
def test_the_optimiser_starts_again_in_every_epoch_if_asked(text, resets):
    case, steps = Case(), []
    with watched(lambda used: steps.append(max(int(state["step"]) for state in used.state.values()))):
        case.fit(text)
    assert [stage.reset for stage in case.stages] == resets
    assert steps == [1, 2, 3] * 3 if resets[1] else list(range(1, 10))


class Measuring(FineTuningMethod):
    """Full fine-tuning that looks at gradients and does nothing with them."""

    def stage(self, epoch, signals):
        assert len(list(signals.gradients(2))) == 2
        return super().stage(epoch, signals)


def test_measuring_leaves_no_trace():
    """Without dropout, which draws random numbers, training goes on as if nothing had been measured."""
    plain, measured = Case(), Case()
    plain.model.drop.p = measured.model.drop.p = 0.0
    plain.fit("full")
    measured.fit("", method=Measuring(measured.network, Measuring.Options()))
    assert not changed(copies(plain.model), measured.model.state_dict())


def test_a_tensor_that_starts_at_zero_slows_no_other_one_when_it_has_moved():
    """After its first step its norm is tiny, and its relative gradient norm would be the largest by far."""
    case = Case()
    with torch.no_grad():
        case.model.classifier.bias.zero_()
    method = case.method("auto_rgn")
    scope = method.prepare(case.model)
    place = {name: index for index, name in enumerate(scope.partition.names)}
    gradients = [{name: torch.ones_like(parameter) for name, parameter in case.model.named_parameters()}]

    def multipliers(epoch):
        signals = Signals(scope, 3, (), lambda _count: iter(gradients))
        return method.stage(epoch, signals).recipe.multipliers

    before = multipliers(0)
    with torch.no_grad():
        case.model.classifier.bias.fill_(1e-3)
    assert multipliers(1) == before
    assert before[place["classifier.bias"]] == 1.0
    assert max(value for name, value in zip(place, before, strict=True) if name != "classifier.bias") == 1.0
