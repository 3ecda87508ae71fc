"""Runs with other searches than the evolution."""

import json

import pytest

from biotune.errors import InputError
from biotune.runner import run
from biotune.runner.estimate import estimate_run
from biotune.runs.events import silent
from tiny import BRIEF, tiny_config

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


def test_a_search_that_cannot_work_is_refused_before_anything_is_read(tmp_path):
    config = tiny_config(tmp_path / "no such folder", BRIEF, {"search": {"name": "de", "population": 3}})

    with pytest.raises(InputError, match="needs a population of at least 4, not 3; raise --population"):
        run(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("name", "again"), [("evolution", 6), ("ga", 0)])
def test_only_the_evolution_is_expected_to_evaluate_again(name, again, images):
    changes = {"search": {"name": name, "population": 3, "generations": 3}}

    assert estimate_run(tiny_config(images, TWO_FOLDS, changes), None, silent).reevaluations == again
