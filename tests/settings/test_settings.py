"""The configuration: presets, limits, what is refused and how, and what makes another run."""

import hashlib
import json
import tomllib
from dataclasses import replace

import pytest

from biotune.errors import InputError
from biotune.options import checked
from biotune.search import SEARCHES
from biotune.settings.config import SETTINGS, RunConfig
from biotune.settings.presets import PRESETS
from biotune.settings.resolve import changes_of, differences, load_config, resolve, result_hash


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_resolves_and_survives_its_file(preset, tmp_path):
    config = resolve(preset, {}, seed=3)
    (tmp_path / "config.toml").write_text(config.to_toml({"torch": "2"}))
    assert load_config(tmp_path / "config.toml") == (config, {"torch": "2"})
    assert (config.preset, config.seed) == (preset, 3)


def test_the_papers_preset_is_the_papers_protocol():
    """Spec 2.2 and 5.2: N_p, N_e, G, seeds, epochs, patience, batch, T_max, rho, folds of both sets."""
    paper = resolve("paper", {})
    search, training = paper.search, paper.training
    assert (search.population, search.elites, search.generations, search.seeds) == (10, 3, 10, 3)
    assert (search.given_seeds, search.own_options["amplitude"], search.own_options["rank_law"]) == (
        *((684, 559, 629), 0.25),
        "code",
    )
    assert (search.reevaluate, search.own_options["offspring"], search.start, search.own_options["smallest_pool"]) == (
        *("none", "sequential", "random"),
        3,
    )
    assert (training.epochs, training.patience, training.patience_steps, training.batch_size) == (30, 3, 0, 96)
    assert (training.cosine_epochs, training.learning_rate, training.optimizer) == (100, 1e-3, "adam")
    assert (training.frozen_statistics, training.tie_break, training.limit_batch) == ("train", False, False)
    assert (paper.data.folds, paper.data.fold_validation) == (2, True)
    assert (paper.final.candidates, paper.final.test_all) == (5, True)
    assert search.evaluations == 140


def test_changes_win_over_the_preset():
    config = resolve("paper", {"search": {"population": 20}})
    assert (config.search.population, config.search.elites) == (20, 3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"training": {"epochs": 0}},
            "The setting 'training.epochs' cannot be 0: input should be greater than or equal",
        ),
        (
            {"training": {"learning_rate": -1}},
            "The setting 'training.learning_rate' cannot be -1: input should be grea",
        ),
        (
            {"training": {"optimizer": "lion"}},
            "'training.optimizer' cannot be 'lion': input should be 'adam', 'adamw' o",
        ),
        (
            {"data": {"test_fraction": 1.5}},
            "The setting 'data.test_fraction' cannot be 1.5: input should be less than 1",
        ),
        (
            {"search": {"max_work": float("inf")}},
            "The setting 'search.max_work' cannot be inf: input should be a finite number",
        ),
        ({"training": {"epoch": 3}}, r"The setting 'training.epoch' is unknown; did you mean 'epochs'\?"),
        ({"serach": {}}, r"The setting 'serach' is unknown; did you mean 'search'\?"),
        (
            {"search": {"population": 2, "elites": 2}},
            "elites must be at least 1 and fewer than the population; got 2 of 2",
        ),
        (
            {"training": {"epochs": "many"}},
            "The setting 'training.epochs' cannot be 'many': input should be a valid int",
        ),
        (
            {"search": {"rungs": []}},
            "search.rungs is empty; give one share of the planned epochs at least, such as 1.0",
        ),
    ],
)
def test_wrong_values_are_refused_in_words(changes, message):
    with pytest.raises(InputError, match=message):
        resolve("standard", changes)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("training.epochs", True),
        ("training.learning_rate", True),
        ("training.warmup", False),
        ("model.image_size", True),
        ("compute.workers", True),
        ("search.threshold", False),
        ("search.rungs", [0.5, True]),
        ("refine.costs", [["a", [0, True]], ["b", [1, 0]]]),
    ],
)
def test_a_truth_value_is_no_number(key, value):
    section, _, name = key.partition(".")
    with pytest.raises(InputError, match=rf"The setting '{key}' cannot be .*: input should be a number, not true or f"):
        resolve("standard", {section: {name: value}})


def test_a_truth_value_is_no_number_outside_a_section_and_in_an_option_either():
    with pytest.raises(InputError, match="The setting 'seed' cannot be True: input should be a number"):
        resolve("standard", {}, seed=True)
    with pytest.raises(InputError, match="the option 'inertia' of the search 'pso' cannot be 'True'; give a number"):
        resolve("standard", {"search": {"options": {"pso": {"inertia": True}}}})
    assert resolve("standard", {"training": {"tie_break": False}}).training.tie_break is False


