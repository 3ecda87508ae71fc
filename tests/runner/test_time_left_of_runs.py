"""The time that a run says is left, phase by phase, on trainings that pretend to take a second each."""

import re

import pytest

from biotune.errors import InterruptedRunError
from biotune.runs.events import Message, Progress
from biotune.runs.status import run_status
from pretended import keep_weights, pretend, scored
from tiny import run, tiny_config

SMALL = {
    "search": {"population": 4, "generations": 1, "rungs": (1.0,)},
    "final": {"seeds": 2, "candidates": 2, "baselines": ()},
}
"""Nine candidates (4, then 1 elite again and 4 children), then four trainings of the final phase."""


def one_second(worker, task):
    if task.keep_weights:
        keep_weights(worker, task)
    return scored(0.5 + sum(task.recipe.multipliers if task.recipe else ()) / 1000)


@pytest.fixture
def heard(images, tmp_path, monkeypatch, no_report):
    """What such a run tells; it may be stopped by a sentence."""
    pretend(monkeypatch, one_second)
    events = []

    def do(*changes, until: str = "$^") -> list:
        def observe(event) -> None:
            events.append(event)
            if isinstance(event, Message) and re.match(until, event.text):
                raise InterruptedRunError("stopped.")

        run(tiny_config(images, SMALL, *changes), tmp_path / "run", observer=observe)
        return events

    return do


def test_it_goes_down_with_every_training(heard):
    events = [event for event in heard() if isinstance(event, Progress) and event.phase in ("probe", "search", "final")]
    search = [event.seconds_left for event in events if event.phase == "search"]
    final = [event.seconds_left for event in events if event.phase == "final"]
    assert [event.seconds_left for event in events if event.phase == "probe"] == [None]
    assert search[1] == pytest.approx(8 + 4, abs=0.2)  # the first one measures the unit of cost, and is a candidate
    assert search[1:] == sorted(search[1:], reverse=True)
    assert final[-1] == pytest.approx(1.0, abs=0.2)


def test_the_unit_of_cost_is_all_that_is_known_before_the_search(heard):
    (text,) = [e.text for e in heard() if isinstance(e, Message) and e.text.startswith("One full fine-tune takes")]
    assert "The whole run will take about 12 s more." in text


def test_status_says_it_too(heard, tmp_path):
    with pytest.raises(InterruptedRunError):
        heard(until="Generation 0 ")
    status = run_status(tmp_path / "run")
    assert status.seconds_left == pytest.approx((9 - 4) + 4)
    assert "5 trainings in 5.0 s, about 9.0 s left, 4 candidates" in status.sentence()
    heard()
    assert run_status(tmp_path / "run").seconds_left is None


@pytest.mark.parametrize(
    ("budget", "left"), [({"max_evaluations": 6}, 2 + 4), ({"max_cost": 2.5}, 1 + 4), ({"max_cost": 50.0}, 5 + 4)]
)
def test_limits_shorten_it(budget, left, heard, tmp_path):
    with pytest.raises(InterruptedRunError):
        heard({"budget": budget}, until="Generation 0 ")
    assert run_status(tmp_path / "run").seconds_left == pytest.approx(left)
