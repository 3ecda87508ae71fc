"""Many vectors of weights at once give what the network gives with each of them loaded."""

import numpy as np
import pytest
import torch

from biotune.models import forward_logits
from biotune.models.blocks import checked_partition
from biotune.partition import Block
from biotune.refinement import LastLayer, chosen_weights, last_features, logits_of, rest_of
from biotune.refinement.outputs import ROWS
from small_network import Case

LAYERS = [["classifier"], ["hidden"], ["norm"], ["middle.1"], ["stem.0"], ["hidden", "classifier"]]


def loaded_logits(case: Case, weights, vector) -> np.ndarray:
    """Return the logits of the network with a vector loaded: the plain way."""
    state = case.model.state_dict()
    kept = {name: state[name].clone() for name in weights.names}
    case.model.load_state_dict({**state, **weights.tensors(vector)})
    with torch.no_grad():
        logits = forward_logits(case.model.eval(), case.source.batch(torch.arange(len(case.source))))
    case.model.load_state_dict({**state, **kept})
    return logits.numpy()


def vectors_around(centre: np.ndarray, count: int = 5) -> np.ndarray:
    return np.concatenate([centre[None], centre + np.random.default_rng(0).uniform(-0.3, 0.3, (count, len(centre)))])


def partition_of(model):
    names = ("stem", "middle", "norm", "hidden", "classifier")
    return checked_partition(model, [Block(name, (name, "scale") if name == "norm" else (name,)) for name in names])


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("memory", [1, 2**12, 2**28])
def test_a_last_layer_gives_the_logits_of_the_network(bias, memory):
    case = Case()
    model = case.model.eval()
    features = last_features(model, "classifier", case.source)
    weights = chosen_weights(model, ["classifier"], bias)
    outputs = LastLayer(features, weights, model.classifier.bias, memory_bytes=memory)
    vectors = vectors_around(weights.centre)
    found = np.zeros((len(vectors), 3, len(case.source)))
    for part in outputs.parts(vectors):
        found[part.vectors, :, part.images] = part.logits.numpy()

    expected = np.stack([loaded_logits(case, weights, vector) for vector in vectors])
    assert found.transpose(0, 2, 1) == pytest.approx(expected, abs=1e-5)
    assert logits_of(outputs, vectors[1]) == pytest.approx(expected[1], abs=1e-5)


def test_memory_bounds_weights_and_logits():
    weights = chosen_weights(Case().model, ["classifier"], bias=False)
    features = np.zeros((3 * ROWS, 5), dtype=np.float32)
    outputs = LastLayer(features, weights, torch.zeros(3), memory_bytes=2**16)
    sizes = [part.logits.numel() for part in outputs.parts(np.zeros((100, 15)))]

    assert sum(sizes) == 100 * 3 * 3 * ROWS
    assert max(sizes) * 4 * 4 <= 2**15


@pytest.mark.parametrize("layers", LAYERS, ids="+".join)
def test_other_layers_give_the_logits_of_the_network(layers):
    case = Case()
    weights = chosen_weights(case.model, layers, bias=layers != ["stem.0"])
    before = {name: tensor.clone() for name, tensor in case.model.state_dict().items()}
    vectors = vectors_around(weights.centre, 2)
    with rest_of(case.model.eval(), weights, partition_of(case.model), case.source, 2**30) as outputs:
        recorded = outputs.is_recorded
        found = [logits_of(outputs, vector) for vector in vectors]

    for vector, logits in zip(vectors, found, strict=True):
        assert logits == pytest.approx(loaded_logits(case, weights, vector), abs=1e-5)
    assert recorded == (layers != ["stem.0"])
    assert all(torch.equal(tensor, before[name]) for name, tensor in case.model.state_dict().items())
    assert not case.model.training


def test_a_classifier_without_a_bias_is_not_taken_for_a_last_layer():
    case = Case()
    case.model.classifier = torch.nn.Linear(5, 3, bias=False)

    assert last_features(case.model.eval(), "classifier", case.source) is None
    assert last_features(case.model.eval(), "hidden", case.source) is None
