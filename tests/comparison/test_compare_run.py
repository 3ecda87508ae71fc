"""Comparisons of tiny trainings: equal budgets, honest statistics, resumable, and a closed test set."""

import gc
import json
import shutil
import weakref
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from biotune.comparison import ComparePlan, ablation, parse_entries
from biotune.errors import DamagedStateError, InputError, InterruptedRunError
from biotune.executors import EXECUTORS, InProcess
from biotune.runs.comparisons import folder_names
from biotune.runs.events import Message, Progress
from biotune.runs.folder import StopSignal
from biotune.runs.store import RunStore
from biotune.statistics import paired_interval
from pretended import never, pretend
from recipes import recipe
from tiny import VALUES, compare, tiny_config, write_classes

METHODS = "biotune,full,llrd,random,probe,mask_one_rate"
SMALL = {"search": {"population": 3, "generations": 1}, "final": {"seeds": 2, "candidates": 2, "baselines": ()}}


def plan(*sources, methods=METHODS, tuned=True, changes=None):
    return ComparePlan(
        tiny_config(sources[0], SMALL, changes or {}), tuple(map(str, sources)), parse_entries(methods), tuned
    )


@pytest.fixture(scope="module")
def compared(images, tmp_path_factory):
    folder = tmp_path_factory.mktemp("compare") / "out"
    return folder, compare(plan(images), folder, "biotune compare ...")


def test_every_method_has_a_row_and_all_but_searches_and_the_probe_a_tuned_one(compared):
    rows = compared[1]["methods"]
    assert list(rows) == METHODS.split(",")
    assert [key for key, row in rows.items() if row["tuned"]] == ["full", "llrd", "mask_one_rate"]
    assert all(len(row["test"]["per_seed"]) == 2 for row in rows.values())


def test_a_sweep_judges_where_the_search_does_and_staged_methods_at_their_end(images, tmp_path):
    raced = {"search": {**SMALL["search"], "rungs": (0.25, 0.5)}, "training": {"epochs": 4, "learning_rate": 0.01}}
    compare(plan(images, methods="biotune,full,lp_ft", changes=raced), tmp_path / "out")
    with RunStore(tmp_path / "out" / "colours" / "run.sqlite", read_only=True) as store:
        lasts = {
            phase: {task["last_epoch"] for name, task, _ in store.trainings() if name == phase}
            for phase in ("sweep full", "sweep lp_ft", "full", "search")
        }
    assert lasts == {"sweep full": {1, 2}, "sweep lp_ft": {0}, "full": {0}, "search": {1, 2}}


def test_intervals_are_those_of_the_stored_answers(compared):
    folder, comparison = compared
    answers = json.loads((folder / "colours" / "answers.json").read_text())
    right = {key: np.array(rows) == np.array(answers["truth"]) for key, rows in answers["predicted"].items()}
    for key in ("full", "random"):
        assert comparison["methods"][key]["difference"] == paired_interval(right["biotune"], right[key]).to_json()
    tuned = comparison["methods"]["full"]["tuned"]["difference"]
    assert tuned == paired_interval(right["biotune"], right["full (tuned)"]).to_json()
    accuracy = comparison["methods"]["llrd"]["test"]["accuracy"]
    assert accuracy == pytest.approx(right["llrd"].mean())


def test_no_weights_are_left(compared):
    assert not list(compared[0].rglob("*.weights")) + list(compared[0].rglob("checkpoints"))


def test_two_seeds_carry_no_rank_test(compared):
    rows = compared[1]["methods"]
    assert {row["signed_rank"] for row in rows.values()} == {None}
    assert compared[1]["ranking"]["default"]["friedman_p"] is None


def test_another_search_gets_the_work_of_biotune(compared):
    """Work is the number of epochs times the share of the network's arithmetic; the last training may go beyond."""
    folder, comparison = compared
    with RunStore(folder / "colours" / "run.sqlite", read_only=True) as store:
        ours, theirs = store.candidates(), store.candidates("random")
    assert comparison["methods"]["biotune"]["evaluations"] == len(ours)
    assert comparison["methods"]["random"]["evaluations"] == len(theirs) > 0
    assert {tuple(row.genes) for row in ours} != {tuple(row.genes) for row in theirs}


