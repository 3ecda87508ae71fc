"""The training loop: fit, epoch, step. It trains what a method plans, and knows no method by name."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from biotune.errors import InputError
from biotune.methods import Examples, FineTuningMethod, Signals
from biotune.models import forward_logits
from biotune.models.own_generator import own_generator
from biotune.recipe import Recipe
from biotune.records import EpochRecord
from biotune.settings.sections import TrainingConfig
from biotune.training.imbalance import balanced, class_weights, cross_entropy, shuffled
from biotune.training.optimiser import make_optimizer, rate_factor, set_rates
from biotune.training.pausing import Patience, Paused, cuda_devices, random_states, resume, trained_state
from biotune.training.precision import Forward
from biotune.training.ranks import ALONE, Ranks
from biotune.training.scoring import EVALUATION_BATCH, fitness_of, is_ruined, predict_logits, record_of
from biotune.training.sources import InputSource
from biotune.training.stages import Stages

Indices = NDArray[np.int64]
Objective = Callable[[Indices], Tensor]
"""Function from the indices of a batch to its loss."""

SMALLEST_BATCH = 8
"""``limit_batch`` never goes below this, chosen by hand: batch norm needs some images to estimate its statistics."""


@dataclass(frozen=True)
class TrainingData:
    """The data of one training.

    Args:
        source: gives the input for images by index.
        labels: class index of every image of the source, shape (n,).
        train: indices of the training images.
        validation: indices of the validation images.
        augmented: returns the source of the training images for (seed, epoch); None without augmentation.
        groups: number of the group of every image of the source, shape (n,), or None; only methods that hold out
            training images use it.
    """

    source: InputSource
    labels: NDArray[np.int64]
    train: Indices
    validation: Indices
    augmented: Callable[[int, int], InputSource] | None = None
    groups: Indices | None = None


@dataclass(frozen=True)
class FitResult:
    """The result of a training.

    Args:
        curve: one record per finished epoch.
        best_epoch: index of the epoch that counts: that of highest fitness, or the last one if training stops as
            planned; -1 if none was finished.
        diverged: True if a loss became NaN or infinite, where training stopped, or the network is ruined.
        paused: state to resume from, if the plan ended before the training did.
        held_out: what ``metrics.calibrated`` gives after the last epoch, shape (images held out,); None without it.
    """

    curve: tuple[EpochRecord, ...]
    best_epoch: int
    diverged: bool
    paused: Paused | None = None
    held_out: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Plan:
    """The seed and length of one training, and how the network is run.

    Args:
        seed: seed of the order of the data and of dropout.
        epochs: largest number of epochs; the schedule's length.
        fitness_step: see ``metrics.fitness``; 0 for the plain score.
        keep_best: True to leave the network with the weights of its best epoch; those of the last one are there anyway.
        last_epoch: pause after this many epochs; 0 to train to the end.
        forward: runs the network on a batch and returns its logits.
        micro_batch: images that go through the network at a time, whose gradients are added up to those of the batch;
            0 for the whole batch. The batch's mean loss stays what it is; batch norms of trained blocks that take the
            statistics of a batch take those of the part.
        ranks: the processes that do this training together; each is called with the same arguments, and returns the
            same result.
    """

    seed: int
    epochs: int
    fitness_step: float = 0.0
    keep_best: bool = False
    last_epoch: int = 0
    forward: Forward = forward_logits
    micro_batch: int = 0
    ranks: Ranks = ALONE


def fit(
    model: nn.Module,
    method: FineTuningMethod,
    scope: Recipe,
    data: TrainingData,
    config: TrainingConfig,
    plan: Plan,
    on_step: Callable[[int], None] = lambda _epoch: None,
    paused: Paused | None = None,
) -> FitResult:
    """Train a network in place.

    Args:
        model: the network on its device, with a fresh head, inside ``stages.prepared``.
        method: plans what is trained, and how fast.
        scope: the recipe that ``stages.prepared`` yielded.
        data: inputs, labels and the two index sets.
        config: optimiser, schedule and patience.
        plan: seed and length.
        on_step: called before every step with the epoch; may raise to stop.
        paused: state of the same training to resume from; the method must plan every epoch from its number alone. The
            result is bit for bit that of a training without a pause.

    Returns:
        The history, and the paused state if the training is not over; one epoch if the method fits all images at once.
    """
    if method.is_solved:
        return _solve(model, method, data, config, plan, on_step)
    optimizer = make_optimizer(scope, model, config)
    stages = Stages(method, scope, model, optimizer, config)
    batch_size = effective_batch_size(len(data.train), config)
    patience = Patience(config, math.ceil(len(data.train) / batch_size))
    weights = _loss_weights(model, data, config)
    curve: list[EpochRecord] = []
    best, best_epoch, best_state = -1.0, -1, dict[str, Tensor]()
    ranks, planned = plan.ranks, config.stopping == "planned"
    unreached = ranks.unreached(model, plan.forward, data.source, data.train)
    keep_best = plan.keep_best and not planned
    last, over, logs = plan.last_epoch or plan.epochs, False, None
    with own_generator(cuda_devices(model)):
        torch.manual_seed(ranks.seed(plan.seed))
        if paused is not None:
            curve, best, best_epoch, best_state = list(paused.curve), paused.best, paused.best_epoch, paused.best_state
            patience = resume(model, optimizer, paused)
        for epoch in range(len(curve), last):
            seen = data if data.augmented is None else replace(data, source=data.augmented(plan.seed, epoch))
            parts = batches(_order(data, config, plan.seed, epoch), batch_size, ranks.size)
            objective, before = partial(_loss, seen, weights, plan), partial(on_step, epoch)
            gradients = partial(_gradients, model, unreached, objective, parts, before, plan)
            stage = stages.enter(epoch, Signals(scope, plan.epochs, tuple(curve), gradients))
            factor = rate_factor(epoch, plan.epochs, config)
            set_rates(optimizer, factor)
            after = partial(method.after_step, model, config.learning_rate * factor)
            seen.source.expect([ranks.share(m) for part in parts for m in micro_batches(part, plan.micro_batch)])
            objective = partial(objective, ranks.wrapped(model, unreached))
            step = partial(_step, model, optimizer, method, objective, config, plan)
            with ranks.together():
                loss = _train_epoch(model, optimizer, step, parts, before, after, ranks)
            record, logs = _scored(model, data, epoch, loss, config, plan) if math.isfinite(loss) else (None, None)
            if record is None or not math.isfinite(record.validation_loss or 0.0):
                return FitResult(tuple(curve), best_epoch, diverged=True)
            curve.append(record)
            value = fitness_of(record, plan.fitness_step)
            if planned or value > best:
                best, best_epoch = value, epoch
                best_state = trained_state(model, scope, config) if keep_best else best_state
            over = not planned and patience.is_over(record.score or 0.0, stage.may_stop)
            if over:
                break
        rest = None
        if last < plan.epochs and not over:
            state, random = trained_state(model, scope, config), random_states(model)
            rest = Paused(tuple(curve), best, best_epoch, best_state, state, optimizer.state_dict(), patience, random)
    if keep_best:
        model.load_state_dict(best_state, strict=False)
    return FitResult(tuple(curve), best_epoch, diverged=False, paused=rest, held_out=logs)


def _solve(
    model: nn.Module,
    method: FineTuningMethod,
    data: TrainingData,
    config: TrainingConfig,
    plan: Plan,
    on_step: Callable[[int], None],
) -> FitResult:
    """Let a method fit the network at once; what it gave counts as the only epoch."""
    loss = fit_at_once(model, method, data, config, plan, on_step)
    record, logs = _scored(model, data, 0, loss, config, plan) if math.isfinite(loss) else (None, None)
    if record is None or not math.isfinite(record.validation_loss or 0.0):
        return FitResult((), -1, diverged=True)
    return FitResult((record,), 0, diverged=False, held_out=logs)


def fit_at_once(
    model: nn.Module,
    method: FineTuningMethod,
    data: TrainingData,
    config: TrainingConfig,
    plan: Plan,
    on_step: Callable[[int], None],
) -> float:
    """Let a method with ``is_solved`` fit the network, on images that are not augmented; arguments as in ``fit``.

    What it returns is the training loss, penalty included; NaN or infinite if nothing could be fitted.
    """
    labels = data.labels[data.train]
    weights = np.ones(len(labels)) if config.imbalance == "none" else class_weights(labels).double().numpy()[labels]

    def logits(rows: Indices) -> Tensor:
        on_step(0)
        return plan.forward(model, data.source.batch(torch.from_numpy(data.train[rows])))

    groups = None if data.groups is None else data.groups[data.train]
    data.source.expect([data.train[at : at + EVALUATION_BATCH] for at in range(0, len(labels), EVALUATION_BATCH)])
    model.eval()
    return method.solve(model, Examples(labels, groups, weights, plan.seed, logits, EVALUATION_BATCH))


def effective_batch_size(num_images: int, config: TrainingConfig) -> int:
    """Return the batch size; with ``limit_batch`` at most a sixteenth of the images, but at least 8."""
    if not config.limit_batch:
        return config.batch_size
    # Chosen by hand: with at least 16 steps per epoch, small data sets get enough updates.
    return min(config.batch_size, max(SMALLEST_BATCH, num_images // 16))


def _loss_weights(model: nn.Module, data: TrainingData, config: TrainingConfig) -> Tensor | None:
    """Return the weight of each class in the loss, on the network's device; None for equal weights."""
    if config.imbalance != "weights":
        return None
    return class_weights(data.labels[data.train]).to(next(model.parameters()).device)


