"""What limits a run, and what it is announced to cost."""

import dataclasses
import importlib
import json
import time

import numpy as np
import pytest

from biotune.runner.estimate import estimate_run
from biotune.runner.limits import CLOSING_S
from biotune.runner.opening import opened
from biotune.runs.events import Message, Progress, silent
from biotune.runs.folder import StopSignal
from biotune.runs.store import RunStore
from biotune.settings.resolve import resolve
from biotune.trials.ledger import Ledger
from pretended import keep_weights, pretend, scored
from recipes import recipe
from tiny import BRIEF, EARLY, NETWORK, run, tiny_config


def paper_config(images, **final):
    """The papers' preset on the tiny network."""
    changes = {
        "data": {"source": str(images)},
        "model": {"name": NETWORK, "weights": "random", "image_size": 32},
        "compute": {"threads": 1},
        "final": {"baselines": (), **final},
    }
    return resolve("paper", changes)


@pytest.mark.parametrize(
    ("preset", "expected"),
    [("paper", (140, 0, 420)), ("reference", (140, 90, 420))],
)
def test_size_of_the_papers_protocol(preset, expected, images):
    """N_p + G (N_p + N_e) evaluations of N_s trainings each; with two folds, survivors are evaluated again."""
    changes = {"data": {"source": str(images)}, "model": paper_config(images).model.model_dump()}
    if preset != "paper":
        changes["model"]["keep_auxiliary"] = False
    estimate = estimate_run(resolve(preset, {**changes, "compute": {"threads": 1}}), None, silent)
    assert (estimate.evaluations, estimate.reevaluations, estimate.trainings) == expected
    assert estimate.seconds > estimate.full_finetune_seconds > 0
    assert estimate.disk_bytes > 60 * 32 * 32 * 3


@pytest.mark.parametrize(
    ("search", "work"),
    [
        ({"max_work": 4.0}, 4.0),  # the allowance
        ({"max_work": 1.0}, (9 * 5 + 4 * 7) / 20),  # the first batch: nine to 5, one of each kind on to 12
        ({"max_work": 1.0, "values": ()}, (9 * 5 + 7) / 20),  # there is one kind only
        ({"max_work": 1.0, "out_of_fold_below": 200}, (9 * 5 + 4 * (7 + 12)) / 20),  # anew with a further part held out
        ({"max_work": 0.0}, 0.0),
    ],
)
def test_an_estimate_knows_that_the_first_batch_begins_whole_and_that_one_finishes(search, work, images):
    model = {"name": NETWORK, "weights": "random", "image_size": 32}
    changes = {"data": {"source": str(images)}, "model": model, "compute": {"threads": 1}, "search": search}
    assert estimate_run(resolve("standard", changes), None, silent).work == pytest.approx(work)


def late_blocks(worker, task):
    """A training that takes no time: late blocks should be trained, the first one frozen."""
    values = np.array(task.recipe.multipliers if task.recipe else [1.0])
    wanted = np.linspace(0.0, 3.0, len(values))
    score = float(np.exp(-np.abs(values - wanted).mean())) * (1 - 1e-4 * (task.seed % 7))
    if task.keep_weights:
        keep_weights(worker, task)
    return scored(score)


def test_the_papers_search_books_140_evaluations_and_three_trainings_each(images, no_report, tmp_path, monkeypatch):
    """Equal recipes on one fold share their trainings, infeasible ones need none: 420 is the upper bound."""
    pretend(monkeypatch, late_blocks)
    summary = run(paper_config(images), tmp_path / "run")
    candidates = json.loads((tmp_path / "run" / "history.json").read_text())["candidates"]
    trained = {(tuple(row["multipliers"]), row["fold"]) for row in candidates if row["outcome"] != "infeasible"}
    assert summary["search"]["evaluations"] == len(candidates) == 140
    assert summary["search"]["trainings"] == 3 * len(trained) <= 3 * (140 - summary["search"]["infeasible"])
    assert [row["fold"] for row in candidates] == [row["generation"] % 2 for row in candidates]
    assert summary["protocol"]["seeds"] == [684, 559, 629]
    assert len(summary["final"]["candidates"]) == 5


