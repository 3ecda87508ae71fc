"""A worker: trains one task after the other, always from the pretrained weights."""

import math
import socket
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from biotune import metrics
from biotune.errors import BioTuneError, InputError
from biotune.executors.base import Evaluate, Hooks, NotHereError, Seat
from biotune.machine import is_lack_of_memory
from biotune.methods import PROBE, FineTuningMethod, Network, make_method
from biotune.models import LoadedModel, reset_heads
from biotune.pixels.inputs import as_pixels
from biotune.pixels.learning_data import Pixels
from biotune.pixels.rows import ImageRows
from biotune.recipe import FITTED, Recipe
from biotune.records import INFEASIBLE, Evaluation, Inputs, Preprocessing, Task, TextInputs
from biotune.settings.compute import ComputeConfig
from biotune.settings.sections import TrainingConfig
from biotune.training.augmentation import Augmented, augmentation
from biotune.training.memory import give_back
from biotune.training.pausing import Pauses
from biotune.training.precision import FORWARDS
from biotune.training.prefix.cache import PrefixCache
from biotune.training.prefix.storage import Scratch
from biotune.training.ranks import ALONE, Ranks, join
from biotune.training.recipe_values import completed, with_values
from biotune.training.scoring import EVALUATION_BATCH, fitness_of, predict_logits
from biotune.training.sources import PixelSource, RowSource, TokenSource
from biotune.training.stages import prepared
from biotune.training.trainer import (
    FitResult,
    Plan,
    TrainingData,
    effective_batch_size,
    fit,
    fit_at_once,
    micro_batches,
)
from biotune.trials.spec import TrialData, WorkerSpec
from biotune.trials.weights import KeptWeights

_TRIES = 2
"""How often a training that runs out of memory is tried."""

_LONGEST_TRACE = 8_000
"""Characters of a traceback that are kept, those of its end."""

PAUSED_BYTES = 2**30
"""Memory for paused trainings: of a network of 25 million parameters, three with their optimisers. The oldest are
dropped first; one that is needed again starts from the beginning."""


class _OutOfTimeError(Exception):
    """A training has taken longer than it may."""


