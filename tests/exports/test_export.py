"""Exporting a finished run: what lies in the folder, what it answers alone, what is refused."""

import importlib
import json
import runpy
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import biotune
import tiny
from backbones import Tied
from biotune.errors import DamagedStateError, InputError
from biotune.exports import folder as folder_module
from biotune.exports.script import program
from biotune.runs.unfinished import Unfinished, digest, replace_model
from text_files import orders, write_csv

ALONE = """
import runpy, sys
path, blocked = sys.argv.pop(1), sys.argv.pop(1)
sys.modules.update(dict.fromkeys(blocked.split(",")))
runpy.run_path(path, run_name="__main__")
"""


def answers_alone(path, images, without=()):
    """What ``predict.py`` prints in a process that cannot import biotune, nor what is named."""
    blocked = ",".join(("biotune", *without))
    command = [sys.executable, "-W", "ignore", "-c", ALONE, path, blocked, *images]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in ended.stdout.splitlines()]


@pytest.fixture(scope="module")
def unseen(tmp_path_factory):
    """Images that the run has never seen."""
    folder = tiny.write_classes(tmp_path_factory.mktemp("unseen"), dict.fromkeys(tiny.CLASSES, 3), first_seed=77)
    return sorted(folder.glob("*/*.png"))


@pytest.fixture(scope="module")
def exported(finished, tmp_path_factory):
    return biotune.export(finished.folder, "timm", out=tmp_path_factory.mktemp("exports") / "timm")


def same_answers(found, classifier, images):
    expected = classifier.predict(images)
    assert [answer["label"] for answer in found] == [answer.label for answer in expected]
    for one, other in zip(found, expected, strict=True):
        assert one["probabilities"] == pytest.approx(other.probabilities, abs=1e-5)


def test_a_folder_of_timm_answers_without_biotune(finished, exported, unseen):
    found = answers_alone(exported.folder / "predict.py", unseen)

    assert len(found) == 9
    same_answers(found, biotune.load_run(finished.folder), unseen)


def test_files_that_cannot_be_read_are_passed_over(exported, unseen, tmp_path):
    """No image, one of 16 bits, one of floating point, and one that Pillow takes for an attack."""
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    Image.fromarray(np.full((8, 8), 40_000, np.uint16)).save(tmp_path / "deep.png")
    Image.fromarray(np.full((8, 8), 0.5, np.float32)).save(tmp_path / "float.tif")
    Image.new("1", (20_000, 20_000)).save(tmp_path / "huge.png")
    odd = sorted(tmp_path.iterdir())

    found = answers_alone(exported.folder / "predict.py", [unseen[0], *odd, unseen[1]])

    assert [answer["path"] for answer in found] == [str(unseen[0]), str(unseen[1])]


def test_what_is_passed_over_is_named(exported, tmp_path, capsys, monkeypatch):
    Image.fromarray(np.full((8, 8), 40_000, np.uint16)).save(tmp_path / "deep.png")
    monkeypatch.setattr(sys, "argv", ["predict.py", str(tmp_path / "deep.png")])
    runpy.run_path(str(exported.folder / "predict.py"), run_name="__main__")
    assert capsys.readouterr() == (
        "",
        f"{tmp_path}/deep.png: it has more than 8 bits for each value; save it with 8.\n",
    )


def test_an_onnx_file_answers_without_biotune_and_torch(finished, unseen, tmp_path):
    done = biotune.export(finished.folder, "onnx", out=tmp_path / "onnx")

    assert {path.name for path in done.folder.iterdir()} == {"model.onnx", "predict.py", "README.md"}
    found = answers_alone(done.folder / "predict.py", unseen, without=("torch", "timm", "onnx"))
    same_answers(found, biotune.load_run(finished.folder), unseen)


