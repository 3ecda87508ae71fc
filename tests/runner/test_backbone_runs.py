"""Whole runs of other networks: a module of one's own, several heads, transformers, layer by layer, small images."""

import json

import pytest
import timm
import torch
import transformers
from torch import nn

import biotune
import tiny
from backbones import Tied
from biotune.runner.setup import set_up
from biotune.runs.events import Message, silent

SETTINGS = {section: {**fields, **tiny.BRIEF.get(section, {})} for section, fields in tiny.TINY.items()}
SETTINGS["search"] = {"population": 2, "elites": 1, "generations": 1}
SMALL = {**tiny.BRIEF, "search": {"population": 2, "elites": 1, "generations": 1}}


class Aliased(nn.Module):
    """One convolution under two names, used at two places."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, stride=2)
        self.early = nn.Conv2d(4, 4, 3, padding=1)
        self.mid = nn.Conv2d(4, 4, 3, padding=1)
        self.late = self.early
        self.fc = nn.Linear(4, 10)

    def forward(self, images):
        return self.fc(self.late(self.mid(self.early(self.stem(images)).relu()).relu()).mean((2, 3)))


@pytest.fixture(scope="module")
def own(tmp_path_factory, images):
    """A run of a module with tied tensors, and that module."""
    torch.manual_seed(0)
    module = Tied()
    settings = {name: fields for name, fields in SETTINGS.items() if name != "model"}
    result = biotune.tune(
        images, out=tmp_path_factory.mktemp("own") / "run", model=biotune.Backbone(module, image_size=16), **settings
    )
    return result, module


class TestModuleOfOnesOwn:
    def test_it_is_tuned_and_exported_with_its_ties(self, own):
        result, module = own
        assert result.summary.status == "finished"
        assert result.recipe.model == "module:Tied"
        assert result.model.two.weight is result.model.one.weight
        assert module.head.out_features == 10

    def test_the_run_is_loaded_into_another_instance(self, own, images):
        result, _ = own
        paths = sorted((images / "red").iterdir())[:3]
        again = biotune.load_run(result.folder, model=Tied())
        assert again.predict(paths) == result.predict(paths)

    def test_the_same_call_finds_it_finished_and_other_weights_are_refused(self, own, images):
        result, module = own
        settings = {name: fields for name, fields in SETTINGS.items() if name != "model"}
        again = biotune.tune(images, out=result.folder, model=biotune.Backbone(module, image_size=16), **settings)
        assert again.summary == result.summary
        torch.manual_seed(1)
        with pytest.raises(biotune.InputError, match=r"holds another run: .*the weights are different"):
            biotune.tune(images, out=result.folder, model=biotune.Backbone(Tied(), image_size=16), **settings)

    def test_the_head_that_was_named_is_found_again(self, own):
        result, _ = own
        assert result.classifier.model.head.out_features == 3

    @pytest.mark.parametrize(
        ("model", "message"),
        [
            (
                None,
                r"a run of module:Tied, a module of your own; only Python can load it: biotune.load_run\(folder, mo",
            ),
            (nn.Sequential(nn.Flatten(), nn.Linear(768, 3)), "'head' is not a plain linear or convolutional"),
        ],
    )
    def test_the_module_must_be_there_and_the_same(self, own, model, message):
        with pytest.raises(biotune.InputError, match=message):
            biotune.load_run(own[0].folder, model=model)

    def test_a_module_of_other_layers_is_refused(self, own):
        module = Tied()
        module.extra = nn.Linear(2, 2)
        with pytest.raises(biotune.InputError, match="made for module:Tied, does not fit"):
            biotune.load_run(own[0].folder, model=module)

    def test_a_run_of_a_named_network_needs_no_module(self, finished):
        with pytest.raises(biotune.InputError, match="which is loaded by its name; leave out model"):
            biotune.load_run(finished.folder, model=Tied())

    def test_the_command_line_says_who_can_load_it(self, own, images, cli):
        ended = cli("predict", own[0].folder, images / "red" / "000.png")
        assert ended.code == 2
        assert "only Python can load it" in " ".join(ended.err.split())

    def test_its_size_must_be_known(self, images, tmp_path):
        with pytest.raises(biotune.InputError, match="the input size of module:Tied is unknown"):
            biotune.tune(images, out=tmp_path / "run", model=Tied())


@pytest.mark.parametrize("method", ["search", "lora"])
def test_a_module_under_two_names(images, tmp_path, no_report, method):
    settings = {**{name: fields for name, fields in SETTINGS.items() if name != "model"}, "method": {"name": method}}
    result = biotune.tune(
        images, out=tmp_path / "run", model=biotune.Backbone(Aliased(), image_size=16), **{**settings, **SMALL}
    )
    batch = torch.rand(4, 3, 16, 16)
    again = biotune.load_run(result.folder, model=Aliased())
    with torch.no_grad():
        assert torch.equal(again.model.eval()(batch), result.model.eval()(batch))
    assert result.model.late.weight is result.model.early.weight


class Idle(Aliased):
    """With a layer that is never called."""

    def __init__(self) -> None:
        super().__init__()
        self.idle = nn.Linear(5, 5)


def test_a_layer_that_is_never_called_is_inert_and_the_run_says_so(images, tmp_path, no_report):
    said = []
    settings = {**{name: fields for name, fields in SETTINGS.items() if name != "model"}, **SMALL}
    model = biotune.Backbone(Idle(), image_size=16)
    result = biotune.tune(images, out=tmp_path / "run", model=model, observer=said.append, **settings)
    assert {block.name for block in result.recipe.partition.blocks if block.inert} == {"idle"}
    words = [event.text for event in said if isinstance(event, Message) and event.warning]
    assert "The loss does not reach 'idle' of module:Idle, so its multiplier has no effect." in words


@pytest.mark.parametrize("head", ["evolve", "always_train"])
def test_a_network_with_two_heads(images, tmp_path, no_report, head):
    config = tiny.tiny_config(
        images,
        SMALL,
        {
            "model": {"name": "timm:deit_tiny_distilled_patch16_224"},
            "search": {"head": head, "start": "random"},
            "training": {"epochs": 1},
        },
    )
    summary = tiny.run(config, tmp_path / "run")
    assert summary["status"] == "finished"
    blocks = {block["name"]: block for block in summary["recipe"]["blocks"]}
    assert blocks["head"]["multiplier"] > 0 or head == "evolve"


def test_a_classifier_of_transformers(images, tmp_path, no_report, cli):
    folder = tmp_path / "vit"
    torch.manual_seed(0)
    config = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, image_size=32, patch_size=8
    )
    transformers.ViTForImageClassification(config).save_pretrained(folder)
    model = {"name": f"hf:{folder}", "weights": "auto", "image_size": 0}
    assert tiny.run(tiny.tiny_config(images, SMALL, {"model": model}), tmp_path / "run")["status"] == "finished"
    ended = cli("predict", tmp_path / "run", images / "red" / "000.png", "--json")
    assert json.loads(ended.out)[0]["label"] in tiny.CLASSES


def test_a_search_layer_by_layer(images, tmp_path, no_report):
    config = tiny.tiny_config(images, SMALL, {"model": {"granularity": "layer"}})
    summary = tiny.run(config, tmp_path / "run")
    layers = [m for m in timm.create_model("test_efficientnet").modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(summary["recipe"]["blocks"]) == len(layers)


class TestNotesOnSize:
    @pytest.mark.parametrize(
        ("name", "size", "expected"),
        [
            (
                "timm:resnet18",
                32,
                ["1 x 1, and timm:resnet18 was made for 224 x 224; take --image-size 96", "upscaled"],
            ),
            ("timm:resnet18", 64, ["side is 24 pixels (median of 25), this network sees 64 x 64"]),
            ("timm:vit_tiny_patch16_224", 16, []),
        ],
    )
    def test_small_images_are_mentioned(self, images, name, size, expected):
        config = tiny.tiny_config(images, {"model": {"name": name, "image_size": size}})
        notes = set_up(config, None, silent).notes
        assert len(notes) == len(expected)
        assert all(part in note for part, note in zip(expected, notes, strict=True))

    def test_they_are_said_at_the_start_of_a_run(self, images, tmp_path, no_report):
        heard = []
        tiny.run(tiny.tiny_config(images, SMALL), tmp_path / "run", observer=heard.append)
        said = [event.text for event in heard if isinstance(event, Message) and event.warning]
        assert [text for text in said if text.startswith("Small images are upscaled: their shorter side is 24 pixels")]


def test_why_nothing_is_recorded_is_said_once(images, tmp_path, no_report):
    """The stem gives 24 maps of 32 x 32 values per image, 4.5 MiB for the 48 images, for 27 multiplications each."""
    heard = []
    recipe = {"method": {"name": "given", "multipliers": (0, 1, 1, 1, 1, 1, 1)}, "compute": {"prefix_cache_mib": 1}}
    config = tiny.tiny_config(images, recipe, {"model": {"image_size": 64}})
    tiny.run(config, tmp_path / "run", observer=heard.append)
    said = [event.text for event in heard if isinstance(event, Message) and "recomputed" in event.text]
    assert len(said) == 1
    assert "their outputs need 4 MiB, and there is room for 1 in memory (compute.prefix_cache_mib); reading" in said[0]
