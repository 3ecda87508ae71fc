"""Runs with other searches than the evolution."""

import json

import pytest

from biotune.errors import InputError
from biotune.runner.estimate import estimate_run
from biotune.runs.events import silent
from biotune.runs.store import RunStore
from recipes import recipe
from tiny import BRIEF, run, tiny_config

TWO_FOLDS = {**BRIEF, "search": {"population": 3, "generations": 1}, "data": {"folds": 2}}


@pytest.mark.parametrize("name", ["pso", "cmaes"])
def test_a_run_takes_any_search_and_keeps_it_on_one_fold(name, images, no_report, tmp_path):
    pytest.importorskip("cmaes")
    changes = {"search": {"name": name, "population": 4, "elites": 1, "generations": 1}}
    summary = run(tiny_config(images, TWO_FOLDS, changes), tmp_path / "run")

    candidates = json.loads((tmp_path / "run" / "history.json").read_text())["candidates"]
    assert summary["search"]["name"] == name
    assert summary["search"]["evaluations"] == len(candidates) == 9
    assert {row["fold"] for row in candidates} == {0}
    assert max(row["generation"] for row in candidates) == 2


DEHB = {"search": {"name": "dehb", "population": 4, "elites": 1, "generations": 2}}
"""Fourteen evaluations on two rungs: four and a promoted one, three above; four below, one above; one above."""


@pytest.fixture(scope="module")
def evolved(images, tmp_path_factory):
    folder = tmp_path_factory.mktemp("dehb") / "run"
    return folder, run(tiny_config(images, BRIEF, DEHB), folder)


def test_a_search_may_say_how_far_a_point_is_trained(evolved):
    folder, summary = evolved
    with RunStore(folder / "run.sqlite", read_only=True) as store:
        found = [candidate for candidate in store.candidates(like=recipe(*(1.0,) * 7)) if candidate.outcome == "ok"]
        everything = [candidate.generation for candidate in store.candidates()]
        trained = {(tuple(task["multipliers"]), task["last_epoch"]) for _, task, _ in store.trainings("search")}
    assert summary["search"]["evaluations"] == 14
    assert everything == [0] * 4 + [1] + [2] * 3 + [3] * 4 + [4] + [5]
    assert [candidate.finished for candidate in found] == [candidate.generation in (1, 2, 4, 5) for candidate in found]
    assert found[4].genes == max(found[:4], key=lambda candidate: candidate.fitness).genes
    through = {(candidate.recipe.multipliers, 0) for candidate in found if candidate.finished}
    assert trained == {(candidate.recipe.multipliers, 1) for candidate in found} | through


def test_a_search_over_rungs_that_was_cut_goes_where_an_uncut_one_goes(evolved, images, tmp_path):
    """Before the promotion, amid offspring of the upper rung, and then to the end."""
    for most in (4, 6, 0):
        run(tiny_config(images, BRIEF, DEHB, {"budget": {"max_evaluations": most}}), tmp_path / "run")
    expected, found = (json.loads((path / "history.json").read_text()) for path in (evolved[0], tmp_path / "run"))
    assert found["candidates"] == expected["candidates"]


def test_the_allowance_foresees_what_the_rung_of_a_batch_costs(images, no_report, tmp_path):
    """Four full fine-tunes are 8 epochs. 5 are used after the promotion: one of three offspring fits, with 2 more.

    Nothing is frozen, so that every epoch is one.
    """
    config = tiny_config(images, BRIEF, DEHB, {"search": {**DEHB["search"], "max_work": 4.0, "threshold": "none"}})
    assert run(config, tmp_path / "run")["search"]["evaluations"] == 6


def test_a_search_that_cannot_work_is_refused_before_anything_is_read(tmp_path):
    config = tiny_config(tmp_path / "no such folder", BRIEF, {"search": {"name": "de", "population": 3}})

    with pytest.raises(InputError, match="needs a population of at least 4, not 3; raise --population"):
        run(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("name", "again"), [("evolution", 6), ("ga", 0)])
def test_only_the_evolution_is_expected_to_evaluate_again(name, again, images):
    changes = {"search": {"name": name, "population": 3, "generations": 3}}

    assert estimate_run(tiny_config(images, TWO_FOLDS, changes), None, silent).reevaluations == again
