"""A model that can be used from the first training on, replaced by what is better on validation."""

import importlib
import json
import re
import shutil
from pathlib import Path

import pytest
import safetensors.numpy

from biotune.classifier import load_run
from biotune.errors import InputError, InterruptedRunError
from biotune.runs.events import Message
from biotune.runs.status import run_status
from biotune.runs.store import RunStore
from biotune.runs.unfinished import read_model
from biotune.trials.worker import Worker
from pretended import keep_weights, never, pretend, scored
from tiny import EARLY, evaluate_run, run, tiny_config

PROBE = "logistic regression on the features of the frozen network"
FIRST = "the first epochs of full fine-tuning"
SMALL = {"search": {"population": 4, "generations": 1}, "final": {"seeds": 2, "candidates": 2, "baselines": ()}}


def stop_at(pattern: str, config, folder: Path) -> Path:
    """Do a run until it says a sentence that fits a pattern."""

    def observe(event: object) -> None:
        if isinstance(event, Message) and re.match(pattern, event.text):
            raise InterruptedRunError("stopped.")

    with pytest.raises(InterruptedRunError):
        run(config, folder, observer=observe)
    return folder


@pytest.fixture(scope="module")
def begun(images, tmp_path_factory) -> Path:
    """A run that was stopped after its probe and the first epochs of full fine-tuning; not to be changed."""
    return stop_at("One full fine-tune takes", tiny_config(images, SMALL), tmp_path_factory.mktemp("begun") / "run")


@pytest.fixture(scope="module")
def searched(images, tmp_path_factory) -> Path:
    """A run that was stopped within its search; not to be changed."""
    return stop_at(r"Generation 0 ", tiny_config(images, SMALL), tmp_path_factory.mktemp("searched") / "run")


def best_of(folder):
    """Return phase and result of the best training; there may be two of them, the first wins a tie."""
    with RunStore(folder / "run.sqlite", read_only=True) as store:
        rows = store.trainings()
    phase, _, result = max(rows, key=lambda row: (row[2].fitness, row[0] == "probe"))
    return {"probe": PROBE, "search": FIRST}[phase], result


def test_before_the_search_there_is_a_model(cli, begun, images):
    names = {path.name for path in begun.iterdir()}
    assert names >= {"model.safetensors", "recipe.yaml", "labels.json", "preprocessing.json"}
    predicted = cli("predict", begun, images / "red" / "000.png", "--json")
    words, result = best_of(begun)
    said = f"biotune: The run in '{begun}' is not finished; its best model so far is {words} (fitness "
    said += f"{result.fitness:.4f} on the validation images).\n"
    assert (predicted.code, len(json.loads(predicted.out))) == (0, 1)
    assert predicted.err == said
    status = run_status(begun)
    assert (status.status, status.model) == ("stopped", words)
    assert f"; model: {words}; " in status.sentence()


def test_it_is_the_model_whose_validation_score_is_stored(begun, images):
    _, result = best_of(begun)
    scores = evaluate_run(begun, images)
    assert (scores["split"], scores["images"], scores["seen"]) == ("validation", 12, 12)
    assert scores["macro_accuracy"] == pytest.approx(result.best.macro_accuracy)
    assert "is not finished" in scores["note"]


def test_a_run_that_was_killed_after_its_probe_has_a_model(images, tmp_path, monkeypatch):
    """Whoever stops it while the unit of cost is measured has logistic regression."""
    monkeypatch.setattr(importlib.import_module("biotune.runner.searched"), "first_epochs", _interrupt)
    with pytest.raises(InterruptedRunError):
        run(tiny_config(images, SMALL), tmp_path / "run")
    assert read_model(tmp_path / "run")[0].what == PROBE
    assert load_run(tmp_path / "run").predict([images / "red" / "000.png"])


def test_where_trainings_stop_early_a_whole_full_fine_tune_follows_the_probe(images, tmp_path, monkeypatch):
    pretend(monkeypatch, in_order((0.4, 0.5)))
    folder = stop_at("One full fine-tune takes", tiny_config(images, SMALL, EARLY), tmp_path / "run")
    assert read_model(folder)[0].what == "plain full fine-tuning"


@pytest.mark.parametrize("split", ["test", "all"])
def test_its_test_images_stay_closed(split, cli, begun, images):
    ended = cli("evaluate", begun, images, "--split", split)
    assert (ended.code, ended.out) == (2, "")
    assert "the test images stay closed until the run in " in ended.err
    with pytest.raises(InputError, match="score its validation images"):
        evaluate_run(begun, images, split=split)