def _order(data: TrainingData, config: TrainingConfig, seed: int, epoch: int) -> Indices:
    """Return the training images of one epoch in their order: all of them once, or draws balanced by class."""
    if config.imbalance == "sampling":
        return balanced(data.train, data.labels, seed, epoch)
    return shuffled(data.train, seed, epoch)


def batches(order: Indices, batch_size: int, ranks: int = 1) -> list[Indices]:
    """Cut the order of an epoch into index arrays of ``batch_size`` images.

    A last batch of one image joins the batch before it, since batch norm fails on one value per channel; so does one
    that has fewer images than there are ranks.
    """
    parts = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    if len(parts) > 1 and len(parts[-1]) < max(2, ranks):
        parts[-2:] = [np.concatenate(parts[-2:])]
    return parts


def micro_batches(part: Indices, size: int) -> list[Indices]:
    """Cut a batch into as few parts as possible of at most ``size`` images, of the same size but for one image.

    With a size of 0 the batch is the only part.
    """
    return np.array_split(part, math.ceil(len(part) / size)) if size else [part]


def _train_epoch(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    step: Callable[[Indices], Tensor],
    parts: list[Indices],
    before_step: Callable[[], None],
    after_step: Callable[[], None],
    ranks: Ranks,
) -> float:
    """Train one epoch; return its mean loss per image, NaN or infinite if it diverged."""
    model.train()
    total, count = torch.zeros((), device=next(model.parameters()).device), 0
    for number, part in enumerate(parts):
        before_step()
        loss = step(part)
        if number == 0:
            _require_gradients(optimizer)
        after_step()
        total += loss * len(part)
        count += len(part)
    return float(ranks.total(total)) / count


