"""Scores against hand-computed values and scikit-learn, and the tie-break."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, f1_score, log_loss, roc_auc_score

from biotune import metrics

LABELS = np.array([0, 0, 0, 1, 1, 2])
LOGITS = np.log(
    np.array(
        [
            [0.7, 0.2, 0.1],  # right
            [0.6, 0.3, 0.1],  # right
            [0.2, 0.7, 0.1],  # wrong
            [0.1, 0.8, 0.1],  # right
            [0.5, 0.4, 0.1],  # wrong
            [0.1, 0.1, 0.8],  # right
        ]
    )
)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("accuracy", 4 / 6),
        ("macro", (2 / 3 + 1 / 2 + 1) / 3),
        ("f1", (2 * 2 / (2 * 2 + 1 + 1) + 2 * 1 / (2 * 1 + 1 + 1) + 1) / 3),
        ("log_loss", (0.7 * 0.6 * 0.2 * 0.8 * 0.4 * 0.8) ** (1 / 6)),
        ("auroc", (8 / 9 + 7 / 8 + 1) / 3),  # pairs in the wrong order: 0.2 < 0.5 of class 0, 0.4 < 0.7 of class 1
        # class 0 stands at ranks 1, 2 and 4, class 1 at 1 and 3, class 2 at 1
        ("average_precision", ((1 + 1 + 3 / 4) / 3 + (1 + 2 / 3) / 2 + 1) / 3),
        # answers 0 0 1 1 0 2: by chance 3/6 * 3/6 + 2/6 * 2/6 + 1/6 * 1/6 = 14/36 are right; scaled from [-1, 1]
        ("kappa", (1 + (4 / 6 - 14 / 36) / (1 - 14 / 36)) / 2),
    ],
)
def test_hand_values(name, expected):
    assert metrics.METRICS[name].selection_score(LOGITS, LABELS) == pytest.approx(expected)


def test_the_calibration_error_by_hand():
    """Answers of probability 0.7 (one of two right), 0.6 (right), 0.8 (both right) and 0.5 (wrong)."""
    gaps = abs(1 - 2 * 0.7), abs(1 - 0.6), abs(2 - 2 * 0.8), abs(0 - 0.5)

    assert metrics.calibration_error(LOGITS, LABELS) == pytest.approx(sum(gaps) / 6)
    sure = np.where(np.eye(3)[LABELS] > 0, 50.0, -50.0)
    assert metrics.calibration_error(sure, LABELS) == pytest.approx(0)
    assert metrics.calibration_error(-sure, LABELS) == pytest.approx(0.5)  # two answers are equally likely, both wrong


def test_the_calibration_error_takes_equally_wide_bins():
    """Right half the time at 0.61 and 0.65, one bin of a fifteenth: 0.13; at 0.61 and 0.71, two bins: 0.32."""
    for second, expected in ((0.65, abs(1 - 0.61 - 0.65) / 2), (0.71, ((1 - 0.61) + 0.71) / 2)):
        logits = np.log(np.array([[0.61, 0.39], [second, 1 - second]]))
        assert metrics.calibration_error(logits, np.array([0, 1])) == pytest.approx(expected)


def test_the_mean_cost_by_hand():
    costs = np.array([[0.0, 1.0, 2.0], [3.0, 0.0, 4.0], [5.0, 6.0, 0.0]])

    assert metrics.cost_metric(costs).value(LOGITS, LABELS) == pytest.approx((1 + 3) / 6)
    assert metrics.cost_metric(1 - np.eye(3)).value(LOGITS, LABELS) == pytest.approx(2 / 6)


def test_the_calibrated_loss_of_a_hand_computed_case():
    """Two classes, logits 0 and a: three right answers and one wrong one are best met by a / T = ln 3."""
    logits, labels = np.tile([0.0, 5.0], (4, 1)), np.array([1, 1, 1, 1])
    logits[3] = [5.0, 0.0]
    assert metrics.calibrated_loss(metrics.calibrated(logits, labels), labels) == pytest.approx(
        -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    )


@pytest.mark.parametrize("seed", range(5))
def test_the_calibrated_loss_knows_no_temperature_and_counts_every_class_alike(seed):
    logits, labels = random_problem(seed)
    found = metrics.calibrated_loss(metrics.calibrated(logits, labels), labels)
    assert metrics.calibrated_loss(metrics.calibrated(logits * 3, labels), labels) == pytest.approx(found, abs=1e-4)
    twice = np.concatenate([logits, logits[labels == 2]]), np.concatenate([labels, labels[labels == 2]])
    assert metrics.calibrated_loss(metrics.calibrated(*twice), twice[1]) == pytest.approx(found, abs=1e-4)
    present = [labels == label for label in np.unique(labels)]
    assert found <= np.mean([metrics.cross_entropy(logits[rows], labels[rows]) for rows in present]) + 1e-6


def random_problem(seed: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    return generator.normal(size=(40, 4)) * 3, generator.integers(0, 4, 40)


@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_scikit_learn(seed):
    logits, labels = random_problem(seed)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert metrics.macro_accuracy(logits, labels) == pytest.approx(
        balanced_accuracy_score(labels, logits.argmax(axis=1))
    )
    assert metrics.macro_f1(logits, labels) == pytest.approx(f1_score(labels, logits.argmax(axis=1), average="macro"))
    assert metrics.auroc(logits, labels) == pytest.approx(roc_auc_score(labels, probabilities, multi_class="ovr"))
    assert metrics.cross_entropy(logits, labels) == pytest.approx(log_loss(labels, probabilities))


def test_macro_accuracy_leaves_out_classes_that_do_not_occur():
    """Class 0: 2 of 3 right; class 1 does not occur; class 2: 0 of 1 right."""
    logits = np.eye(3)[[0, 0, 1, 1]]
    assert metrics.macro_accuracy(logits, np.array([0, 0, 0, 2])) == pytest.approx(1 / 3)


def test_large_logits_do_not_overflow():
    logits = np.array([[1e4, 0.0], [0.0, 1e4]])
    assert metrics.cross_entropy(logits, np.array([0, 1])) == pytest.approx(0.0)
    assert metrics.cross_entropy(logits, np.array([1, 0])) == pytest.approx(1e4)
    assert metrics.METRICS["log_loss"].selection_score(logits, np.array([1, 0])) == 0.0


@pytest.mark.parametrize("name", metrics.METRICS)
def test_a_class_without_images_does_no_harm(name):
    value = metrics.METRICS[name].selection_score(LOGITS[:5], LABELS[:5])
    assert 0 < value < 1


def test_one_class_alone_has_no_ranking():
    assert math.isnan(metrics.auroc(LOGITS[:3], LABELS[:3]))
    assert math.isnan(metrics.average_precision(LOGITS[:3], LABELS[:3]))
    assert math.isnan(metrics.kappa(LOGITS[:2], LABELS[:2]))
    assert metrics.METRICS["auroc"].selection_score(LOGITS[:3], LABELS[:3]) == 0.0


@pytest.mark.parametrize("name", metrics.METRICS)
def test_the_selection_score_can_be_taken_back(name):
    """Curves hold selection scores; tables show values."""
    metric = metrics.METRICS[name]
    score = metric.selection_score(LOGITS, LABELS)
    assert 0 < score < 1
    assert metric.from_selection_score(score) == pytest.approx(metric.value(LOGITS, LABELS))


def test_values_are_written_in_per_cent_and_losses_as_they_are():
    assert metrics.METRICS["auroc"].write(0.8743) == "87.4\N{NO-BREAK SPACE}%"
    assert metrics.METRICS["log_loss"].write(0.8743) == "0.874"
    assert metrics.METRICS["log_loss"].write(math.inf) == metrics.METRICS["f1"].write(None) == "\N{EN DASH}"


def test_a_score_below_zero_is_scaled_for_selection():
    """Kappa: from [-1, 1] to [0, 1], so that worse than chance is still ordered."""
    kappa = metrics.Metric("kappa", "agreement beyond chance", lambda _logits, _labels: -0.12, lowest=-1)
    assert kappa.selection_score(LOGITS, LABELS) == pytest.approx(0.44)
    assert kappa.from_selection_score(0.44) == pytest.approx(-0.12)
    assert kappa.write(-0.12) == "\N{MINUS SIGN}0.120"
    assert kappa.scale == ""


def test_bits_are_those_of_the_formulas_written_out():
    """Fitness is compared bit by bit: what SciPy and scikit-learn give must be what the formulas gave."""
    generator = np.random.default_rng(0)
    for classes in range(2, 12):
        logits = generator.normal(size=(97, classes)) * 5
        labels = generator.integers(0, classes, 97)
        shifted = logits - logits.max(axis=1, keepdims=True)
        expected = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        right, counts = logits.argmax(axis=1) == labels, np.bincount(labels)
        recalls = np.bincount(labels, right)[counts > 0] / counts[counts > 0]
        assert np.array_equal(metrics.log_softmax(logits), expected)
        assert metrics.macro_accuracy(logits, labels) == recalls.mean()


def test_accuracy_macro_accuracy_and_the_chosen_metric_are_reported():
    assert metrics.reported("macro") == metrics.reported("accuracy") == ("accuracy", "macro")
    assert metrics.reported("f1") == ("accuracy", "macro", "f1")


@pytest.mark.parametrize(("metric", "expected"), [("accuracy", 1 / 6), ("macro", 1 / 18), ("f1", 1 / 6)])
def test_what_one_image_is_worth(metric, expected):
    """Classes of 3, 2 and 1 images: recalls are thirds, halves and whole, so their sum is in sixths, their mean / 3."""
    assert metrics.one_image([LABELS], metric) == pytest.approx(expected)


def test_the_smallest_difference_of_means_over_several_sets():
    """Scores in quarters and in sixths: their sum is in twelfths."""
    assert metrics.one_image([np.zeros(4, dtype=int), np.zeros(6, dtype=int)], "accuracy") == pytest.approx(1 / 12)


def test_the_smallest_difference_never_vanishes():
    sizes = [23, 29, 31, 37, 41, 43, 47]
    assert metrics.one_image([np.repeat(range(7), sizes)], "macro") == metrics.SMALLEST_STEP


def test_the_tie_break_follows_its_formula():
    assert metrics.fitness(0.5, 3.0, 0.1) == pytest.approx(0.5 - 0.05 * 3 / 4)
    assert metrics.fitness(0.5, 3.0, 0.0) == 0.5
    assert metrics.fitness(0.0, 3.0, 0.1) == 0.0


@given(
    counts=st.lists(st.integers(1, 30), min_size=2, max_size=6),
    losses=st.tuples(st.floats(0, 1e6), st.floats(0, 1e6)),
    metric=st.sampled_from(["accuracy", "macro"]),
    data=st.data(),
)
def test_the_tie_break_never_reverses_a_difference(counts, losses, metric, data):
    """Whatever the losses, the better score is better; with equal scores the smaller loss is."""
    hits = [[data.draw(st.integers(0, count)) for count in counts] for _ in range(2)]
    labels = np.repeat(np.arange(len(counts)), counts)
    step = metrics.one_image([labels], metric)

    def exact(right: list[int]) -> Fraction:
        if metric == "accuracy":
            return Fraction(sum(right), sum(counts))
        return sum((Fraction(r, n) for r, n in zip(right, counts, strict=True)), Fraction(0)) / len(counts)

    def fitness(right: list[int], loss: float) -> float:
        answers = np.concatenate([np.arange(n) < r for r, n in zip(right, counts, strict=True)])
        logits = np.eye(len(counts))[np.where(answers, labels, (labels + 1) % len(counts))]
        return metrics.fitness(metrics.METRICS[metric].selection_score(logits, labels), loss, step)

    lower, higher = sorted(hits, key=exact)
    if exact(higher) - exact(lower) >= metrics.SMALLEST_STEP:
        assert fitness(higher, losses[0]) > fitness(lower, losses[1])
    elif exact(higher) == exact(lower):
        assert fitness(lower, min(losses)) >= fitness(higher, max(losses)) - 1e-15  # the sums are rounded


@given(st.floats(0, 1), st.floats(0, 1e300), st.floats(0, 0.5))
def test_fitness_stays_in_the_unit_interval(score, loss, step):
    assert 0.0 <= metrics.fitness(score, loss, step) <= 1.0
    assert math.isfinite(metrics.fitness(score, loss, step))
