"""The networks of the study, a plain training of them, and what is kept of it for all entries."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
import timm
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from biotune.models import LoadedModel
from biotune.models.texts import TextNetwork
from biotune.records import Preprocessing
from biotune.settings.texts import TextConfig

if TYPE_CHECKING:
    from benchmarks.refine_study.cases import Examples

BATCH, RATE = 100, 1e-3
"""Of the training, with Adam, as in the sources' code."""

AVERAGED = 3
"""Weights are averaged over so many last epochs, or over all where there are fewer."""

WIDTH = 64
"""Of word vectors and of the state of a text network."""

PARTS = ("train", "validation", "test")
_ROWS = 500

Floats = NDArray[np.float32]


class Classifier(nn.Module):
    """Layers below a fully connected ``head``."""

    def __init__(self, body: nn.Module, head: nn.Linear) -> None:
        super().__init__()
        self.body, self.head = body, head

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the logits, shape (n, classes)."""
        return cast(Tensor, self.head(self.body(inputs)))


def mlp(shape: tuple[int, ...], num_classes: int) -> Classifier:
    """Return the sources' network for images: 128 hidden units with ReLU."""
    hidden = nn.Linear(int(np.prod(shape)), 128)
    return Classifier(nn.Sequential(nn.Flatten(), hidden, nn.ReLU()), nn.Linear(128, num_classes))


def small_resnet(shape: tuple[int, ...], num_classes: int) -> Classifier:
    """Return timm's smallest residual network, from scratch, with batch norm."""
    model = timm.create_model("test_resnet", in_chans=shape[0], num_classes=0)
    return Classifier(model, nn.Linear(cast(int, model.num_features), num_classes))


class TextFeatures(nn.Module):
    """Word vectors and a long short-term memory, whose last state is what the head gets of a text."""

    def __init__(self, num_tokens: int) -> None:
        super().__init__()
        network = TextNetwork("lstm", num_tokens, 2, TextConfig(embedding=WIDTH, hidden=WIDTH))
        self.is_word, self.embedding, self.encoder = network.is_word, network.embedding, network.encoder

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the features of rows of tokens, shape (n, WIDTH)."""
        return cast(Tensor, self.encoder(self.embedding(tokens.long()), self.is_word(tokens)))


def lstm(shape: tuple[int, ...], num_classes: int, num_tokens: int) -> Classifier:
    """Return the sources' network for texts, with narrower layers."""
    del shape
    return Classifier(TextFeatures(num_tokens), nn.Linear(WIDTH, num_classes))


def only_a_head(shape: tuple[int, ...], num_classes: int) -> Classifier:
    """Return a classifier of features that are computed already."""
    return Classifier(nn.Identity(), nn.Linear(shape[0], num_classes))


@torch.inference_mode()
def frozen_features(loaded: LoadedModel, inputs: Tensor) -> Tensor:
    """Return what the classifier of a pretrained network gets of pixels in [0, 1], shape (n, features)."""
    given = cast(Preprocessing, loaded.preprocessing)
    mean, std = (torch.tensor(value).view(3, 1, 1) for value in (given.mean, given.std))
    model = cast("timm.models.EfficientNet", loaded.model.eval())
    parts = [model.forward_features((part - mean) / std) for part in torch.split(inputs, 64)]
    return torch.cat([model.forward_head(part, pre_logits=True) for part in parts]).clone()


