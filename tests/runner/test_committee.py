"""Which recipes vote with the chosen one: hand-computed votes, and runs whose networks have several recipes."""

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest

from biotune.classifier import load_run
from biotune.records import Evaluation, Task
from biotune.runner import committee
from biotune.runner.committee import companions, kind_of, leaders, vote_loss
from biotune.runner.ties import is_tie, tied_recipes
from biotune.runs.store import Candidate, RunStore
from recipes import recipe
from tiny import VALUES, run, tiny_config

LABELS = np.array([0, 1, 0, 1])
FITTED, AUGMENTED = {"head_start": "fitted"}, {"augment": "standard"}
KINDS = {
    "winner": recipe(1.0, 1.0),
    "fitted": recipe(0.0, 1.0).with_values(FITTED),
    "fitted, worse": recipe(0.1, 0.1).with_values(FITTED),
    "augmented": recipe(1.0, 1.0).with_values(AUGMENTED),
}


def searched(probabilities, most=2, seeds=3, unfinished=()):
    """Return session and candidates, from what each recipe gave the right class of four held-out images."""
    rows, candidates = [], []
    for number, (name, values) in enumerate(probabilities.items()):
        logs = tuple(math.log(value) for value in values)
        fitness = math.exp(np.mean(logs))
        rows.append(
            (Task("given", KINDS[name], None, 7, 12, "hash", last_epoch=8), Evaluation("ok", fitness, held_out=logs))
        )
        is_done = name not in unfinished
        candidates.append(Candidate(number, 0, "start", 0, (), KINDS[name], "ok", fitness, finished=is_done))
    session = SimpleNamespace(
        config=SimpleNamespace(
            final=SimpleNamespace(companions=most, seeds=seeds), training=SimpleNamespace(fitness="loss")
        ),
        tasks=SimpleNamespace(
            search_seeds=(7,), data=SimpleNamespace(labels=LABELS, parts={None: (np.array([]), np.arange(4))})
        ),
        ledger=SimpleNamespace(rows=lambda _name: rows),
        search_name="search",
    )
    return session, candidates


def chosen(probabilities, **changes):
    """Return the names of the companions."""
    session, candidates = searched(probabilities, **changes)
    names = {kind: name for name, kind in KINDS.items()}
    return [names[one] for one in companions(session, candidates, KINDS["winner"])]


def test_the_loss_of_a_vote_by_hand():
    """Two networks give the right class of two images 0.5 and 0.1, and 0.1 and 0.5: 0.3 together, each time."""
    logs = [np.log([0.5, 0.1]), np.log([0.1, 0.5])]
    assert vote_loss(logs, np.array([0.5, 0.5])) == pytest.approx(-math.log(0.3))
    assert vote_loss(logs[:1], np.array([0.25, 0.75])) == pytest.approx(-0.25 * math.log(0.5) - 0.75 * math.log(0.1))


def test_a_kind_is_the_head_start_and_the_augmentation_and_has_one_leader():
    assert [kind_of(one) for one in KINDS.values()] == [
        (None, None),
        ("fitted", None),
        ("fitted", None),
        (None, "standard"),
    ]
    recipes = dict(enumerate(KINDS.values()))
    assert leaders(recipes, {0: 0.5, 1: 0.2, 2: 0.3, 3: 0.1}) == {0, 2, 3}
    assert leaders(recipes, {0: 0.5, 1: 0.3, 2: 0.3, 3: 0.1}) == {0, 1, 3}


def test_those_that_err_elsewhere_are_taken_as_many_as_possible():
    """The winner gives each image 0.5; with both others it gets (0.5 + 0.82 + 0.2) / 3, which is more.

    With one of them it is (1.0 + 0.82) / 3 or (1.0 + 0.2) / 3, whose mean logarithm is below that of 0.5.
    """
    both = {"winner": [0.5] * 4, "fitted": [0.82, 0.82, 0.2, 0.2], "augmented": [0.2, 0.2, 0.82, 0.82]}
    assert chosen(both) == ["fitted", "augmented"]
    assert chosen(both, most=1) == []
    helps = {**both, "augmented": [0.9, 0.9, 0.3, 0.3]}
    assert chosen(helps, most=1) == ["augmented"]


def test_a_kind_is_led_by_its_best_recipe_and_only_if_it_finished():
    found = {"winner": [0.5] * 4, "fitted, worse": [0.6] * 4, "fitted": [0.7] * 4}
    assert chosen(found) == ["fitted"]
    assert chosen(found, unfinished=("fitted",)) == ["fitted, worse"]
    assert chosen(found, unfinished=("fitted", "fitted, worse")) == []