def test_what_a_search_tried_of_its_own_finishes_and_is_counted(compared):
    """The race of this plan has one rung that is not the end; a search that is cut in mid-batch finishes nothing."""
    folder, comparison = compared
    with RunStore(folder / "colours" / "run.sqlite", read_only=True) as store:
        ours, theirs = store.candidates(like=recipe(*(1.0,) * 7)), store.candidates("random", recipe(*(1.0,) * 7))
    start = {row.recipe for row in ours[:3]}
    tried = {row.recipe for row in theirs if row.outcome != "infeasible"} - start
    finished = {row.recipe for row in theirs if row.finished and row.outcome == "ok"} - start
    row = comparison["methods"]["random"]
    assert (row["own_candidates"], row["own_finished"]) == (len(tried), len(finished))
    assert len(tried) > 0
    assert (comparison["methods"]["full"]["own_candidates"], comparison["methods"]["full"]["own_finished"]) == (
        None,
    ) * 2
    text = (folder / "table.md").read_text()
    assert f"{len(finished)} of {len(tried)} own" in text


def test_a_variant_that_tries_nothing_new_is_named(images, tmp_path):
    """One generation without children: what breeds them cannot matter."""
    heard = []
    entries = [entry for entry in ablation("operators", (1.0,)) if entry.key in ("biotune", "no mutation")]
    config = tiny_config(images, SMALL, {"search": {"population": 3, "generations": 0}})
    compare(ComparePlan(config, (str(images),), tuple(entries), tuned=False), tmp_path / "out", observer=heard.append)
    (warning,) = [one.text for one in heard if isinstance(one, Message) and "did nothing here" in one.text]
    assert warning.startswith("'no mutation' tried no recipe that BioTune's search had not tried")


def test_variants_choose_fewer_values_or_one_rate_for_all_blocks(images, tmp_path):
    wanted = ("biotune", "blocks and rates only", "no choice of augment", "one rate for all blocks")
    entries = tuple(entry for entry in ablation("values", (1.0,)) if entry.key in wanted)
    config = tiny_config(images, VALUES, {"training": {"epochs": 1}, "final": {"seeds": 1}})
    compare(ComparePlan(config, (str(images),), entries, tuned=False), tmp_path / "out")
    with RunStore(tmp_path / "out" / "colours" / "run.sqlite", read_only=True) as store:
        recipes = {
            name: [row.recipe for row in store.candidates("search" if name == "biotune" else name, recipe(*(1.0,) * 7))]
            for name in wanted
        }
    named = {name: {key for one in own for key in dict(one.values)} for name, own in recipes.items()}
    assert named["biotune"] == {"head_start", "statistics", "augment"}
    assert named["no choice of augment"] == {"head_start", "statistics"}
    assert not named["blocks and rates only"]
    assert named["one rate for all blocks"]
    assert all(len(set(one.multipliers)) == 1 for one in recipes["one rate for all blocks"])


def test_every_training_of_a_search_is_counted_once(compared):
    folder, comparison = compared
    with RunStore(folder / "colours" / "run.sqlite", read_only=True) as store:
        searched, final = store.seconds("search"), store.seconds("final")
    row = comparison["methods"]["biotune"]
    assert row["seconds"] == pytest.approx(searched + final)
    assert searched < row["selection_seconds"] < row["seconds"]


def test_sweeps_start_with_the_defaults_and_stay_within_the_allowance(compared):
    row = compared[1]["methods"]["llrd"]["tuned"]
    assert row["sweep"][0]["method"] == "llrd"
    best = max((t for t in row["sweep"] if t["finished"]), key=lambda trial: np.mean(trial["fitness"]))
    assert row["method"] == best["method"]
    assert row["selection_seconds"] > 0


def test_the_same_call_again_trains_nothing_and_says_the_same(compared, images, monkeypatch):
    folder, first = compared
    pretend(monkeypatch, never)
    again = compare(plan(images), folder, "biotune compare ...")
    timeless = {"created", "full_finetune_seconds"}
    assert {k: v for k, v in again.items() if k not in timeless} == {
        k: v for k, v in first.items() if k not in timeless
    }


def test_a_further_method_costs_its_own_trainings_only(compared, images):
    folder, first = compared
    with RunStore(folder / "colours" / "run.sqlite", read_only=True) as store:
        before = len(store.trainings())
    more = compare(plan(images, methods=f"{METHODS},linear_probe", tuned=False), folder)
    with RunStore(folder / "colours" / "run.sqlite", read_only=True) as store:
        assert len(store.trainings()) == before + 2
    assert more["methods"]["biotune"]["test"] == first["methods"]["biotune"]["test"]


def test_stopped_and_continued_it_gives_the_same(compared, images, tmp_path):
    class AfterSome(StopSignal):
        left = 120

        def check(self):
            self.left -= 1
            if self.left < 0:
                raise InterruptedRunError("stopped.")

    with pytest.raises(InterruptedRunError):
        compare(plan(images), tmp_path / "out", stop=AfterSome())
    again = compare(plan(images), tmp_path / "out")
    first = compared[1]
    assert {key: row["test"] for key, row in again["methods"].items()} == {
        key: row["test"] for key, row in first["methods"].items()
    }