def _step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    method: FineTuningMethod,
    objective: Objective,
    config: TrainingConfig,
    plan: Plan,
    part: Indices,
) -> Tensor:
    """One optimiser step; return what this rank adds to the mean loss of the batch, penalty included."""
    optimizer.zero_grad(set_to_none=True)
    loss = _add_gradients(objective, part, plan, lambda: method.penalty(model))
    if config.clip_gradient:
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        torch.nn.utils.clip_grad_norm_(parameters, config.clip_gradient)
    optimizer.step()
    return loss


def _add_gradients(
    objective: Objective, part: Indices, plan: Plan, penalty: Callable[[], Tensor | None] = lambda: None
) -> Tensor:
    """Add the gradients of the mean loss of a batch, and of a penalty; return this rank's part of their sum."""
    losses: list[Tensor] = []
    for micro in micro_batches(part, plan.micro_batch):
        loss = objective(micro) * (len(plan.ranks.share(micro)) / len(part))
        extra = None if losses else penalty()
        loss = loss if extra is None else loss + extra / plan.ranks.size
        whole = loss * plan.ranks.size  # since the ranks take the mean of what they find
        whole.backward()  # type: ignore[no-untyped-call]
        losses.append(loss.detach())
    return torch.stack(losses).sum()


def _loss(data: TrainingData, weights: Tensor | None, plan: Plan, model: nn.Module, part: Indices) -> Tensor:
    """Return the mean cross-entropy of this rank's share of a batch."""
    try:
        logits = plan.forward(model, plan.ranks.inputs(data.source, part))
    except ValueError as error:  # batch norm refuses one value per channel
        if len(part) > 1:
            raise
        raise InputError(
            "this network cannot learn from one image at a time, since its batch norm needs several values per "
            "channel; give 2 images a step or more (--batch-size), or a larger --image-size."
        ) from error
    labels = torch.from_numpy(data.labels[plan.ranks.share(part)]).to(logits.device)
    return cross_entropy(logits, labels, weights)


