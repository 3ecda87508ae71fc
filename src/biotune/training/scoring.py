"""The scores of a network on images that it was not trained on."""

import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from biotune import metrics
from biotune.models import forward_logits
from biotune.records import EpochRecord
from biotune.settings.sections import TrainingConfig
from biotune.training.precision import Forward
from biotune.training.ranks import ALONE, Ranks
from biotune.training.sources import Indices, InputSource

EVALUATION_BATCH = 64
"""Images per batch of an evaluation, chosen by hand. Another number may round logits differently."""

SAME = 1e-3
"""Logits of a network that has died are equal for all images, up to rounding; those of any other differ by far more."""


@torch.inference_mode()
def predict_logits(
    model: nn.Module,
    source: InputSource,
    indices: Indices,
    on_batch: Callable[[], None] = lambda: None,
    forward: Forward = forward_logits,
    ranks: Ranks = ALONE,
) -> NDArray[np.float64]:
    """Return logits in evaluation mode, shape (len(indices), classes); ``on_batch`` may raise to stop.

    Several ranks take a batch in turn, and each returns all logits.
    """
    model.eval()
    rows = []
    parts = [indices[start : start + EVALUATION_BATCH] for start in range(0, len(indices), EVALUATION_BATCH)]
    source.expect(ranks.own(parts))
    for part in ranks.own(parts):
        on_batch()
        rows.append(forward(model, source.batch(torch.from_numpy(part))).float().cpu())
    return torch.cat(ranks.put_together(rows)).numpy().astype(np.float64)


def record_of(
    logits: NDArray[np.float64], truth: NDArray[np.int64], epoch: int, loss: float, config: TrainingConfig
) -> tuple[EpochRecord, NDArray[np.float64] | None]:
    """Return the record of an epoch: its training loss, and scores on the images held out.

    Beside it, what ``metrics.calibrated`` gives for these images, where candidates are ranked by that.
    """
    if not np.isfinite(logits).all():
        return EpochRecord(epoch, loss, math.nan, 0.0, 0.0, 0.0), None
    logs = metrics.calibrated(logits, truth) if config.fitness == "loss" else None
    record = EpochRecord(
        epoch=epoch,
        train_loss=loss,
        validation_loss=metrics.cross_entropy(logits, truth),
        accuracy=metrics.accuracy(logits, truth),
        macro_accuracy=metrics.macro_accuracy(logits, truth),
        score=metrics.METRICS[config.metric].selection_score(logits, truth),
        calibrated_loss=None if logs is None else metrics.calibrated_loss(logs, truth),
    )
    return record, logs


def is_ruined(logits: NDArray[np.float64]) -> bool:
    """Return whether a network answers NaN or infinity, or all images alike: its trained units have died.

    Args:
        logits: of images that differ, shape (n, classes).

    Returns:
        Whether it is; False for a single image with finite logits.
    """
    return not np.isfinite(logits).all() or (len(logits) > 1 and float(np.ptp(logits, axis=0).max()) < SAME)


def fitness_of(record: EpochRecord, step: float) -> float:
    """Return the fitness of an epoch, in [0, 1], higher is better; 0 where no image was held out.

    It is ``exp(-calibrated_loss)`` where that was computed, a mean probability of the right class; else see
    ``metrics.fitness``, which ``step`` is for.
    """
    if record.score is None or record.validation_loss is None:
        return 0.0
    if record.calibrated_loss is not None:
        return math.exp(-record.calibrated_loss)
    return metrics.fitness(record.score, record.validation_loss, step)
