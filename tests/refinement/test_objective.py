"""What is improved: counted for many vectors at once, equal to the metric of each."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from biotune.metrics import CALIBRATION, METRICS, cost_metric
from biotune.refinement import Objective
from biotune.refinement.objective import WORST, predicted
from biotune.refinement.outputs import Part


class Table:
    """Outputs that ignore the weights: vector i gives logits i."""

    def __init__(self, logits: np.ndarray, rows: int = 7) -> None:
        self._logits = torch.from_numpy(logits).float()
        self._rows = rows
        self.num_images = logits.shape[1]

    def parts(self, vectors: np.ndarray) -> Iterator[Part]:
        chosen = self._logits[vectors[:, 0].astype(int)]
        for start in range(0, self.num_images, self._rows):
            rows = slice(start, min(start + self._rows, self.num_images))
            yield Part(slice(0, len(vectors)), rows, chosen[:, rows].transpose(1, 2).contiguous())


def numbers(count: int) -> np.ndarray:
    return np.arange(count, dtype=np.float64)[:, None]


COSTS = np.random.default_rng(2).integers(0, 9, (6, 6)).astype(np.float64)
MEASURES = {**METRICS, "calibration": CALIBRATION, "costs": cost_metric(COSTS)}


@pytest.mark.parametrize("metric", MEASURES)
@pytest.mark.parametrize("num_parts", [1, 3])
def test_the_fitness_is_the_mean_of_the_metric_over_the_parts(metric, num_parts):
    draw = np.random.default_rng(1)
    logits, labels = draw.normal(size=(4, 50, 6)).astype(np.float32), draw.integers(0, 5, 50)
    parts = [np.arange(40)[start::num_parts] for start in range(num_parts)]  # the last ten images do not count
    objective = Objective(MEASURES[metric], labels, 6, parts)
    sign = -1 if MEASURES[metric].is_loss else 1
    expected = [
        sign * np.mean([MEASURES[metric].value(row[part].astype(np.float64), labels[part]) for part in parts])
        for row in logits
    ]

    found = objective.fitness(Table(logits), numbers(4))

    assert found == pytest.approx(expected, abs=1e-6)
    assert objective.value(found[0]) == pytest.approx(sign * expected[0], abs=1e-6)


def test_by_hand():
    logits = np.array([[[0.0, np.log(3)], [0.0, np.log(3)], [np.log(3), 0.0], [0.0, np.log(3)]]])
    labels, everything = np.array([1, 1, 0, 0]), [np.arange(4)]

    def value(metric: str) -> float:
        return Objective(METRICS[metric], labels, 2, everything).fitness(Table(logits), numbers(1))[0]

    assert value("log_loss") == pytest.approx((3 * np.log(3 / 4) + np.log(1 / 4)) / 4)
    assert value("accuracy") == 0.75
    assert value("macro") == 0.75
    assert value("f1") == pytest.approx((2 / 3 + 4 / 5) / 2)


@given(st.lists(st.lists(st.integers(-2, 2), min_size=4, max_size=4), min_size=1, max_size=20))
def test_a_prediction_is_the_first_of_the_largest_logits(rows):
    logits = torch.tensor(rows).float()  # few values, so many ties

    assert torch.equal(predicted(logits.T[None])[0].long(), torch.from_numpy(logits.numpy().argmax(1)))


def test_what_is_not_finite_is_worst():
    logits = np.full((2, 3, 2), np.nan)
    logits[1] = 0.0
    found = Objective(METRICS["log_loss"], np.zeros(3, dtype=np.int64), 2, [np.arange(3)]).fitness(
        Table(logits), numbers(2)
    )

    assert found.tolist() == [WORST, pytest.approx(-np.log(2))]