def test_every_network_of_the_vote_is_there(finished, exported):
    seeds = finished.summary["exported"]["members"]

    assert exported.networks == 1 + len(seeds) > 1
    assert {path.name for path in (exported.folder / "members").iterdir()} == {f"seed-{seed}" for seed in seeds}
    assert exported.parity.what == "validation images of the data set"
    assert exported.parity.images == finished.summary["data"]["validation"]
    assert exported.parity.greatest_difference < 1e-5
    assert f"On {exported.parity.images} validation images" in (exported.folder / "README.md").read_text()


def test_one_network_is_the_exported_one(finished, unseen, tmp_path):
    done = biotune.export(finished.folder, "timm", out=tmp_path / "one", vote=False)

    assert (done.networks, (done.folder / "members").exists()) == (1, False)
    same_answers(
        answers_alone(done.folder / "predict.py", unseen), biotune.load_run(finished.folder, vote=False), unseen
    )


def test_the_preprocessing_names_its_steps_in_order(finished, exported):
    said = json.loads((exported.folder / "preprocessing.json").read_text())

    assert {**json.loads((finished.folder / "preprocessing.json").read_text()), "steps": said["steps"]} == said
    assert [step.split()[0] for step in said["steps"]] == ["Decode", "Cut", "Divide", "Subtract"]
    assert json.loads((exported.folder / "labels.json").read_text()) == list(tiny.CLASSES)


def test_the_command_says_what_it_checked(finished, cli, tmp_path):
    ended = cli("export", finished.folder, "--format", "timm", "--single", "--out", tmp_path / "new" / "export")

    assert ended.code == 0
    assert "the probabilities of this export differ from those of BioTune by at most" in ended.out
    assert f"python {tmp_path}/new/export/predict.py IMAGE..." in ended.out
    again = cli("export", finished.folder, "--format", "timm", "--out", tmp_path / "new" / "export")
    assert (again.code, again.out) == (2, "")
    assert "is not empty (it holds 'README.md'); choose a new folder with --out." in again.err


def test_the_default_folder_lies_in_the_run_folder(finished, cli, tmp_path):
    run = finished.copy(tmp_path / "run")

    ended = cli("export", run, "--format", "hub", "--json")

    found = json.loads(ended.out)
    assert (found["folder"], found["format"], found["networks"]) == (str(run / "exports" / "hub"), "hub", 2)
    assert found["parity"]["same_class"] == found["parity"]["images"]
    assert (run / "exports" / "hub" / "README.md").read_text().startswith("---\nlibrary_name: timm\n")
    assert cli("status", run).code == 0
    assert cli("predict", run, run / "figures").code == 0  # the folder is still a run


def test_images_that_are_gone_are_made_up(finished, tmp_path, monkeypatch):
    run = finished.copy(tmp_path / "run")
    config = run / "config.toml"
    config.write_text(config.read_text().replace(finished.summary["data"]["name"], "gone"))

    parity = biotune.export(run, "timm").parity
    assert (parity.images, parity.what) == (16, "made-up images (the data set was not found)")


def test_an_export_that_answers_otherwise_leaves_nothing(finished, tmp_path, monkeypatch):
    def wrong(form, preprocessing):
        return program(form, replace(preprocessing, mean=(0.9, 0.9, 0.9)))

    monkeypatch.setattr(folder_module, "program", wrong)
    with pytest.raises(InputError, match="does not answer as the run does: a probability differs by"):
        biotune.export(finished.folder, "timm", out=tmp_path / "export")
    assert list(tmp_path.iterdir()) == []


