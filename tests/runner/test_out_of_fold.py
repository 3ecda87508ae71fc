"""Few validation images: further parts of the training images judge recipes too, one held out after the other."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from biotune import metrics
from biotune.records import ALL_IMAGES, GIVEN
from biotune.runner.opening import opened
from biotune.runs.events import Message, silent
from biotune.runs.folder import StopSignal
from biotune.runs.store import RunStore
from biotune.trials.worker import fitness_step
from recipes import recipe
from tiny import BRIEF, CLASSES, run, tiny_config, write_classes

FEW = {
    "search": {"rungs": (0.25, 0.5), "max_work": 0.0, "out_of_fold_below": 200},
    "training": {"epochs": 4, "learning_rate": 0.01},
}


@pytest.fixture(scope="module")
def judged(images, tmp_path_factory):
    folder, said = tmp_path_factory.mktemp("few") / "run", []
    summary = run(tiny_config(images, FEW), folder, observer=said.append)
    with RunStore(folder / "run.sqlite", read_only=True) as store:
        trained = {
            phase: [(task, result) for one, task, result in store.trainings() if one == phase]
            for phase in ("search", "sweep", "final")
        }
        content = SimpleNamespace(trained=trained, candidates=store.candidates(like=recipe(*(1.0,) * 7)))
    words = [event.text for event in said if isinstance(event, Message)]
    history = json.loads((folder / "history.json").read_text())
    return SimpleNamespace(folder=folder, summary=summary, words=words, history=history, **vars(content))


def test_the_last_rung_is_the_mean_over_all_parts(judged):
    finished = [
        candidate for candidate in judged.candidates if candidate.finished and not candidate.recipe.trains_nothing
    ]
    assert finished
    for candidate in finished:
        mine = [
            (task["fold"], result.fitness)
            for task, result in judged.trained["search"]
            if tuple(task["multipliers"]) == candidate.recipe.multipliers and task["last_epoch"] == 2
        ]
        assert {fold for fold, _ in mine} == {None, 0}
        assert len(mine) == 2
        assert candidate.fitness == pytest.approx(np.mean([fitness for _, fitness in mine]))


def test_earlier_rungs_look_at_the_validation_set_alone(judged):
    early = {task["fold"] for task, _ in judged.trained["search"] if task["last_epoch"] == 1}
    assert early == {None}


def test_the_first_of_them_continues_where_the_race_paused(judged):
    begun = {(task["fold"], task["first_epoch"]) for task, _ in judged.trained["search"] if task["last_epoch"] == 2}
    assert begun == {(None, 1), (0, 0)}


def test_the_tuned_baseline_is_judged_on_the_same_parts(judged):
    assert {task["fold"] for task, _ in judged.trained["sweep"]} == {None, 0}


def test_the_best_of_the_search_alone_goes_to_the_final_phase(judged):
    best = max((c for c in judged.candidates if c.finished), key=lambda candidate: candidate.fitness)
    assert {tuple(task["multipliers"]) for task, _ in judged.trained["final"]} == {best.recipe.multipliers}
    assert {task["fold"] for task, _ in judged.trained["final"]} == {ALL_IMAGES}
    assert {task["first_epoch"] for task, _ in judged.trained["final"]} == {0}
    assert judged.summary["test"]


def test_it_is_said_at_the_start_and_in_the_history(judged):
    assert any("recipes are also judged on 1 further part of the training images" in word for word in judged.words)
    assert judged.history["judged_on_folds"] == 2
    assert judged.history["judged_images"] == 2 * judged.summary["data"]["validation"]


def test_cut_and_continued_it_goes_where_an_uncut_run_goes(judged, images, tmp_path):
    for most in (2, 5, 0):
        config = tiny_config(images, FEW, {"budget": {"max_evaluations": most}})
        run(config, tmp_path / "run")
    found = json.loads((tmp_path / "run" / "history.json").read_text())
    assert found["candidates"] == judged.history["candidates"]


def test_the_tie_break_is_smaller_than_means_over_the_folds_can_differ_by(images, tmp_path):
    config = tiny_config(images, FEW, {"search": {**FEW["search"], "seeds": 2}})
    with opened(config, tmp_path / "run", silent, StopSignal()) as session:
        data = session.data
        parts = [data.validation, *(held_out for _, held_out in data.further_parts(200, 0))]
        least = metrics.one_image([data.selection.labels[part] for part in parts], "macro")
        assert fitness_step(session.worker.spec) == pytest.approx(least / (2 * 2))


def test_enough_validation_images_are_left_alone(images, tmp_path):
    config = tiny_config(images, FEW, {"search": {**FEW["search"], "out_of_fold_below": 2}})
    with opened(config, tmp_path / "run", silent, StopSignal()) as session:
        assert not session.tasks.out_of_fold
        (task,) = session.tasks.judged(GIVEN, session.full_recipe, 0)
        assert (task.fold, task.last_epoch) == (None, 2)


@pytest.fixture(scope="module")
def fifty_each(tmp_path_factory):
    return write_classes(tmp_path_factory.mktemp("fifty"), dict.fromkeys(CLASSES, 50))


@pytest.mark.parametrize("max_work", [0.5, 3.5, 6.0])
def test_the_allowance_holds_with_thirty_validation_images(max_work, fifty_each, no_report, tmp_path):
    """A full fine-tune is 10 epochs, of which the first rung takes 2; the judged parts bring 4 - 2 + 4 more.

    Nothing is frozen, so a candidate costs 2 or 8 epochs, no less than the next one's first rung. So the allowance is
    kept, if it pays for the first batch, which begins whole, and for the one that finishes in any case.
    """
    epochs, population = 10, 6
    search = {"population": population, "rungs": (0.2, 0.4), "threshold": "none", "generations": 9}
    changes = {"search": {**FEW["search"], **search, "max_work": max_work}, "training": {"epochs": epochs}}
    config = tiny_config(fifty_each, BRIEF, changes)
    with opened(config, tmp_path / "run", silent, StopSignal()) as session:
        assert len(session.data.validation) == 30
        assert session.tasks.judging == (None, 0)
    summary = run(config, tmp_path / "run")
    with RunStore(tmp_path / "run" / "run.sqlite", read_only=True) as store:
        rows = [(task, result) for phase, task, result in store.trainings() if phase == "search"]
    work = sum(len(result.curve) - task["first_epoch"] for task, result in rows)
    least = population * 2 + 6
    assert 0 < work <= max(max_work * epochs, least)
    assert summary["search"]["stopped_by"].startswith("the allowance of")
    candidates = json.loads((tmp_path / "run" / "history.json").read_text())["candidates"]
    assert any(candidate["finished"] for candidate in candidates)
