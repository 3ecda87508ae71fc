"""Runs whose search chooses values of a training: what reaches trainings and files, and that a cut changes nothing."""

import json

import pytest
import yaml

from biotune.recipe import Recipe
from biotune.runner import run
from biotune.runner import search as searching
from biotune.runs.store import RunStore
from biotune.search import SEARCHES
from recipes import recipe
from tiny import BRIEF, VALUES, tiny_config

ONE_SEED = {"final": BRIEF["final"]}


@pytest.fixture
def spaces(monkeypatch):
    """The spaces that runs have made."""
    made, make = [], searching.make_space

    def noted(session):
        made.append(make(session))
        return made[-1]

    monkeypatch.setattr(searching, "make_space", noted)
    return made


def candidates(folder) -> list:
    with RunStore(folder / "run.sqlite", read_only=True) as store:
        return store.candidates(like=recipe(*(1.0,) * 7))


def test_chosen_values_reach_the_trainings_and_the_files(images, no_report, tmp_path) -> None:
    summary = run(tiny_config(images, VALUES, ONE_SEED), tmp_path / "run")

    found = candidates(tmp_path / "run")
    first = [(one.recipe.multipliers, dict(one.recipe.values)) for one in found[:5]]
    kept = {"head_start": "fitted", "statistics": "kept"}
    assert first == [
        ((0.0,) * 7, {"head_start": "fitted"}),
        ((0.0,) * 5 + (0.1, 0.1), kept),
        ((0.0,) * 3 + (0.1,) * 4, kept),
        ((0.3,) * 7, {**kept, "augment": "standard"}),
        ((1.0,) * 7, {"augment": "standard"}),
    ]
    assert {one.outcome for one in found} == {"ok"}
    assert {len(one.genes) for one in found} == {7 + 1 + 3}
    written = yaml.safe_load((tmp_path / "run" / "recipe.yaml").read_text())
    assert dict(Recipe.load(tmp_path / "run").values) == written.get("values", {})
    assert summary.recipe.values == written.get("values", {})
    assert summary.status == "finished"
    history = json.loads((tmp_path / "run" / "history.json").read_text())["candidates"]
    assert [row["values"] for row in history] == [dict(one.recipe.values) for one in found]


def test_a_cut_search_and_one_with_two_workers_are_the_same(images, no_report, tmp_path) -> None:
    histories = []
    for name, limits, workers in (("whole", [0], 1), ("cut", [2, 6, 0], 1), ("two", [0], 2)):
        for most in limits:
            changes = {"budget": {"max_evaluations": most}, "compute": {"workers": workers}}
            run(tiny_config(images, VALUES, ONE_SEED, changes), tmp_path / name)
        histories.append(json.loads((tmp_path / name / "history.json").read_text()))
    assert histories[0] == histories[1] == histories[2]


def test_what_the_user_has_set_is_not_chosen(images, no_report, spaces, tmp_path) -> None:
    changes = {"training": {"augment": "light", "head_start": "fitted"}, "search": {"population": 2, "generations": 0}}
    summary = run(tiny_config(images, VALUES, ONE_SEED, changes), tmp_path / "run")

    assert [choice.name for choice in spaces[0].choices] == ["statistics"]
    winner = (tuple(block.multiplier for block in summary.recipe.blocks), summary.recipe.values)
    assert winner in [(one.multipliers, one.values) for one in summary.final.candidates]
    assert (summary.recipe.values["head_start"], summary.recipe.values["augment"]) == ("fitted", "light")
    assert spaces[0].normalised == (True,) * 6 + (False,)


@pytest.mark.parametrize("name", [name for name in SEARCHES if name in ("tpe", "dehb", "greedy")])
def test_other_searches_choose_values_too(name: str, images, no_report, tmp_path) -> None:
    if name == "tpe":
        pytest.importorskip("optuna")
    changes = {"search": {**VALUES["search"], "name": name}}
    summary = run(tiny_config(images, VALUES, ONE_SEED, changes), tmp_path / "run")

    assert summary.status == "finished"
    assert any(one.recipe.values for one in candidates(tmp_path / "run")) == (name != "greedy")
