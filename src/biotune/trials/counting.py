"""What the tasks of a run take: arithmetic, memory and images, counted without training any of them."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch

from biotune.methods import FineTuningMethod
from biotune.partition import BlockPartition
from biotune.recipe import Value
from biotune.records import Evaluation, Task
from biotune.training.memory import step_bytes
from biotune.training.trainer import effective_batch_size
from biotune.training.work import epoch_work, work_shares
from biotune.trials.worker import Worker


@dataclass(frozen=True)
class Cost:
    """What trainings cost; costs add up.

    Args:
        work: in epochs of full fine-tuning on all training images, counted without a clock.
        seconds: wall time, which depends on what else the machine does.
        cpu_seconds: CPU time of all threads.
    """

    work: float
    seconds: float
    cpu_seconds: float

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.work + other.work, self.seconds + other.seconds, self.cpu_seconds + other.cpu_seconds)


class Counter:
    """Counts what the tasks of a run take, without training any.

    Args:
        worker: its network is run, on one image, and brought back to its pretrained weights.
    """

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._data = worker.spec.data
        self._training = worker.spec.config.training
        self._shares: dict[str, list[float]] = {}
        self._work: dict[tuple[str, int], float] = {}
        self._recorded: dict[tuple[str, tuple[bool, ...], tuple[tuple[str, Value], ...]], int] = {}

    def work(self, trainings: Iterable[tuple[Task, Evaluation]]) -> float:
        """Return the work of finished trainings, in epochs of full fine-tuning on all training images."""
        return math.fsum(self._work_done(task, result) for task, result in trainings)

    def cost(self, trainings: Iterable[tuple[Task, Evaluation]]) -> Cost:
        """Return what finished trainings cost."""
        rows = [(task, result) for task, result in trainings if not task.is_infeasible]
        return Cost(
            self.work(rows),
            math.fsum(result.seconds for _, result in rows),
            math.fsum(result.cpu_seconds for _, result in rows),
        )

    def is_even(self, task: Task) -> bool:
        """Return whether a task trains the same blocks in every epoch."""
        return is_even(self._worker.method_of(task), task.epochs)

    def num_scored(self, task: Task) -> int:
        """Return the number of images that a task is scored on."""
        return len(self._data.parts[task.fold][1])

    def work_of(self, task: Task, epochs: int) -> float:
        """Return the work of the first epochs of a task, in epochs of full fine-tuning on all training images.

        Counted are the multiplications of all training steps, and of gradients that a method measures besides. Neither
        validation counts, nor the one forward pass that records the outputs of a frozen prefix; but it is all that a
        method does which fits all images at once, and there it counts, a third of an epoch, recorded or not. A fitted
        head start adds nothing: all recipes and seeds share it.

        Args:
            task: is not trained for this.
            epochs: how many of its epochs.

        Returns:
            The work: ``epochs`` for full fine-tuning without folds.
        """
        method, images = self._worker.method_of(task), len(self._data.parts[task.fold][0])
        if method.is_solved:
            return min(1, epochs) / 3 * images / len(self._data.parts[None][0])
        recorded = self._num_recorded(task)
        measured = min(images, method.num_measured() * effective_batch_size(images, self._training))
        plans = [method.trained(epoch, task.epochs) for epoch in range(epochs)]
        work = sum(epoch_work(self._shares_of(plan.partition), plan.multipliers, recorded) for plan in plans)
        return work * (images + measured) / len(self._data.parts[None][0])

    def _work_done(self, task: Task, evaluation: Evaluation) -> float:
        """Return the work of a training; the epoch in which it diverged was done too, though it left no record."""
        part = (task.key, task.first_epoch)  # one phase may ask for the whole of what another one went on with
        if part not in self._work:
            epochs = len(evaluation.curve) + (evaluation.outcome == "diverged")
            before = self.work_of(task, min(epochs, task.first_epoch)) if task.first_epoch else 0.0
            self._work[part] = self.work_of(task, epochs) - before
        return self._work[part]

    def step_bytes(self, task: Task) -> int:
        """Return the bytes of one training step of a task, when it trains all that it ever does."""
        train = self._data.parts[None][0]
        rows = train[: effective_batch_size(len(train), self._training)]
        worker = self._worker
        with worker.ready_for(task):
            images = worker.batch(rows)
            labels = torch.from_numpy(self._data.labels[rows]).to(images.device)
            return step_bytes(worker.model, images, labels, self._training.optimizer, worker.forward)

    def _num_recorded(self, task: Task) -> int:
        """Return how many of the first blocks are read from the cache in every step of a task."""
        recipe = self._worker.recipe_of(task)
        frozen = recipe.mask.index(True)
        if not frozen or self._worker.augmented_for(task):
            return 0
        alike = task.method, recipe.mask, recipe.values
        if alike not in self._recorded:
            with self._worker.ready_for(task) as scope:
                covers = self._worker.cache.covers(self._worker.model.eval(), scope)
            self._recorded[alike] = frozen if covers else 0
        return self._recorded[alike]

    def _shares_of(self, partition: BlockPartition) -> list[float]:
        """Return each block's share of a forward pass."""
        key = partition.fingerprint
        if key not in self._shares:
            image = self._worker.pixels.batch(torch.zeros(1, dtype=torch.int64))
            self._shares[key] = work_shares(self._worker.model, partition, image)
        return self._shares[key]


def is_even(method: FineTuningMethod, epochs: int) -> bool:
    """Return whether a method trains the same blocks in every epoch."""
    return len({method.trained(epoch, epochs).mask for epoch in range(epochs)}) == 1