class Worker:
    """Evaluates tasks: a result depends on the task and the specification, and on nothing else.

    Between tasks it keeps the network, the recorded outputs of frozen blocks and paused trainings: all of it saves time
    and none of it changes a result.

    Args:
        spec: what it is built from.
        loaded: the pretrained network, where the caller has loaded it already; it is worked on, not copied.
        hooks: see ``Hooks``.
        ranks: the processes that train every task together, each with a worker of its own; the first of them keeps
            weights.
    """

    def __init__(
        self,
        spec: WorkerSpec,
        loaded: LoadedModel | None = None,
        hooks: Hooks | None = None,
        ranks: Ranks = ALONE,
    ) -> None:
        loaded = loaded or spec.load()
        config = spec.config
        self.spec = spec
        self.hooks = hooks or Hooks()
        self.ranks = ranks
        self.network = network_of(loaded)
        self.model = placed(loaded.model, config.compute)
        self.preprocessing = loaded.preprocessing
        self.forward = FORWARDS[config.compute.precision]
        self.pixels = source_of(spec.data.images, loaded.preprocessing, config.compute)
        self.weights = KeptWeights(spec.checkpoints)
        self.cache = self._prefix_cache()
        self._pretrained = {name: tensor.clone() for name, tensor in self.model.state_dict().items()}
        self._pauses = Pauses(PAUSED_BYTES)
        self._augmented: dict[str, Callable[[int, int], Augmented]] = {}
        self._heads: dict[int | None, dict[str, Tensor]] = {}
        self._fitness_step = fitness_step(spec)

    def method_of(self, task: Task) -> FineTuningMethod:
        """Return the method of a task, for one training."""
        return make_method(task.method, self.network, task.recipe)

    def recipe_of(self, task: Task) -> Recipe:
        """Return which blocks a task may change and how fast at most, and what else its training is told.

        Base rate, optimiser and named values are the run's, where the task's recipe has no values of its own.
        """
        training, method = self.spec.config.training, self.method_of(task)
        outline = task.recipe if task.recipe is not None and task.recipe.is_probe else method.outline()
        if not method.is_solved:
            outline = completed(outline, training, task.augmented)
        return replace(outline, base_learning_rate=training.learning_rate, optimizer=training.optimizer)

    def training_of(self, task: Task) -> TrainingConfig:
        """Return the settings of the training of a task: those of the run, with the values of its recipe on top."""
        return with_values(self.spec.config.training, task.recipe)

    @property
    def augmented(self) -> Callable[[int, int], Augmented] | None:
        """What makes the augmented images of the run's own level, from a seed and an epoch; None without one."""
        return self._maker(self.spec.config.training.augment)

    def augmented_for(self, task: Task) -> Callable[[int, int], Augmented] | None:
        """Return what makes the training images of a task, from a seed and an epoch; None where they are not augmented.

        A level that the recipe brings holds in all of its trainings, the run's own in those that are marked for it.
        """
        own = task.recipe is not None and task.recipe.value("augment") is not None
        is_plain = self.method_of(task).is_solved or not (own or task.augmented)
        return None if is_plain else self._maker(self.training_of(task).augment)

    def evaluate(self, task: Task) -> Evaluation:
        """Train as the task says; keep its best weights if it asks for that.

        A task that pauses is kept in memory, so that the one that continues it need not start again. If it was dropped
        meanwhile, the training starts again, with the same result. One that runs out of memory is tried again with
        nothing else kept there, but for one of several ranks, for which the others wait in vain.

        A training that fails is a bad result. What is raised concerns the others too: wrong input, files that cannot be
        read or written, and a stop.
        """
        if task.is_infeasible:
            return INFEASIBLE
        start = time.perf_counter()
        for _ in range(_TRIES if self.ranks.size == 1 else 1):
            try:
                return self._train(task)
            except (MemoryError, RuntimeError) as error:
                if not is_lack_of_memory(error):
                    raise
            self._pauses.clear()
            self.cache.store.clear()
            give_back()  # here, since the error held on to the tensors of the step
        return Evaluation("oom", 0.0, seconds=time.perf_counter() - start)

    def _train(self, task: Task) -> Evaluation:
        start, cpu_start = time.perf_counter(), time.process_time()
        keep_above = -math.inf if task.keep_weights else task.keep_above
        try:
            result, trainable = self._fit(task, keep_best=keep_above < math.inf)
        except _OutOfTimeError:
            return Evaluation("timeout", 0.0, seconds=time.perf_counter() - start)
        except Exception as error:  # of any kind: the network is the user's
            if isinstance(error, BioTuneError | OSError) or is_lack_of_memory(error):
                raise
            trace = "".join(traceback.format_exception(error))[-_LONGEST_TRACE:]
            return Evaluation("error", 0.0, seconds=time.perf_counter() - start, cause=trace)
        if result.paused:
            self._pauses.put(task, result.paused)
        best = result.curve[result.best_epoch] if result.best_epoch >= 0 else None
        is_ok = best is not None and not result.diverged
        value = fitness_of(best, self._fitness_step) if best is not None and is_ok else 0.0
        if is_ok and value > keep_above and self.ranks.rank == 0:
            self.weights.save(task, self.model.state_dict(), self._pretrained)
        return Evaluation(
            outcome="ok" if is_ok else "diverged",
            fitness=value,
            best_epoch=result.best_epoch,
            curve=result.curve,
            seconds=time.perf_counter() - start,
            trainable=trainable,
            cpu_seconds=self.ranks.total_of(time.process_time() - cpu_start),
            held_out=() if result.held_out is None else tuple(result.held_out.round(6).tolist()),
        )

    def load(self, task: Task) -> nn.Module:
        """Return the network with the kept weights of a finished task, in evaluation mode."""
        kept = self.weights.load(task)
        self.restore(task.seed)
        self.model.load_state_dict(kept, strict=False)
        return Recipe.release(self.model).eval()

    def logits(self, task: Task, images: Pixels) -> NDArray[np.float64]:
        """Return the logits of images, shape (images, classes), by the kept weights of a finished task.

        In float32, whatever it was trained in, as whoever uses the exported model computes them.
        """
        source = source_of(images.images, self.preprocessing, self.spec.config.compute)
        return predict_logits(self.load(task), source, np.arange(len(images.images)), self.hooks.check)

    @contextmanager
    def ready_for(self, task: Task) -> Iterator[Recipe]:
        """Get the network ready for the training of a task: pretrained, with its fresh head, and frozen as it says."""
        self.restore(task.seed)
        with prepared(self.model, self.method_of(task), self.training_of(task), task.seed) as scope:
            yield scope

    def batch(self, rows: NDArray[np.int64]) -> Tensor:
        """Return the network's input for images, shape (len(rows), 3, height, width), or texts, (len(rows), length)."""
        return self.pixels.batch(torch.from_numpy(rows))

    def restore(self, seed: int) -> None:
        """Bring back the pretrained weights, with a fresh head drawn from the seed."""
        Recipe.release(self.model)
        self.model.load_state_dict(self._pretrained)
        reset_heads(self.model, self.network.heads, seed)

    def _fit(self, task: Task, keep_best: bool) -> tuple[FitResult, int]:
        """Train; return the history and the number of trained scalars."""
        began, limit = time.monotonic(), self.spec.config.compute.training_timeout

        def on_step(epoch: int) -> None:
            if 0 < limit < time.monotonic() - began:
                raise _OutOfTimeError
            self.hooks.check()
            self.hooks.on_epoch(task, epoch)

        training, data = self.training_of(task), self.spec.data
        train, validation = data.parts[task.fold]
        micro_batch = self.spec.config.compute.micro_batch
        plan = Plan(
            task.seed,
            task.epochs,
            self._fitness_step,
            keep_best,
            task.last_epoch,
            self.forward,
            micro_batch,
            self.ranks,
        )
        paused = self._pauses.take(task, keep_best and training.stopping == "early")
        method, augmented = self.method_of(task), self.augmented_for(task)
        is_fitted = training.head_start == FITTED and not method.is_solved
        head = self.fitted_head(task.fold) if is_fitted else {}
        self.restore(task.seed)
        self.model.load_state_dict(head, strict=False)
        with prepared(self.model, method, training, task.seed) as scope:
            cache = nullcontext(self.pixels) if augmented else self.cache.attached(self.model.eval(), scope)
            with cache as source:
                seen = TrainingData(source, data.labels, train, validation, augmented, data.groups)
                return fit(self.model, method, scope, seen, training, plan, on_step, paused), scope.trainable

    def fitted_head(self, fold: int | None) -> dict[str, Tensor]:
        """Return the classifier that the method ``probe`` gives on the training images of a fold.

        The network is worked on; ``restore`` it afterwards.

        It is fitted once and kept. The seed of the splits deals the folds of its cross-validation, so that all recipes
        and seeds begin with the same one.

        Args:
            fold: None for all training images.

        Returns:
            Name -> tensor.
        """
        if fold not in self._heads:
            data, config, method = self.spec.data, self.spec.config, make_method(PROBE, self.network)
            plan = Plan(config.data.split_seed, 1, forward=self.forward)
            self.restore(plan.seed)
            with (
                prepared(self.model, method, config.training, plan.seed) as scope,
                self.cache.attached(self.model.eval(), scope) as source,
            ):
                seen = TrainingData(source, data.labels, *data.parts[fold], groups=data.groups)
                fit_at_once(self.model, method, seen, config.training, plan, lambda _epoch: self.hooks.check())
                state = self.model.state_dict()
                self._heads[fold] = {name: state[name].clone() for name in state if self.network.is_fresh(name)}
        return self._heads[fold]

    def _maker(self, level: str) -> Callable[[int, int], Augmented] | None:
        """Return what makes the images of one level of augmentation, from a seed and an epoch."""
        if level == "none":
            return None
        if level not in self._augmented:
            flip = self.spec.config.training.augment_flip
            own = as_pixels(self.preprocessing)
            source = pixels_of(self.spec.data.images, own, self.spec.config.compute)
            self._augmented[level] = augmentation(source, own, level, flip)
        return self._augmented[level]

    def _prefix_cache(self) -> PrefixCache:
        """Return the cache of recorded outputs; workers of one run share the room on disk."""
        config, parts = self.spec.config, self.spec.data.parts.values()
        memory = config.compute.prefix_cache_mib * 2**20 if config.training.frozen_statistics == "eval" else 0
        disk = int(config.cache.activations_gib * 2**30) // (config.compute.workers * self.ranks.size)
        batches = {effective_batch_size(len(train), config.training) for train, _ in parts}
        micro = [part for size in batches for part in micro_batches(np.arange(size), config.compute.micro_batch)]
        sizes = {EVALUATION_BATCH, *(len(share) for part in micro for share in self.ranks.shares(part))}
        scratch = Scratch(self.spec.folder, disk)
        return PrefixCache(self.pixels, memory, self.forward, self.hooks.check, self.hooks.say, scratch, sizes)


