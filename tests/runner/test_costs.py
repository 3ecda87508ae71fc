"""Costs are work, counted in multiplications over that of one full fine-tune: no clock and no load can change them."""

from dataclasses import replace

import pytest

from biotune.runs.events import Message
from pretended import pretend
from tiny import BRIEF, EARLY, run, tiny_config

PAUSED = {
    "training": {"epochs": 4},
    "search": {"rungs": (0.25, 0.5), "population": 2, "generations": 1},
    "budget": {"max_evaluations": 1},
    "final": {"seeds": 2, "baselines": ("full", "probe")},
}
"""One candidate, every block, which pauses after the first of four epochs, goes on, and pauses after the second."""


def costs(summary):
    """Return all costs of a run by the names of their parts."""
    parts = {"search": summary["search"], "final": summary["final"], **summary["baselines"]}
    return {name: part["cost_in_full_finetunes"] for name, part in parts.items() if part}


def test_costs_by_hand_where_a_candidate_pauses_early(images, no_report, tmp_path):
    """The candidate takes two of four epochs, though it trains twice. Final trainings: two seeds on 48 of 36 images."""
    summary = run(tiny_config(images, BRIEF, PAUSED), tmp_path / "run")
    assert summary["search"]["trainings"] == 2
    by_hand = {"search": 2 / 4, "final": 2 * 48 / 36, "full": 2 * 48 / 36, "probe": 2 * 48 / 36 / 3 / 4}
    assert costs(summary) == pytest.approx(by_hand)


@pytest.mark.parametrize("changes", [{}, EARLY])
def test_a_busy_machine_changes_no_cost(changes, images, no_report, tmp_path, monkeypatch):
    """Every other training takes 100 times as long, by both clocks."""
    config = tiny_config(images, BRIEF, changes, {"final": {"seeds": 2, "baselines": ("full_tuned", "linear_probe")}})
    idle = run(config, tmp_path / "idle")

    def busy(worker, task):
        found, slow = worker.evaluate(task), 100 if int(task.key, 16) % 2 else 1
        return replace(found, seconds=slow * found.seconds, cpu_seconds=slow * found.cpu_seconds)

    pretend(monkeypatch, busy)
    loaded = run(config, tmp_path / "busy")
    assert costs(loaded) == costs(idle)
    assert all(costs(idle).values())


def test_a_training_with_planned_epochs_needs_no_unit_to_be_measured(images, no_report, tmp_path):
    """Without a search: two seeds on 48 of 36 images. Where trainings stop early, nobody knows what one would take."""
    method = {"method": {"name": "full"}}
    planned = run(tiny_config(images, BRIEF, method, {"final": {"seeds": 2}}), tmp_path / "planned")
    early = run(tiny_config(images, BRIEF, method, EARLY), tmp_path / "early")
    assert costs(planned) == pytest.approx({"final": 2 * 48 / 36})
    assert costs(early) == {"final": None}
    assert planned["full_finetune_seconds"] is planned["full_finetune_cpu_seconds"] is None


def test_the_seconds_of_both_clocks_are_those_of_the_trainings(images, no_report, tmp_path, monkeypatch):
    """Two trainings of the search, a second and three CPU seconds each; two final ones; the unit has four epochs."""
    pretend(monkeypatch, lambda worker, task: replace(worker.evaluate(task), seconds=1.0, cpu_seconds=3.0))
    heard = []
    summary = run(tiny_config(images, BRIEF, PAUSED), tmp_path / "run", observer=heard.append)
    for part in (summary["search"], summary["final"], summary["baselines"]["full"]):
        assert (part["seconds"], part["cpu_seconds"]) == (2.0, 6.0)
    assert (summary["full_finetune_seconds"], summary["full_finetune_cpu_seconds"]) == (4.0, 12.0)
    said = [event.text for event in heard if isinstance(event, Message)]
    assert any("One full fine-tune takes 12 CPU s (4 epochs): the unit of cost." in text for text in said)
