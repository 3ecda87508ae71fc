"""The probe in networks: what its features are, and classifiers that are not one linear layer."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from biotune.methods import make_method, probe
from biotune.methods.logistic import fit_logistic
from biotune.models import Backbone, load_backbone, load_model
from biotune.records import Preprocessing
from biotune.settings.sections import TrainingConfig
from biotune.training.scoring import predict_logits
from biotune.training.sources import PixelSource
from biotune.training.stages import prepared
from biotune.training.trainer import Plan, TrainingData, fit
from biotune.trials.worker import network_of
from small_network import CONFIG, Case, Small, changed, copies


def test_the_features_are_the_input_of_the_classifier_in_evaluation_mode():
    case, fitted = Case(), Case()
    model = case.model.eval()
    with torch.no_grad():
        maps = model.norm(model.middle(model.stem(case.source.batch(torch.arange(18)))))
        features = model.hidden(maps.mean((2, 3))).relu().numpy()
    result = fitted.fit("probe:c=0.3")
    head = fit_logistic(features, case.data.labels[:18], 3, c=0.3)
    assert fitted.model.classifier.weight.detach().numpy() == pytest.approx(head.weight, rel=1e-4, abs=1e-5)
    assert fitted.model.classifier.bias.detach().numpy() == pytest.approx(head.bias, rel=1e-4, abs=1e-5)
    assert result.curve[0].train_loss == pytest.approx(head.loss, rel=1e-5)


def test_both_ways_to_fit_a_linear_classifier_agree(monkeypatch):
    """The same C by cross-validation, and the same network to what L-BFGS leaves open."""
    direct = Case()
    losses = [direct.fit("probe").curve[0]]
    monkeypatch.setattr(probe, "pooled_features", lambda *_: None)
    stepwise = Case()
    losses.append(stepwise.fit("probe").curve[0])
    assert losses[0].train_loss == pytest.approx(losses[1].train_loss, rel=1e-3)
    logits = [predict_logits(case.model, case.source, np.arange(24)) for case in (direct, stepwise)]
    centred = [rows - rows.mean(1, keepdims=True) for rows in logits]
    assert centred[0] == pytest.approx(centred[1], abs=0.05)


def test_unequal_classes_weigh_as_they_do_in_training():
    plain, weighted = Case(), Case()
    plain.fit("probe:c=1")
    weighted.data = dataclasses.replace(weighted.data, train=np.arange(2, 18)[np.arange(2, 18) % 3 > 0])
    weighted.fit("probe:c=1", CONFIG.model_copy(update={"imbalance": "weights"}))
    assert changed(copies(plain.model), weighted.model.state_dict()) == {"classifier.weight", "classifier.bias"}


class Scaled(nn.Module):
    """A module of one's own: two classifiers without biases, and a temperature after them."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 6, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.left = nn.Linear(6, 3, bias=False)
        self.right = nn.Linear(6, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = self.body(images)
        return 2 * (self.left(features) + self.right(features))


def fitted(loaded, size, text="probe"):
    """Fit the probe on small coloured images; return the network, its scores, and which tensors have changed."""
    labels = np.arange(30) % 3
    pixels = np.random.default_rng(0).integers(0, 200, (30, size, size, 3)).astype(np.uint8)
    pixels[np.arange(30), :, :, labels] += 50
    source = PixelSource(pixels, Preprocessing(size))
    data = TrainingData(source, labels, np.arange(24), np.arange(24, 30))
    before, method = copies(loaded.model), make_method(text, network_of(loaded))
    with prepared(loaded.model, method, TrainingConfig(), 0) as scope:
        result = fit(loaded.model, method, scope, data, TrainingConfig(), Plan(0, 3, keep_best=True))
    return result, changed(before, loaded.model.state_dict())


def test_squeezenets_classifier_is_a_convolution():
    loaded = load_model("torchvision:squeezenet1_1", 3, weights="random", image_size=32)
    result, moved = fitted(loaded, 32, "probe:c=0.01")
    assert moved == {"classifier.1.weight", "classifier.1.bias"}
    assert result.curve[0].train_loss < np.log(3) - 0.05
    assert len(result.curve) == 1


def test_a_convolutions_c_is_chosen_on_features_averaged_over_places():
    seen = []
    loaded = load_model("torchvision:squeezenet1_1", 3, weights="random", image_size=32)
    with loaded.model.get_submodule("classifier.1").register_forward_hook(lambda _, given, __: seen.append(given[0])):
        chosen = fitted(loaded, 32)[0].curve[0]
    features = torch.cat([part.float().mean((2, 3)) for part in seen])[:24].numpy()  # the first pass over all images
    head = fit_logistic(features, np.arange(24) % 3, 3)
    again = load_model("torchvision:squeezenet1_1", 3, weights="random", image_size=32)
    assert fitted(again, 32, f"probe:c={head.c}")[0].curve[0].train_loss == chosen.train_loss


def test_a_module_with_two_classifiers():
    torch.manual_seed(0)
    loaded = load_backbone(Backbone(Scaled(), image_size=12, head=["left", "right"]), 3)
    result, moved = fitted(loaded, 12)
    assert moved == {"left.weight", "right.weight", "right.bias"}
    assert result.curve[0].train_loss < 0.5 * np.log(3)
    assert result.curve[0].accuracy == 1.0


def test_a_module_of_ones_own_with_a_linear_classifier():
    loaded = load_backbone(Backbone(Small(), image_size=12, head="classifier"), 3)
    result, moved = fitted(loaded, 12)
    assert moved == {"classifier.weight", "classifier.bias"}
    assert result.curve[0].accuracy > 0.8