def start_worker(spec: WorkerSpec, hooks: Hooks, seat: Seat) -> Evaluate:
    """Build a worker in a process of its own, and return what evaluates tasks there.

    Args:
        spec: made by ``WorkerSpec.by_reference``.
        hooks: called in that process.
        seat: of the process; processes are spread over the GPUs where there are several, and those that train a task
            together share its threads.

    Returns:
        ``Worker.evaluate``.
    """
    require_here(spec)
    compute = spec.config.compute
    torch.set_num_threads(max(1, compute.threads // seat.ranks))
    if compute.device == "cuda":
        torch.cuda.set_device((seat.number * seat.ranks + seat.rank) % torch.cuda.device_count())
    ranks = ALONE if seat.meeting is None else join(seat.rank, seat.ranks, seat.meeting, compute.device)
    return Worker(spec, hooks=hooks, ranks=ranks).evaluate


def require_here(spec: WorkerSpec) -> None:
    """Refuse to work on a machine that has no copy of what a worker needs.

    Raises InputError: the run folder is not there. Raises NotHereError: the decoded images are not.
    """
    if not spec.folder.is_dir():
        raise InputError(
            f"the run folder '{spec.folder.absolute()}' is not on the machine {socket.gethostname()}; keep it where "
            "every machine of the cluster finds it under the same path."
        )
    try:
        len(spec.data.images)
    except FileNotFoundError as error:
        raise NotHereError(f"'{error.filename}' is not on the machine {socket.gethostname()}.") from None


def fitness_step(spec: WorkerSpec) -> float:
    """Return how much the loss may change the fitness: less than scores can differ by; 0 for not at all."""
    config, data = spec.config, spec.data
    if not config.training.tie_break:
        return 0.0
    held_out = [part for fold, (_, part) in data.parts.items() if fold not in data.estimating and len(part)]
    step = metrics.one_image([data.labels[part] for part in held_out], config.training.metric)
    return step / (config.search.seeds * len(data.judging))


def placed(model: nn.Module, compute: ComputeConfig) -> nn.Module:
    """Return the same network on the device and in the memory format of a run."""
    layout = torch.channels_last if compute.memory_format == "channels_last" else torch.contiguous_format
    return model.to(compute.device).to(memory_format=layout)


def source_of(images: ImageRows, preprocessing: Inputs, compute: ComputeConfig) -> RowSource:
    """Return the network's inputs for decoded images or encoded texts, on the device of a run."""
    if isinstance(preprocessing, TextInputs):
        return TokenSource(images, compute.device)
    return pixels_of(images, as_pixels(preprocessing), compute)


def pixels_of(images: ImageRows, preprocessing: Preprocessing, compute: ComputeConfig) -> PixelSource:
    """Return the network's inputs for decoded images, on the device and in the memory format of a run."""
    return PixelSource(images, preprocessing, compute.device, compute.memory_format == "channels_last")


def network_of(loaded: LoadedModel) -> Network:
    """Return what methods need to know of a loaded network."""
    shapes = {name: tuple(parameter.shape) for name, parameter in loaded.model.named_parameters()}
    buffers = tuple(name for name, _ in loaded.model.named_buffers())
    return Network(loaded.partition, loaded.heads, shapes, buffers, loaded.name)


__all__ = ["TrialData", "Worker", "network_of", "placed", "source_of", "start_worker"]
