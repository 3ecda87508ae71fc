"""Task to evaluation: one training from the pretrained weights, and its fitness on the validation set."""

import hashlib
import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import nn

from biotune import metrics
from biotune.errors import DamagedStateError
from biotune.methods import FineTuningMethod, Network, make_method
from biotune.models import LoadedModel, reset_heads
from biotune.partition import BlockPartition
from biotune.pixels.learning_data import LearningData, Pixels
from biotune.recipe import Recipe
from biotune.records import INFEASIBLE, Evaluation, Preprocessing, Task
from biotune.runs.files import write_atomic
from biotune.settings.config import RunConfig
from biotune.settings.sections import ComputeConfig
from biotune.training.augmentation import augmentation
from biotune.training.memory import step_bytes
from biotune.training.pausing import Pauses
from biotune.training.precision import FORWARDS
from biotune.training.prefix.cache import PrefixCache
from biotune.training.prefix.storage import Scratch
from biotune.training.sources import InputSource, PixelSource
from biotune.training.stages import prepared
from biotune.training.trainer import (
    EVALUATION_BATCH,
    FitResult,
    Plan,
    TrainingData,
    effective_batch_size,
    fit,
    predict_logits,
)
from biotune.training.work import epoch_work, work_shares

_DIGEST_BYTES = 32
PAUSED_BYTES = 2**30
"""Memory for paused trainings; the oldest go first, and start anew if they are wanted again."""


@dataclass(frozen=True)
class Hooks:
    """What an evaluation tells while it works; both may raise to stop it.

    Args:
        on_epoch: called with (epoch, planned epochs) as each epoch starts.
        check: called between steps.
        say: told in a sentence what a user should know.
    """

    on_epoch: Callable[[int, int], None] = lambda _epoch, _epochs: None
    check: Callable[[], None] = lambda: None
    say: Callable[[str], None] = lambda _sentence: None