def test_the_reference_search_compares_on_one_fold(images, no_report, tmp_path, monkeypatch):
    pretend(monkeypatch, late_blocks)
    config = paper_config(images).model_copy(
        update={"search": resolve("reference", {}).search, "data": tiny_config(images, {"data": {"folds": 2}}).data}
    )
    summary = run(config, tmp_path / "run")
    candidates = json.loads((tmp_path / "run" / "history.json").read_text())["candidates"]
    again = sum(row["kind"] == "reevaluate" for row in candidates)
    assert summary["search"]["evaluations"] == 140 + again
    assert 0 < again <= 90


def test_a_cost_limit_ends_the_search(images, no_report, tmp_path, monkeypatch):
    """Each pretended training costs one second, a full fine-tune two: a cost of 1.75 admits three."""
    pretend(monkeypatch, late_blocks)
    summary = run(tiny_config(images, {"budget": {"max_cost": 1.75}}), tmp_path / "run")
    assert summary["search"]["evaluations"] == summary["search"]["trainings"] == 3
    assert summary["search"]["stopped_by"] == "the cost limit of 1.75 full fine-tunes"
    assert summary["search"]["seconds"] == pytest.approx(3.0)


def test_a_time_budget_is_met_and_leaves_a_model(images, tmp_path):
    """Hundreds of candidates would take minutes; ten seconds are given, and ten more for the end. Seconds of the
    processor, since others may be at work on this machine."""
    changes = {"search": {"population": 100, "generations": 100}, "budget": {"seconds": 10.0}}
    begun = time.process_time()
    summary = run(tiny_config(images, changes), tmp_path / "run")
    assert time.process_time() - begun < 10 + 10
    assert summary["search"]["stopped_by"] == "the time budget of 10 s"
    assert 0 < summary["search"]["evaluations"] < 1000
    assert all((tmp_path / "run" / name).stat().st_size for name in ("model.safetensors", "report.html"))


WHOLE = (True, 2, 3)


@pytest.mark.parametrize(
    ("room", "expected"),
    [
        # A full fine-tune takes 10 s. Two finalists and three seeds are 5 final trainings of 8 s, a search 10 s.
        (50.0, WHOLE),
        (49.9, (True, 1, 3)),
        (34.0, (True, 1, 3)),
        (33.9, (True, 1, 2)),
        (25.9, (True, 1, 1)),
        (17.9, (False, 1, 1)),  # without a search, a final training is a whole one
        (10.0, (False, 1, 1)),
        (9.9, (False, 1, 0)),
        (-5.0, (False, 1, 0)),
    ],
)
def test_what_a_time_budget_has_room_for(room, expected, images, no_report, tmp_path, monkeypatch):
    """What is left of it is said before it begins, stored, and obeyed by a second call on a slower machine."""
    budget = importlib.import_module("biotune.runner.within_budget")
    monkeypatch.setattr(budget, "measure_epoch", lambda _worker: 5.0)
    monkeypatch.setattr(Ledger, "used_seconds", 100.0)
    final = {"seeds": 3, "candidates": 2, "baselines": (), "data": "all"}
    changes = {"budget": {"seconds": 100.0 + CLOSING_S + room}, "final": final}
    heard = []
    with opened(tiny_config(images, changes), tmp_path / "run", heard.append, StopSignal()) as session:
        smaller, kept = budget.within_budget(session)
        monkeypatch.setattr(budget, "measure_epoch", lambda _worker: 1e9)
        assert budget.within_budget(session)[1] == kept
    assert (kept.searches, kept.finalists, kept.seeds, kept.full_finetune) == (*expected, 10.0)
    assert len(smaller.tasks.final_seeds) == max(1, kept.seeds)
    assert smaller.tasks.final_seeds == session.tasks.final_seeds[: max(1, kept.seeds)]
    said = [event.text for event in heard if isinstance(event, Message) and "time budget" in event.text]
    assert len(said) == (0 if expected == WHOLE else 2)
    assert all(("nothing is searched" in text) is not kept.searches for text in said)


def test_a_budget_too_small_for_anything_leaves_the_fitted_classifier(images, tmp_path):
    heard = []
    config = tiny_config(images, {"budget": {"seconds": 0.01}, "final": {"baselines": ("full", "probe")}})
    summary = run(config, tmp_path / "run", observer=heard.append)
    assert summary["search"]["evaluations"] == summary["search"]["trainings"] == 0
    assert summary["search"]["stopped_by"] == "the time budget of 0.01 s"
    assert [block["multiplier"] for block in summary["recipe"]["blocks"]] == [0.0] * 7
    assert summary["recipe"]["values"] == {"head_start": "fitted"}
    assert summary["test"]["accuracy"] == summary["baselines"]["probe"]["test"]["accuracy"]
    assert [event.phase for event in heard if isinstance(event, Progress)][-1] == "probe"
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "Nothing was searched" in page
    assert (tmp_path / "run" / "model.safetensors").stat().st_size


