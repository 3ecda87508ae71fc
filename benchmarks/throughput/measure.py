"""Measures the speed of the trainer, compared with a plain PyTorch loop, and with recorded outputs of frozen blocks."""

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.noise import CLASSES, resident_data
from benchmarks.result_file import report
from benchmarks.throughput.plain_loop import BareData, activations, split_chain, train_bare
from benchmarks.timing import Work, in_turns, paired_ratio, timed
from biotune.errors import BioTuneError, InputError
from biotune.executors import Hooks
from biotune.models import LoadedModel, load_model
from biotune.pixels.learning_data import LearningData
from biotune.recipe import Recipe
from biotune.records import GIVEN, Task
from biotune.runner.setup import with_device
from biotune.settings.config import RunConfig
from biotune.settings.resolve import resolve
from biotune.training.precision import FORWARDS
from biotune.training.scoring import EVALUATION_BATCH
from biotune.training.sources import PixelSource
from biotune.training.work import work_shares
from biotune.trials.spec import WorkerSpec, trial_data
from biotune.trials.worker import Worker

MODELS = ("squeezenet1_1", "tf_efficientnet_lite0", "timm:test_resnet")
TRAINER_GOAL, TAIL_GOAL = 0.97, 0.9
"""Smallest speed of the trainer over the plain loop's, for the whole network and for its last blocks; set by hand."""

LEARNING_RATE = 1e-5
"""Small, so that no training on noise diverges; speed does not depend on it."""

_FEWEST_EPOCHS, _MOST_EPOCHS = 4, 30
"""Epochs of a measured training: with a patience of 3 none stops before the fourth; no preset plans more than 30."""

