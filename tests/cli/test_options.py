"""From options to a configuration."""

import dataclasses
import inspect
import json

import pytest
import tomli_w

import biotune
from biotune.cli.compare import compare
from biotune.cli.options import Given, Json, source, to_config, with_settings
from biotune.cli.train import train
from biotune.cli.tune import tune
from biotune.errors import InputError
from biotune.methods.choice import options_of_recipe
from biotune.recipe import Recipe
from biotune.settings.presets import PRESETS
from biotune.settings.resolve import resolve
from tiny import NETWORK


def configured(file=None, **options):
    """The configuration of a command line with these options."""
    return to_config(Given(options, file))


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("photos", "photos"),
        ("photos/", "photos"),
        ("mnist", "mnist"),
        ("mnist/", "./mnist"),
        ("a/mnist/", "a/mnist"),
        ("/", "/"),
    ],
)
def test_a_slash_at_the_end_says_that_a_folder_is_meant(typed, expected):
    assert source(typed) == expected


def test_where_named_data_sets_lie_is_not_which_they_are():
    data = configured(data_root="elsewhere").data
    assert (data.root, data.source) == ("elsewhere", "")


@pytest.mark.parametrize(("typed", "expected"), [("channels_last", "channels_last"), ("contiguous", "contiguous")])
def test_the_memory_format(typed, expected):
    assert configured(memory_format=typed).compute.memory_format == expected


@pytest.mark.parametrize(("typed", "expected"), [("auto", "auto"), ("bfloat16", "bfloat16")])
def test_the_precision(typed, expected):
    assert configured(precision=typed).compute.precision == expected


@pytest.mark.parametrize("command", [tune, train, compare])
def test_memory_format_and_precision_are_options_of_every_command_that_trains(command):
    assert {"memory_format", "precision"} <= set(inspect.signature(command).parameters)


def test_a_command_gets_the_options_that_were_typed():
    seen = []

    @with_settings(("epochs", "verify"), brief=True)
    def command(given: Given, json: Json = False) -> None:
        seen.append((given, json))

    assert list(inspect.signature(command).parameters) == ["verify", "epochs", "config", "json", "help_all"]
    command(verify=None, epochs=3, config=None, json=True)
    assert seen == [(Given({"epochs": 3}), True)]


def test_a_setting_without_an_option_cannot_be_taken():
    with pytest.raises(KeyError, match="patience_steps"):
        with_settings(("patience_steps",))(lambda given: None)


def test_the_cache_and_bad_images_can_be_chosen():
    config = configured(bad_images="error", cache_gib=0.5, verify=True)
    assert (config.data.bad_images, config.cache.limit_gib, config.cache.verify) == ("error", 0.5, True)


def test_nothing_given_is_the_standard_preset():
    assert configured() == resolve("standard", {})


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_by_name(preset):
    assert configured(preset=preset, seed=4) == resolve(preset, {}, 4)


