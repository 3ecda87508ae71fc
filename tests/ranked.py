"""Trainings of a small network by one process and by several, in float64, so that only a wrong formula differs."""

import multiprocessing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from biotune.methods import Network, make_method
from biotune.models import forward_logits
from biotune.partition import Block, make_partition
from biotune.records import Preprocessing
from biotune.settings.sections import TrainingConfig
from biotune.training.augmentation import augmentation
from biotune.training.ranks import ALONE, Ranks, join
from biotune.training.sources import PixelSource
from biotune.training.stages import prepared
from biotune.training.trainer import FitResult, Plan, TrainingData, fit
from small_network import Small

SIZE = 12
BLOCKS = (
    Block("stem", ("stem",)),
    Block("middle", ("middle", "norm", "scale")),
    Block("hidden", ("hidden",)),
    Block("head", ("classifier",)),
)
CONFIG = TrainingConfig(epochs=3, batch_size=5, limit_batch=False, learning_rate=0.02, optimizer="sgd")


@dataclass(frozen=True)
class Case:
    """One training.

    Args:
        trained: multipliers of the blocks.
        method: the method, which may leave them aside.
        changes: of the configuration.
        has_norm: whether the network has batch norms.
        dropout: probability.
        micro_batch: of the plan.
        augment: level of augmentation, empty for none.
        pauses: whether the training pauses after each epoch.
    """

    trained: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0)
    method: str = "given"
    changes: dict[str, Any] = field(default_factory=dict)
    has_norm: bool = True
    dropout: float = 0.0
    micro_batch: int = 0
    augment: str = ""
    pauses: bool = False


HEAD, SOME, ALL = (0.0, 0.0, 0.0, 1.0), (0.0, 0.5, 0.0, 2.0), (1.0, 1.0, 1.0, 1.0)
CASES = {
    "head": Case(HEAD),
    "some": Case(SOME),
    "all": Case(ALL),
    "all without batch norm": Case(ALL, has_norm=False),
    "kept statistics": Case(ALL, changes={"statistics": "kept"}),
    "frozen statistics that drift": Case(SOME, changes={"frozen_statistics": "train"}),
    "class weights": Case(ALL, changes={"imbalance": "weights"}),
    "clipped gradients": Case(ALL, changes={"clip_gradient": 0.1}),
    "small parts of batches": Case(ALL, changes={"batch_size": 7}, micro_batch=4),
    "penalty and small parts": Case(ALL, method="l2_sp", changes={"batch_size": 7}, micro_batch=4),
    "unfreezing": Case(ALL, method="gradual_last_first"),
    "rates from gradients": Case(ALL, method="auto_rgn"),
    "draws that repeat, augmented": Case(ALL, changes={"imbalance": "sampling"}, augment="standard"),
    "pauses": Case(ALL, pauses=True),
    "dropout": Case(ALL, dropout=0.5),
    "pauses with dropout": Case(ALL, dropout=0.5, pauses=True),
}
EQUAL = [name for name in CASES if "dropout" not in name]
"""Those in which several processes do what one does; each draws its own dropout."""


def train(case: Case, ranks: Ranks = ALONE) -> tuple[FitResult, dict[str, Tensor]]:
    """Return the result of a training, and all tensors of the network after it.

    There are 17 images, of classes of unequal size: the last batch has two.
    """
    torch.manual_seed(3)
    model = Small()
    if case.method != "auto_rgn":  # which has a block for each parameter, and refuses one that the loss does not reach
        model.hidden.register_parameter("spare", nn.Parameter(torch.ones(2)))
    model.drop = nn.Dropout(case.dropout)
    if not case.has_norm:
        model.stem[1], model.norm = nn.Identity(), nn.Identity()
    model.double()
    shapes = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    buffers = tuple(name for name, _ in model.named_buffers())
    network = Network(make_partition(BLOCKS, shapes, buffers), ("classifier",), shapes, buffers, "small")
    labels = np.array([0] * 10 + [1] * 5 + [2] * 2 + [0, 1, 2] * 4)
    pixels = np.random.default_rng(0).integers(0, 200, (len(labels), SIZE, SIZE, 3)).astype(np.uint8)
    pixels[np.arange(len(labels)), :, :, labels] += 50
    preprocessing = Preprocessing(SIZE)
    source = PixelSource(pixels, preprocessing, channels_last=False)
    maker = augmentation(source, preprocessing, case.augment, flip=True) if case.augment else None
    data = TrainingData(source, labels, np.arange(17), np.arange(17, len(labels)), maker)
    config = CONFIG.model_copy(update=case.changes)
    plan = Plan(0, 3, forward=_in_float64, micro_batch=case.micro_batch, ranks=ranks, keep_best=True)
    result = None
    for last in (1, 2, 3) if case.pauses else (3,):
        method = make_method(case.method, network, network.recipe(case.trained))
        paused = result and result.paused
        with prepared(model, method, config, seed=0) as scope:
            result = fit(model, method, scope, data, config, replace(plan, last_epoch=last), paused=paused)
    assert result is not None
    return result, {name: tensor.clone() for name, tensor in model.state_dict().items()}


def _in_float64(model: nn.Module, images: Tensor) -> Tensor:
    return forward_logits(model, images.double())


def train_all(size: int, folder: Path) -> list[dict[str, tuple[FitResult, dict[str, Tensor]]]]:
    """Train all cases by so many processes; return what each of them found."""
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_work, args=(rank, size, folder)) for rank in range(size)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * size
    return [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in range(size)]


def _work(rank: int, size: int, folder: Path) -> None:
    torch.set_num_threads(1)
    run = partial(train, ranks=join(rank, size, folder / "meeting", "cpu"))
    torch.save({name: run(case) for name, case in CASES.items()}, folder / f"{rank}.pt")