class Evaluator:
    """Evaluates tasks: the result is a function of the task and of what is given here, of nothing else.

    Args:
        config: of the run, with device, threads and precision resolved.
        loaded: the pretrained network; its weights are copied, the network itself is worked on.
        data: what the run learns from.
        checkpoints: folder for the weights of tasks with ``keep_weights``; recorded activations lie beside it.
        hooks: see ``Hooks``.

    ``keep_above`` is a fitness: the weights of a better training on all training images are kept too. ``judging``
    holds the folds whose mean fitness judges a recipe: None (all training images, judged on the validation set), or
    every fold where there are few validation images.
    """

    def __init__(
        self, config: RunConfig, loaded: LoadedModel, data: LearningData, checkpoints: Path, hooks: Hooks | None = None
    ) -> None:
        self.config = config
        self.data = data
        self.checkpoints = checkpoints
        self.hooks = hooks or Hooks()
        self.preprocessing = loaded.preprocessing
        self.network = network_of(loaded)
        self._forward = FORWARDS[config.compute.precision]
        self.model = placed(loaded.model, config.compute)
        self._initial = {name: tensor.clone() for name, tensor in self.model.state_dict().items()}
        few = config.data.folds == 1 and len(data.validation) < config.search.out_of_fold_below
        self._folds = data.out_of_fold(config.data.split_seed) if few else data.folds(config.data)
        self.judging: tuple[int | None, ...] = tuple(range(len(self._folds))) if few else (None,)
        source = source_of(data.selection, loaded.preprocessing, config.compute)
        budget = config.compute.prefix_cache_mib * 2**20 if config.training.frozen_statistics == "eval" else 0
        self.keep_above = math.inf
        self._shares: dict[str, list[float]] = {}
        self._pixels = source
        self._pauses = Pauses(PAUSED_BYTES)
        level, flip = config.training.augment, config.training.augment_flip
        self._augmented = None if level == "none" else augmentation(source, loaded.preprocessing, level, flip)
        parts = (data.train, *(train for train, _ in self._folds))
        sizes = {EVALUATION_BATCH, *(effective_batch_size(len(part), config.training) for part in parts)}
        scratch = Scratch(checkpoints.parent, int(config.cache.activations_gib * 2**30))
        self._cache = PrefixCache(source, budget, self._forward, self.hooks.check, self.hooks.say, scratch, sizes)
        judged = [data.validation, *(held_out for _, held_out in self._folds)]
        step = min(metrics.one_image(data.selection.labels[part], config.training.metric) for part in judged)
        values = config.search.seeds * len(self.judging)
        self._fitness_step = step / values if config.training.tie_break else 0.0

    def recipe_of(self, task: Task) -> Recipe:
        """Return which blocks a task may change and how fast at most, at the run's base rate and optimiser."""
        training = self.config.training
        return replace(
            self.method_of(task).outline(), base_learning_rate=training.learning_rate, optimizer=training.optimizer
        )

    def method_of(self, task: Task) -> FineTuningMethod:
        """Return the method of a task, for one training."""
        return make_method(task.method, self.network, task.recipe)

    def __call__(self, task: Task) -> Evaluation:
        """Train as the task says; leave its best weights in the checkpoint folder if it asks for that.

        A task that pauses is kept in memory, so that the one that goes on need not start again; where that is gone,
        it starts again, with the same result.
        """
        if task.is_infeasible:
            return INFEASIBLE
        start = time.perf_counter()
        self._restore(task.seed)
        result, trainable = self._fit(task)
        if result.paused:
            self._pauses.put(task, result.paused)
        best = result.curve[result.best_epoch] if result.best_epoch >= 0 else None
        if result.diverged or best is None:
            seconds = time.perf_counter() - start
            return Evaluation("diverged", 0.0, result.best_epoch, result.curve, seconds, trainable)
        value = metrics.fitness(best.score, best.validation_loss, self._fitness_step)
        if value > self._kept_above(task):
            self._save(task)
        seconds = time.perf_counter() - start
        return Evaluation("ok", value, result.best_epoch, result.curve, seconds, trainable)

    def is_even(self, task: Task) -> bool:
        """Return whether a task trains the same blocks in every epoch."""
        method = self.method_of(task)
        masks = {method.trained(epoch, task.epochs).mask for epoch in range(task.epochs)}
        return len(masks) == 1

    def work_of(self, task: Task, epochs: int) -> float:
        """Return the work of the first epochs of a task, in epochs of full fine-tuning on all training images.

        Counted are the multiplications of all training steps, and of gradients that a method measures besides. Neither
        validation counts, nor the one forward pass that records the outputs of a frozen prefix.

        Args:
            task: is not trained for this.
            epochs: how many of its epochs.

        Returns:
            The work: ``epochs`` for full fine-tuning without folds.
        """
        method, images, recorded = self.method_of(task), len(self._parts(task)[0]), self._num_recorded(task)
        measured = min(images, method.num_measured() * effective_batch_size(images, self.config.training))
        plans = [method.trained(epoch, task.epochs) for epoch in range(epochs)]
        work = sum(epoch_work(self._shares_of(plan.partition), plan.multipliers, recorded) for plan in plans)
        return work * (images + measured) / len(self.data.train)

    def _num_recorded(self, task: Task) -> int:
        """Return how many of the first blocks are read from the cache in every step of a task."""
        frozen = self.recipe_of(task).mask.index(True)
        if not frozen or self._augmented_for(task):
            return 0
        self._restore(task.seed)
        with prepared(self.model, self.method_of(task), self.config.training, task.seed) as scope:
            return frozen if self._cache.covers(self.model.eval(), scope) else 0

    def _shares_of(self, partition: BlockPartition) -> list[float]:
        """Return each block's share of a forward pass."""
        key = partition.fingerprint
        if key not in self._shares:
            image = self._pixels.batch(torch.zeros(1, dtype=torch.int64))
            self._shares[key] = work_shares(self.model, partition, image)
        return self._shares[key]

    def checkpoint(self, task: Task) -> Path:
        """Return where the weights of a task lie."""
        return self.checkpoints / f"{task.key}.weights"

    def has_weights(self, task: Task) -> bool:
        """Return whether the kept weights of a task are there and whole."""
        return self._kept(task) is not None

    def load(self, task: Task) -> nn.Module:
        """Return the network with the kept weights of a finished task, in evaluation mode."""
        content = self._kept(task)
        if content is None:
            raise DamagedStateError(f"'{self.checkpoint(task)}' is missing or damaged; run the same command again.")
        self._restore(task.seed)
        self.model.load_state_dict(safetensors.torch.load(content), strict=False)
        return Recipe.release(self.model).eval()

    def test_logits(self, task: Task, test: Pixels) -> NDArray[np.float64]:
        """Return the logits of the test images, shape (images, classes), of a finished task with kept weights.

        In float32, whatever it was trained in, as whoever uses the exported model computes them.
        """
        source = source_of(test, self.preprocessing, self.config.compute)
        return predict_logits(self.load(task), source, np.arange(len(test.images)), self.hooks.check)

    def step_bytes(self, task: Task) -> int:
        """Return the bytes of one training step of a task, when it trains all that it ever does."""
        training, data = self.config.training, self.data
        part = data.train[: effective_batch_size(len(data.train), training)]
        self._restore(task.seed)
        with prepared(self.model, self.method_of(task), training, task.seed):
            images = self._pixels.batch(torch.from_numpy(part))
            labels = torch.from_numpy(data.selection.labels[part]).to(images.device)
            return step_bytes(self.model, images, labels, training.optimizer, self._forward)

    def measure_epoch(self, steps: int = 4) -> float:
        """Return the seconds of one epoch of full fine-tuning with validation, from a few steps."""
        data, training = self.data, self.config.training
        size = effective_batch_size(len(data.train), training)
        train, validation = data.train[: steps * size], data.validation[:EVALUATION_BATCH]
        exact = training.model_copy(update={"batch_size": size, "limit_batch": False})
        part = TrainingData(self._pixels, data.selection.labels, train, validation, self._augmented)
        seconds = [0.0, 0.0]
        for turn in range(2):
            self._restore(0)
            method = make_method("full", self.network)
            with prepared(self.model, method, training, seed=0) as scope:
                start = time.perf_counter()
                fit(self.model, method, scope, part, exact, Plan(seed=0, epochs=1, forward=self._forward))
                seconds[turn] = time.perf_counter() - start
        return min(seconds) * max(1.0, len(data.train) / len(train))

    def _kept_above(self, task: Task) -> float:
        """Return the fitness above which the weights of a task are kept."""
        if task.keep_weights:
            return -math.inf
        return self.keep_above if task.fold is None else math.inf

    def num_scored(self, task: Task) -> int:
        """Return the number of images that a task is scored on."""
        return len(self._parts(task)[1])

    def _parts(self, task: Task) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the indices of the training and the validation images of a task."""
        if task.fold is None:
            return self.data.train, self.data.validation
        own = len(self._folds)
        return self._folds[task.fold] if task.fold < own else self._estimating[task.fold - own]

    @property
    def estimating(self) -> tuple[int, ...]:
        """The folds that estimate, in the place of a test set, what was chosen."""
        return tuple(range(len(self._folds), len(self._folds) + len(self._estimating)))

    @cached_property
    def _estimating(self) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        return self.data.out_of_fold(self.config.data.split_seed)

    def _augmented_for(self, task: Task) -> Callable[[int, int], InputSource] | None:
        """Return the changing training images of a task, None where they stay as they are."""
        return self._augmented if task.augmented else None

    def _restore(self, seed: int) -> None:
        """Bring back the pretrained weights, with a fresh head drawn from the seed."""
        Recipe.release(self.model)
        self.model.load_state_dict(self._initial)
        reset_heads(self.model, self.network.heads, seed)

    def _fit(self, task: Task) -> tuple[FitResult, int]:
        """Train; return the history and the number of trained scalars."""

        def on_step(epoch: int) -> None:
            self.hooks.check()
            self.hooks.on_epoch(epoch, task.epochs)

        training = self.config.training
        train, validation = self._parts(task)
        method, augmented = self.method_of(task), self._augmented_for(task)
        kept = self._kept_above(task) < math.inf
        plan = Plan(task.seed, task.epochs, self._fitness_step, kept, task.last_epoch, self._forward)
        paused = self._pauses.take(task, kept)
        with prepared(self.model, method, training, task.seed) as scope:
            cache = nullcontext(self._pixels) if augmented else self._cache.attached(self.model.eval(), scope)
            with cache as source:
                data = TrainingData(source, self.data.selection.labels, train, validation, augmented)
                return fit(self.model, method, scope, data, training, plan, on_step, paused), scope.trainable

    def _save(self, task: Task) -> None:
        """Keep every tensor that differs from the pretrained ones; as copies, since tied tensors share their memory."""
        state = {
            name: tensor.cpu().clone(memory_format=torch.contiguous_format)
            for name, tensor in self.model.state_dict().items()
            if not torch.equal(tensor, self._initial[name])
        }
        self.checkpoints.mkdir(exist_ok=True)
        content = safetensors.torch.save(state)
        write_atomic(self.checkpoint(task), hashlib.sha256(content).digest() + content)

    def _kept(self, task: Task) -> bytes | None:
        """Return the stored weights of a task, None where they are missing or differ from their digest."""
        if not self.checkpoint(task).exists():
            return None
        stored = self.checkpoint(task).read_bytes()
        digest, content = stored[:_DIGEST_BYTES], stored[_DIGEST_BYTES:]
        return content if hashlib.sha256(content).digest() == digest else None


def placed(model: nn.Module, compute: ComputeConfig) -> nn.Module:
    """Return the same network on the device and in the memory format of a run."""
    layout = torch.channels_last if compute.memory_format == "channels_last" else torch.contiguous_format
    return model.to(compute.device).to(memory_format=layout)


def source_of(pixels: Pixels, preprocessing: Preprocessing, compute: ComputeConfig) -> PixelSource:
    """Return the network's inputs for decoded images, likewise."""
    return PixelSource(pixels.images, preprocessing, compute.device, compute.memory_format == "channels_last")


def network_of(loaded: LoadedModel) -> Network:
    """Return what methods need to know of a loaded network."""
    shapes = {name: tuple(parameter.shape) for name, parameter in loaded.model.named_parameters()}
    buffers = tuple(name for name, _ in loaded.model.named_buffers())
    return Network(loaded.partition, loaded.heads, shapes, buffers, loaded.name)
