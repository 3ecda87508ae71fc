"""A training whose loss becomes NaN is a bad result, not a fault; a run whose every training does so says why."""

import json

import numpy as np
import pytest

from biotune.errors import BioTuneError, InputError
from biotune.randomness import derived_seeds
from biotune.records import Evaluation
from biotune.statistics import paired_interval
from pretended import pretend
from tiny import EARLY, run, tiny_config

NOTHING = Evaluation("diverged", 0.0)


@pytest.fixture
def diverging(monkeypatch):
    """Let the trainings that a condition names diverge."""

    def let(condition) -> None:
        pretend(monkeypatch, lambda worker, task: NOTHING if condition(task) else worker.evaluate(task))

    return let


def test_nothing_is_left_to_export(diverging, images, no_report, tmp_path):
    diverging(lambda task: True)
    with pytest.raises(InputError, match=r"every final training diverged .* lower --learning-rate and start a"):
        run(tiny_config(images), tmp_path / "run")
    with pytest.raises(InputError, match=r"every training diverged .* lower --learning-rate"):
        run(tiny_config(images, {"method": {"name": "full"}}), tmp_path / "train")


def test_the_search_goes_on_without_the_bad_recipes(diverging, images, no_report, tmp_path):
    diverging(lambda task: not task.keep_weights and task.recipe and task.recipe.multipliers[0] == 0.0)
    summary = run(tiny_config(images), tmp_path / "run")
    rows = json.loads((tmp_path / "run" / "history.json").read_text())["candidates"]
    bad = [row for row in rows if row["multipliers"][0] == 0.0]
    assert summary["search"]["diverged"] == len(bad) > 0
    assert {row["fitness"] for row in bad} == {0.0}
    assert summary["recipe"]["blocks"][0]["multiplier"] > 0


def test_a_search_that_finds_nothing_falls_back_on_full_fine_tuning(diverging, images, no_report, tmp_path):
    diverging(lambda task: not task.keep_weights)
    summary = run(tiny_config(images), tmp_path / "run")
    assert [block["multiplier"] for block in summary["recipe"]["blocks"]] == [1.0] * 7
    assert summary["baselines"]["full"]["test"] == summary["test"]


@pytest.mark.parametrize("outcome", ["timeout", "killed", "oom", "error"])
def test_failures_that_ended_a_run_are_tried_again(outcome, monkeypatch, images, no_report, tmp_path):
    """The limit was too short, memory too small, or the network's fault is mended: the search goes its own way then."""
    config = tiny_config(images, {"final": {"candidates": 1, "baselines": ()}})
    expected = run(config, tmp_path / "fresh")
    began: list[object] = []

    def evaluate(worker, task):
        began.append(task)
        return Evaluation(outcome, 0.0, cause="KeyError: 1") if len(began) > 4 else worker.evaluate(task)

    with monkeypatch.context() as patch:
        pretend(patch, evaluate)
        with pytest.raises(BioTuneError, match="3 trainings in a row"):
            run(config, tmp_path / "run")
    found = run(config, tmp_path / "run")
    assert found["search"]["failed"] == found["search"]["out_of_memory"] == 0
    assert found["recipe"] == expected["recipe"]
    rows = [json.loads((tmp_path / name / "history.json").read_text())["candidates"] for name in ("run", "fresh")]
    assert [[row["fitness"] for row in one] for one in rows[:1]] == [[row["fitness"] for row in rows[1]]]


def test_the_next_recipe_takes_the_place_of_one_without_a_network(diverging, images, no_report, tmp_path):
    """Nothing of the search is lost; and a run that goes on from its store finds the same."""
    bad: list[object] = []

    def is_bad(task) -> bool:
        if task.keep_weights and not bad:
            bad.append(task.recipe)
        return task.keep_weights and task.recipe == bad[0]

    diverging(is_bad)
    config = tiny_config(images, {"final": {"seeds": 2, "candidates": 1, "baselines": ()}})
    said: list[str] = []
    summary = run(config, tmp_path / "run", observer=lambda event: said.append(str(event)))
    assert sum("A final training diverged" in line for line in said) == 2
    assert sum("the next best recipe takes its place" in line for line in said) == 1
    ranked = [row for row in json.loads((tmp_path / "run/history.json").read_text())["candidates"] if row["finished"]]
    best = sorted(ranked, key=lambda row: -row["fitness"])
    first = tuple(best[0]["multipliers"])
    assert first == bad[0].multipliers
    found = [block["multiplier"] for block in summary["recipe"]["blocks"]]
    differing = [sum(a != b for a, b in zip(row["multipliers"], first, strict=True)) for row in best]
    second = next(row for row, count in zip(best, differing, strict=True) if count > 1)  # see search._unlike
    assert found == second["multipliers"]
    assert summary["final"]["diverged"] == 0
    (tmp_path / "run/summary.json").unlink()
    assert run(config, tmp_path / "run")["recipe"] == summary["recipe"]


