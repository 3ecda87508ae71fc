"""What is exported answers as the network does: many kinds of networks, every way of resizing, every kind of file."""

import json
import re
import runpy

import numpy as np
import onnx
import onnxruntime
import pytest
import timm
import torch
from PIL import Image
from subjects import CLASSES, opinionated, subject
from torch import nn

import image_zoo
from biotune.errors import InputError
from biotune.exports.onnx_file import write_onnx
from biotune.exports.parity import compared
from biotune.exports.script import program, steps_of
from biotune.exports.timm_folder import write_timm
from biotune.images import load_image
from biotune.images.decoding import decode
from biotune.images.resizing import resize
from biotune.records import Preprocessing
from biotune.runs.events import silent

TIMM = (
    ("timm:test_resnet", 64),
    ("timm:test_efficientnet", 64),
    ("timm:test_convnext", 64),
    ("timm:test_vit", 96),
    ("timm:mobilenetv3_small_050", 64),
    pytest.param("timm:test_mambaout", 64, marks=pytest.mark.slow),
    pytest.param("timm:deit_tiny_distilled_patch16_224", 32, marks=pytest.mark.slow),
)
OTHERS = (
    ("torchvision:squeezenet1_1", 64),
    ("image:mlp", 16),
    pytest.param("torchvision:densenet121", 64, marks=pytest.mark.slow),
)


def written(folder, found, form):
    folder.mkdir(exist_ok=True)
    if form == "onnx":
        write_onnx(folder / "model.onnx", found)
    else:
        write_timm(folder, found)
    (folder / "predict.py").write_text(program(form, found.preprocessing), encoding="utf-8")
    return folder


@pytest.mark.parametrize(("name", "size"), [*TIMM, *OTHERS])
def test_an_onnx_file_answers_as_the_network(name, size, tmp_path):
    found = subject(name, size=size)

    parity = compared(written(tmp_path / "export", found, "onnx"), found, silent)

    assert (parity.images, parity.same_class) == (16, 16)
    assert parity.greatest_difference < 1e-5
    assert parity.what.startswith("made-up images")


@pytest.mark.parametrize(("name", "size"), TIMM)
def test_a_folder_of_timm_answers_as_the_network(name, size, tmp_path):
    found = subject(name, size=size)

    parity = compared(written(tmp_path / "export", found, "timm"), found, silent)

    assert parity.same_class == 16
    assert parity.greatest_difference < 1e-5


def test_timm_reads_classes_and_preprocessing(tmp_path):
    found = subject("timm:test_vit", size=96, mean=(0.1, 0.2, 0.3), crop_fraction=0.9, interpolation="bilinear")

    model = timm.create_model(f"local-dir:{written(tmp_path / 'export', found, 'timm')}", pretrained=True)

    said = timm.data.resolve_model_data_config(model)
    assert tuple(model.pretrained_cfg["label_names"]) == CLASSES
    assert (tuple(said["input_size"]), tuple(said["mean"])) == ((3, 96, 96), (0.1, 0.2, 0.3))
    assert (said["crop_pct"], said["interpolation"], said["crop_mode"]) == (0.9, "bilinear", "center")
    for name, tensor in found.networks[0].state_dict().items():
        assert torch.equal(model.state_dict()[name], tensor)


@pytest.mark.parametrize("form", ["timm", "onnx"])
def test_several_networks_answer_by_their_mean(form, tmp_path):
    found = subject("timm:test_resnet", networks=3)

    folder = written(tmp_path / "export", found, form)

    alone = [opinionated("timm:test_resnet", seed, 64)[0] for seed in range(3)]
    image = Image.fromarray(np.random.default_rng(1).integers(0, 256, (40, 30, 3), dtype=np.uint8))
    row = torch.tensor(resize(image, found.preprocessing)).permute(2, 0, 1)[None] / 255
    mean, std = (
        torch.tensor(values).view(1, 3, 1, 1) for values in (found.preprocessing.mean, found.preprocessing.std)
    )
    with torch.inference_mode():
        votes = [torch.softmax(network((row - mean) / std), dim=1)[0] for network in alone]
    answer = runpy.run_path(str(folder / "predict.py"))["probabilities"]([image])
    assert answer[0] == pytest.approx(np.mean(np.stack(votes), axis=0), abs=1e-6)
    assert max(float((vote - votes[0]).abs().max()) for vote in votes) > 0.01
    assert compared(folder, found, silent).same_class == 16


def test_networks_that_share_weights_share_them_in_the_file(tmp_path):
    """Only the heads of the three differ, as after linear probing."""
    write_onnx(tmp_path / "one.onnx", subject("timm:test_resnet"))
    write_onnx(tmp_path / "three.onnx", subject("timm:test_resnet", networks=3))

    one, three = ((tmp_path / name).stat().st_size for name in ("one.onnx", "three.onnx"))
    assert three < 1.5 * one


