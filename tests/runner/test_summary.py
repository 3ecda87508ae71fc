"""What a finished run leaves: every documented key, numbers that belong together, files that can be used."""

import json
import tomllib

import numpy as np
import pytest

import biotune
from biotune.classifier import load_run
from biotune.pixels.cache import cache_folder
from biotune.pixels.loading import load
from biotune.records import Preprocessing
from biotune.runs.store import RunStore
from biotune.settings.sections import BASELINES
from biotune.statistics import paired_interval
from tiny import BRIEF, CLASSES, EARLY, evaluate_run, run, tiny_config, write_classes

SCORE = {"accuracy", "macro_accuracy", "standard_error", "per_seed", "metrics"}
KEYS = {
    "": {"schema_version", "status", "command", "biotune_version", "model", "data", "search", "final", "exported"}
    | {"recipe", "validation", "test", "baselines", "protocol"},
    "model": {"name", "parameters", "num_blocks"},
    "data": {"train", "validation", "test", "classes", "fingerprint"},
    "search": {
        "name",
        "preset",
        "seed",
        "generations",
        "evaluations",
        "trainings",
        "seconds",
        "cpu_seconds",
        "cost_in_full_finetunes",
    },
    "final": {"seconds", "cpu_seconds", "cost_in_full_finetunes"},
    "exported": {"seed", "test", "test_macro", "per_class"},
    "recipe": {"base_learning_rate", "blocks", "trainable_fraction"},
    "test": SCORE,
    "baselines": set(BASELINES),
}
BASELINE = {"validation", "test", "seconds", "cpu_seconds", "cost_in_full_finetunes"}


@pytest.mark.parametrize("section", KEYS)
def test_every_documented_key_is_there(section, finished):
    part = finished.summary[section] if section else finished.summary
    assert KEYS[section] <= set(part)


@pytest.mark.parametrize("name", BASELINES)
def test_every_documented_key_of_a_baseline_is_there(name, finished):
    entry = finished.summary["baselines"][name]
    assert set(entry) >= BASELINE
    assert entry["validation"] is None  # its final trainings had these images too
    assert set(entry["test"]) == SCORE
    assert entry["seconds"] > 0


def test_the_summary_says_what_was_done(finished, images):
    summary = finished.summary
    assert (summary["schema_version"], summary["status"], summary["command"]) == (2, "finished", "biotune tune")
    assert summary["biotune_version"] == biotune.__version__
    assert summary["model"]["name"] == "timm:test_efficientnet"
    assert summary["model"]["num_blocks"] == len(summary["recipe"]["blocks"]) == 7
    assert summary["model"]["parameters"] == sum(block["parameters"] for block in summary["recipe"]["blocks"])
    assert summary["data"]["classes"] == list(CLASSES)
    assert [summary["data"][part] for part in ("train", "validation", "test")] == [36, 12, 12]
    assert summary["search"]["evaluations"] == 4 + 2 * (4 + 1) == 14
    assert summary["search"]["generations"] == 2
    assert json.loads((finished.folder / "summary.json").read_text()) == summary


def test_scores_belong_together(finished):
    test = finished.summary["test"]
    assert test["accuracy"] == pytest.approx(np.mean(test["per_seed"]))
    assert test["standard_error"] == pytest.approx(np.std(test["per_seed"], ddof=1) / 2**0.5)
    exported = finished.summary["exported"]
    index = finished.summary["protocol"]["seeds"].index(exported["seed"])
    assert exported["test"] == test["per_seed"][index]


def test_with_validation_scores_the_best_seed_is_exported(images, no_report, tmp_path):
    summary = run(tiny_config(images, BRIEF, EARLY, {"final": {"seeds": 3}}), tmp_path / "run")
    validation, exported = summary["validation"]["per_seed"], summary["exported"]
    index = summary["protocol"]["seeds"].index(exported["seed"])
    assert validation[index] == max(validation)
    assert exported["test"] == summary["test"]["per_seed"][index]


def test_costs_are_in_full_fine_tunes_of_this_run(finished):
    """Two seeds, on 48 training and validation images where the unit has 36; the sweep did what the search did."""
    summary = finished.summary
    rows = {name: row["cost_in_full_finetunes"] for name, row in summary["baselines"].items()}
    assert rows["full"] == pytest.approx(2 * 48 / 36)
    assert rows["probe"] == pytest.approx(rows["full"] / 3 / 2)  # a third of one of two epochs
    assert rows["full"] + 0.5 < rows["full_tuned"] < rows["full"] + summary["search"]["cost_in_full_finetunes"]


