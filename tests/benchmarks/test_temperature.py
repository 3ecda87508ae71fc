"""The measurement of temperatures: the least log-loss by hand, and a finished run as it is."""

import math

import numpy as np
import pytest

from benchmarks.temperature import measure, temperature
from biotune.scored import evaluate_run


def test_the_temperature_of_least_log_loss():
    """Three of four answers are right, so their probability should be 3/4: 2 / T = ln 3."""
    logits = np.array([[2.0, 0.0]] * 4)
    assert temperature(logits, np.array([0, 0, 0, 1])) == pytest.approx(2 / math.log(3), abs=1e-3)


def test_as_it_is_the_vote_is_that_of_evaluate(finished, images):
    rows = measure(finished.folder)
    answered = evaluate_run(finished.folder, images).answered
    expected = -np.log(answered.probabilities[np.arange(len(answered.labels)), answered.labels]).mean()
    assert (rows[0].name, rows[0].temperature) == ("as it is", 1.0)
    assert rows[0].log_loss == pytest.approx(expected, abs=1e-5)
    assert min(rows, key=lambda row: row.log_loss).name == "best on the test"
    assert all(row.temperature > 0 for row in rows)