def test_all_problems_come_at_once():
    with pytest.raises(InputError, match=r"data\.folds.*training\.epochs") as caught:
        resolve("standard", {"training": {"epochs": 0}, "data": {"folds": 0}})
    assert "\n" not in str(caught.value)


def test_an_unknown_preset_names_the_known():
    with pytest.raises(
        InputError, match="the preset 'fast' is unknown; choose one of quick, standard, reference, paper"
    ):
        resolve("fast", {})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("seed = ", "is not TOML"),
        ("seed = -1", "cannot be used: The setting 'seed' cannot be -1"),
        ("sead = 1", r"cannot be used: The setting 'sead' is unknown; did you mean 'seed'\?"),
        ("\x00", "is not TOML"),
    ],
)
def test_a_wrong_file_is_named(content, message, tmp_path):
    path = tmp_path / "config.toml"
    path.write_text(content)
    with pytest.raises(InputError, match=message) as caught:
        load_config(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"cannot read the settings '.*none\.toml': No such file"):
        load_config(tmp_path / "none.toml")


def test_differences_are_named_and_limits_may_change():
    first = resolve("standard", {})
    second = resolve("standard", {"training": {"epochs": 5}, "budget": {"seconds": 9.0}}, seed=2)
    assert differences(first, second) == ["seed (was 0, now 2)", "training.epochs (was 20, now 5)"]
    harmless = {
        "budget": {"max_evaluations": 9},
        "search": {"max_work": 9.0},
        "data": {"root": "moved", "bad_images": "error"},
        "cache": {"verify": True},
    }
    assert differences(first, resolve("standard", harmless)) == []


@pytest.mark.parametrize(
    ("changes", "counts"),
    [
        ({"model": {"image_size": 96}}, True),
        ({"data": {"split_seed": 1}}, True),
        ({"data": {"root": "moved"}}, False),
        ({"data": {"bad_images": "error"}}, False),
        ({"cache": {"limit_gib": 0.0}}, False),
        ({"training": {"epochs": 3}}, True),
        ({"compute": {"threads": 2}}, True),
        ({"search": {"population": 9}}, False),
        ({"final": {"seeds": 5}}, False),
        ({"budget": {"seconds": 5.0}}, False),
    ],
)
def test_a_result_depends_on_what_is_trained_not_on_how_it_is_searched(changes, counts):
    facts = {"data": "abc"}
    one, other = result_hash(resolve("standard", {}), facts), result_hash(resolve("standard", changes), facts)
    assert (one != other) == counts
    assert result_hash(resolve("standard", {}), {"data": "abd"}) != one


def test_a_later_setting_counts_only_where_it_is_not_at_its_default(monkeypatch):
    default, changed = (resolve("reference", {"training": {"warmup": epochs}}) for epochs in (0, 2))
    before = [result_hash(config, {}) for config in (default, changed)]
    row = SETTINGS["training.warmup"]
    monkeypatch.setitem(SETTINGS, row.key, replace(row, setting=replace(row.setting, later=True)))
    sections = default.model_dump(mode="json", include={"model", "data", "training", "compute"})
    where = ("workers", "executor", "address", "gpus_per_worker", "memory_per_worker", "training_timeout")
    places = [("compute", name) for name in where]
    may_change = (("data", "root"), ("data", "bad_images"), *places)
    later = ((row.section, row.field) for row in SETTINGS.values() if row.setting.later and row.section in sections)
    for section, name in (*may_change, *later):
        del sections[section][name]
    without = hashlib.sha256(json.dumps([sections, {}], sort_keys=True).encode()).hexdigest()[:24]

    assert (result_hash(default, {}), result_hash(changed, {})) == (without, before[1])
    assert without != before[0]


KEYS = {
    "quick": "a76bd39972d1b670a192803e",
    "standard": "345ae25db428ac5b1090df43",
    "reference": "160434858f5572a159bae68b",
    "paper": "b5d17e3aa82401718471874e",
}
"""Keys of results as version 0.1 stored them (facts: {"data": "abc"}), when every preset stopped early and
ranked by scores."""


@pytest.mark.parametrize("preset", PRESETS)
def test_the_keys_of_stored_results_stay(preset):
    then = resolve(preset, {"model": {"image_size": 0}, "training": {"stopping": "early", "fitness": "score"}})
    assert result_hash(then, {"data": "abc"}) == KEYS[preset]