def test_a_tuned_baseline_tells_what_its_sweep_tried(finished):
    rows = finished.summary["baselines"]
    tried = {row["multipliers"][0]: row["fitness"] for row in rows["full_tuned"]["sweep"]}
    assert set(list(tried)[:2]) == {1.0, 3.0}
    chosen = rows["full_tuned"]["learning_rate_multiplier"]
    assert tried[chosen] == max(tried[row["multipliers"][0]] for row in rows["full_tuned"]["sweep"] if row["finished"])
    assert rows["full"]["sweep"] is None


def test_cpu_time_stands_beside_the_cost(finished):
    summary = finished.summary
    parts = [summary["search"], summary["final"], *summary["baselines"].values()]
    assert all(part["cpu_seconds"] > 0 for part in parts)
    assert summary["full_finetune_cpu_seconds"] > 0


def test_trainable_fraction_counts_parameters(finished):
    recipe = finished.summary["recipe"]
    trained = sum(block["parameters"] for block in recipe["blocks"] if block["multiplier"] > 0)
    assert recipe["trainable_fraction"] == pytest.approx(trained / finished.summary["model"]["parameters"])


def test_the_exported_model_has_the_reported_test_accuracy(finished, images):
    """The network is loaded anew, and asked about the files of the test images."""
    preprocessing = Preprocessing.from_json(json.loads((finished.folder / "preprocessing.json").read_text()))
    data = load(biotune.datasets.open_source(images), tiny_config(images).data, preprocessing)
    files = data.test.images.files
    predicted = [answer.label for answer in load_run(finished.folder).predict(files)]
    right = np.mean([label == file.parent.name for label, file in zip(predicted, files, strict=True)])
    assert right == pytest.approx(finished.summary["exported"]["test"])
    assert cache_folder().is_dir()


def test_evaluating_all_images_agrees_with_the_parts(finished, images):
    """48 images to learn from and 12 test images: the whole set's accuracy lies within what they allow."""
    scores = evaluate_run(finished.folder, images, split="all")
    test = finished.summary["exported"]["test"]
    assert scores["images"] == 60
    assert 12 * test / 60 <= scores["accuracy"] <= (48 + 12 * test) / 60
    assert scores["macro_accuracy"] == pytest.approx(np.mean(list(scores["per_class"].values())))


def test_the_recipe_file_is_the_recipe_of_the_summary(finished):
    recipe = biotune.Recipe.load(finished.folder)
    expected = [(block["name"], block["multiplier"]) for block in finished.summary["recipe"]["blocks"]]
    assert list(zip(recipe.partition.names, recipe.multipliers, strict=True)) == expected
    assert (recipe.base_learning_rate, recipe.model) == (0.01, "timm:test_efficientnet")


def test_the_run_folder_holds_what_it_should_and_no_more(finished):
    visible = {path.name for path in finished.folder.iterdir() if not path.name.startswith(".")}
    expected = "config.toml run.sqlite recipe.yaml model.safetensors labels.json preprocessing.json summary.json"
    also = "history.json answers.json answers.csv probabilities.npz report.html figures members learned.bin"
    assert visible == {*expected.split(), *also.split(), "manifest.json", "familiarity.safetensors"}


def test_the_resolved_configuration_is_kept(finished):
    config = tomllib.loads((finished.folder / "config.toml").read_text())
    assert config["compute"]["device"] == "cpu"
    assert config["compute"]["threads"] == 1
    assert set(config["resolved"]) >= {"torch", "timm", "model", "weights", "partition", "data", "pixels"}


def test_history_has_no_clock(finished):
    text = (finished.folder / "history.json").read_text()
    history = json.loads(text)
    assert "seconds" not in text
    assert [row["sequence"] for row in history["candidates"]] == list(range(14))
    assert {row["kind"] for row in history["candidates"]} == {"new", "probe"}
    assert {curve["method"] for curve in history["curves"]} == {"biotune", *BASELINES}


def test_without_a_test_set_the_run_says_so(images, tmp_path):
    changes = {"data": {"test_fraction": 0.0}, "search": {"generations": 0}}
    summary = run(tiny_config(images, changes), tmp_path / "run")
    assert summary["test"] is summary["exported"]["test"] is None
    assert summary["data"]["test"] == 0
    assert all(entry["test"] is entry["difference"] is None for entry in summary["baselines"].values())
    page = (tmp_path / "run" / "report.html").read_text()
    assert "There is no test set in this run. The headline is an estimate instead" in page
    assert "on the 60 images of colours, each left out of one of 5 trainings. It trains" in page


