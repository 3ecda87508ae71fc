import pytest
from torch import nn

from biotune.models import feature_side, load_model, native_size


@pytest.mark.parametrize(
    ("name", "size", "side"),
    [
        ("timm:resnet18", 224, 7),  # a stride of 32 in all
        ("timm:resnet18", 64, 2),
        ("timm:resnet18", 32, 1),
        ("torchvision:vgg11", 32, 2),  # the last convolution stands before the fifth pooling
        ("timm:mobilenetv3_small_050", 96, 3),  # squeeze-and-excite and the head's convolution do not count
        ("timm:mobilenetv3_small_050", 32, 1),
        ("timm:test_vit", 160, 10),  # its patches are 16 pixels wide
        ("timm:vit_tiny_patch16_224", 32, None),  # built for 32 pixels, it takes no others
    ],
)
def test_the_side_of_the_last_feature_map(name, size, side):
    loaded = load_model(name, 3, weights="random", image_size=size)
    assert feature_side(loaded.model, name, size, native_size(name)) == side


def test_a_network_without_a_feature_map():
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    assert feature_side(model, "mine", 2, 2) is None


def test_only_networks_with_a_name_have_a_native_size():
    assert (native_size("torchvision:resnet18"), native_size("timm:efficientnet_b1")) == (224, 240)
    assert native_size("module:MyNet") is None