def test_the_file_is_plain_toml():
    data = tomllib.loads(RunConfig().to_toml({"model": "timm:x"}))
    assert data["resolved"] == {"model": "timm:x"}
    assert data["training"]["epochs"] == 20


@pytest.mark.parametrize("threshold", ["evolve", "none", 0.0, 0.3])
def test_a_threshold_survives_its_file(threshold, tmp_path):
    config = resolve("standard", {"search": {"threshold": threshold}})
    (tmp_path / "config.toml").write_text(config.to_toml({}))

    assert load_config(tmp_path / "config.toml")[0].search.threshold == threshold


@pytest.mark.parametrize(
    ("preset", "first", "judged", "planned", "share"),
    [
        ("quick", (8 + 3, 8 * 4 + 3 * 4), (8 + 3 * 5, 8 * 4 + 3 * (5 * 8 - 4)), 8 + 3, 4 / 12),
        ("standard", (9 + 3, 9 * 5 + 3 * 7), (9 + 3 * 5, 9 * 5 + 3 * (5 * 12 - 5)), 12, 66 / 12 / 20),
        ("paper", (30, 900), (150, 4500), 420, 0.7),
    ],
)
def test_what_a_search_plans(preset, first, judged, planned, share):
    """The allowance of 3.25 full fine-tunes pays for 3.25 * 12 / 4 trainings, fewer than 11, or 3.25 * 20 * 12 / 66."""
    config = resolve(preset, {})
    assert (config.first_batch(), config.first_batch(5)) == (first, judged)
    assert config.searched_trainings() == planned
    assert config.searched_share() == pytest.approx(share)


@pytest.mark.parametrize(
    ("preset", "rungs"), [("quick", (4, 8)), ("standard", (5, 12)), ("reference", (0,)), ("paper", (0,))]
)
def test_after_how_many_epochs_the_candidates_of_a_preset_pause(preset, rungs):
    config = resolve(preset, {})
    assert config.search.epochs_of_rungs(config.training.epochs) == rungs


@pytest.mark.parametrize(
    ("share", "epochs", "rung"),
    [(0.55, 100, 55), (0.07, 100, 7), (0.28, 25, 7), (0.33, 10, 4), (0.331, 100, 34), (1e-12, 20, 1)],
)
def test_a_share_of_the_epochs_is_rounded_up_from_its_exact_value(share, epochs, rung):
    """In binary, 0.55 * 100, 0.07 * 100 and 0.28 * 25 are a little more than whole numbers."""
    search = resolve("standard", {"search": {"rungs": (share, 1.0)}}).search
    assert search.epochs_of_rungs(epochs) == (rung, 0)


@pytest.mark.parametrize(
    ("search", "epochs"),
    [
        ({}, 9 * 5 + 3 * 12 - 5),
        ({"rungs": (1.0,)}, 9 * 3 * 20),
        ({"rungs": (0.1, 0.2, 0.4)}, 9 * 2 + 3 * 2 + 3 * 8 - 4),
    ],
)
def test_the_least_that_a_first_batch_takes(search, epochs):
    """Three parts judge the one that comes to the last rung."""
    assert resolve("standard", {"search": search}).first_batch(3, finishing=1)[1] == epochs


@pytest.mark.parametrize("preset", PRESETS)
def test_a_users_file_changes_its_preset_and_a_runs_file_is_complete(preset, tmp_path):
    path, label = tmp_path / "config.toml", "" if preset == "standard" else f'preset = "{preset}"\n'
    path.write_text(f"{label}[compute]\nthreads = 3\n")
    assert load_config(path)[0] == resolve(preset, {"compute": {"threads": 3}})
    path.write_text(f"{label}[compute]\nthreads = 3\n[resolved]\nmodel = 'x'\n")  # a run of an earlier version
    assert load_config(path)[0].training.stopping == "early"


@pytest.mark.parametrize(("preset", "one", "two"), [("standard", 3, 5), ("reference", 3, 6)])
def test_final_trainings_of_one_recipe_and_of_two(preset, one, two):
    config = resolve(preset, {})
    assert (config.final_trainings(1), config.final_trainings(2)) == (one, two)


def test_a_budget_of_evaluations_is_planned_where_it_is_the_smaller_one():
    assert resolve("standard", {"budget": {"max_evaluations": 7}}).searched_trainings() == 7
    assert resolve("standard", {"search": {"max_work": 0.0}}).searched_trainings() == 39