def test_options_win_over_the_file_which_wins_over_the_preset(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text(tomli_w.dumps({"preset": "quick", "seed": 7, "training": {"epochs": 3, "batch_size": 4}}))
    config = configured(path, epochs=5)
    assert (config.preset, config.seed) == ("quick", 7)
    assert (config.training.epochs, config.training.batch_size) == (5, 4)
    assert configured(path, seed=0).seed == 0


def test_the_network_of_a_file_is_kept(cli, images, tiny_toml):
    """An option that was not given has no default that would win."""
    estimated = cli("tune", images, "--config", tiny_toml, "--out", "unused", "--dry-run", "--json")
    assert estimated.code == 0
    assert '"disk_bytes"' in estimated.out


def test_an_exact_batch_size_and_patience_are_not_bent():
    training = configured(batch_size=7, patience=2).training
    assert training.stopping == "early"
    assert (training.batch_size, training.limit_batch) == (7, False)
    assert (training.patience, training.patience_steps) == (2, 0)


@pytest.mark.parametrize(
    ("text", "names"), [("none", ()), ("full", ("full",)), ("full,linear_probe", ("full", "linear_probe"))]
)
def test_baselines(text, names):
    assert configured(baselines=text).final.baselines == names


def test_an_unknown_baseline_is_refused():
    with pytest.raises(InputError, match=r"The option --baselines cannot be 'ful': input should be 'full'"):
        configured(baselines="ful")


def test_a_wrong_value_of_a_file_is_named_by_its_setting(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text(tomli_w.dumps({"training": {"epochs": 0}}))
    with pytest.raises(InputError, match=r"The setting 'training\.epochs' cannot be 0"):
        configured(path, batch_size=4)


def test_all_wrong_options_are_named_together():
    with pytest.raises(
        InputError, match=r"The option --resize cannot be 'zoom': .*\. The option --epochs cannot be 0: "
    ) as e:
        configured(epochs=0, resize="zoom")
    assert "training" not in str(e.value)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, ("none", False, True, "none")),
        ({"augment": "light", "imbalance": "weights"}, ("light", False, True, "weights")),
        ({"augment": "strong", "augment_flip": False}, ("strong", False, False, "none")),
    ],
)
def test_augmentation_and_imbalance(given, expected):
    training = configured(**given).training
    assert (training.augment, training.augment_search, training.augment_flip, training.imbalance) == expected


def test_limits():
    config = configured(budget="2m", max_evaluations=9, max_cost=4.0, max_work=7.0)
    assert config.limits() == {"seconds": 120.0, "max_evaluations": 9, "max_cost": 4.0, "max_work": 7.0}


def test_a_configuration_and_a_preset_exclude_each_other(tiny_toml):
    with pytest.raises(InputError, match="either --config or --preset"):
        configured(tiny_toml, preset="quick")


def test_training_by_a_recipe_takes_its_network_rate_and_optimizer(cli, images, finished, tiny_toml, tmp_path):
    """What was typed wins over the recipe, and a file of settings replaces what the recipe says."""
    recipe = dataclasses.replace(Recipe.load(finished.folder), base_learning_rate=0.02, optimizer="sgd")
    recipe.save(tmp_path / "recipe.yaml")
    assert options_of_recipe(tmp_path / "recipe.yaml") == {"model": NETWORK, "learning_rate": 0.02, "optimizer": "sgd"}
    trained = {}
    for name, further in (("typed", ("--optimizer", "adamw", "--epochs", 1)), ("file", ("--config", tiny_toml))):
        arguments = ("--recipe", tmp_path / "recipe.yaml", "--weights", "random", "--image-size", 32, "--seeds", 1)
        ended = cli("train", images, *arguments, *further, "--out", tmp_path / name, "--json", "--quiet")
        trained[name] = json.loads(ended.out)["protocol"]
    assert (trained["typed"]["learning_rate"], trained["typed"]["optimizer"]) == (0.02, "adamw")
    assert (trained["file"]["learning_rate"], trained["file"]["optimizer"]) == (0.01, "adam")


@pytest.mark.parametrize(
    ("typed", "seeds"), [(["probe"], 1), (["probe:c=1"], 1), (["probe", "--seeds", 3], 3), (["full"], 3)]
)
def test_the_probe_trains_one_network_unless_more_are_asked_for(typed, seeds, cli, images, tmp_path, monkeypatch):
    configs = []
    monkeypatch.setattr("biotune.cli.train.do_run", lambda config, *_, **__: configs.append(config))
    monkeypatch.setattr("biotune.api.run", lambda config, *_, **__: configs.append(config))
    assert cli("train", images, "--method", *typed, "--out", tmp_path / "run").code == 0
    given = {"seeds": 3} if "--seeds" in typed else {}
    biotune.train(images, method=typed[0], out=tmp_path / "run", observer=biotune.silent, **given)
    biotune.train(images, method=typed[0], out=tmp_path / "run", observer=biotune.silent, final={"seeds": 5})
    assert [config.final.seeds for config in configs] == [seeds, seeds, 5]


def test_a_recipe_is_not_listed_as_a_method(cli):
    assert "given" not in json.loads(cli("methods", "--json").out)