def test_an_onnx_file_is_one_file_that_says_what_it_takes_and_gives(tmp_path):
    write_onnx(tmp_path / "model.onnx", subject("timm:test_resnet"))

    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]
    onnx.checker.check_model(tmp_path / "model.onnx", full_check=True)
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"))
    (taken,), (given,) = session.get_inputs(), session.get_outputs()
    assert (taken.name, taken.type, taken.shape) == ("pixels", "tensor(uint8)", ["batch", 64, 64, 3])
    assert (given.name, given.type, given.shape) == ("probabilities", "tensor(float)", ["batch", len(CLASSES)])
    assert json.loads(session.get_modelmeta().custom_metadata_map["classes"]) == list(CLASSES)
    for size in (1, 5):
        rows = session.run(None, {"pixels": np.zeros((size, 64, 64, 3), np.uint8)})[0]
        assert rows.sum(axis=1) == pytest.approx(np.ones(size), abs=1e-5)


class Stubborn(nn.Module):
    """What it does depends on the values of its input, which no graph can hold."""

    def forward(self, images):
        return images.flatten(1)[:, : 2 if images.sum() > 0 else 3]


def test_what_cannot_be_translated_is_one_sentence(tmp_path):
    found = subject("timm:test_resnet")
    object.__setattr__(found.classifier, "model", Stubborn())

    with pytest.raises(
        InputError, match=r"^torch\.onnx cannot translate timm:test_resnet \(.*\); choose --format timm"
    ):
        write_onnx(tmp_path / "model.onnx", found)
    assert list(tmp_path.iterdir()) == []


def test_without_the_extra_it_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'biotune\[onnx\]'"):
        write_onnx(tmp_path / "model.onnx", subject("image:mlp", size=16))


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("way", ["crop", "squash", "pad"])
def test_the_program_resizes_exactly_as_biotune(way, interpolation, tmp_path):
    found = subject("timm:test_resnet", resize=way, interpolation=interpolation, crop_fraction=0.875)
    square = runpy.run_path(str(written(tmp_path / "export", found, "timm") / "predict.py"))["square"]

    random = np.random.default_rng(2)
    for shape in ((64, 64), (200, 77), (31, 90), (1, 300), (5, 3)):
        image = Image.fromarray(random.integers(0, 256, (*shape, 3), dtype=np.uint8))
        assert np.array_equal(square(image), resize(image, found.preprocessing))


def test_the_program_reads_files_exactly_as_biotune_or_refuses_them(tmp_path):
    """Deep images are refused; of the others, PNG files of other than 8 bits with a transparent colour differ."""
    found = subject("timm:test_resnet")
    read = runpy.run_path(str(written(tmp_path / "export", found, "timm") / "predict.py"))["read"]

    same, refused, other = 0, set(), set()
    for number, specimen in enumerate(specimen for specimen in image_zoo.ZOO if not specimen.reason):
        path = tmp_path / str(number) / specimen.name
        path.parent.mkdir()
        specimen.write(path)
        try:
            image = read(path)
        except (OSError, ValueError):
            refused.add(specimen.name)
            continue
        if np.array_equal(np.asarray(image), np.asarray(decode(path))):
            same += 1
        else:
            other.add(specimen.name)
    assert same > 50
    deep = re.compile("of more than 8 bits|floating-point|such grey")
    assert all(
        deep.search(one.kind) for one in image_zoo.ZOO if one.name in refused - {"premultiplied.tif", "deep grey.png"}
    )
    assert other == {"deep colour.png", "four bits.png"}


def test_the_steps_are_those_that_are_done(tmp_path):
    steps = steps_of(Preprocessing(96, resize="squash", interpolation="bilinear"))

    assert [step.split(" ")[0] for step in steps] == ["Decode", "Resize", "Divide", "Subtract"]
    assert "96 x 96 pixels by Pillow's bilinear filter" in steps[1]
    assert "red 0.485, green 0.456, blue 0.406" in steps[3]


def test_the_program_is_short_and_holds_no_name_of_a_class(tmp_path):
    text = program("timm", Preprocessing(64))

    assert len([line for line in text.splitlines() if line.strip()]) < 50
    assert not any(name in text for name in CLASSES)
    assert "biotune" not in text
    assert max(map(len, text.splitlines())) <= 120


def test_another_answer_is_refused(tmp_path):
    """The program of another preprocessing: what a fault in an export would look like."""
    found = subject("timm:test_resnet", mean=(0.9, 0.1, 0.5))
    folder = written(tmp_path / "export", found, "timm")
    (folder / "predict.py").write_text(program("timm", Preprocessing(64)), encoding="utf-8")

    with pytest.raises(InputError, match=r"does not answer as the run does: a probability differs by .* on 16 made-up"):
        compared(folder, found, silent)


def test_a_file_is_read_from_its_path(tmp_path):
    """``read`` and ``square`` together give the pixels that BioTune gives."""
    found = subject("timm:test_resnet")
    made = runpy.run_path(str(written(tmp_path / "export", found, "timm") / "predict.py"))
    Image.fromarray(np.random.default_rng(3).integers(0, 256, (50, 70, 3), dtype=np.uint8)).save(tmp_path / "a.png")

    assert np.array_equal(
        made["square"](made["read"](tmp_path / "a.png")), load_image(tmp_path / "a.png", found.preprocessing)
    )
