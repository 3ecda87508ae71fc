"""Logistic regression as the weights of a classifier: scikit-learn is the oracle."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from biotune.datasets.folds import stratified_folds
from biotune.methods import logistic
from biotune.methods.logistic import ABSENT, PENALTIES, WITHOUT_FOLDS, choose_c, fit_logistic


def problem(num_images=60, num_features=5, num_classes=3, seed=0):
    """Features of very different means and spreads, one of them constant, whose classes overlap."""
    random = np.random.default_rng(seed)
    labels = np.arange(num_images) % num_classes
    features = random.normal(size=(num_images, num_features)) + 1.5 * np.eye(num_classes, num_features)[labels]
    features = features * 10.0 ** np.arange(-2, num_features - 2) + 7
    features[:, -1] = 4.0
    return features.astype(np.float32), labels


def softmax(logits):
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def probabilities(head, features):
    return softmax(features.astype(np.float64) @ head.weight.T + head.bias)


def oracle(features, labels, c, weights=None):
    scaler = StandardScaler().fit(features.astype(np.float64))
    model = LogisticRegression(C=c, max_iter=10_000, tol=1e-9)
    model.fit(scaler.transform(features.astype(np.float64)), labels, sample_weight=weights)
    return model.predict_proba(scaler.transform(features.astype(np.float64)))


@pytest.mark.parametrize("num_classes", [2, 3, 4])
@pytest.mark.parametrize("num_features", [5, 90])
def test_the_folded_weights_give_the_probabilities_of_scikit_learn(num_classes, num_features, monkeypatch):
    """Also with more features than images, where they are rotated."""
    features, labels = problem(num_features=5, num_classes=num_classes)
    if num_features > 5:
        features = np.hstack([features, np.random.default_rng(1).normal(size=(60, 85)).astype(np.float32)])
    monkeypatch.setattr(logistic, "TOLERANCE", 1e-9)
    monkeypatch.setattr(logistic, "ITERATIONS", 10_000)
    head = fit_logistic(features, labels, num_classes, c=0.1)
    assert head.c == 0.1
    assert probabilities(head, features) == pytest.approx(oracle(features, labels, 0.1), abs=1e-6)


def test_a_problem_by_hand():
    """Two images, one feature that is -1 and 1 once standardised.

    For C = 1 the slope v of the difference of the two logits solves v = 2 / (1 + e^v), v = 0.67483. The two classes
    get half of it each, over a standard deviation of 3.
    """
    head = fit_logistic(np.array([[2.0], [8.0]]), np.array([0, 1]), 2, c=1.0)
    slope = 0.674832
    assert slope == pytest.approx(2 / (1 + np.exp(slope)), abs=1e-5)
    assert head.weight == pytest.approx(np.array([[-slope / 6], [slope / 6]]), abs=1e-4)
    assert head.bias == pytest.approx([5 * slope / 6, -5 * slope / 6], abs=1e-3)


def test_what_never_changes_has_no_weight():
    features, labels = problem()
    assert np.array_equal(fit_logistic(features, labels, 3, c=1.0).weight[:, -1], np.zeros(3))


def test_weights_of_images_are_those_of_scikit_learn():
    features, labels = problem()
    weights = np.where(labels == 0, 2.5, 0.25)
    head = fit_logistic(features, labels, 3, weights=weights, c=0.1)
    assert probabilities(head, features) == pytest.approx(oracle(features, labels, 0.1, weights), abs=2e-3)


def test_c_is_the_one_of_least_held_out_loss():
    """Against five plain fits for each C, in the same folds."""
    features, labels = problem(40, 6)
    x = StandardScaler().fit_transform(features.astype(np.float64))
    losses = []
    for c in PENALTIES:
        total = 0.0
        for part in stratified_folds(labels, np.arange(40), 5, 7):
            rest = np.setdiff1d(np.arange(40), part)
            model = LogisticRegression(C=c, max_iter=5000, tol=1e-8).fit(x[rest], labels[rest])
            total -= model.predict_log_proba(x[part])[np.arange(len(part)), labels[part]].sum()
        losses.append(total)
    best = int(np.argmin(losses))
    assert 0 < best < len(PENALTIES) - 1
    assert fit_logistic(features, labels, 3, seed=7).c == PENALTIES[best]


def test_the_seed_decides_everything():
    features, labels = problem()
    first, again = (fit_logistic(features, labels, 3, seed=3) for _ in range(2))
    assert np.array_equal(first.weight, again.weight)
    assert np.array_equal(first.bias, again.bias)
    assert (first.c, first.loss) == (again.c, again.loss)


def test_a_group_is_never_in_two_folds():
    labels, groups, seen = np.arange(24) % 3, np.arange(24) // 2, []

    def path(train, held_out):
        assert not set(groups[train]) & set(groups[held_out])
        seen.extend(held_out)
        return np.arange(len(PENALTIES), 0.0, -1.0)

    assert choose_c(labels, groups, 0, path) == PENALTIES[-1]
    assert sorted(seen) == list(range(24))


def test_an_image_whose_class_is_nowhere_else_does_not_count():
    labels, seen = np.array([0] * 10 + [1] * 10 + [2]), []

    def path(train, held_out):
        seen.extend(held_out)
        return np.zeros(len(PENALTIES))

    assert choose_c(labels, None, 0, path) == PENALTIES[0]
    assert sorted(seen) == list(range(20))


@pytest.mark.parametrize("labels", [[0, 1, 2], [0, 0, 0], [1]])
def test_without_images_to_hold_out_c_is_fixed(labels):
    features = np.random.default_rng(0).normal(size=(len(labels), 4))
    head = fit_logistic(features, np.array(labels), 3)
    assert head.c == WITHOUT_FOLDS
    assert np.isfinite(head.loss)
    assert (features @ head.weight.T + head.bias).argmax(1).tolist() == labels


def test_a_class_of_one_image_is_learnt_and_one_without_is_unlikely():
    features, labels = problem(21)
    labels = np.where(np.arange(21) == 0, 3, np.where(labels == 2, 1, labels))
    head = fit_logistic(features, labels, 5)
    chances = probabilities(head, features)
    assert chances[0, 3] > chances[1:, 3].max()
    assert not head.weight[[2, 4]].any()
    rarest = head.bias[[0, 1, 3]] + head.weight[[0, 1, 3]] @ features.mean(0, dtype=np.float64)
    assert head.bias[[2, 4]] == pytest.approx(rarest.min() - ABSENT)


def test_the_loss_is_what_was_minimised():
    """Mean cross-entropy and |V|^2 / (2 C n), of the weights of standardised features."""
    features, labels = problem()
    head = fit_logistic(features, labels, 3, c=0.5)
    entropy = -np.log(probabilities(head, features)[np.arange(60), labels]).mean()
    penalty = ((head.weight * features.std(0, dtype=np.float64)) ** 2).sum() / (2 * 0.5 * 60)
    assert head.loss == pytest.approx(entropy + penalty, rel=1e-6)
