"""Image classifiers of transformers from folders: heads, preprocessing, and files that must not be trusted."""

import json
import pickle

import pytest
import torch
import transformers

from biotune.errors import InputError
from biotune.models import forward_logits, load_model
from biotune.records import Preprocessing

CONFIGS = {
    "vit": transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=32, image_size=32, patch_size=8
    ),
    "resnet": transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic"),
    "convnext": transformers.ConvNextConfig(num_stages=2, hidden_sizes=[8, 16], depths=[1, 1], image_size=32),
    "swin": transformers.SwinConfig(
        image_size=32, patch_size=4, embed_dim=8, depths=[1, 1], num_heads=[1, 2], window_size=4
    ),
}
HEADS = {"vit": "classifier", "resnet": "classifier.1", "convnext": "classifier", "swin": "classifier"}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """One saved network of five classes per family."""
    root = tmp_path_factory.mktemp("transformers")
    for name, config in CONFIGS.items():
        config.num_labels = 5
        torch.manual_seed(1)
        transformers.AutoModelForImageClassification.from_config(config).save_pretrained(root / name)
    return root


@pytest.fixture
def folder(folders, tmp_path):
    """A ViT's folder that may be changed."""
    for path in (folders / "vit").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


@pytest.mark.parametrize("family", CONFIGS)
def test_the_weights_are_the_folders_and_the_head_is_fresh(folders, family):
    loaded = load_model(f"hf:{folders / family}", 3, image_size=32)
    original = transformers.AutoModelForImageClassification.from_pretrained(folders / family).state_dict()
    assert (loaded.name, loaded.heads) == (f"hf:{folders / family}", (HEADS[family],))
    assert forward_logits(loaded.model, torch.zeros(2, 3, 32, 32)).shape == (2, 3)
    body = {key: value for key, value in loaded.model.state_dict().items() if not key.startswith("classifier")}
    assert all(torch.equal(original[key], value) for key, value in body.items())
    assert loaded.partition.names[-1] == "head"
    assert not any(module.training for module in loaded.model.modules())


def test_the_partition_of_a_vit(folders):
    partition = load_model(f"hf:{folders / 'vit'}", 3).partition
    stem = partition.owner("vit.embeddings.cls_token")
    assert stem == partition.owner("vit.embeddings.position_embeddings") == 0
    assert partition.owner("vit.layernorm.weight") == len(partition) - 2


def test_random_weights_are_always_the_same(folders):
    one, two = (load_model(f"hf:{folders / 'vit'}", 3, weights="random") for _ in range(2))
    assert one.weights_sha256 == two.weights_sha256
    assert one.weights_sha256 != load_model(f"hf:{folders / 'vit'}", 3).weights_sha256


def test_weights_from_another_file(folders, folder):
    (folder / "model.safetensors").rename(folder / "mine.safetensors")
    loaded = load_model(f"hf:{folder}", 3, weights=folder / "mine.safetensors")
    assert loaded.weights == "file mine.safetensors"
    assert loaded.weights_sha256 == load_model(f"hf:{folders / 'vit'}", 3).weights_sha256


def test_a_network_saved_for_another_task_is_said(tmp_path):
    transformers.ViTModel(CONFIGS["vit"]).save_pretrained(tmp_path)
    assert load_model(f"hf:{tmp_path}", 3).weights.endswith(", saved as ViTModel, its own head left out")


def test_one_unit_per_layer(folders):
    """Three layers of six matrices, the patch embedding and the head."""
    assert len(load_model(f"hf:{folders / 'vit'}", 3, granularity="layer").partition) == 3 * 6 + 2


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (None, Preprocessing(32)),
        (
            {"size": {"height": 32, "width": 32}, "image_mean": [0.5] * 3, "image_std": [0.25] * 3, "resample": 2},
            Preprocessing(32, (0.5,) * 3, (0.25,) * 3, interpolation="bilinear"),
        ),
        (
            {"size": {"shortest_edge": 40}, "do_center_crop": True, "crop_size": 32, "resample": 3},
            Preprocessing(32, crop_fraction=0.8),
        ),
        ({"size": 32, "do_normalize": False}, Preprocessing(32, (0.0,) * 3, (1.0,) * 3)),
        ({"size": {"shortest_edge": 32}, "crop_pct": 0.875}, Preprocessing(32, crop_fraction=0.875)),
    ],
)
def test_the_preprocessing_is_the_folders(folder, told, expected):
    if told is not None:
        (folder / "preprocessor_config.json").write_text(json.dumps(told))
    assert load_model(f"hf:{folder}", 3, weights="random").preprocessing == expected


def test_an_image_processor_of_the_library_is_understood(folder):
    transformers.ViTImageProcessor(size={"height": 32, "width": 32}, image_mean=[0.1, 0.2, 0.3]).save_pretrained(folder)
    found = load_model(f"hf:{folder}", 3, weights="random").preprocessing
    assert (found.image_size, found.mean, found.interpolation) == (32, (0.1, 0.2, 0.3), "bilinear")


