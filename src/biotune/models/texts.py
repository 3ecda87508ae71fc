"""BioTune's own networks of texts: tokens to logits. A row of tokens is padded; no result depends on by how much."""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from biotune.models.blocks import partition_for
from biotune.models.loaded_model import LoadedModel, finish_loading
from biotune.models.names import ModelName
from biotune.models.weights import install, read_entry
from biotune.records import PADDING, TextPreprocessing
from biotune.settings.texts import TextConfig

HEAD = "head"


class IsWord(nn.Module):
    """Says which tokens are words.

    It is a module of its own, with a floating-point output, so that it is recorded beside the word vectors: what comes
    after these has nothing else to tell words from padding.
    """

    def forward(self, tokens: Tensor) -> Tensor:
        """Return 1 for a word and 0 for padding, shape (batch, length), of rows of tokens (batch, length)."""
        return (tokens != PADDING).float()


class LastState(nn.LSTM):
    """A long short-term memory of one layer, whose hidden state after the last word stands for the text."""

    def forward(self, vectors: Tensor, is_word: Tensor) -> Tensor:  # type: ignore[override]  # one tensor
        """Return the last state, shape (batch, hidden), of word vectors (batch, length, embedding)."""
        counts = (is_word > 0).sum(1).clamp(min=1).cpu()  # a row of padding counts as one vector of zeros
        words = vectors * is_word.unsqueeze(2)
        packed = pack_padded_sequence(words, counts, batch_first=True, enforce_sorted=False)
        _, (hidden, _) = super().forward(packed)
        return hidden[-1]


class MeanVector(nn.Module):
    """The mean of the word vectors, then a fully connected layer with ReLU: the order of the words does not count."""

    def __init__(self, embedding: int, hidden: int) -> None:
        super().__init__()
        self.linear = nn.Linear(embedding, hidden)

    def forward(self, vectors: Tensor, is_word: Tensor) -> Tensor:
        """Return features, shape (batch, hidden), of word vectors (batch, length, embedding)."""
        mean = (vectors * is_word.unsqueeze(2)).sum(1) / is_word.sum(1, keepdim=True).clamp(min=1)
        return torch.relu(self.linear(mean))


class TextNetwork(nn.Module):
    """Word vectors, what makes features of them, and a fully connected classifier.

    Args:
        name: ``lstm`` or ``mean``.
        num_tokens: different tokens.
        num_classes: outputs.
        sizes: widths of the layers.

    Source: de Rosa, Roder, Papa and dos Santos, "Improving Pre-Trained Weights Through Meta-Heuristics Fine-Tuning",
    2021. Texts go through the same parts there, with a hidden state of 512 in the pipeline, 128 by default. Departures:
    the text is packed, so that padding counts for nothing; ``mean`` is ours.
    """

    def __init__(self, name: str, num_tokens: int, num_classes: int, sizes: TextConfig) -> None:
        super().__init__()
        self.is_word = IsWord()
        self.embedding = nn.Embedding(num_tokens, sizes.embedding, padding_idx=PADDING)
        self.encoder = (
            LastState(sizes.embedding, sizes.hidden, batch_first=True)
            if name == "lstm"
            else MeanVector(sizes.embedding, sizes.hidden)
        )
        self.head = nn.Linear(sizes.hidden, num_classes)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits, shape (batch, classes), of rows of tokens, (batch, length), whole numbers of any type."""
        is_word = self.is_word(tokens)
        logits: Tensor = self.head(self.encoder(self.embedding(tokens.long()), is_word))
        return logits


def load_own_network(
    name: ModelName,
    num_classes: int,
    inputs: TextPreprocessing,
    sizes: TextConfig,
    weights: str | Path,
    granularity: str,
) -> LoadedModel:
    """Build one of BioTune's own networks of texts; arguments as for ``load_text_network``."""
    model = TextNetwork(name.architecture, inputs.num_tokens, num_classes, sizes)
    label = "random"
    if weights not in ("auto", "random"):
        state, _ = read_entry(Path(weights), trust_checkpoint=False)
        install(model, name, state, (HEAD,))
        label = f"file {Path(weights).name}"
    partition = partition_for(model, str(name), (HEAD,), inputs.sample_shape, granularity)
    return finish_loading(model, str(name), (HEAD,), partition, inputs, label)
