"""The network that a configuration names, with its preprocessing."""

import pytest

from biotune.settings.resolve import resolve
from biotune.trials.spec import load_network


@pytest.mark.parametrize(
    ("preset", "name", "resized"),
    [
        ("paper", "densenet121", 232),  # as the papers' code does for all its networks but Inception
        ("paper", "vgg11", 232),
        ("paper", "torchvision:resnet18", 256),  # not a network of the papers, so torchvision's own
        ("reference", "torchvision:densenet121", 256),
    ],
)
def test_the_papers_preset_resizes_to_232_before_it_crops_224(preset, name, resized):
    loaded = load_network(resolve(preset, {"model": {"name": name, "weights": "random"}}), 3)
    assert loaded.preprocessing.image_size == 224
    assert 224 / loaded.preprocessing.crop_fraction == pytest.approx(resized)
