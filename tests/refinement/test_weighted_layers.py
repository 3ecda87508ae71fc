"""Which layers have weights, and the weights of some of them as one vector."""

import numpy as np
import pytest
import torch
from torch import nn

from biotune.errors import InputError
from biotune.refinement import chosen_weights, weighted_layers


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.BatchNorm2d(4, affine=False), nn.ReLU(), nn.Linear(4, 2)
    )


def test_every_layer_with_a_weight_is_listed_with_its_size():
    rows = [(layer.name, layer.kind, layer.shape, layer.weights, layer.biases) for layer in weighted_layers(network())]

    assert rows == [
        ("0", "convolution", (4, 3, 3, 3), 108, 0),
        ("1", "norm", (4,), 4, 4),
        ("4", "fully connected", (2, 4), 8, 2),
    ]


@pytest.mark.parametrize(
    ("layer", "kind"),
    [
        (nn.Embedding(5, 3), "embedding"),
        (nn.LayerNorm(3), "norm"),
        (nn.GroupNorm(1, 3), "norm"),
        (nn.RMSNorm(3), "norm"),
        (nn.Conv1d(2, 2, 1), "convolution"),
        (nn.ConvTranspose2d(2, 2, 1), "convolution"),
    ],
    ids=str,
)
def test_derived_and_rarer_layers_have_a_kind(layer, kind):
    assert [row.kind for row in weighted_layers(nn.Sequential(layer))] == [kind]


def test_a_vector_holds_weight_and_bias_of_each_layer_in_turn():
    model = network()
    weights = chosen_weights(model, ["4", "1"], bias=True)

    assert weights.names == ("4.weight", "4.bias", "1.weight", "1.bias")
    assert len(weights.centre) == 8 + 2 + 4 + 4
    tensors = weights.tensors(weights.centre)
    assert all(torch.equal(tensors[name], model.get_parameter(name)) for name in weights.names)


def test_the_trained_values_come_back_bit_for_bit():
    weights = chosen_weights(network(), ["0"], bias=False)

    assert weights.centre.dtype == np.float64
    assert torch.equal(weights.tensors(weights.centre)["0.weight"], network()[0].weight)


@pytest.mark.parametrize(
    ("names", "bias", "message"),
    [
        (["5"], False, "no layer '5' with weights; the last ones are 0, 1 and 4: --layers lists all"),
        (["2"], False, "no layer '2' with weights"),
        (["4", "4"], False, "'4' is given twice"),
        (["0"], True, "'0' has no bias to refine; leave out --bias"),
    ],
)
def test_layers_that_are_not_there_are_refused(names, bias, message):
    with pytest.raises(InputError, match=message):
        chosen_weights(network(), names, bias)