OLDER = """
preset = "paper"
seed = 3

[search]
name = "evolution"
population = 10
elites = 3
rank_law = "code"
same_parents = false
smallest_pool = 3
exploit = "one_trained"
amplitude = 0.25
momentum = true
mutation = true
adaptation = "per_gene"
survivors = "generational"
wipeout = "off"
infeasible = "penalise"
offspring = "sequential"
reevaluate = "none"

[method]
name = "recipe"
multipliers = [0.0, 1.0]
"""
"""A part of what version 0.1 wrote, when options of the evolution stood among the settings of the search."""


def test_a_configuration_of_an_older_run_is_read(tmp_path):
    (tmp_path / "config.toml").write_text(OLDER)
    config, _ = load_config(tmp_path / "config.toml")
    assert config.search.own_options == resolve("paper", {}).search.own_options
    assert (config.search.reevaluate, config.method.name) == ("none", "given")


@pytest.mark.parametrize(("more", "values"), [("", "default"), ('[resolved]\nversion = "0.1"\n', ())])
def test_a_run_of_then_chose_no_values(more, values, tmp_path):
    (tmp_path / "config.toml").write_text('preset = "standard"\n[search]\npopulation = 9\n' + more)
    found = load_config(tmp_path / "config.toml")[0].search.values
    assert found == (RunConfig().search.values if values == "default" else values)


def test_values_to_choose_are_typed_as_a_list():
    assert changes_of({"recipe_values": "augment,head_start"}) == {"search": {"values": ("augment", "head_start")}}
    assert changes_of({"recipe_values": "none"}) == {"search": {"values": ()}}
    assert resolve("standard", changes_of({"recipe_values": "augment,head_start,augment"})).search.values == (
        "head_start",
        "augment",
    )
    with pytest.raises(InputError, match=r"'search\.values\.0' cannot be 'dropout'"):
        resolve("standard", changes_of({"recipe_values": "dropout"}))


@pytest.mark.parametrize(
    ("preset", "changes", "expected"),
    [
        ("standard", {"name": "pso:inertia=0.2"}, ("pso", {"inertia": 0.2})),
        ("standard", {"name": "pso", "options": {"pso": {"inertia": 0.2}}}, ("pso", {"inertia": 0.2})),
        ("standard", {}, ("evolution", {"offspring": "batch", "rank_law": "bioik"})),
        ("paper", {"name": "evolution"}, ("evolution", {"offspring": "sequential", "rank_law": "code"})),
        ("paper", {"name": "evolution:rank_law=bioik"}, ("evolution", {"rank_law": "bioik", "smallest_pool": 3})),
        ("paper", {"name": "random"}, ("random", {})),
    ],
)
def test_options_of_a_search_join_those_of_the_preset(preset, changes, expected, tmp_path):
    search = resolve(preset, {"search": changes}).search
    assert (search.name, {name: search.own_options[name] for name in expected[1]}) == expected
    assert search.own_options == checked(SEARCHES[search.name].Options, search.own_options, "it").model_dump()


def test_options_of_other_searches_stay_for_them():
    search = resolve("standard", {"search": {"options": {"pso": {"inertia": 0.2}}}}).search
    assert search.changed(name="pso").own_options["inertia"] == 0.2
    assert search.changed(name="pso:social=2").own_options["social"] == 2.0
    assert search.changed(name="pso").changed(name="evolution") == search


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "pos"}, r"the search 'pos' is unknown \(did you mean 'pso'\?\); choose one of evolution, random, ga"),
        ({"name": "pso:inertai=1"}, r"the search 'pso' has no option 'inertai' \(did you mean 'inertia'\?\)"),
        ({"name": "pso:inertia=2"}, "'inertia' of the search 'pso' cannot be '2'; give a number from 0 to 1"),
        ({"name": "random:x=1"}, "the search 'random' has no option 'x'; it takes none"),
        ({"options": {"pos": {}}}, "the search 'pos' is unknown"),
        ({"options": {"evolution": {"amplitude": 2}}}, "'amplitude' of the search 'evolution' cannot be '2'"),
        ({"rank_law": "code"}, "The setting 'search.rank_law' is unknown"),
    ],
)
def test_wrong_options_of_a_search_are_refused_in_one_sentence(changes, message):
    with pytest.raises(InputError, match=message) as raised:
        resolve("standard", {"search": changes})
    assert "\n" not in str(raised.value)


def test_a_long_value_is_cut_in_the_refusal():
    with pytest.raises(InputError) as caught:
        resolve("standard", {"training": {"optimizer": "a" * 5000}})
    assert len(str(caught.value)) < 300