def test_a_budget_without_room_for_a_search_trains_every_block(images, no_report, tmp_path, monkeypatch):
    budget = importlib.import_module("biotune.runner.within_budget")
    monkeypatch.setattr(budget, "measure_epoch", lambda _worker: 5.0)  # of two
    pretend(monkeypatch, late_blocks)
    summary = run(tiny_config(images, {"budget": {"seconds": CLOSING_S + 16.0}}), tmp_path / "run")
    assert summary["search"]["evaluations"] == 0
    assert [block["multiplier"] for block in summary["recipe"]["blocks"]] == [1.0] * 7
    assert len(summary["protocol"]["seeds"]) == 1
    assert summary["baselines"].keys() == {"probe"}


def test_a_larger_budget_does_what_a_small_one_left_out(images, no_report, tmp_path):
    small = run(tiny_config(images, BRIEF, {"budget": {"seconds": 0.01}}), tmp_path / "run")
    large = run(tiny_config(images, BRIEF, {"budget": {"seconds": 600.0}}), tmp_path / "run")
    alone = run(tiny_config(images, BRIEF), tmp_path / "alone")
    assert small["search"]["evaluations"] == 0 < large["search"]["evaluations"]
    assert (large["recipe"], large["test"]) == (alone["recipe"], alone["test"])


def test_a_stopped_search_is_not_stopped_elsewhere_by_a_second_call(images, no_report, tmp_path):
    """A limit that depends on the clock is stored, and obeyed when the same command comes again."""
    config = tiny_config(images, BRIEF, {"budget": {"max_cost": 2.5}})
    first = run(config, tmp_path / "run")
    with RunStore(tmp_path / "run" / "run.sqlite") as store:
        for _, fields, evaluation in store.trainings("search"):
            faster = dataclasses.replace(evaluation, seconds=evaluation.seconds / 100)
            store.add_result("search", _task(fields), faster)
    (tmp_path / "run" / "summary.json").unlink()
    second = run(config, tmp_path / "run")
    assert second["search"]["evaluations"] == first["search"]["evaluations"]


def _task(fields):
    from biotune.records import Task

    given = {name: value for name, value in fields.items() if name != "multipliers"}
    return Task(**given, recipe=recipe(*fields["multipliers"]))


def test_a_limit_of_evaluations_is_named(images, no_report, tmp_path, monkeypatch):
    pretend(monkeypatch, late_blocks)
    limited = run(tiny_config(images, BRIEF, {"budget": {"max_evaluations": 1}}), tmp_path / "limited")
    assert limited["search"]["stopped_by"] == "the limit of 1 evaluation"
    assert run(tiny_config(images, BRIEF), tmp_path / "whole")["search"]["stopped_by"] is None


@pytest.mark.parametrize("names", [("linear_probe",), ("full", "mask_one_rate"), ("probe",)])
def test_only_the_wanted_baselines_are_trained(names, images, no_report, tmp_path):
    """With early stopping full fine-tuning is always there, once at least: it is the unit of cost."""
    for changes, more in (({}, set()), (EARLY, {"full"})):
        config = tiny_config(images, BRIEF, changes, {"final": {"baselines": names}})
        assert set(run(config, tmp_path / "-".join(more or {"none"}))["baselines"]) == {*names, *more}


def test_the_first_model_is_compared_with_however_small_the_budget_is(images, no_report, tmp_path):
    changes = {"budget": {"seconds": 0.01}, "final": {"baselines": ("full", "probe")}}
    assert set(run(tiny_config(images, BRIEF, changes), tmp_path / "run")["baselines"]) == {"probe"}


@pytest.mark.parametrize(("seconds", "said"), [(0.5, True), (1e6, False), (0, False)])
def test_an_estimate_says_that_the_budget_is_less(seconds, said, images):
    estimate = estimate_run(tiny_config(images, {"budget": {"seconds": seconds}}), None, silent)
    assert ("The budget of" in estimate.sentence()) is said