@pytest.mark.parametrize("changes", [EARLY, {}], ids=["early", "planned"])
def test_the_other_seeds_are_exported_and_tested(changes, diverging, images, no_report, tmp_path):
    """The first final seed diverges for every method: it has no test score, and counts as 0 on validation, if any."""
    first, second = derived_seeds(2, 0, "final")
    diverging(lambda task: task.seed == first)
    config = tiny_config(images, changes, {"final": {"screening": "all_seeds"}})
    summary = run(config, tmp_path / "run")
    assert summary["exported"]["seed"] == second
    assert summary["test"]["per_seed"] == [summary["exported"]["test"]]
    assert (summary["validation"] is None) == (not changes)
    assert not changes or summary["validation"]["per_seed"][0] == 0.0
    assert all(len(entry["test"]["per_seed"]) == 1 for entry in summary["baselines"].values())
    assert (tmp_path / "run" / "model.safetensors").stat().st_size


def test_differences_pair_the_seeds_that_both_have(diverging, images, no_report, tmp_path):
    """One final seed of full fine-tuning diverges: the others are paired by seed, not by position."""
    seeds = derived_seeds(3, 0, "final")
    diverging(lambda task: task.seed == seeds[1] and task.keep_weights and set(task.recipe.multipliers) == {1.0})
    changes = {"final": {"seeds": 3, "candidates": 1, "baselines": ("full",)}, "search": {"start": "random"}}
    summary = run(tiny_config(images, changes), tmp_path / "run")
    content = json.loads((tmp_path / "run" / "answers.json").read_text())
    right = {name: np.array(rows) == np.array(content["truth"]) for name, rows in content["predicted"].items()}
    assert [len(rows) for rows in right.values()] == [3, 2]
    expected = paired_interval(right["biotune"][[0, 2]], right["full"]).to_json()
    assert summary["baselines"]["full"]["difference"] == expected
    assert (summary["final"]["diverged"], summary["baselines"]["full"]["diverged"]) == (0, 1)


def test_the_search_goes_on_without_recipes_that_do_not_fit_into_memory(monkeypatch, images, no_report, tmp_path):
    """Those that train the first block: two of them never come one after the other."""
    failed: list[bool] = []

    def answer(worker, task):
        is_large = bool(not task.keep_weights and task.recipe and task.recipe.multipliers[0] > 1)
        failed.append(is_large and failed[-2:] != [True, True])
        return Evaluation("oom", 0.0) if failed[-1] else worker.evaluate(task)

    pretend(monkeypatch, answer)
    summary = run(tiny_config(images), tmp_path / "run")
    rows = json.loads((tmp_path / "run" / "history.json").read_text())["candidates"]
    assert summary["search"]["out_of_memory"] == sum(row["outcome"] == "oom" for row in rows) > 0
    assert summary["search"]["diverged"] == 0


def test_the_search_goes_on_without_recipes_whose_training_fails(monkeypatch, images, no_report, tmp_path):
    failed: list[bool] = []
    broken = Evaluation("error", 0.0, cause="Traceback ...\nRuntimeError: too wide")

    def answer(worker, task):
        is_bad = bool(not task.keep_weights and task.recipe and task.recipe.multipliers[0] > 1)
        failed.append(is_bad and failed[-2:] != [True, True])
        return broken if failed[-1] else worker.evaluate(task)

    pretend(monkeypatch, answer)
    said: list[str] = []
    summary = run(tiny_config(images), tmp_path / "run", "", lambda event: said.append(getattr(event, "text", "")))
    rows = json.loads((tmp_path / "run" / "history.json").read_text())["candidates"]
    assert summary["search"]["failed"] == sum(row["outcome"] == "error" for row in rows) > 0
    assert summary["search"]["failure"] == "RuntimeError: too wide"
    assert summary["search"]["diverged"] == summary["search"]["out_of_memory"] == 0
    assert "A training failed (RuntimeError: too wide); it counts as the worst." in said


def test_a_final_training_that_fails_ends_the_run_and_the_same_command_tries_it_again(
    monkeypatch, images, no_report, tmp_path
):
    config = tiny_config(images, {"method": {"name": "full"}, "final": {"seeds": 1}})
    expected = run(config, tmp_path / "expected")
    broken = [Evaluation("killed", 0.0, cause="exit code -9")]
    pretend(
        monkeypatch,
        lambda worker, task: broken.pop() if task.keep_weights and broken else worker.evaluate(task),
    )
    with pytest.raises(InputError, match=r"the processes of a final training died, .* fewer --workers"):
        run(config, tmp_path / "run")
    assert run(config, tmp_path / "run")["test"] == expected["test"]


def test_trainings_that_run_out_of_memory_one_after_the_other_end_the_run(monkeypatch, images, no_report, tmp_path):
    pretend(monkeypatch, lambda worker, task: Evaluation("oom", 0.0))
    with pytest.raises(InputError, match=r"3 trainings in a row ran out of memory; .* smaller --batch-size"):
        run(tiny_config(images), tmp_path / "run")
    with pytest.raises(InputError, match=r"no training fits into memory; begin a new run with a smaller"):
        run(tiny_config(images, {"method": {"name": "full"}, "final": {"seeds": 1}}), tmp_path / "train")