class Evil:
    def __init__(self, canary):
        self.canary = canary

    def __reduce__(self):
        return open, (str(self.canary), "w")


class TestUntrusted:
    def test_a_bin_file_needs_trust(self, folders, folder):
        state = transformers.AutoModelForImageClassification.from_pretrained(folder).state_dict()
        (folder / "model.safetensors").unlink()
        torch.save(state, folder / "pytorch_model.bin")
        with pytest.raises(
            InputError, match=r"has no .safetensors file; convert its weights, or add --trust-checkpoint"
        ):
            load_model(f"hf:{folder}", 3)
        trusted = load_model(f"hf:{folder}", 3, trust_checkpoint=True)
        assert trusted.weights_sha256 == load_model(f"hf:{folders / 'vit'}", 3).weights_sha256

    def test_even_a_trusted_bin_file_runs_no_code(self, folder):
        canary = folder / "canary"
        (folder / "model.safetensors").unlink()
        (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"vit": Evil(canary)}, protocol=2))
        with pytest.raises(InputError, match=r"a weights file of hf:.* is damaged .*nothing in it was run"):
            load_model(f"hf:{folder}", 3, trust_checkpoint=True)
        assert not canary.exists()

    @pytest.mark.parametrize("family", ["vit", "strange"])
    def test_code_in_the_folder_is_never_run(self, folders, folder, family):
        canary = folder / "canary"
        (folder / "modeling_evil.py").write_text(f"open({str(canary)!r}, 'w')\nclass Evil: pass\n")
        config = json.loads((folder / "config.json").read_text())
        mapping = {"AutoConfig": "modeling_evil.Evil", "AutoModelForImageClassification": "modeling_evil.Evil"}
        (folder / "config.json").write_text(json.dumps({**config, "model_type": family, "auto_map": mapping}))
        if family == "vit":
            own = load_model(f"hf:{folders / 'vit'}", 3)
            assert load_model(f"hf:{folder}", 3).weights_sha256 == own.weights_sha256
        else:
            with pytest.raises(InputError, match="code in a folder is never run"):
                load_model(f"hf:{folder}", 3)
        assert not canary.exists()


class TestRefusals:
    def test_a_folder_of_something_else(self, tmp_path):
        with pytest.raises(InputError, match=r"holds no config\.json; give the folder that save_pretrained wrote"):
            load_model(f"hf:{tmp_path}", 3)

    def test_a_network_for_text(self, tmp_path):
        transformers.BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1).save_pretrained(tmp_path)
        with pytest.raises(InputError, match="is not an image classifier that transformers itself can load"):
            load_model(f"hf:{tmp_path}", 3)

    def test_weights_that_lack_a_layer(self, folder):
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 4}))
        with pytest.raises(InputError, match=r"do not fit hf:.*: 16 tensors missing \('vit.layers?.3"):
            load_model(f"hf:{folder}", 3)

    def test_weights_of_another_width(self, folder):
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, "intermediate_size": 24}))
        with pytest.raises(InputError, match=r"do not fit hf:.*tensors of another shape"):
            load_model(f"hf:{folder}", 3)

    def test_damaged_weights(self, folder):
        (folder / "model.safetensors").write_bytes(b"nothing")
        with pytest.raises(InputError, match=r"a weights file of hf:.* is damaged .* save or download it again\.$"):
            load_model(f"hf:{folder}", 3)

    def test_a_folder_without_weights(self, folder):
        (folder / "model.safetensors").unlink()
        with pytest.raises(InputError, match=r"holds no weights; give the folder .*, or --weights random"):
            load_model(f"hf:{folder}", 3)

    def test_an_image_size_that_it_does_not_take(self, folders):
        with pytest.raises(InputError, match=r"takes no images of 48 x 48 pixels \(.*\); choose another image size"):
            load_model(f"hf:{folders / 'vit'}", 3, image_size=48)

    def test_a_name_of_the_hub_without_a_network(self, monkeypatch):
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        with pytest.raises(
            InputError, match=r"the files of hf:nobody/nothing are not available \(HF_HUB_OFFLINE is set\)"
        ):
            load_model("hf:nobody/nothing", 3)

    def test_a_name_of_the_hub_is_found_in_its_cache(self, folders, tmp_path, monkeypatch):
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
        snapshot = tmp_path / "models--somebody--tiny" / "snapshots" / "abc"
        snapshot.mkdir(parents=True)
        (snapshot.parent.parent / "refs").mkdir()
        (snapshot.parent.parent / "refs" / "main").write_text("abc")
        for path in (folders / "vit").iterdir():
            (snapshot / path.name).write_bytes(path.read_bytes())
        loaded = load_model("hf:somebody/tiny", 3)
        assert loaded.name == "hf:somebody/tiny"
        assert loaded.weights_sha256 == load_model(f"hf:{folders / 'vit'}", 3).weights_sha256
