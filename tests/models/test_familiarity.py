"""Distances to the images that a network learned from: by hand, and of real networks."""

import numpy as np
import pytest
import timm
import torch
from torch import nn

from biotune.models.familiarity import Familiarity, compared, layers_to_compare


def units(*angles):
    """Return unit vectors of the plane, by their angles in degrees."""
    turned = torch.deg2rad(torch.tensor(angles, dtype=torch.float32))
    return torch.stack([turned.cos(), turned.sin()], dim=1)


def test_the_distance_is_that_to_the_nearest_image_by_hand():
    """Learned at 0 and 90 degrees; images at 10, 80, 45 and 180 are 10, 10, 45 and 90 degrees from the nearest."""
    familiarity = Familiarity({"a": units(0, 90).half()}, {"a": 2.0}, 1.0)
    expected = (1 - np.cos(np.deg2rad([10, 10, 45, 90]))) / 2
    np.testing.assert_allclose(familiarity.distances({"a": units(10, 80, 45, 180)}), expected, atol=1e-4)


def test_layers_are_scaled_by_their_medians_and_averaged():
    test = {"a": units(20, 40, 60), "b": units(2, 4, 6)}
    familiarity = Familiarity.calibrated({"a": units(0), "b": units(0)}, test)
    by_layer = {layer: 1 - np.cos(np.deg2rad(angles)) for layer, angles in {"a": [20, 40, 60], "b": [2, 4, 6]}.items()}
    assert familiarity.scales == pytest.approx({"a": by_layer["a"][1], "b": by_layer["b"][1]}, rel=2e-2)
    mean = (by_layer["a"] / by_layer["a"][1] + by_layer["b"] / by_layer["b"][1]) / 2
    np.testing.assert_allclose(familiarity.distances(test), mean, rtol=3e-2)
    assert familiarity.threshold == pytest.approx(mean[2], rel=3e-2)  # of fewer than 99 images, the largest


def test_one_of_a_hundred_may_be_called_unlike():
    """Of 199 images that is the distance of rank ceil(0.99 * 200) = 198."""
    angles = np.linspace(1, 90, 199).tolist()
    familiarity = Familiarity.calibrated({"a": units(0)}, {"a": units(*angles)})
    distances = np.sort(familiarity.distances({"a": units(*angles)}))
    assert familiarity.threshold == pytest.approx(distances[197])


def test_of_copies_alone_every_other_image_is_unlike():
    copies = {"a": units(0, 90)}
    familiarity = Familiarity.calibrated(copies, copies)
    assert (familiarity.distances({"a": units(0, 90, 1)}) / familiarity.threshold > 1).tolist() == [False, False, True]


def test_a_file_brings_it_back():
    familiarity = Familiarity.calibrated(
        {"z": units(0, 50), "a": units(3, 9), "input of fc": units(1, 2)},
        {"z": units(7, 70), "a": units(1, 5), "input of fc": units(9, 8)},
    )
    again = Familiarity.from_bytes(familiarity.to_bytes())
    assert list(again.learned) == ["z", "a", "input of fc"]
    assert (again.scales, again.threshold) == (familiarity.scales, familiarity.threshold)
    assert all(torch.equal(again.learned[layer], familiarity.learned[layer]) for layer in again.learned)


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.depthwise = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 3, groups=4)
        self.inner, self.never, self.fc = nn.Linear(4, 5), nn.Linear(4, 4), nn.Linear(5, 2)

    def forward(self, images):
        maps = self.depthwise(self.first(images))
        return self.fc(self.inner(maps.flatten(2).transpose(1, 2)).mean(1))


def test_which_layers_are_compared_and_how_they_are_pooled():
    model = Small().eval()
    layers = layers_to_compare(model, "small", ["fc"], (3, 8, 8))
    assert layers == ["first", "inner", "input of fc"]  # at a third, and at a half and two thirds, of two
    images = torch.rand(6, 3, 8, 8)
    with torch.inference_mode(), compared(model, layers) as values:
        model(images)
        first = nn.functional.normalize(model.first(images).mean((2, 3)), dim=1)
        tokens = model.inner(model.depthwise(model.first(images)).flatten(2).transpose(1, 2))
    torch.testing.assert_close(values["inner"], nn.functional.normalize(tokens.mean(1), dim=1))
    torch.testing.assert_close(values["input of fc"], nn.functional.normalize(tokens.mean(1), dim=1))
    torch.testing.assert_close(values["first"], first)
    before = dict(values)
    model(images)
    assert all(values[layer] is before[layer] for layer in values)  # nothing is hooked any more


@pytest.mark.parametrize("name", ["test_resnet", "test_vit", "test_convnext", "test_efficientnet", "test_swin"])
def test_real_networks(name):
    if name not in timm.list_models("test_*"):
        pytest.skip(f"timm has no {name}")
    model = timm.create_model(name, num_classes=3).eval()
    heads = [path for path, module in model.named_modules() if module is model.get_classifier()]
    size = model.pretrained_cfg["input_size"][1]
    layers = layers_to_compare(model, name, heads, (3, size, size))
    assert layers[-1] == f"input of {heads[0]}"
    assert 2 <= len(layers) <= 4
    with torch.inference_mode(), compared(model, layers) as values:
        model(torch.rand(2, 3, size, size))
    assert list(values)[-1] == layers[-1]
    for found in values.values():
        assert found.ndim == 2
        torch.testing.assert_close(found.norm(dim=1), torch.ones(2))
