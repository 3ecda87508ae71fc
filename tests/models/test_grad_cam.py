"""Grad-CAM: values by hand, captum's on networks of several families, tokens, maps with the channels last, votes."""

import pytest
import timm
import torch
from captum.attr import LayerGradCam
from torch import nn

from biotune.errors import InputError
from biotune.models import Vote
from biotune.models.grad_cam import grad_cam, heat, places


class Small(nn.Module):
    """Two channels, red and twice the green, each pooled over all places; the classes weigh them."""

    def __init__(self, weights=((1.0, 0.0), (-1.0, 1.0))):
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 1, bias=False)
        self.conv.weight.data = torch.tensor([[1.0, 0, 0], [0, 2.0, 0]])[..., None, None]
        self.head = nn.Linear(2, 2, bias=False)
        self.head.weight.data = torch.tensor(weights)

    def forward(self, images):
        return self.head(self.conv(images).mean(dim=(2, 3)))


RED = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
GREEN = torch.tensor([[0.0, 3.0], [1.0, 0.0]])


@pytest.fixture
def image():
    return torch.stack([RED, GREEN, torch.zeros(2, 2)])[None]


def test_the_map_by_hand(image):
    """The derivative of a logit with respect to a channel is its weight over the four places."""
    both = torch.cat([image, image])
    first, second = grad_cam(Small(), both, [0, 1])
    assert first.tolist() == (RED / 4).tolist()
    assert second.tolist() == torch.relu((2 * GREEN - RED) / 4).tolist()


def test_the_heat_is_one_where_most_speaks_for_the_class(image):
    assert heat(Small(), image, [0])[0].tolist() == (RED / 4).tolist()
    assert heat(Small(), image, [1])[0].tolist() == [[0.0, 1.0], [0.0, 0.0]]


def test_the_places_of_the_map_are_counted(image):
    assert places(Small(), image) == places(Vote([Small(), Small()]), image) == 2


def test_where_nothing_speaks_for_the_class_all_is_zero(image):
    assert heat(Small(((-1.0, -1.0), (0.0, 0.0))), image, [0])[0].tolist() == [[0.0, 0.0], [0.0, 0.0]]


def test_every_network_of_a_vote_counts_the_same(image):
    """One sees red, the other green with a hundred times the weights."""
    vote = Vote([Small(), Small(((0.0, 100.0), (0.0, 0.0)))])
    torch.testing.assert_close(heat(vote, image, [0])[0], (RED / 4 + GREEN / 3) / 2)


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("resnet18", "layer4"),
        ("densenet121", "features"),
        ("tf_efficientnet_lite0", "bn2"),
        ("convnext_atto", "norm_pre"),
        ("vgg11", "features"),
    ],
)
def test_networks_of_several_families_get_the_maps_of_captum(name, layer):
    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=5).eval()
    images, classes = torch.randn(1, 3, 96, 96).expand(5, -1, -1, -1), torch.arange(5)
    expected = LayerGradCam(model, model.get_submodule(layer)).attribute(images, classes, relu_attributions=True)
    found = grad_cam(model, images, classes.tolist())
    assert found.shape == (5, *expected.shape[2:])
    assert expected.max() > 0
    assert (found - expected[:, 0]).abs().max().item() <= 1e-5 * expected.max().item()
    assert all(parameter.grad is None for parameter in model.parameters())


class Tokens(nn.Module):
    """The small network with its map as tokens, behind a class token, from which comes a part of the logits."""

    def __init__(self):
        super().__init__()
        self.small, self.tokens = Small(), nn.Identity()

    def forward(self, images):
        places = self.small.conv(images).flatten(2).transpose(1, 2)
        tokens = self.tokens(torch.cat([torch.ones(len(images), 1, 2), places], dim=1))
        return self.small.head(tokens[:, 1:].mean(dim=1) + tokens[:, 0])


class ChannelsLast(nn.Module):
    def __init__(self):
        super().__init__()
        self.small, self.last = Small(), nn.Identity()

    def forward(self, images):
        return self.small.head(self.last(self.small.conv(images).permute(0, 2, 3, 1)).mean(dim=(1, 2)))


@pytest.mark.parametrize("network", [Tokens, ChannelsLast])
def test_tokens_and_channels_that_come_last_give_the_same_map(network, image):
    calls = []
    model = network()
    part = model.tokens if network is Tokens else model.last
    part.register_forward_hook(lambda _module, _inputs, output: calls.append(output.shape))
    images = image.repeat(1, 1, 2, 2)
    torch.testing.assert_close(grad_cam(model, images, [1]), grad_cam(Small(), images, [1]))
    assert calls == [(1, 17, 2) if network is Tokens else (1, 4, 4, 2)]


@pytest.mark.parametrize(
    ("name", "side"), [("vit_tiny_patch16_224", 14), ("swin_tiny_patch4_window7_224", 7), ("pvt_v2_b0", 7)]
)
def test_transformers_have_the_grid_of_their_tokens(name, side):
    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=5).eval()
    images = torch.randn(1, 3, 224, 224)
    found = grad_cam(model, images, [2])
    assert found.shape == (1, side, side)
    assert found.max() > 0


def test_the_class_token_of_the_last_block_hides_no_places():
    """After it, the logits depend on the class token alone: the map is that of the tokens before it."""
    torch.manual_seed(0)
    model = timm.create_model("test_vit", num_classes=5).eval()
    images, kept = torch.randn(1, 3, 160, 160), []
    model.blocks[-1].norm1.register_forward_hook(lambda _module, _inputs, output: kept.append(output))
    found = grad_cam(model, images, [3])
    (slope,) = torch.autograd.grad(model(images)[0, 3], kept[-1])
    expected = torch.relu((slope[:, 1:].mean(dim=1, keepdim=True) * kept[-1][:, 1:]).sum(-1))
    assert found.flatten().tolist() == pytest.approx(expected.flatten().tolist(), abs=1e-9)


class Noisy(Small):
    """Modules that return a number, and a map that no derivative goes through, come last."""

    def __init__(self):
        super().__init__()
        self.number, self.fixed = nn.Identity(), nn.Identity()

    def forward(self, images):
        logits = super().forward(images)
        self.fixed(torch.ones(len(images), 3, 2, 2))
        return logits + self.number(images.sum().detach() * 0)


def test_outputs_that_are_no_maps_are_passed_over(image):
    assert torch.equal(grad_cam(Noisy(), image, [1]), grad_cam(Small(), image, [1]))


def test_a_network_without_places_is_refused(image):
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    with pytest.raises(InputError, match="the answer of Sequential depends on no map of the places of an image"):
        grad_cam(model, image, [0])


def test_the_network_is_left_as_it_was(image):
    model = Small()
    grad_cam(model, image, [0])
    assert not any(module._forward_hooks for module in model.modules())
