"""Runs of a text classifier of transformers from a folder: trained, searched, exported, refined and refused."""

import json

import pytest
import safetensors.torch
import torch
import transformers

from biotune.classifier import load_run
from biotune.models import forward_logits
from biotune.recipe import Recipe
from biotune.runner.refine import refine
from biotune.runner.setup import set_up
from biotune.runs.folder import CONFIG
from biotune.scored import evaluate_run
from biotune.settings.resolve import load_config
from biotune.training.prefix.plan import Planner
from biotune.trials.worker import source_of
from hugging_face_texts import LENGTH, VOCABULARY, save_classifier
from text_files import orders, write_csv
from tiny import BRIEF, run, tiny_config

FULL = {"method": {"name": "full"}, "final": {"seeds": 1, "data": "training"}}


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    """Texts with a word that names their class; the first two have the same, largest length: no padding."""
    other = {"yes": "no", "no": "yes"}
    rows = [(f"the film was {label} very quite a story with it", label) for label in ("yes", "no")]
    rows += [(text.replace(other[label], "a"), label) for text, label in orders(120)]
    return write_csv(tmp_path_factory.mktemp("texts") / "words.csv", rows)


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    return save_classifier(tmp_path_factory.mktemp("network"))


def configured(texts, network, *changes, **training):
    model = {"name": f"hf:{network}", "weights": "auto", "image_size": "auto"}
    own = {"model": model, "training": {"epochs": 2, "learning_rate": 0.003, **training}}
    return tiny_config(texts, own, *changes)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, texts, network):
    """A finished run; not to be changed."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    return folder, run(configured(texts, network, FULL, epochs=8), folder, "biotune train")


def test_it_learns_and_says_what_it_is(trained, network):
    folder, summary = trained
    inputs = json.loads((folder / "preprocessing.json").read_text())

    assert summary["test"]["accuracy"] > 0.9
    assert (summary["data"]["kind"], summary["model"]["image_size"]) == ("text", 0)
    assert (summary["model"]["vocabulary"], summary["model"]["max_length"]) == (len(VOCABULARY), LENGTH)
    assert summary["model"]["weights"] == f"transformers {network}"
    assert inputs["tokenizer"] == (network / "tokenizer.json").read_text()


def test_the_exported_tensors_are_those_of_transformers(trained, network):
    state = safetensors.torch.load_file(trained[0] / "model.safetensors")
    config = transformers.AutoConfig.from_pretrained(network)
    config.num_labels = 2

    transformers.AutoModelForSequenceClassification.from_config(config).load_state_dict(state)


def test_answers_and_scores(trained, texts):
    classifier, found = load_run(trained[0]), evaluate_run(trained[0], texts).results
    answers = classifier.predict(["the yes and film", "no the story"])

    assert [answer.label for answer in answers] == ["yes", "no"]
    assert found.own
    assert found.metrics["accuracy"] == trained[1]["exported"]["test"]


def test_padding_is_recorded_beside_the_outputs_of_frozen_blocks(texts, network):
    """Also where the first texts, by which this is found out, have no padding."""
    config = configured(texts, network, FULL)
    setup = set_up(config, None, lambda _event: None)
    partition = setup.loaded.partition
    source = source_of(setup.data.selection.images, setup.loaded.preprocessing, setup.config.compute)
    model, frozen = setup.loaded.model, Recipe(partition, (0.0, 0.0, 1.0, 1.0, 1.0, 1.0))
    frozen.apply(model)
    plan = Planner(source, forward_logits).plan(model.eval(), frozen)

    assert (source.tokens[:2] != 0).all()
    assert set(plan.needed) == {"is_word", "bert.encoder.layer.0"}


@pytest.mark.parametrize("trains", ["head", "bert.encoder.layer.1"])
def test_recorded_outputs_of_frozen_blocks_change_nothing(trains, texts, network, no_report, tmp_path):
    """Padding is known behind the recorded outputs too, and frozen blocks stay bit-equal."""
    names = ("bert.embeddings", *(f"bert.encoder.layer.{number}" for number in range(3)), "bert.pooler", "head")
    first = names.index(trains)
    given = {"name": "given", "multipliers": [0.0] * first + [1.0] * (6 - first)}
    states = []
    for mib in (0, 1024):
        changes = {"compute": {"device": "cpu", "threads": 1, "prefix_cache_mib": mib}, "method": given}
        folder = tmp_path / str(mib)
        run(configured(texts, network, FULL, changes), folder)
        states.append(safetensors.torch.load_file(folder / "model.safetensors"))
    original = transformers.AutoModelForSequenceClassification.from_pretrained(network).state_dict()

    torch.testing.assert_close(states[0], states[1], rtol=0, atol=1e-4)  # other batches round otherwise
    frozen = [name for name in states[0] if name.startswith(names[:first])]
    assert frozen
    assert all(torch.equal(states[1][name], original[name]) for name in frozen)
    assert not torch.equal(states[1]["classifier.weight"], original["classifier.weight"][:2])


def test_a_search_and_several_processes(texts, network, no_report, tmp_path):
    tuned = [
        run(configured(texts, network, BRIEF, {"compute": {"device": "cpu", "threads": 1, "workers": workers}}), folder)
        for workers, folder in ((1, tmp_path / "1"), (2, tmp_path / "2"))
    ]

    assert tuned[0]["model"]["num_blocks"] == 6
    assert (tmp_path / "1" / "model.safetensors").read_bytes() == (tmp_path / "2" / "model.safetensors").read_bytes()


@pytest.mark.parametrize("layer", ["classifier", "bert.encoder.layer.2.output.dense"])
def test_a_layer_can_be_refined(layer, trained, texts, tmp_path):
    config = load_config(trained[0] / CONFIG)[0]
    chosen = config.refine.model_copy(
        update={"layer": (layer,), "seeds": 1, "agents": 3, "iterations": 1, "bound": 0.05, "safeguards": False}
    )
    refined = refine(config.model_copy(update={"refine": chosen}), trained[0], tmp_path / "refined", "biotune refine")
    judged = refined.refinement.judged

    assert judged["refined"].searched.mean <= judged["trained"].searched.mean
    assert evaluate_run(tmp_path / "refined", texts).results.metrics["accuracy"] == refined.exported.test


def test_texts_in_other_folders_and_images(texts, network, images, tmp_path, cli):
    (network.parent / "empty").mkdir(exist_ok=True)
    wrong = cli(
        "train", texts, "--method", "full", "--model", f"hf:{network.parent / 'empty'}", "--out", tmp_path / "a"
    )
    pictures = cli("train", images, "--method", "full", "--model", f"hf:{network}", "--out", tmp_path / "b")

    assert (wrong.code, pictures.code) == (2, 2)
    assert "does not take; choose text:lstm, or hf:FOLDER with a classifier of transformers and its" in wrong.err
    assert f"holds images, which hf:{network} does not take; choose an image classifier" in pictures.err
