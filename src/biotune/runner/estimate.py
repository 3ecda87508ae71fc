"""What a run will cost, before it starts: counts exactly, time from a few measured steps."""

import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from biotune.methods import make_method
from biotune.runner.committee import KIND
from biotune.runner.rehearsal import MANY, by_work, rehearse
from biotune.runner.setup import Setup, describe, set_up
from biotune.runs.events import Message, Observer
from biotune.search import SEARCHES
from biotune.settings.config import SEARCHED_SHARE, RunConfig
from biotune.space.recipes import CHOICES
from biotune.training.scoring import EVALUATION_BATCH
from biotune.training.stages import prepared
from biotune.training.trainer import Plan, TrainingData, effective_batch_size, fit
from biotune.trials.counting import Counter
from biotune.trials.spec import WorkerSpec, trial_data
from biotune.trials.worker import Worker
from biotune.wording import duration, file_size, listed

CHAIN_NAMED = 3
"""So many phases of the longest chain are named in words; all are in the JSON."""


@dataclass(frozen=True)
class CostEstimate:
    """Expected size and cost of a run.

    Args:
        evaluations: points of the search.
        reevaluations: evaluations on other folds, at most.
        trainings: trainings of the search, at most (infeasible points need none).
        work: largest work of the search, in full fine-tunes: its allowance, or the work of the first batch, which
            begins whole and of which one candidate comes to the end; 0 where there is no allowance.
        final_trainings: trainings of the final phase and the baselines, without the sweep of the tuned rate.
        estimating_trainings: trainings of the out-of-fold estimate, where there are no test images.
        full_finetune_seconds: one full fine-tune without early stopping.
        seconds: the whole run without early stopping, and without the limit of ``--budget``.
        budget_seconds: that limit, 0 for none.
        disk_bytes: decoded images, kept weights and the exported model.
        workers: how many trainings are done at a time.
        speedup: how many times as fast as one worker they are, by a rehearsal; their start is left out.
        chain: with any number of workers, phase -> seconds in which the run waits for its trainings, each of which
            needs the results of those before; empty for one worker.
        to_try: network -> the input sizes that a probe will choose from before the run; the times are those of the
            costliest. Empty where there is no choice.
    """

    evaluations: int
    reevaluations: int
    trainings: int
    work: float
    final_trainings: int
    estimating_trainings: int
    full_finetune_seconds: float
    seconds: float
    disk_bytes: int
    budget_seconds: float = 0.0
    workers: int = 1
    speedup: float = 1.0
    chain: Mapping[str, float] = field(default_factory=dict)
    to_try: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-able dictionary."""
        return asdict(self)

    def sentence(self) -> str:
        """Return the estimate in words."""
        return (
            f"{self._search()}{self._final()}. One full fine-tune takes about "
            f"{duration(self.full_finetune_seconds)} on this machine, the whole run at most about "
            f"{duration(self.seconds)} and {file_size(self.disk_bytes)} of disk.{self._workers()}{self._limit()}"
            f"{self._choice()}"
        )

    def _workers(self) -> str:
        if self.workers == 1:
            return ""
        longest = sorted(self.chain.items(), key=lambda row: -row[1])[:CHAIN_NAMED]
        named = listed([f"{phase.replace('_', ' ')} {duration(seconds)}" for phase, seconds in longest])
        return (
            f" The {self.workers} workers are {self.speedup:.1f} times as fast as one; the longest chain of trainings "
            f"that wait for each other takes {duration(sum(self.chain.values()))}, with any number of them ({named})."
        )

    def _limit(self) -> str:
        if not 0 < self.budget_seconds < self.seconds:
            return ""
        return (
            f" The budget of {duration(self.budget_seconds)} is less: it ends the search earlier, or leaves it out, "
            "and with it the baselines and final networks that there is no room for."
        )

    def _choice(self) -> str:
        if not self.to_try:
            return ""
        named = [f"{name} at {listed([str(size) for size in sizes])}" for name, sizes in self.to_try.items()]
        sizes = "; ".join(named) if len(named) > 1 else named[0].partition(" at ")[2]
        return f" The probe chooses first from these input sizes: {sizes} pixels; the times are for the costliest."

    def _search(self) -> str:
        if not self.evaluations:
            return ""
        again = f" and up to {self.reevaluations} re-evaluations" if self.reevaluations else ""
        work = f", with the work of about {self.work:.2g} full fine-tunes" if self.work else ""
        seeds = f" in {self.trainings} trainings" if self.trainings > self.evaluations else ""
        return f"At most {self.evaluations} candidates{again}{seeds}{work}; then "

    def _final(self) -> str:
        what = " of the recipe and the baselines" if self.evaluations else ""
        estimate = f" and {self.estimating_trainings} for the out-of-fold estimate" if self.estimating_trainings else ""
        return f"{self.final_trainings} final training{'' if self.final_trainings == 1 else 's'}{what}{estimate}"


def estimate_run(config: RunConfig, folder: Path | None, observer: Observer) -> CostEstimate:
    """Return what a run in a folder, which is not touched, will cost.

    The images are decoded and a few steps measured; nothing is trained.
    """
    setup = set_up(config, folder, observer, dry=True)
    describe(setup, observer)
    config, data = setup.config, setup.data
    if config.compute.devices_per_training > 1:
        observer(Message("The times are measured with a training that is not shared."))
    trials = trial_data(data, config)
    spec = WorkerSpec(config, len(data.class_names), setup.loaded.weights_sha256, trials, Path())
    worker = Worker(spec, setup.loaded)
    full = measure_epoch(worker) * config.training.epochs
    searching = config.method.name == "search"
    evaluations = config.search.evaluations if searching else 0
    if config.budget.max_evaluations:
        evaluations = min(evaluations, config.budget.max_evaluations)
    rotates = SEARCHES[config.search.name].rotates_folds and config.data.folds > 1
    rotates = searching and rotates and config.search.reevaluate != "none"
    again = config.search.population * max(0, config.search.generations - 1) if rotates else 0
    trainings = evaluations * config.search.seeds
    final = _final_trainings(config) if searching else config.final.seeds
    estimating = len(trials.estimating)
    searched = (evaluations + again) * config.search.seeds * SEARCHED_SHARE / config.data.folds
    kinds = math.prod(len(CHOICES[name]) for name in KIND if name in config.search.values)
    finishing = min(kinds, config.search.population) if config.final.companions else 1
    _, epochs = config.first_batch(len(trials.judging), finishing=finishing)
    work = max(config.search.max_work, epochs / config.training.epochs) if config.search.max_work else 0.0
    if searching and work:
        searched = min(searched, work) if len(trials.judging) == 1 else work
    sweep = searched if searching and "full_tuned" in config.final.baselines else 0.0
    pixels = math.prod(setup.loaded.preprocessing.sample_shape)
    images = len(data.selection.labels) + data.num_test
    decoded = images * pixels if images * pixels <= config.cache.limit_gib * 2**30 else 0
    weights = 4 * sum(block.num_parameters for block in setup.loaded.partition.blocks)
    side_by_side = _rehearsed(setup, worker, full)
    return CostEstimate(
        evaluations,
        again,
        trainings,
        work,
        final,
        estimating,
        full,
        (searched + sweep + final + estimating) * full / side_by_side.speedup,
        decoded + weights * (2 + config.final.candidates + config.final.seeds * side_by_side.kept),
        config.budget.seconds,
        config.compute.workers,
        side_by_side.speedup,
        side_by_side.chain,
        setup.to_try,
    )


@dataclass(frozen=True)
class _SideBySide:
    """What several workers change: see ``CostEstimate``; and how many entries have their final weights on disk."""

    speedup: float = 1.0
    chain: Mapping[str, float] = field(default_factory=dict)
    kept: int = 1


def _rehearsed(setup: Setup, worker: Worker, full_s: float) -> _SideBySide:
    """Rehearse the run where it has several workers; ``full_s`` are the seconds of a full fine-tune."""
    config, counter = setup.config, Counter(worker)
    if config.compute.workers == 1:
        return _SideBySide()
    pretend = by_work(counter, full_s / config.training.epochs)
    one, several, many = (
        rehearse(setup, worker, counter, workers, pretend) for workers in (1, config.compute.workers, MANY)
    )
    searching = config.method.name == "search" and not config.budget.seconds
    return _SideBySide(one.seconds / several.seconds, many.waits, 1 + len(config.final.baselines) * searching)


def _final_trainings(config: RunConfig) -> int:
    final = config.final
    return config.final_trainings(final.candidates) + max(1, final.seeds * len(final.baselines))


def measure_epoch(worker: Worker, steps: int = 4) -> float:
    """Return the seconds of one epoch of full fine-tuning with validation, from a few steps."""
    data, training = worker.spec.data, worker.spec.config.training
    whole, validation = data.parts[None]
    size = effective_batch_size(len(whole), training)
    train = whole[: steps * size]
    exact = training.model_copy(update={"batch_size": size, "limit_batch": False})
    part = TrainingData(worker.pixels, data.labels, train, validation[:EVALUATION_BATCH], worker.augmented)
    seconds = [0.0, 0.0]
    for turn in range(2):  # the first one warms up
        worker.restore(0)
        method = make_method("full", worker.network)
        with prepared(worker.model, method, training, seed=0) as scope:
            start = time.perf_counter()
            fit(worker.model, method, scope, part, exact, Plan(seed=0, epochs=1, forward=worker.forward))
            seconds[turn] = time.perf_counter() - start
    return min(seconds) * max(1.0, len(whole) / len(train))