def test_several_data_sets_are_pooled_with_equal_weight(compared, images, tmp_path):
    other = write_classes(tmp_path / "other", first_seed=7)
    comparison = compare(plan(images, other, methods="biotune,full,llrd", tuned=False), tmp_path / "out")
    parts = [part["methods"] for part in comparison["datasets"]]
    assert [part["name"] for part in comparison["datasets"]] == ["colours", "other"]
    mean = np.mean([part["full"]["test"]["accuracy"] for part in parts])
    assert comparison["methods"]["full"]["test"]["accuracy"] == pytest.approx(mean)
    gain = np.mean([part["full"]["difference"]["difference"] for part in parts])
    assert comparison["methods"]["full"]["difference"]["difference"] == pytest.approx(gain)
    scores = np.array([[part[key]["test"]["accuracy"] for part in parts] for key in ("biotune", "full", "llrd")])
    ranks = stats.rankdata(-scores, axis=0).mean(axis=1)
    assert list(comparison["ranking"]["default"]["mean_ranks"].values()) == pytest.approx(ranks.tolist())


def test_the_time_left_is_that_of_all_data_sets(images, tmp_path, monkeypatch):
    """Two methods, two seeds, a second each: two trainings left of the first set and four of the other."""
    other = write_classes(tmp_path / "other", first_seed=7)
    pretend(monkeypatch, lambda worker, task: replace(worker.evaluate(task), seconds=1.0))
    events = []
    compare(plan(images, other, methods="full,llrd", tuned=False), tmp_path / "out", observer=events.append)
    steps = [event for event in events if isinstance(event, Progress)]
    last_of_full = max(index for index, event in enumerate(steps) if event.phase == "full")
    first, second = (next(e for e in part if e.phase == "llrd") for part in (steps, steps[last_of_full:]))
    assert first.seconds_left == pytest.approx(2 + 4, abs=0.3)
    assert second.seconds_left == pytest.approx(2, abs=0.3)


def test_a_data_set_is_let_go_before_the_next_one(images, tmp_path, monkeypatch):
    """At once, since the network and the recorded activations of one data set may take gigabytes."""
    workers, alive = [], []

    def make(work, *rest):
        alive.append([one for one in workers if one() is not None])
        workers.append(weakref.ref(work.evaluate.__self__))
        return InProcess(work, *rest)

    monkeypatch.setitem(EXECUTORS, "in_process", make)
    other = write_classes(tmp_path / "other", first_seed=7)
    gc.disable()
    try:
        compare(plan(images, other, methods="biotune,full", tuned=False), tmp_path / "out")
    finally:
        gc.enable()
    assert alive == [[], []]
    assert [one() for one in workers] == [None, None]


def test_without_biotune_the_first_method_is_the_reference(images, tmp_path):
    comparison = compare(plan(images, methods="llrd,full", tuned=False), tmp_path / "out")
    assert comparison["reference"] == "llrd"
    assert comparison["methods"]["llrd"]["difference"] is None
    assert comparison["methods"]["full"]["difference"] is not None


def test_an_ablation_over_shares_of_the_data(images, tmp_path):
    entries = tuple(entry for entry in ablation("data", (1.0,)) if entry.folds in (0, 2))
    config = tiny_config(images, SMALL, {"training": {"epochs": 1}})
    comparison = compare(ComparePlan(config, (str(images),), entries, tuned=False), tmp_path / "out")
    assert list(comparison["methods"]) == ["biotune", "50 % of the data"]
    with RunStore(tmp_path / "out" / "colours" / "folds-2" / "run.sqlite", read_only=True) as store:
        assert {task["fold"] for _, task, _ in store.trainings("50 % of the data")} <= {0, 1}


