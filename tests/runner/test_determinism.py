"""The same run gives the same bytes, whatever the cache holds; another seed gives another run."""

import pytest

from biotune.runs.store import RunStore
from biotune.settings.sections import BASELINES
from tiny import BRIEF, TINY, run, tiny_config

SMALL = {**BRIEF, "search": {"population": 3, "generations": 1}}


@pytest.fixture
def history(no_report, images, tmp_path):
    """A maker of histories, as bytes, of small runs."""

    def make(name: str, *changes, seed: int = 0) -> bytes:
        run(tiny_config(images, SMALL, *changes, seed=seed), tmp_path / name)
        return (tmp_path / name / "history.json").read_bytes()

    return make


def test_the_same_seed_gives_the_same_run_another_seed_another(history, tmp_path):
    first, second, other = history("first"), history("second"), history("other", seed=1)
    assert first == second != other
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("first", "second", "other")]
    assert weights[0] == weights[1] != weights[2]


def test_decoded_images_are_a_cache(history, monkeypatch, tmp_path):
    monkeypatch.setenv("BIOTUNE_CACHE", str(tmp_path / "cache"))
    cold, warm = history("cold"), history("warm")
    assert list((tmp_path / "cache").glob("*.npy"))
    assert cold == warm


def test_images_that_are_decoded_on_demand_give_the_same_run(history, monkeypatch, tmp_path):
    stored = history("stored")
    monkeypatch.setenv("BIOTUNE_CACHE", str(tmp_path / "cache"))
    on_demand = history("on demand", {"cache": {"limit_gib": 0}})
    assert list((tmp_path / "cache").glob("*.npy")) == []
    assert stored == on_demand
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("stored", "on demand")]
    assert weights[0] == weights[1]


def test_given_seeds_come_first_and_are_added_to(images, no_report, tmp_path):
    seeds = {"search": {**SMALL["search"], "given_seeds": (5, 6)}, "final": {**BRIEF["final"], "seeds": 3}}
    used = run(tiny_config(images, SMALL, seeds), tmp_path / "run")["protocol"]["seeds"]
    assert used[:2] == [5, 6]
    assert len(set(used)) == 3


@pytest.mark.parametrize(
    ("training", "augmented"),
    [
        ({}, set()),
        ({"augment_search": True}, set()),
        ({"augment": "light"}, {"full", "final", "linear_probe", "mask_one_rate", "full_tuned"}),
        (
            {"augment": "light", "augment_search": True},
            {"probe", "full", "final", "linear_probe", "mask_one_rate", "full_tuned", "search", "sweep"},
        ),
    ],
)
def test_which_trainings_are_augmented(training, augmented, no_report, images, tmp_path):
    """The final trainings of every method alike, and the search's only on demand (and then the sweep's too)."""
    sizes = {"final": {"seeds": 1, "candidates": 1, "baselines": tuple(one for one in BASELINES if one != "probe")}}
    run(
        tiny_config(
            images, SMALL, sizes, {"training": {**TINY["training"], "epochs": 1, "fitness": "score", **training}}
        ),
        tmp_path / "run",
    )
    with RunStore(tmp_path / "run" / "run.sqlite", read_only=True) as store:
        trainings = store.trainings()
    found = {phase: {task["augmented"] for name, task, _ in trainings if name == phase} for phase, _, _ in trainings}
    assert found == {phase: {phase in augmented} for phase in found}
    assert {"full", "search", "final"} <= set(found)