@pytest.mark.parametrize("method", ["search", "gradual_last_first"])
def test_without_a_test_set_every_image_is_left_out_of_one_training(method, images, tmp_path):
    changes = {"data": {"test_fraction": 0.0}, "method": {"name": method}, "search": {"generations": 0}}
    config = tiny_config(images, {**changes, "training": {"epochs": 3, "learning_rate": 0.01}})
    found = run(config, tmp_path / "run")["out_of_fold"]
    with RunStore(tmp_path / "run" / "run.sqlite", read_only=True) as store:
        trained = sorted((task["fold"], task["method"], result) for _, task, result in store.trainings("estimate"))
        final = [result for _, task, result in store.trainings() if task["keep_weights"] and not task["last_epoch"]]
    assert len({fold for fold, _, _ in trained}) == 5
    assert {name for _, name, _ in trained} == {"given" if method == "search" else method}
    assert {len(result.curve) for _, _, result in trained} == {found["epochs"]}
    assert 1 <= found["epochs"] <= max(result.best_epoch + 1 for result in final)
    assert found["images"] == 60
    assert found["per_fold"] == [result.curve[-1].accuracy for _, _, result in trained]
    assert found["accuracy"] == pytest.approx(np.mean(found["per_fold"]))


def test_a_test_set_needs_no_estimate(finished):
    assert finished.summary["out_of_fold"] is None


def test_the_kept_answers_give_the_scores_and_intervals_again(finished):
    content = json.loads((finished.folder / "answers.json").read_text())
    truth = np.array(content["truth"])
    correct = {name: np.array(rows) == truth for name, rows in content["predicted"].items()}
    assert len(content["images"]) == len(truth) == finished.summary["data"]["test"]
    assert correct["biotune"].mean(axis=1).tolist() == finished.summary["test"]["per_seed"]
    intervals = {name: paired_interval(correct["biotune"], correct[name]) for name in finished.summary["baselines"]}
    assert {name: {**found.to_json(), "verdict": found.verdict} for name, found in intervals.items()} == {
        name: entry["difference"] for name, entry in finished.summary["baselines"].items()
    }


def test_the_exported_network_is_scored_class_by_class(finished):
    """Twenty images a class: four for the test; the final trainings learned from the other sixteen."""
    exported = finished.summary["exported"]
    rows = exported["per_class"]
    assert [(row["name"], row["train"], row["test"]) for row in rows] == [(name, 16, 4) for name in CLASSES]
    scores = [row["recall"] for row in rows]
    assert np.mean(scores) == pytest.approx(exported["test_macro"]) == pytest.approx(exported["test"])
    assert "The classes are unequal" not in (finished.folder / "report.html").read_text()


def test_unequal_classes_are_told_class_by_class(tmp_path):
    """Of two images none is tested, so that nothing can be said about the class on the test set."""
    images = write_classes(tmp_path / "images", {"blue": 20, "green": 10, "red": 2})
    summary = run(tiny_config(images, BRIEF, {"training": {"epochs": 1, "imbalance": "weights"}}), tmp_path / "run")
    rows = {row["name"]: row for row in summary["exported"]["per_class"]}
    assert {name: (row["train"], row["test"]) for name, row in rows.items()} == {
        "blue": (16, 4),
        "green": (8, 2),
        "red": (2, 0),
    }
    assert rows["red"]["recall"] is None
    assert summary["exported"]["test_macro"] == pytest.approx((rows["blue"]["recall"] + rows["green"]["recall"]) / 2)
    report = (tmp_path / "run" / "report.html").read_text()
    assert report.index("no test image") > report.index("What it gets wrong")
    assert "images of small classes weighed more in the loss" in report


def test_candidates_name_those_that_they_were_made_from(finished):
    """A population of four, then in each of two generations two probes around the best and three children of two.

    Both parents of a child may be the same.
    """
    rows = json.loads((finished.folder / "history.json").read_text())["candidates"]
    most = [0] * 4 + [1, 1, 2, 2, 2] * 2
    for row, number in zip(rows, most, strict=True):
        assert bool(row["parents"]) == bool(number)
        assert len(row["parents"]) <= number
    for row in rows:
        assert all(parent < row["sequence"] for parent in row["parents"])
        if row["kind"] == "probe":
            (parent,) = row["parents"]
            assert sum(a != b for a, b in zip(row["genes"], rows[parent]["genes"], strict=True)) <= 1