@dataclass(frozen=True)
class Trained:
    """A trained network, and what each part of the examples looks like to its head.

    Args:
        model: in evaluation mode.
        parts: the examples of each part, by name.
        features: what the head gets of them, shape (n, num_features).
        others: logits on each part of what else training could give: by name of the entry, then of the part.
        num_classes: outputs of the network.
    """

    model: Classifier
    parts: dict[str, "Examples"]
    features: dict[str, Floats]
    others: dict[str, dict[str, NDArray[np.float64]]]
    num_classes: int

    @property
    def weight(self) -> NDArray[np.float64]:
        """The weight of the head, shape (classes, num_features)."""
        return self.model.head.weight.detach().double().numpy()

    @property
    def bias(self) -> NDArray[np.float64]:
        """The bias of the head, shape (classes,)."""
        return self.model.head.bias.detach().double().numpy()

    def labels(self, part: str) -> NDArray[np.int64]:
        """Return the labels of a part."""
        return self.parts[part].labels

    def logits(self, part: str, weight: NDArray[np.float64], bias: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the logits on a part with another head, shape (n, classes)."""
        return self.features[part] @ weight.T + bias


def trained(
    network: Callable[[tuple[int, ...], int], nn.Module],
    parts: dict[str, "Examples"],
    num_classes: int,
    epochs: int,
    more: int,
    seed: int,
    class_weights: Tensor | None = None,
) -> Trained:
    """Train a network, note how its head sees every part, then go on for the entries that are more training.

    Args:
        network: makes it.
        parts: the examples of each part.
        num_classes: outputs of the network.
        epochs: how many it is trained for, before what is noted.
        more: further epochs of the entry ``more epochs``.
        seed: of the first weights and of the order of the examples.
        class_weights: of the loss, shape (classes,); None for none.

    Returns:
        The network after the epochs, and what else they could give.
    """
    torch.manual_seed(seed)
    model = cast(Classifier, network(tuple(parts["train"].inputs.shape[1:]), num_classes))
    optimizer, order = torch.optim.Adam(model.parameters(), lr=RATE), torch.Generator().manual_seed(seed)
    last = list[dict[str, Tensor]]()
    for _ in range(epochs):
        one_epoch(model, parts["train"], optimizer, order, class_weights)
        last = [*last[1 - AVERAGED :], _copy(model)] if AVERAGED > 1 else [_copy(model)]
    others = {"averaged weights": logits_with(model, mean_of(last), parts)}
    model.load_state_dict(last[-1])
    for _ in range(more):
        one_epoch(model, parts["train"], optimizer, order, class_weights)
    others["more epochs"] = logits_with(model, _copy(model), parts)
    model.load_state_dict(last[-1])
    model.eval().requires_grad_(False)
    seen = {name: through(model.body, part.inputs) for name, part in parts.items()}
    return Trained(model, parts, seen, others, num_classes)


def one_epoch(
    model: nn.Module,
    part: "Examples",
    optimizer: torch.optim.Optimizer,
    order: torch.Generator,
    class_weights: Tensor | None = None,
) -> None:
    """Train for an epoch on shuffled batches."""
    model.train()
    labels = torch.from_numpy(part.labels)
    for rows in torch.split(torch.randperm(len(part), generator=order), BATCH):
        if len(rows) > 1:  # batch norm needs two
            optimizer.zero_grad()
            loss: Tensor = functional.cross_entropy(model(part.inputs[rows]), labels[rows], class_weights)
            torch.autograd.backward(loss)
            optimizer.step()


def mean_of(states: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Return the mean of the tensors of some networks, running statistics included; whole numbers of the last one."""
    last = states[-1]
    return {
        name: torch.stack([state[name] for state in states]).mean(0) if value.is_floating_point() else value
        for name, value in last.items()
    }


def logits_with(
    model: nn.Module, state: dict[str, Tensor], parts: dict[str, "Examples"]
) -> dict[str, NDArray[np.float64]]:
    """Return the logits on every part but the training part that a network gives with other tensors."""
    model.load_state_dict(state)
    model.eval()
    return {name: through(model, parts[name].inputs).astype(np.float64) for name in PARTS[1:]}


@torch.inference_mode()
def through(model: nn.Module, inputs: Tensor) -> Floats:
    """Return what a network in evaluation mode gives of inputs."""
    return torch.cat([model(part) for part in torch.split(inputs, _ROWS)]).numpy()


def _copy(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}