_SPARE_MIB = 256
"""Added to the memory for recorded outputs, so that none are dropped during a measurement."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class ThroughputPlan:
    """What is measured.

    Args:
        models: names of networks, with random weights.
        image_sizes: sides of the square inputs, in pixels.
        images: training images; a quarter as many are the validation images.
        batch_size: images per training step.
        repeats: rounds of all measurements of one network at one size.
        lap_s: shortest time of one measurement, in seconds; a training never has more than 30 epochs.
        device: cpu or cuda.
        threads: PyTorch threads; 0 for every core.
        precision: ``float32`` or ``bfloat16``, for the trainer and the plain loop.
    """

    models: tuple[str, ...] = MODELS
    image_sizes: tuple[int, ...] = (64,)
    images: int = 128
    batch_size: int = 32
    repeats: int = 5
    lap_s: float = 0.5
    device: str = "auto"
    threads: int = 0
    precision: str = "float32"

    def __post_init__(self) -> None:
        for name, least in (("images", 8), ("batch_size", 2), ("repeats", 1)):
            if getattr(self, name) < least:
                raise InputError(f"--{name.replace('_', '-')} cannot be {getattr(self, name)}; give {least} or more.")
        if not self.models or not self.image_sizes:
            raise InputError("--models or --image-sizes names nothing; give at least one.")
        if self.precision not in FORWARDS:
            raise InputError(f"--precision cannot be '{self.precision}'; choose one of {', '.join(FORWARDS)}.")
        if self.images % self.batch_size == 1:
            raise InputError(
                f"{self.images} images leave a last batch of one, from which a plain loop's batch norm cannot learn; "
                "give one image more or less."
            )


QUICK: dict[str, Any] = {"models": ("timm:test_resnet",), "images": 64, "repeats": 3, "lap_s": 0.2}
"""Changes to the plan with which measuring takes seconds."""


def measure_throughput(plan: ThroughputPlan, command: str, say: Say) -> dict[str, Any]:
    """Measure every network at every size.

    Args:
        plan: what is measured.
        command: the command as the user typed it, for the result.
        say: called with the name of each measurement.

    Returns:
        The content of ``throughput.json``.

    Raises:
        InputError: a network, a size or the device cannot be used.
    """
    found = []
    for name in plan.models:
        for side in plan.image_sizes:
            say(f"{name}, {side} px")
            found.append(_Bench(plan, name, side).measure())
    compute = with_device(_config(plan, plan.models[0], plan.image_sizes[0]), None).compute
    goals = {"trainer": TRAINER_GOAL, "tail": TAIL_GOAL}
    content = {"settings": asdict(plan), "goals": goals, "results": found}
    return report("throughput", command, compute.device, compute.threads, content)


@dataclass(frozen=True)
class _Pair:
    """One training by the trainer and one by the plain loop, on the same images and for the same number of epochs.

    Args:
        name: unique among the pairs of a network.
        trainer: the training through the worker.
        bare: the plain loop; None if there is none for this network.
        epochs: number of epochs of both trainings.
    """

    name: str
    trainer: Work
    bare: Work | None
    epochs: int

    def works(self) -> Iterator[tuple[str, Work]]:
        """Yield both, each with its name."""
        yield f"{self.name} trainer", self.trainer
        if self.bare is not None:
            yield f"{self.name} bare", self.bare


class _Bench:
    """The measurements of one network at one size.

    Args:
        plan: what is measured.
        name: name of the network.
        side: height and width of its inputs, in pixels.
    """

    def __init__(self, plan: ThroughputPlan, name: str, side: int) -> None:
        config = with_device(_config(plan, name, side), None)
        self.plan, self.device = plan, config.compute.device
        self.data = resident_data(plan.images, max(1, plan.images // 4), side)
        loaded = load_model(name, CLASSES, weights="random", image_size=side)
        self.name, self.partition, self.side = loaded.name, loaded.partition, side
        self.model = copy.deepcopy(loaded.model).to(self.device).to(memory_format=torch.channels_last)
        source = PixelSource(self.data.selection.images, loaded.for_images, self.device)
        self.pixels = torch.cat([source.batch(part) for part in _parts(len(source))])
        self.shares = work_shares(self.model, self.partition, self.pixels[:1])
        self.tails = [self._tail(first) for first in range(1, len(self.partition))]
        recorded = sum(inputs.nbytes for _, inputs in filter(None, self.tails))
        budget = max(config.compute.prefix_cache_mib, _SPARE_MIB + 2 * recorded // 2**20)
        compute = config.compute.model_copy(update={"prefix_cache_mib": budget})
        self.notes: list[str] = []
        self.worker = _worker(config.model_copy(update={"compute": compute}), loaded, self.data, self.notes)

    def measure(self) -> dict[str, Any]:
        """Measure everything in turn and return the figures."""
        pairs = [self._pair(0, self.model, self.pixels)]
        for first, tail in enumerate(self.tails, 1):
            pairs.append(self._pair(first, *(tail or (None, None))))
        laps = in_turns(dict(work for pair in pairs for work in pair.works()), self.plan.repeats, self.device)
        full = laps[f"{pairs[0].name} trainer"]
        rows = []
        for first, pair in enumerate(pairs):
            trainer, bare = laps[f"{pair.name} trainer"], laps.get(f"{pair.name} bare")
            bound = 1.0 / sum(self.shares[first:])
            gain = paired_ratio(full, trainer, pair.epochs / pairs[0].epochs)
            rows.append(
                {
                    "frozen_blocks": first,
                    "first_trained_block": self.partition.names[first],
                    "epochs": pair.epochs,
                    "of_bare": paired_ratio(bare, trainer).to_json() if bare else None,
                    "speedup": gain.to_json(),
                    "bound": bound,
                    "share_of_bound": gain.median / bound,
                }
            )
        return {
            "model": self.name,
            "image_size": self.side,
            "precision": self.plan.precision,
            "memory_format": "channels_last",
            "rows": rows,
            "notes": sorted(set(self.notes)),
        }

    def _tail(self, first: int) -> tuple[nn.Module, Tensor] | None:
        """Return the network from a block on, and its inputs for all images; None if it is not a chain."""
        halves = split_chain(self.model, self.partition, first, self.pixels[:2])
        return None if halves is None else (halves[1], activations(halves[0], self.pixels, EVALUATION_BATCH))

    def _pair(self, first: int, model: nn.Module | None, inputs: Tensor | None) -> _Pair:
        """Return the two trainings that freeze the first blocks, warmed up and long enough to be timed."""
        task = partial(self._train, first)
        bare = None if model is None or inputs is None else partial(self._train_bare, model, inputs)
        task(1)
        if bare is not None:
            bare(1)
        seconds = timed(partial(bare or task, 1), self.device).wall_s
        epochs = min(_MOST_EPOCHS, max(_FEWEST_EPOCHS, math.ceil(self.plan.lap_s / seconds)))
        return _Pair(str(first), partial(task, epochs), None if bare is None else partial(bare, epochs), epochs)

    def _train(self, first: int, epochs: int) -> None:
        """Train through the worker with the first blocks frozen; refuse a training that was cut short."""
        recipe = Recipe(self.partition, (0.0,) * first + (1.0,) * (len(self.partition) - first))
        found = self.worker.evaluate(Task(GIVEN, recipe, None, 0, epochs, "throughput"))
        if len(found.curve) != epochs:
            raise BioTuneError(f"{self.name} at {self.side} px diverged on noise; measure it at another size.")

    def _train_bare(self, model: nn.Module, inputs: Tensor, epochs: int) -> None:
        forward = FORWARDS[self.plan.precision]
        place = partial(torch.as_tensor, device=self.device)
        data = BareData(inputs, place(self.data.selection.labels), place(self.data.train), place(self.data.validation))
        train_bare(model, data, epochs, self.plan.batch_size, EVALUATION_BATCH, LEARNING_RATE, forward)


def _parts(count: int) -> list[Tensor]:
    """Return the indices of all images, batch by batch."""
    return [torch.arange(start, min(start + EVALUATION_BATCH, count)) for start in range(0, count, EVALUATION_BATCH)]


def _config(plan: ThroughputPlan, name: str, side: int) -> RunConfig:
    """Return the standard preset's configuration of a training that never stops early."""
    changes: dict[str, dict[str, Any]] = {
        "model": {"name": name, "weights": "random", "image_size": side},
        "training": {
            "batch_size": plan.batch_size,
            "limit_batch": False,
            "learning_rate": LEARNING_RATE,
            "patience": _MOST_EPOCHS,
        },
        "cache": {"activations_gib": 0.0},
        "compute": {"device": plan.device, "threads": plan.threads, "precision": plan.precision},
    }
    return resolve("standard", changes)


def _worker(config: RunConfig, loaded: LoadedModel, data: LearningData, notes: list[str]) -> Worker:
    """Return a worker that keeps no weights on disk."""
    spec = WorkerSpec(config, len(data.class_names), loaded.weights_sha256, trial_data(data, config), Path())
    return Worker(spec, loaded, Hooks(say=notes.append))
