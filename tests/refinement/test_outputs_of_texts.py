"""Weights of a network of texts: each layer as one vector, judged from what comes before it, computed once."""

import copy

import numpy as np
import pytest
import torch

from biotune.models import load_text_network, resolve_name
from biotune.pixels.rows import TokenRows
from biotune.records import TextPreprocessing
from biotune.refinement import chosen_weights, logits_of, rest_of, weighted_layers
from biotune.settings.texts import TextConfig
from biotune.training.sources import TokenSource

LENGTHS = (9, 1, 4, 0, 7, 2)


@pytest.fixture
def loaded():
    inputs = TextPreprocessing(tuple("abcdefgh"), 9)
    return load_text_network(resolve_name("text:lstm"), 3, inputs, TextConfig(embedding=6, hidden=4))


@pytest.fixture
def source():
    tokens = np.random.default_rng(0).integers(1, 10, (len(LENGTHS), 9)).astype(np.int32)
    for row, length in zip(tokens, LENGTHS, strict=True):
        row[length:] = 0
    return TokenSource(TokenRows(tokens))


def test_the_layers_and_their_sizes(loaded):
    rows = [(layer.name, layer.kind, layer.weights, layer.biases) for layer in weighted_layers(loaded.model)]

    assert rows == [
        ("embedding", "embedding", 10 * 6, 0),
        ("encoder", "recurrent", 16 * (6 + 4), 2 * 16),
        ("head", "fully connected", 3 * 4, 3),
    ]


def test_a_recurrent_layer_is_one_vector_of_several_tensors(loaded):
    plain, with_biases = (chosen_weights(loaded.model, ["encoder"], bias) for bias in (False, True))

    assert plain.names == ("encoder.weight_ih_l0", "encoder.weight_hh_l0")
    assert with_biases.names == (*plain.names, "encoder.bias_ih_l0", "encoder.bias_hh_l0")
    assert (len(plain.centre), len(with_biases.centre)) == (160, 192)


@pytest.mark.parametrize(("layer", "is_recorded"), [("embedding", False), ("encoder", True), ("head", True)])
def test_logits_are_those_of_the_network_with_the_weights_in_place(layer, is_recorded, loaded, source):
    weights = chosen_weights(loaded.model, [layer], bias=layer != "embedding")
    vector = weights.centre + np.random.default_rng(1).normal(size=len(weights.centre))
    changed = copy.deepcopy(loaded.model)
    with torch.no_grad():
        for name, tensor in weights.tensors(vector).items():
            changed.get_parameter(name).copy_(tensor)
        expected = changed(source.batch(torch.arange(len(LENGTHS)))).numpy()

    with rest_of(loaded.model, weights, loaded.partition, source, 2**20) as rest:
        assert rest.is_recorded is is_recorded
        np.testing.assert_allclose(logits_of(rest, vector), expected, atol=1e-6)
        np.testing.assert_allclose(logits_of(rest, weights.centre), plain_logits(loaded.model, source), atol=1e-6)


def plain_logits(model, source):
    with torch.no_grad():
        return copy.deepcopy(model)(source.batch(torch.arange(len(LENGTHS)))).numpy()
