"""A small network of many kinds of layers with its data, on which any fine-tuning method trains in milliseconds."""

import numpy as np
import torch
from torch import nn

from biotune.methods import FineTuningMethod, Network, Signals, Stage, make_method
from biotune.models import reset_heads
from biotune.partition import Block, make_partition
from biotune.records import Preprocessing
from biotune.settings.sections import TrainingConfig
from biotune.training.sources import PixelSource
from biotune.training.stages import prepared
from biotune.training.trainer import FitResult, Plan, TrainingData, fit

CONFIG = TrainingConfig(epochs=3, batch_size=6, limit_batch=False, learning_rate=0.01)


class Small(nn.Module):
    """Convolutions of many kinds, batch norm, dropout, a hidden linear layer; square kernels only."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2, bias=False), nn.BatchNorm2d(4), nn.ReLU())
        self.middle = nn.Sequential(nn.Conv2d(4, 4, 3, dilation=2, padding=2, groups=4), nn.Conv2d(4, 6, 1))
        self.norm = nn.BatchNorm2d(6)
        self.hidden = nn.Linear(6, 5)
        self.drop = nn.Dropout(0.2)
        self.classifier = nn.Linear(5, 3)
        self.register_buffer("scale", torch.ones(1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = self.norm(self.middle(self.stem(images))).mean((2, 3))
        return self.classifier(self.drop(self.hidden(features).relu())) * self.scale


BLOCKS = {
    "four blocks": (
        Block("stem", ("stem",)),
        Block("middle", ("middle", "norm", "scale")),
        Block("hidden", ("hidden",)),
        Block("head", ("classifier",)),
    ),
    "one block": (Block("all", ("stem", "middle", "norm", "scale", "hidden", "classifier")),),
}


class Case:
    """A fresh network with its data; ``stages`` has what the methods that it makes have planned, epoch by epoch."""

    def __init__(self, blocks: str = "four blocks", seed: int = 0) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(3)
            self.model = Small()
        reset_heads(self.model, ("classifier",), seed)
        shapes = {name: tuple(parameter.shape) for name, parameter in self.model.named_parameters()}
        buffers = tuple(name for name, _ in self.model.named_buffers())
        partition = make_partition(BLOCKS[blocks], shapes, buffers)
        self.network = Network(partition, ("classifier",), shapes, buffers, "small")
        self.seed = seed
        self.stages: list[Stage] = []
        labels = np.arange(24) % 3
        pixels = np.random.default_rng(0).integers(0, 200, (24, 12, 12, 3)).astype(np.uint8)
        pixels[np.arange(24), :, :, labels] += 50
        self.source = PixelSource(pixels, Preprocessing(12), channels_last=False)
        self.data = TrainingData(self.source, labels, np.arange(18), np.arange(18, 24))

    def method(self, text: str) -> FineTuningMethod:
        count = len(self.network.partition)
        return self.noted(make_method(text, self.network, self.network.recipe((0.0, 0.5, 0.0, 2.0)[-count:])))

    def noted(self, method: FineTuningMethod) -> FineTuningMethod:
        """Return the method, which notes its stages from now on."""
        plan = method.stage

        def stage(epoch: int, signals: Signals) -> Stage:
            self.stages.append(plan(epoch, signals))
            return self.stages[-1]

        method.stage = stage  # type: ignore[method-assign]
        return method

    def fit(
        self,
        text: str,
        config: TrainingConfig = CONFIG,
        epochs: int = 3,
        method: FineTuningMethod | None = None,
        keep_best: bool = True,
    ) -> FitResult:
        """Train; the network is left as a run would export it, or as the last epoch left it."""
        method = method or self.method(text)
        with prepared(self.model, method, config, self.seed) as scope:
            return fit(self.model, method, scope, self.data, config, Plan(self.seed, epochs, keep_best=keep_best))


def copies(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def changed(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> set[str]:
    return {name for name in before if not torch.equal(before[name], after[name])}
