"""Trainings that fail: bad results of candidates, and the end of a run where others would fail too."""

import time
from dataclasses import replace

import pytest
import torch

from biotune.errors import BioTuneError, InputError
from biotune.executors import Hooks
from biotune.records import Evaluation
from biotune.trials.failures import MOST_FAILURES, Failures, why
from biotune.trials.weights import KeptWeights
from trials.tiny_tasks import FULL, LATE

OK = Evaluation("ok", 0.5)
BROKEN = Evaluation("error", 0.0, cause="Traceback (most recent call last):\n  ...\nValueError: too wide\n")
TRIED = replace(FULL, keep_weights=False)
FINAL = replace(FULL, keep_weights=True)


def failing(worker, error: BaseException, steps: int = 0):
    """Let the network of a worker raise an error at a training step, until the hook is removed."""
    left = [steps]

    def fail(_model, _inputs) -> None:
        if torch.is_grad_enabled():
            left[0] -= 1
            if left[0] < 0:
                raise error

    return worker.model.register_forward_pre_hook(fail)


@pytest.mark.parametrize("kind", [RuntimeError, ValueError, TypeError, AssertionError, ZeroDivisionError])
def test_an_error_of_the_network_is_a_bad_result_and_the_next_one_trains(worker, kind):
    expected = worker().evaluate(LATE)
    there = worker()
    hook = failing(there, kind("a fault"), steps=1)
    failed = there.evaluate(FULL)
    assert (failed.outcome, failed.fitness, failed.curve) == ("error", 0.0, ())
    assert failed.reason == f"{kind.__name__}: a fault"
    assert "in fail" in failed.cause
    assert Evaluation.from_json(failed.to_json()) == failed
    assert not there.weights.has(FULL)
    hook.remove()
    found = there.evaluate(LATE)
    assert (found.outcome, found.curve) == ("ok", expected.curve)


@pytest.mark.parametrize("error", [InputError("wrong"), OSError(5, "Input/output error"), KeyboardInterrupt()])
def test_what_concerns_all_trainings_is_raised(worker, error):
    there = worker()
    failing(there, error)
    with pytest.raises(type(error)):
        there.evaluate(FULL)


def test_weights_that_cannot_be_written_are_no_fault_of_the_training(worker, monkeypatch):
    there = worker()

    def fail(self, task, state, pretrained) -> None:
        raise RuntimeError("no room")

    monkeypatch.setattr(KeptWeights, "save", fail)
    with pytest.raises(RuntimeError, match="no room"):
        there.evaluate(FINAL)


def test_a_training_that_takes_too_long_ends_at_a_step(worker):
    there = worker({"compute": {"training_timeout": 0.5}}, hooks=Hooks(on_epoch=lambda _task, _epoch: time.sleep(0.2)))
    failed = there.evaluate(FULL)
    assert (failed.outcome, failed.fitness, failed.curve) == ("timeout", 0.0, failed.curve)
    assert 0.5 < failed.seconds < 30


def test_a_training_in_time_is_what_it_is_without_a_limit(worker):
    expected, found = (worker({"compute": {"training_timeout": limit}}).evaluate(FULL) for limit in (0.0, 3600.0))
    assert (found.outcome, found.curve) == ("ok", expected.curve)


def test_three_in_a_row_that_fail_in_the_same_way_end_the_run():
    failures = Failures()
    for one in (
        BROKEN,
        BROKEN,
        OK,
        BROKEN,
        Evaluation("oom", 0.0),
        BROKEN,
        replace(BROKEN, cause="KeyError: 1"),
        BROKEN,
    ):
        failures.count(TRIED, one)
    failures.count(TRIED, replace(BROKEN, seconds=3.0))
    with pytest.raises(BioTuneError) as caught:
        failures.count(TRIED, BROKEN)
    assert str(caught.value) == "3 trainings in a row failed: ValueError: too wide"
    assert caught.value.exit_code == 1
    assert caught.value.__notes__ == [BROKEN.cause]


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        ("oom", "3 trainings in a row ran out of memory; .* smaller --batch-size"),
        ("timeout", "3 trainings in a row took longer than --training-timeout; .* with a longer one, or with none"),
        ("killed", r"the processes of 3 trainings in a row died, .* \(exit code -9\); .* fewer --workers"),
    ],
)
def test_what_the_machine_ends_is_no_fault_of_biotune(outcome, words):
    failures, one = Failures(), Evaluation(outcome, 0.0, cause="exit code -9" if outcome == "killed" else "")
    for _ in range(MOST_FAILURES - 1):
        failures.count(TRIED, one)
    with pytest.raises(InputError, match=words):
        failures.count(TRIED, one)


def test_a_final_training_that_fails_ends_the_run_unless_memory_is_short():
    for one in (BROKEN, Evaluation("timeout", 0.0), Evaluation("killed", 0.0, cause="exit code -9")):
        with pytest.raises(BioTuneError, match="a final training"):
            Failures().count(FINAL, one)
    Failures().count(FINAL, Evaluation("oom", 0.0))


def test_diverging_is_no_failure_of_this_kind():
    failures = Failures()
    for _ in range(2 * MOST_FAILURES):
        failures.count(FINAL, Evaluation("diverged", 0.0))
    assert why(Evaluation("diverged", 0.0)) == why(OK) == ""
    assert why(BROKEN) == "ValueError: too wide"
