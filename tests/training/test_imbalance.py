"""Unequal classes: weights by hand, balanced draws, and what a training makes of them."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight
from torch import nn

from biotune.settings.sections import TrainingConfig
from biotune.training.imbalance import balanced, class_weights, cross_entropy, shuffled
from biotune.training.scoring import predict_logits, record_of
from biotune.training.trainer import Plan, TrainingData

RARE = np.array([0] * 30 + [1] * 8 + [2] * 2)
LABELS = st.lists(st.integers(0, 4), min_size=1, max_size=60).map(np.array)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([0, 0, 0, 1], [4 / 6, 4 / 2]),
        ([0, 1, 2], [1, 1, 1]),
        ([2, 0, 0], [3 / 4, 0, 3 / 2]),
    ],
)
def test_weights_by_hand(labels, expected):
    assert class_weights(np.array(labels)).tolist() == pytest.approx(expected)


@given(LABELS)
def test_weights_are_scikit_learns_and_their_mean_over_the_images_is_one(labels):
    weights = class_weights(labels).numpy()
    present = np.unique(labels)
    np.testing.assert_allclose(weights[present], compute_class_weight("balanced", classes=present, y=labels), rtol=1e-6)
    assert weights[labels].mean() == pytest.approx(1, rel=1e-6)


def test_the_loss_is_divided_by_the_number_of_images():
    """Equal logits cost ln 2 each; torch's own weighted mean would give ln 2 again."""
    weights = torch.tensor([2 / 3, 2.0])
    loss = cross_entropy(torch.zeros(2, 2), torch.tensor([0, 1]), weights)
    assert loss.item() == pytest.approx(math.log(2) * (2 / 3 + 2) / 2)


def test_without_weights_the_loss_is_torchs_to_the_bit():
    logits, labels = torch.randn(9, 3, generator=torch.Generator().manual_seed(0)), torch.arange(9) % 3
    assert torch.equal(cross_entropy(logits, labels), nn.functional.cross_entropy(logits, labels))


@given(labels=LABELS, seed=st.integers(0, 3), epoch=st.integers(0, 3))
def test_every_class_gives_as_many_draws_as_the_others_up_to_one(labels, seed, epoch):
    indices = np.arange(len(labels)) * 2
    spread = np.repeat(labels, 2)
    drawn = balanced(indices, spread, seed, epoch)
    counts = np.bincount(spread[drawn])[np.unique(labels)]
    assert len(drawn) == len(indices)
    assert set(drawn) <= set(indices)
    assert counts.max() - counts.min() <= 1


def test_a_class_is_used_up_before_it_repeats():
    """Forty draws, thirteen or fourteen for each class: of 30 images without repetition, 8 once or twice, 2 often."""
    drawn = balanced(np.arange(40), RARE, 3, 1)
    uses = np.bincount(drawn, minlength=40)
    assert sorted(np.bincount(RARE[drawn])) == [13, 13, 14]
    assert set(uses[:30]) == {0, 1}
    assert set(uses[30:38]) == {1, 2}
    assert min(uses[38:]) >= 6


def test_draws_depend_on_seed_and_epoch_and_are_mixed():
    first = balanced(np.arange(40), RARE, 3, 1)
    assert first.tolist() == balanced(np.arange(40), RARE, 3, 1).tolist()
    assert first.tolist() != balanced(np.arange(40), RARE, 4, 1).tolist()
    assert first.tolist() != balanced(np.arange(40), RARE, 3, 2).tolist()
    assert len(set(RARE[first[:10]])) == 3


def train(problem, imbalance: str, **changes):
    """Train on unequal classes: 14 of the first, 8 of the second, 2 of the third."""
    labels = problem.data.labels
    train = np.sort(np.concatenate([np.flatnonzero(labels == name)[:count] for name, count in enumerate((14, 8, 2))]))
    data = TrainingData(problem.source, labels, train, problem.data.validation)
    config = TrainingConfig(imbalance=imbalance, limit_batch=False, optimizer="sgd", learning_rate=0.1, **changes)
    return data, problem.fit(config, Plan(seed=1, epochs=1), data=data)


def test_a_step_with_weights_is_that_of_the_weighted_sum(make_problem):
    problem, reference = (make_problem(mask=lambda i, n: 1.0) for _ in range(2))
    data, result = train(problem, "weights", batch_size=24)
    order = shuffled(data.train, 1, 0)
    reference.model.train()
    logits = reference.model(reference.source.batch(torch.from_numpy(order)))
    labels = torch.from_numpy(data.labels[order])
    each = nn.functional.cross_entropy(logits, labels, reduction="none")
    loss = sum(each[labels == name].sum() * 24 / (3 * count) for name, count in enumerate((14, 8, 2))) / 24
    loss.backward()
    with torch.no_grad():
        for parameter in reference.model.parameters():
            parameter.sub_(0.1 * parameter.grad)
    expected, found = dict(reference.model.named_parameters()), dict(problem.model.named_parameters())
    assert result.curve[0].train_loss == pytest.approx(loss.item(), rel=1e-5)
    assert all(torch.allclose(found[name], expected[name], atol=1e-6) for name in expected)


def test_validation_is_not_weighted(make_problem):
    problem = make_problem()
    data, result = train(problem, "weights", batch_size=8)
    logits = predict_logits(problem.model, data.source, data.validation)
    plain, _ = record_of(logits, data.labels[data.validation], 0, result.curve[0].train_loss, TrainingConfig())
    assert result.curve[0] == plain


def test_sampling_trains_on_balanced_draws(make_problem):
    problem, announced = make_problem(), []
    problem.source.expect = announced.append
    data, _ = train(problem, "sampling", batch_size=8)
    drawn = np.concatenate(announced[0])  # of the epoch; then those of its validation
    assert drawn.tolist() == balanced(data.train, data.labels, 1, 0).tolist()
    assert np.bincount(data.labels[drawn]).tolist() == [8, 8, 8]