def test_within_the_search_it_is_the_best_training_so_far(searched, images):
    with RunStore(searched / "run.sqlite", read_only=True) as store:
        stored = [(result.fitness, name) for name, _, result in store.trainings() if result.outcome == "ok"]
    about, content = read_model(searched)
    assert about.fitness == max(fitness for fitness, _ in stored)
    assert about.what in (PROBE, FIRST) or re.fullmatch(r"generation \d, candidate \d+ of the search", about.what)
    assert evaluate_run(searched, images)["note"].count(about.what) == 1
    assert set(safetensors.numpy.load(content)) == set(load_run(searched).model.state_dict())
    assert list((searched / "checkpoints").iterdir()) == []  # it lies in its place


def in_order(scores):
    """Trainings without any, of given fitness in order; a later one is worth no more than the first of these."""
    left = iter(scores)

    def evaluate(worker, task):
        score = next(left, 0.1)
        if task.keep_weights or score > task.keep_above:
            keep_weights(worker, task)
        return scored(score)

    return evaluate


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ((0.5, 0.4, 0.5, 0.3), PROBE),
        ((0.5, 0.6, 0.6, 0.3), FIRST),
        ((0.5, 0.4, 0.6, 0.6), "generation 0, candidate 2 of the search"),
        ((0.5, 0.7, 0.6, 0.8), "generation 0, candidate 3 of the search"),
    ],
)
def test_it_changes_when_a_training_is_better(scores, expected, images, tmp_path, monkeypatch):
    pretend(monkeypatch, in_order(scores))
    folder = stop_at("Generation 0 ", tiny_config(images, SMALL), tmp_path / "run")
    about, _ = read_model(folder)
    assert (about.what, about.fitness) == (expected, max(scores))
    assert list((folder / "checkpoints").iterdir()) == []


def test_the_chosen_one_replaces_a_lucky_one(images, tmp_path, monkeypatch):
    """A candidate that looked best on one seed gives way to the choice of the final phase, on fresh ones."""
    pretend(monkeypatch, in_order((0.5, 0.9)))
    config = tiny_config(images, SMALL)
    about, _ = read_model(stop_at("The recipe is chosen", config, tmp_path / "run"))
    assert (about.what, about.fitness) == ("the chosen one", 0.1)
    pretend(monkeypatch, never)
    assert read_model(stop_at("The recipe is chosen", config, tmp_path / "run"))[0] == about


def test_a_finished_run_says_nothing(cli, finished, images):
    predicted = cli("predict", finished.folder, images / "red" / "000.png")
    assert (predicted.code, predicted.err) == (0, "")
    assert load_run(finished.folder).note == ""
    assert not (finished.folder / "unfinished.json").exists()


def test_a_method_of_its_own_leaves_its_best_seed(images, tmp_path, monkeypatch):
    pretend(monkeypatch, in_order((0.5, 0.7, 0.6)))
    monkeypatch.setattr(Worker, "logits", _interrupt)
    config = tiny_config(images, EARLY, {"method": {"name": "linear_probe"}, "final": {"seeds": 3}})
    with pytest.raises(InterruptedRunError):
        run(config, tmp_path / "run")
    about, _ = read_model(tmp_path / "run")
    with RunStore(tmp_path / "run" / "run.sqlite", read_only=True) as store:
        (seed,) = [task["seed"] for _, task, result in store.trainings() if result.fitness == 0.7]
    assert (about.what, about.fitness) == (f"linear probe, seed {seed}", 0.7)


def _interrupt(*_: object) -> None:
    raise InterruptedRunError("stopped.")


def test_a_larger_budget_keeps_the_finished_model_until_the_new_choice(images, tmp_path, no_report):
    folder, budget = tmp_path / "run", {"budget": {"max_evaluations": 2}}
    run(tiny_config(images, SMALL, budget), folder)
    before = (folder / "model.safetensors").read_bytes()
    stop_at("Generation 0 ", tiny_config(images, SMALL), folder)
    assert (folder / "model.safetensors").read_bytes() == before
    assert (read_model(folder), load_run(folder).note, run_status(folder).status) == (None, "", "finished")


def test_a_damaged_description_is_replaced_by_the_continued_run(begun, images, tmp_path):
    folder = shutil.copytree(begun, tmp_path / "run")
    (folder / "unfinished.json").write_text("{")
    stop_at("One full fine-tune takes", tiny_config(images, SMALL), folder)
    assert read_model(folder)[0].what == PROBE  # until a training is better
    assert load_run(folder).class_names == load_run(begun).class_names