def _gradients(
    model: nn.Module,
    unreached: Sequence[str],
    objective: Callable[[nn.Module, Indices], Tensor],
    parts: list[Indices],
    before: Callable[[], None],
    plan: Plan,
    count: int,
) -> Iterator[dict[str, Tensor]]:
    """Yield the gradients of the first ``count`` batches of an epoch; weights and buffers are unchanged afterwards."""
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    model.train()
    network = plan.ranks.wrapped(model, unreached)
    try:
        for part in parts[:count]:
            before()
            model.zero_grad(set_to_none=True)
            with plan.ranks.together():
                _add_gradients(partial(objective, network), part, plan)
            yield {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    finally:
        model.zero_grad(set_to_none=True)
        for name, buffer in model.named_buffers():
            buffer.copy_(buffers[name])


def _require_gradients(optimizer: torch.optim.Optimizer) -> None:
    """Stop if a trained block gets no gradient at all: its rate would have no effect."""
    for group in optimizer.param_groups:
        trained = group["initial_lr"] > 0 and not group.get("inert")
        if trained and all(parameter.grad is None for parameter in group["params"]):
            raise InputError(
                f"block '{group['name']}' is trained, but the loss does not reach it; join it to another block "
                "(blocks= of biotune.Backbone), or freeze it with the multiplier 0."
            )


def _scored(
    model: nn.Module, data: TrainingData, epoch: int, loss: float, config: TrainingConfig, plan: Plan
) -> tuple[EpochRecord, NDArray[np.float64] | None]:
    """Return what ``record_of`` gives; the training loss alone where no image is held out.

    Then the validation loss is NaN if the last step of all left a network that is ruined.
    """
    predict = partial(predict_logits, model, data.source, forward=plan.forward, ranks=plan.ranks)
    held_out = data.validation
    if len(held_out):
        return record_of(predict(held_out), data.labels[held_out], epoch, loss, config)
    some = data.train[:: math.ceil(len(data.train) / EVALUATION_BATCH)]  # of all classes, where these come in order
    if epoch == plan.epochs - 1 and is_ruined(predict(some)):
        return EpochRecord(epoch, loss, math.nan), None
    return EpochRecord(epoch, loss), None