def test_a_foreign_folder_is_left_alone(images, tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(InputError, match="not a comparison of biotune"):
        compare(plan(images), tmp_path)


def test_other_settings_in_the_same_folder_are_refused(compared, images):
    with pytest.raises(InputError, match=r"training\.epochs"):
        compare(plan(images, changes={"training": {"epochs": 3}}), compared[0])


def test_full_fine_tuning_costs_as_many_units_as_it_has_seeds(compared):
    full = compared[1]["methods"]["full"]
    assert full["cost_in_full_finetunes"] == pytest.approx(2.0)
    assert full["cpu_seconds"] > 0


def test_a_busy_machine_changes_no_cost_of_a_comparison(compared, images, tmp_path, monkeypatch):
    pretend(monkeypatch, lambda worker, task: replace(worker.evaluate(task), seconds=100.0 * (1 + task.seed % 2)))
    rows, first = compare(plan(images), tmp_path / "out")["methods"], compared[1]["methods"]
    for mine, theirs in ((rows[key], first[key]) for key in rows):
        for row, other in ((mine, theirs), (mine["tuned"], theirs["tuned"])):
            assert (row and row["cost_in_full_finetunes"]) == (other and other["cost_in_full_finetunes"])


def test_selection_costs_what_the_search_and_the_screening_took(compared):
    """The tuned entries have the work of BioTune's search at most, and their own two final trainings."""
    rows = compared[1]["methods"]
    assert rows["biotune"]["cost_in_full_finetunes"] > 2.0
    assert rows["full"]["tuned"]["cost_in_full_finetunes"] > rows["full"]["cost_in_full_finetunes"] + 0.5


def test_an_option_of_the_grid_that_the_user_gave_is_tried_once(images, tmp_path):
    comparison = compare(plan(images, methods="biotune,l2_sp:alpha=0.1"), tmp_path / "out")
    (row,) = [row for key, row in comparison["methods"].items() if key != "biotune"]
    assert all(len(set(trial["fitness"])) == len(trial["fitness"]) for trial in row["tuned"]["sweep"])


def test_a_data_set_is_named_once(images, tmp_path):
    with pytest.raises(InputError, match="is named twice"):
        compare(plan(images, images), tmp_path / "out")


def test_two_folders_of_one_name_are_shown_by_their_places(images, tmp_path):
    other = write_classes(tmp_path / images.name, first_seed=7)
    comparison = compare(plan(images, other, methods="full,llrd", tuned=False), tmp_path / "out")
    assert [part["name"] for part in comparison["datasets"]] == [images.name, f"{images.name}-2"]


@pytest.mark.parametrize(
    ("sources", "names"),
    [
        (("a/x", "b/x"), ["x", "x-2"]),
        (("a/x", "b/x", "x-2"), ["x", "x-2", "x-2-3"]),
        (("x-3", "a/x", "b/x"), ["x-3", "x", "x-4"]),
    ],
)
def test_every_data_set_has_a_folder_of_its_own(sources, names):
    assert folder_names(sources) == names


def test_every_data_set_is_looked_at_before_the_first_is_trained_on(images, tmp_path, monkeypatch):
    pretend(monkeypatch, never)
    with pytest.raises(InputError, match="nosuchdata"):
        compare(plan(images, "nosuchdata"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_same_folder_under_two_names_is_one_data_set(images, tmp_path):
    with pytest.raises(InputError, match="is named twice"):
        compare(plan(images, images.parent / "." / ".." / images.parent.name / images.name), tmp_path / "out")


@pytest.mark.parametrize("place", ["file", "file/inside"])
def test_a_file_in_the_place_of_the_folder_is_refused(place, images, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match=r"cannot make the folder .*file.*choose another with --out\."):
        compare(plan(images), tmp_path / place)
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("content", ["{", "[]", '{"data": 3, "methods": null}'])
def test_a_damaged_plan_is_named(content, images, tmp_path):
    (tmp_path / "plan.json").write_text(content)
    with pytest.raises(DamagedStateError, match=r"plan\.json' is damaged"):
        compare(plan(images), tmp_path)


def test_a_refused_call_leaves_the_plan_as_it_was(compared, images):
    folder, before = compared[0], (compared[0] / "plan.json").read_text()
    with pytest.raises(InputError, match="holds another run"):
        compare(plan(images, methods="biotune,full,lora", changes={"training": {"epochs": 3}}), folder)
    assert (folder / "plan.json").read_text() == before


def test_the_trainings_of_a_sweep_are_never_overestimated(images, tmp_path):
    """Six rates and two beyond them at two rungs, and nine repeats, however little a linear probe needs."""
    events = []
    compare(plan(images, methods="biotune,linear_probe"), tmp_path / "out", observer=events.append)
    totals = {e.total for e in events if isinstance(e, Progress) and e.phase == "sweep linear_probe"}
    assert 0 < max(totals) <= 2 * 8 + 9
    assert all(event.phase for event in events if isinstance(event, Progress))


def test_what_the_tables_lose_is_said(compared, images, tmp_path):
    shutil.copytree(compared[0], tmp_path / "out")
    heard = []
    compare(plan(images, methods="biotune,full", tuned=False), tmp_path / "out", observer=heard.append)
    (warning,) = [event.text for event in heard if isinstance(event, Message) and "will not show" in event.text]
    assert "llrd, random, probe, mask_one_rate" in warning
