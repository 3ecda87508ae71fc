"""The networks of texts: blocks, sizes, and that padding never changes a result."""

import numpy as np
import pytest
import torch
from torch import nn

from biotune.errors import InputError
from biotune.models import load_model, load_text_network, resolve_name
from biotune.records import TextPreprocessing
from biotune.settings.texts import TextConfig

SIZES = TextConfig(embedding=6, hidden=4)
INPUTS = TextPreprocessing(tuple("abcdefgh"), 12)
NAMES = ("text:lstm", "text:mean")


def network(name: str, inputs: TextPreprocessing = INPUTS, classes: int = 3):
    return load_text_network(resolve_name(name), classes, inputs, SIZES)


def rows(lengths, width: int = 12, seed: int = 0) -> torch.Tensor:
    """Return random tokens, padded behind their lengths."""
    tokens = np.random.default_rng(seed).integers(1, 10, (len(lengths), width))
    for row, length in zip(tokens, lengths, strict=True):
        row[length:] = 0
    return torch.from_numpy(tokens)


def test_blocks_and_their_sizes():
    lstm, mean = network("text:lstm").partition, network("text:mean").partition

    assert lstm.names == mean.names == ("embedding", "encoder", "head")
    assert [block.num_parameters for block in lstm.blocks] == [10 * 6, 4 * 4 * (6 + 4 + 2), 4 * 3 + 3]
    assert [block.num_parameters for block in mean.blocks] == [10 * 6, 6 * 4 + 4, 4 * 3 + 3]


def test_random_weights_are_always_the_same():
    first, second = network("text:lstm"), network("text:lstm")

    assert first.weights_sha256 == second.weights_sha256
    assert first.weights == "random"


@pytest.mark.parametrize("name", NAMES)
def test_the_same_text_in_another_batch_gives_the_same_logits(name):
    model, tokens = network(name).model, rows([1, 12, 3, 7, 2])
    together = model(tokens)
    alone = torch.cat([model(row[None]) for row in tokens])
    backwards = model(tokens.flip(0)).flip(0)

    torch.testing.assert_close(alone, together, rtol=0, atol=1e-6)
    torch.testing.assert_close(backwards, together, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_more_padding_changes_nothing(name):
    short, tokens = network(name).model, rows([1, 5, 3])
    wide = nn.functional.pad(tokens, (0, 30))

    torch.testing.assert_close(short(wide), short(tokens), rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_a_row_of_padding_gives_finite_logits(name):
    assert network(name).model(rows([0, 2])).isfinite().all()


def test_the_last_state_is_that_of_the_plain_layer_by_hand():
    model, tokens = network("text:lstm").model, rows([5, 2])
    plain = nn.LSTM(6, 4, batch_first=True)
    plain.load_state_dict(model.encoder.state_dict())
    outputs = [plain(model.embedding(tokens[i : i + 1, :length]))[0][0, -1] for i, length in enumerate((5, 2))]

    torch.testing.assert_close(model(tokens), model.head(torch.stack(outputs)), rtol=0, atol=1e-6)


def test_the_mean_is_over_the_words_alone_by_hand():
    model, tokens = network("text:mean").model, rows([5, 2])
    means = torch.stack([model.embedding.weight[tokens[i, :length]].mean(0) for i, length in enumerate((5, 2))])
    expected = model.head(torch.relu(model.encoder.linear(means)))

    torch.testing.assert_close(model(tokens), expected, rtol=0, atol=1e-6)


def test_the_order_of_words_counts_in_one_network_alone():
    forward, backward = torch.tensor([[2, 3, 4]]), torch.tensor([[4, 3, 2]])
    lstm, mean = network("text:lstm").model, network("text:mean").model

    assert (lstm(forward) - lstm(backward)).abs().max() > 1e-3
    torch.testing.assert_close(mean(forward), mean(backward), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: resolve_name("text:gru"), r"no network 'text:gru'; those of texts: text:lstm and text:mean"),
        (lambda: load_model("text:lstm", 2), "text:lstm takes texts and is built for the words of a run"),
        (lambda: network("text:lstm", classes=1), "the number of classes is 1; a classifier needs at least 2"),
        (lambda: network("text:lstm").for_images, "text:lstm takes texts, not images"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(InputError, match=message):
        call()