class TestRefusals:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (("--format", "pickle"), "unknown format 'pickle'; use timm, onnx or hub."),
            (("--format", "timm", "--push", "me/photos"), "only the format hub can be uploaded; add --format hub"),
            (
                ("--format", "hub", "--push", "photos"),
                "'photos' cannot name a repository of the hub; give --push OWNER",
            ),
        ],
    )
    def test_wrong_options(self, options, message, finished, cli, tmp_path):
        ended = cli("export", finished.folder, *options, "--out", tmp_path / "export")
        assert (ended.code, ended.out) == (2, "")
        assert message in ended.err
        assert list(tmp_path.iterdir()) == []

    def test_a_file_in_the_place_of_the_folder(self, finished, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(InputError, match="is a file; choose a new folder with --out"):
            biotune.export(finished.folder, "timm", out=tmp_path / "file")

    def test_no_run(self, cli, tmp_path):
        ended = cli("export", tmp_path, "--format", "timm")
        assert ended.code == 2
        assert "holds no run of biotune" in ended.err

    def test_a_damaged_run(self, finished, cli, tmp_path):
        run = finished.copy(tmp_path / "run")
        (run / "model.safetensors").write_bytes((run / "model.safetensors").read_bytes()[:-1] + b"x")

        ended = cli("export", run, "--format", "timm")
        assert ended.code == DamagedStateError.exit_code
        assert "model.safetensors' is not as the run left it" in ended.err

    def test_an_unfinished_run(self, finished, tmp_path):
        run = finished.copy(tmp_path / "run")
        about = Unfinished(
            "one of the search",
            0.5,
            digest((run / "model.safetensors").read_bytes()),
            (run / "recipe.yaml").read_text(),
            list(tiny.CLASSES),
            json.loads((run / "preprocessing.json").read_text()),
            "colours",
        )
        replace_model(run, (run / "model.safetensors").read_bytes(), about)

        with pytest.raises(InputError, match="is not finished; run its command again to continue it, then export it"):
            biotune.export(run, "timm")

    def test_texts(self, no_report, tmp_path):
        changes = {"model": {"name": "text:mean", "weights": "auto", "image_size": "auto"}}
        texts = write_csv(tmp_path / "texts.csv", orders(60))
        tiny.run(tiny.tiny_config(texts, tiny.BRIEF, changes, {"method": {"name": "full"}}), tmp_path / "run", "train")
        with pytest.raises(InputError, match="run of text:mean, which takes texts; only image classifiers can be"):
            biotune.export(tmp_path / "run", "onnx")


@pytest.fixture(scope="module")
def perceptron(images, tmp_path_factory):
    """A run of a network that timm does not know."""
    folder = tmp_path_factory.mktemp("mlp") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(importlib.import_module("biotune.runner.run"), "write_report", tiny.write_no_report)
        model = {"name": "mlp", "image_size": 16}
        tiny.run(tiny.tiny_config(images, tiny.BRIEF, {"model": model, "method": {"name": "full"}}), folder, "train")
    return folder


@pytest.mark.parametrize("form", ["timm", "hub"])
def test_what_timm_does_not_know_is_possible_as_onnx_only(form, perceptron, unseen, cli, tmp_path):
    ended = cli("export", perceptron, "--format", form)
    assert ended.code == 2
    assert f"timm cannot build image:mlp, so that only --format onnx is possible for '{perceptron}'." in ended.err

    done = biotune.export(perceptron, "onnx", out=tmp_path / "onnx")
    same_answers(answers_alone(done.folder / "predict.py", unseen), biotune.load_run(perceptron), unseen)


def test_a_module_of_ones_own_is_exported_from_python(images, unseen, cli, tmp_path):
    torch.manual_seed(0)
    settings = {section: {**fields, **tiny.BRIEF.get(section, {})} for section, fields in tiny.TINY.items()}
    settings.pop("model")
    settings["method"] = {"name": "full"}
    own = biotune.Backbone(Tied(), image_size=16)
    result = biotune.tune(images, out=tmp_path / "run", model=own, observer=biotune.silent, **settings)

    ended = cli("export", tmp_path / "run", "--format", "onnx")
    assert ended.code == 2
    assert "a module of your own; only Python can export it: biotune.export(folder, 'onnx', model=...)." in ended.err
    done = result.export("onnx")
    found = answers_alone(done.folder / "predict.py", unseen, without=("torch",))
    same_answers(found, biotune.load_run(tmp_path / "run", own), unseen)
    assert np.ptp([answer["probabilities"]["red"] for answer in found]) > 0
