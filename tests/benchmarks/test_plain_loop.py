"""The plain loop and the tails that it trains."""

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.throughput.plain_loop import BareData, activations, split_chain, train_bare
from biotune.models import load_model
from biotune.partition import Block, make_partition


def partition_of(model: nn.Module, *prefixes: str):
    shapes = {name: tuple(value.shape) for name, value in model.named_parameters()}
    return make_partition([Block(prefix, (prefix,)) for prefix in prefixes], shapes)


def images(side: int = 32, count: int = 3) -> torch.Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", ["timm:test_resnet", "torchvision:squeezenet1_1", "timm:test_efficientnet"])
def test_the_halves_of_a_network_are_the_network(name):
    loaded = load_model(name, 10, weights="random", image_size=64)
    inputs, firsts = images(64), range(1, len(loaded.partition))
    halves = [split_chain(loaded.model, loaded.partition, first, inputs) for first in firsts]

    with torch.no_grad():
        expected = loaded.model(inputs)
        assert [torch.equal(tail(head(inputs)), expected) for head, tail in halves] == [True] * len(firsts)


def test_a_tail_trains_the_blocks_from_its_first_on():
    loaded = load_model("torchvision:squeezenet1_1", 10, weights="random", image_size=64)
    counts = [block.num_parameters for block in loaded.partition.blocks]
    halves = [split_chain(loaded.model, loaded.partition, first, images(64)) for first in (1, 5, 9)]

    assert [sum(p.numel() for p in tail.parameters()) for _, tail in halves] == [
        sum(counts[1:]),
        sum(counts[5:]),
        counts[9],
    ]


def test_dropout_stays_in_the_tail_and_activations_do_not():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Dropout(), nn.Conv2d(4, 2, 1))
    model.append(nn.Flatten())
    head, tail = split_chain(model.eval(), partition_of(model, "0", "4"), 1, images())

    assert [type(module).__name__ for module in head] == ["Conv2d", "ReLU", "AdaptiveAvgPool2d"]
    assert [type(module).__name__ for module in tail] == ["Dropout", "Conv2d", "Flatten", "Flatten"]


class Skipping(nn.Module):
    """Adds the input of a layer to its output, which a chain of modules does not."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1), nn.Linear(3, 2)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        found = self.first(inputs)
        return self.head((found + self.second(found)).mean((2, 3)))


@pytest.mark.parametrize("first", [1, 2])
def test_what_is_no_chain_has_no_tail(first):
    model = Skipping().eval()

    assert split_chain(model, partition_of(model, "first", "second", "head"), first, images()) is None


def test_a_module_that_runs_twice_has_no_tail():
    shared = nn.ReLU()
    model = nn.Sequential(nn.Conv2d(3, 4, 1), shared, nn.Conv2d(4, 4, 1), shared, nn.Flatten(), nn.Linear(4096, 2))

    assert split_chain(model.eval(), partition_of(model, "0", "2", "5"), 1, images()) is None


def test_activations_keep_the_layout_that_the_next_layer_wants():
    layer = nn.Conv2d(3, 8, 3).to(memory_format=torch.channels_last).train()
    inputs = images(count=5).to(memory_format=torch.channels_last)
    found = activations(layer, inputs, batch_size=2)

    with torch.no_grad():  # in the same batches: on some processors, a batch of one image is rounded differently
        expected = torch.cat([layer(part) for part in torch.split(inputs, 2)])
    assert torch.equal(found, expected)
    assert found[torch.tensor([3, 1])].is_contiguous(memory_format=torch.channels_last)
    assert not found.requires_grad
    assert not layer.training


def separable() -> BareData:
    """Rows whose first value tells the class."""
    rng = np.random.default_rng(0)
    labels = torch.from_numpy(rng.integers(0, 2, 60))
    inputs = torch.from_numpy(rng.normal(size=(60, 4))).float()
    inputs[:, 0] += 6 * labels
    return BareData(inputs, labels, torch.arange(40), torch.arange(40, 60))


def test_the_plain_loop_learns():
    torch.manual_seed(0)
    model = nn.Linear(4, 2)

    assert train_bare(model, separable(), 30, batch_size=8, evaluation_batch=16, learning_rate=0.1) >= 0.95


def test_the_plain_loop_says_when_it_diverged():
    data = separable()
    data.inputs[0, 0] = torch.nan

    with pytest.raises(ArithmeticError, match="diverged"):
        train_bare(nn.Linear(4, 2), data, 1, batch_size=8, evaluation_batch=16, learning_rate=0.1)