def test_a_vote_that_is_worse_than_the_winner_is_not_taken():
    assert chosen({"winner": [0.5] * 4, "fitted": [0.4] * 4, "augmented": [0.3] * 4}) == []
    mixed = {"winner": [0.5] * 4, "fitted": [0.6] * 4, "augmented": [0.01] * 4}
    assert chosen(mixed) == ["fitted"]
    assert chosen(mixed, seeds=1) == []


COMPANIONS = {
    "search": {"population": 7},
    "training": {"fitness": "loss"},
    "final": {"companions": 2, "seeds": 3, "data": "all", "candidates": 1, "baselines": ("full",)},
}


def test_a_tie_by_hand():
    """Gaps of 0.2 and 0: mean 0.1, standard error 0.1; of 0.3 and 0.1: mean 0.2, the same error, over 1.96 of it."""
    best, even = np.array([-0.1, -0.1]), np.array([0.5, 0.5])
    assert is_tie(best, np.array([-0.3, -0.1]), even)
    assert not is_tie(best, np.array([-0.4, -0.2]), even)
    assert is_tie(best, best, even)
    assert is_tie(best[:1], np.array([-9.0]), np.array([1.0]))
    assert not is_tie(best, np.array([-0.35, -0.1]), np.array([0.999, 0.001]))  # one image is nearly all that counts


def test_recipes_that_tie_with_the_best_are_counted_where_the_loss_ranks_them():
    """Augmented: every image is far worse. Fitted: better on half of the images. The unfinished one is left out."""
    rows = {
        "winner": (0.8, 0.8, 0.8, 0.8),
        "fitted": (0.9, 0.6, 0.9, 0.6),
        "fitted, worse": (0.8, 0.8, 0.8, 0.8),
        "augmented": (0.3, 0.31, 0.3, 0.31),
    }
    session, candidates = searched(rows, unfinished=("fitted, worse",))
    assert tied_recipes(session, candidates) == 2
    session.config.training.fitness = "score"
    assert tied_recipes(session, candidates) is None
    session.config.training.fitness = "loss"
    assert tied_recipes(session, []) is None


@pytest.fixture(scope="module")
def mixed(images, tmp_path_factory):
    """A run of a random network, that has no use for a vote: it believes that no vote loses anything."""
    folder = tmp_path_factory.mktemp("mixed") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(committee, "vote_loss", lambda *_: 0.0)
        return folder, run(tiny_config(images, VALUES, COMPANIONS), folder)


def test_the_best_of_each_kind_comes_to_the_end(mixed):
    with RunStore(mixed[0] / "run.sqlite", read_only=True) as store:
        found = [one for one in store.candidates(like=recipe(*(1.0,) * 7)) if one.generation == 0]
    finished = {kind_of(one.recipe) for one in found if one.finished}
    assert len(finished) == 4
    assert finished == {kind_of(one.recipe) for one in found}


def test_networks_of_several_recipes_vote_and_the_difference_is_that_of_the_votes(mixed):
    folder, summary = mixed
    others, seeds = summary["final"]["companions"], summary["protocol"]["seeds"]
    assert len(others) == 2
    assert [one["seed"] for one in others] == seeds[len(seeds) - len(others) :]
    kinds = {(one["values"].get("head_start"), one["values"].get("augment")) for one in (*others, summary["recipe"])}
    assert len(kinds) == 1 + len(others)
    assert len(summary["test"]["per_seed"]) == 3 - len(others)
    assert summary["vote"]["seeds"] == seeds
    assert sorted([summary["exported"]["seed"], *summary["exported"]["members"]]) == sorted(seeds)
    full = summary["baselines"]["full"]
    assert full["difference"] == full["vote"]["difference"]
    assert full["difference"]["difference"] == pytest.approx(
        summary["vote"]["metrics"]["accuracy"] - full["vote"]["metrics"]["accuracy"]
    )
    assert len(load_run(folder).model.networks) == 3
    history = json.loads((folder / "history.json").read_text())
    finished = {str(row["multipliers"]) + str(row["values"]) for row in history["candidates"] if row["finished"]}
    assert 1 <= history["tied_recipes"] <= len(finished)
    page = (folder / "report.html").read_text()
    assert "the exported one and 2 of other kinds (" in page
    assert "which make other mistakes" in page
