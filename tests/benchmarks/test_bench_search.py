"""``bench search``: independent repetitions of tiny searches, what they say together, and how they go on."""

import json

import numpy as np
import pytest
from scipy import stats

from benchmarks.search.measure import RESULT, SearchPlan, measure_search, parse_searches
from biotune.errors import InputError, InterruptedRunError
from biotune.runs.events import silent
from biotune.runs.folder import StopSignal
from biotune.runs.store import RunStore
from pretended import never, pretend
from tiny import tiny_config, write_classes

SMALL = {"search": {"population": 2, "generations": 1}, "final": {"seeds": 2, "candidates": 1}}
SEEDS, OTHERS = (0, 1), ("random",)


def plan(*sources, seeds=SEEDS, others=OTHERS, presets=(), changes=None):
    config = tiny_config(sources[0], SMALL, changes or {})
    configs = {name: tiny_config(sources[0], SMALL, {"search": {"generations": 2}}, preset=name) for name in presets}
    return SearchPlan(config, tuple(map(str, sources)), seeds, others, configs)


@pytest.fixture(scope="module")
def sources(images, tmp_path_factory):
    return images, write_classes(tmp_path_factory.mktemp("more") / "other", first_seed=7)


@pytest.fixture(scope="module")
def measured(sources, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench") / "search"
    return folder, measure_search(plan(*sources), folder, "python -m benchmarks search ...", silent)


def searches_of(content):
    """Every search of every repetition, as (repetition, name, what it reached)."""
    return [(each, name, found) for each in content["repetitions"] for name, found in each["searches"].items()]


def accuracies(content, name):
    """Mean test accuracy of a search, shape (num_data_sets, num_seeds)."""
    found = {(each["data_set"], each["seed"]): each["searches"][name]["test"] for each in content["repetitions"]}
    return np.array([[np.mean(found[part, seed]) for seed in SEEDS] for part in content["data_sets"]])


def test_every_search_is_repeated_on_every_data_set_with_every_seed(measured):
    folder, content = measured
    assert [(each["data_set"], each["seed"]) for each in content["repetitions"]] == [
        ("colours", 0), ("other", 0), ("colours", 1), ("other", 1),
    ]  # fmt: skip
    assert {tuple(each["searches"]) for each in content["repetitions"]} == {("biotune", *OTHERS)}
    assert {len(found["test"]) for _, _, found in searches_of(content)} == {2}
    assert json.loads((folder / RESULT).read_text()) == content
    assert (folder / "search.png").read_bytes().startswith(b"\x89PNG")


def test_the_result_names_no_place(measured):
    assert str(measured[0].parent) not in json.dumps(measured[1])
    assert measured[1]["settings"]["data_sets"]["colours"] == {"train": 36, "validation": 12, "test": 12, "classes": 3}


def test_seeds_give_independent_searches(measured):
    folder = measured[0]
    genes, seeds = [], []
    for seed in SEEDS:
        with RunStore(folder / f"seed-{seed}" / "colours" / "run.sqlite", read_only=True) as store:
            genes.append([candidate.genes for candidate in store.candidates()])
            seeds.append({task["seed"] for _, task, _ in store.trainings()})
    assert genes[0] != genes[1]
    assert not seeds[0] & seeds[1]


def test_means_and_standard_errors_are_those_of_numpy(measured):
    content = measured[1]
    for name, row in content["searches"].items():
        values = accuracies(content, name)
        errors = values.std(axis=1, ddof=1) / np.sqrt(2)
        assert row["test"]["accuracy"] == pytest.approx(values.mean())
        assert row["test"]["standard_error"] == pytest.approx(np.sqrt((errors**2).sum()) / 2)
        part = content["data_sets"]["other"]["searches"][name]["test"]
        assert [part["accuracy"], part["standard_error"]] == pytest.approx([values[1].mean(), errors[1]])


def test_differences_are_paired_and_ranks_are_over_all_repetitions(measured):
    content = measured[1]
    values = {name: accuracies(content, name) for name in content["searches"]}
    ranks = stats.rankdata([-scores.ravel() for scores in values.values()], axis=0).mean(axis=1)
    assert [row["mean_rank"] for row in content["searches"].values()] == pytest.approx(ranks.tolist())
    found = content["searches"]["random"]["difference"]
    assert found["difference"] == pytest.approx((values["biotune"] - values["random"]).mean())
    assert found["low"] <= found["difference"] <= found["high"]
    assert content["searches"]["biotune"]["difference"] is None


@pytest.mark.parametrize("key", ["search_cost", "total_cost", "work", "candidates", "validation"])
def test_other_figures_are_plain_means(measured, key):
    content = measured[1]
    for name, row in content["searches"].items():
        values = [
            found["curve"][-1][1] if key == "validation" else found[key]
            for _, search, found in searches_of(content)
            if search == name
        ]
        assert row[key] == pytest.approx(np.mean(values))


def test_other_searches_get_the_work_of_biotune(measured):
    """No more by the trainings of one candidate; less where the last ones that begin are stopped at the first rung."""
    for each, _, found in searches_of(measured[1]):
        own = each["searches"]["biotune"]["work"]
        assert 0.5 * own < found["work"] < own + 2 / each["full_finetune_epochs"]


def test_costs_are_the_seconds_of_the_store(measured):
    folder, content = measured
    first = content["repetitions"][0]
    with RunStore(folder / "seed-0" / "colours" / "run.sqlite", read_only=True) as store:
        search, final = store.seconds("search"), store.seconds("final")
        full = [result for _, _, result in store.trainings("full")]
    unit = np.mean([result.seconds for result in full])
    assert first["full_finetune_seconds"] == pytest.approx(unit)
    epochs = np.mean([len(result.curve) for result in full])
    assert first["full_finetune_epochs"] == pytest.approx(epochs * (36 + 12) / 36)  # final trainings: validation too
    own = first["searches"]["biotune"]
    assert [own["search_cost"], own["total_cost"]] == pytest.approx([search / unit, (search + final) / unit])


def test_a_curve_rises_to_the_best_finished_candidate(measured):
    folder, content = measured
    for each, name, found in searches_of(content):
        work, fitness = np.array(found["curve"]).T
        assert (np.diff(work) > 0).all()
        assert (np.diff(fitness) > 0).all()
        assert work[0] > 0
        assert work[-1] <= found["work"] + 1e-9
        with RunStore(folder / f"seed-{each['seed']}" / each["data_set"] / "run.sqlite", read_only=True) as store:
            candidates = store.candidates("search" if name == "biotune" else name)
        assert fitness[-1] == max(candidate.fitness for candidate in candidates if candidate.finished)
        assert found["candidates"] == len(candidates)


def test_bands_never_fall_and_hold_the_median(measured):
    for part in measured[1]["data_sets"].values():
        for found in part["curves"].values():
            low, median, high = (np.array(found[key]) for key in ("low", "median", "high"))
            assert (np.diff(found["work"]) > 0).all()
            assert (np.diff([low, median, high], axis=1) >= 0).all()
            assert (low <= median).all()
            assert (median <= high).all()


def test_the_same_call_again_trains_nothing_and_says_the_same(measured, sources, monkeypatch):
    folder, first = measured
    pretend(monkeypatch, never)
    again = measure_search(plan(*sources), folder, "python -m benchmarks search ...", silent)
    assert {key: again[key] for key in again if key != "machine"} == {
        key: first[key] for key in first if key != "machine"
    }


def test_stopped_and_continued_with_fewer_seeds_it_gives_the_same(measured, images, tmp_path):
    class AfterSome(StopSignal):
        left = 60

        def check(self):
            self.left -= 1
            if self.left < 0:
                raise InterruptedRunError("stopped.")

    short = plan(images, seeds=(1,))
    with pytest.raises(InterruptedRunError):
        measure_search(short, tmp_path / "out", "", silent, AfterSome())
    again = measure_search(short, tmp_path / "out", "", silent)
    (first,) = [each for each in measured[1]["repetitions"] if (each["data_set"], each["seed"]) == ("colours", 1)]
    assert timeless(again["repetitions"][0]) == timeless(first)
    assert again["searches"]["biotune"]["test"]["standard_error"] is None


def timeless(repetition):
    keys = ("curve", "work", "candidates", "trainings", "test")
    return {name: {key: found[key] for key in keys} for name, found in repetition["searches"].items()}


def test_a_preset_runs_by_its_own_rules_and_counts_in_the_same_unit(images, tmp_path):
    content = measure_search(plan(images, seeds=(3,), others=(), presets=["paper"]), tmp_path / "out", "", silent)
    paper = content["repetitions"][0]["searches"]["paper"]
    unit = content["repetitions"][0]["full_finetune_seconds"]
    with RunStore(tmp_path / "out" / "paper-seed-3" / "colours" / "run.sqlite", read_only=True) as store:
        assert {task["fold"] for _, task, _ in store.trainings("search")} == {0, 1}
        assert not {684, 559, 629} & {task["seed"] for _, task, _ in store.trainings()}
        assert paper["search_cost"] == pytest.approx(store.seconds("search") / unit)
    assert content["searches"]["paper"]["difference"]["verdict"] in ("better", "tie", "worse")
    assert content["goals"][-1]["goal"] == "at most 0.05 of the time of the papers' protocol"


def test_a_foreign_folder_is_left_alone(images, tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(InputError, match=r"holds 'letter\.txt', which is not of this benchmark"):
        measure_search(plan(images), tmp_path, "", silent)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_data_without_a_test_set_are_refused(images, tmp_path):
    changed = plan(images, changes={"data": {"test_fraction": 0.0}})
    with pytest.raises(InputError, match=r"'colours' has no test images .* --test-fraction above 0"):
        measure_search(changed, tmp_path / "out", "", silent)


def test_lists_of_searches():
    assert parse_searches("tpe, paper,random") == (("tpe", "random"), ("paper",))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("random,quick", "--searches cannot name 'quick'; choose from random, ga,"),
        ("biotune", "--searches cannot name 'biotune'"),
        (" ,", "--searches names nothing; give some of random"),
    ],
)
def test_wrong_searches_are_named(text, message):
    with pytest.raises(InputError, match=message):
        parse_searches(text)


def test_a_rival_twice_is_refused(images):
    with pytest.raises(InputError, match="'random' is named twice in --searches"):
        plan(images, others=("random", "tpe", "random"))


def test_a_rival_that_cannot_search_is_refused_before_anything_is_done(images):
    with pytest.raises(InputError, match="needs a population of at least"):
        plan(images, others=("de",), changes={"search": {"population": 3}})
