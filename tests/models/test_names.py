import pytest

from biotune.errors import InputError
from biotune.models import model_names, resolve_name


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("resnet50", "timm:resnet50"),  # in both libraries: timm first
        ("torchvision:resnet50", "torchvision:resnet50"),
        ("timm:resnet50", "timm:resnet50"),
        ("ResNet50", "timm:resnet50"),
        ("googlenet", "torchvision:googlenet"),  # in torchvision alone
        ("resnet18.a1_in1k", "timm:resnet18.a1_in1k"),
    ],
)
def test_a_name_is_resolved(name, canonical):
    assert str(resolve_name(name)) == canonical


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet1O1", "no network 'resnet1O1'; the nearest are timm:resnet101"),
        ("ResNet-18", "the nearest are timm:resnet18,"),
        ("vitb16", "the nearest are torchvision:vit_b_16,"),
        ("efficientnet-b-0", "the nearest are timm:efficientnet_b0,"),
        ("hf:", "'hf:' names no network; write hf:FOLDER"),
        ("hf:no/such/folder", "there is no folder 'no/such/folder'; write hf:FOLDER, or hf:ORG/NAME"),
        ("module:MyNet", r"a module that only Python can give: biotune.tune\(data, model="),
        ("torchvision:resnet19", "the nearest are torchvision:resnet1"),
        ("torchvision:tf_efficientnet_lite0", "no network 'torchvision:tf_efficientnet_lite0'"),
        ("resnet18.nope", r"the nearest are timm:resnet18\.a1_in1k"),
        ("googlenet.nope", "no network 'googlenet.nope'"),
        ("hub:resnet18", "unknown library 'hub'; write timm:NAME, torchvision:NAME or hf:FOLDER"),
        ("", "no network ''"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest_ones(name, message):
    with pytest.raises(InputError, match=message):
        resolve_name(name)


def test_names_are_listed_with_their_library():
    names = model_names("squeezenet")
    assert {"torchvision:squeezenet1_0", "torchvision:squeezenet1_1"} <= set(names)
    assert all("squeezenet" in name for name in names)
    assert len(model_names()) > 1000
