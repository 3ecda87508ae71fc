"""Final trainings: of the recipe and of every baseline alike, on all images but those of the test."""

import json

import numpy as np
import pytest

from biotune.records import ALL_IMAGES
from biotune.runner.opening import opened
from biotune.runs.events import Progress, silent
from biotune.runs.folder import StopSignal
from biotune.runs.store import RunStore
from biotune.settings.sections import BASELINES
from tiny import BRIEF, EARLY, run, tiny_config

FINAL = ("final", *BASELINES)


def trainings(folder):
    with RunStore(folder / "run.sqlite", read_only=True) as store:
        return store.trainings()


def finals(folder):
    """Return the trainings that are exported or tested, phase by phase: those that keep their weights."""
    return [row for row in trainings(folder) if row[0] in FINAL and row[1]["keep_weights"]]


def test_every_final_training_has_the_same_images_epochs_and_seeds(finished):
    seeds = finished.summary["protocol"]["seeds"]
    for phase in FINAL:
        mine = [(task, result) for name, task, result in finals(finished.folder) if name == phase]
        if not mine:  # it trained what another phase had trained already
            continue
        assert {task["fold"] for task, _ in mine} == {ALL_IMAGES}
        assert {task["epochs"] for task, _ in mine} == {finished.summary["protocol"]["epochs"]}
        assert {task["seed"] for task, _ in mine} == set(seeds)
        for task, result in mine:
            assert len(result.curve) == (1 if task["method"] == "probe" else task["epochs"])
            assert result.best_epoch == len(result.curve) - 1
            assert all(record.score is record.accuracy is None for record in result.curve)


def test_they_learn_from_all_images_but_those_of_the_test(finished, images, tmp_path):
    with opened(tiny_config(images), tmp_path / "run", silent, StopSignal()) as session:
        data = session.data
        train, held_out = session.tasks.data.parts[ALL_IMAGES]
        assert train.tolist() == sorted([*data.train, *data.validation]) == list(range(len(data.selection.ids)))
        assert len(held_out) == 0
        assert not set(data.selection.ids) & set(data.test.images.ids)
        assert len(train) == finished.summary["protocol"]["final_images"] == 48
        assert len(data.selection.images) == len(train)  # a training cannot reach any other image


def test_choices_are_made_on_images_that_the_training_did_not_see(finished, images, tmp_path):
    with opened(tiny_config(images), tmp_path / "run", silent, StopSignal()) as session:
        for train, held_out in session.tasks.data.parts.values():
            assert not np.intersect1d(train, held_out).size
    assert {task["fold"] for _, task, _ in trainings(finished.folder) if not task["keep_weights"]} == {None}


def test_there_is_no_validation_score_and_the_first_seed_is_exported(finished):
    summary = finished.summary
    history = json.loads((finished.folder / "history.json").read_text())
    assert summary["validation"] is None
    assert [summary["baselines"][name]["validation"] for name in BASELINES] == [None] * len(BASELINES)
    assert summary["exported"]["seed"] == summary["protocol"]["seeds"][0]
    assert {len(curve["validation_score"]) for curve in history["curves"]} == {0}
    assert {len(curve["validation_loss"]) for curve in history["curves"]} == {0}
    judged = history["judged_curves"]
    assert {curve["method"] for curve in judged} == {"biotune"}
    assert {len(curve["validation_loss"]) for curve in judged} == {len(curve["train_loss"]) for curve in judged} == {2}
    assert {len(curve["train_loss"]) for curve in history["curves"]} == {1, 2}  # the probe is fitted at once
    assert "Validation<small>" not in (finished.folder / "report.html").read_text()


def test_full_fine_tuning_is_not_trained_where_nobody_asks_for_it(images, no_report, tmp_path):
    summary = run(tiny_config(images, BRIEF), tmp_path / "run")
    assert summary["baselines"] == {}
    assert summary["full_finetune_seconds"] > 0
    assert "full" not in {phase for phase, _, _ in trainings(tmp_path / "run")}


def test_early_stopping_needs_it_for_the_unit_of_cost_and_keeps_validation_images(images, no_report, tmp_path):
    config = tiny_config(images, BRIEF, EARLY)
    summary = run(config, tmp_path / "run")
    assert list(summary["baselines"]) == ["full"]
    assert summary["validation"]["accuracy"] is not None
    assert {task["fold"] for _, task, _ in trainings(tmp_path / "run")} == {None}


@pytest.mark.parametrize("changes", [{"training": {"stopping": "early"}}, {"data": {"test_fraction": 0.0}}])
def test_the_training_set_is_kept_where_validation_images_are_needed(changes, images, tmp_path):
    """To stop a training, or to compare methods where there is no test set."""
    with opened(tiny_config(images, BRIEF, changes), tmp_path / "run", silent, StopSignal()) as session:
        assert session.config.final.data == "all"
        assert {task.fold for task in session.tasks.final("full")} == {None}


def test_the_first_thing_that_a_run_does_is_a_probe(images, no_report, tmp_path):
    events = []
    run(tiny_config(images, BRIEF), tmp_path / "run", observer=events.append)
    phases = [event.phase for event in events if isinstance(event, Progress)]
    assert list(dict.fromkeys(phases))[-3:] == ["probe", "search", "final"]


def test_a_run_that_was_stopped_with_another_allowance_goes_where_a_fresh_one_goes(images, no_report, tmp_path):
    """What finishes depends on the allowance, also in the first batch."""
    search = {"rungs": (0.25, 0.5), "population": 4, "elites": 2, "generations": 9}
    small, large = (
        tiny_config(images, BRIEF, {"search": {**search, "max_work": work}, "training": {"epochs": 4}})
        for work in (1.7, 4.0)
    )
    run(small, tmp_path / "run")
    run(large, tmp_path / "run")
    run(large, tmp_path / "fresh")
    histories = [json.loads((tmp_path / name / "history.json").read_text()) for name in ("run", "fresh")]
    assert histories[0] == histories[1]
    run(small, tmp_path / "run")  # and back
    run(small, tmp_path / "other")
    histories = [json.loads((tmp_path / name / "history.json").read_text()) for name in ("run", "other")]
    assert histories[0] == histories[1]
