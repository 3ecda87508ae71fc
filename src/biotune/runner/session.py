"""One call of a run: trains tasks through the store, and counts what each phase costs."""

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from biotune.executors import Executor, InProcess
from biotune.fitness import Evaluator, Hooks
from biotune.models import LoadedModel
from biotune.pixels.learning_data import LearningData
from biotune.randomness import derived_seeds
from biotune.recipe import Recipe
from biotune.records import INFEASIBLE, Evaluation, Task
from biotune.runner.ledger import Ledger
from biotune.runs.events import Message, Observer
from biotune.runs.folder import CHECKPOINTS, StopSignal
from biotune.runs.store import MAIN_SEARCH, RunStore
from biotune.settings.config import RunConfig
from biotune.settings.resolve import result_hash
from biotune.settings.search import SearchConfig


class Session:
    """What the phases of a run share.

    Args:
        config: of the run, with device, threads and precision resolved.
        folder: the run folder, locked.
        store: the open store.
        loaded: the pretrained network.
        data: what the run learns from.
        facts: what the configuration was resolved with; part of every result's key.
        observer: receives progress and messages.
        stop: looked at between steps.

    ``on_result`` is called with phase, detail, task and result of every new training before it is stored;
    ``on_finished`` with search, recipe, fold and fitness of every candidate that reaches the last rung of a race,
    also where its trainings were stored already.

    Nothing that a session owns refers back to it: with it go the network and all recorded activations, at once.
    """

    def __init__(
        self,
        config: RunConfig,
        folder: Path,
        store: RunStore,
        loaded: LoadedModel,
        data: LearningData,
        facts: dict[str, object],
        observer: Observer,
        stop: StopSignal,
    ) -> None:
        self.config = config
        self.folder = folder
        self.store = store
        self.loaded = loaded
        self.data = data
        self.observer = observer
        self.stop = stop
        self.config_hash = result_hash(config, facts)
        self.ledger = Ledger(config, store, observer)
        hooks = Hooks(self.ledger.on_epoch, stop.check, lambda text: observer(Message(text)))
        self.evaluator = Evaluator(config, loaded, data, folder / CHECKPOINTS, hooks)
        self.executor: Executor = InProcess(self.evaluator)
        self.final_seeds = self._seeds("final", config.final.seeds)
        self.search_seeds = self._seeds("search", config.search.seeds)
        self._work: dict[tuple[str, int], float] = {}
        self.on_result: Callable[[str, str, Task, Evaluation], None] = lambda _phase, _detail, _task, _result: None
        self.on_finished: Callable[[str, Recipe, int, float], None] = lambda _name, _recipe, _fold, _fit: None
        self.search_name = MAIN_SEARCH

    def for_search(self, name: str, search: SearchConfig) -> "Session":
        """Return a session over the same store, trainings and accounts that searches in another way.

        Args:
            name: of the search: its cost is booked and its candidates are stored under it.
            search: how it searches.

        Returns:
            The session.
        """
        other = copy.copy(self)
        other.config = self.config.model_copy(update={"search": search})
        other.search_name = name
        other.search_seeds = other._seeds("search", search.seeds)
        return other

    @property
    def final_name(self) -> str:
        """Name under which the final phase of this search is booked."""
        return "final" if self.search_name == MAIN_SEARCH else f"final {self.search_name}"

    @property
    def rungs(self) -> tuple[int, ...]:
        """After how many epochs the candidates of the search are compared; 0 stands for the end of a training."""
        return self.config.search.epochs_of_rungs(self.config.training.epochs)

    def _seeds(self, purpose: str, count: int) -> tuple[int, ...]:
        return (*self.config.search.given_seeds, *derived_seeds(count, self.config.seed, purpose))[:count]

    def spent(self, *phases: str) -> float:
        """Return the training seconds of phases (a training that two phases share counts in both)."""
        return sum(result.seconds for phase in phases for _, result in self.ledger.rows(phase))

    def work(self, phase: str) -> float:
        """Return the work of a phase in epochs of full fine-tuning on all training images, without a clock."""
        return math.fsum(self._work_of(task, result) for task, result in self.ledger.rows(phase))

    def epochs(self, phase: str) -> int:
        """Return how many epochs were finished in a phase."""
        return sum(len(result.curve) - task.first_epoch for task, result in self.ledger.rows(phase))

    def trainings(self, phase: str) -> int:
        """Return the number of trainings of a phase."""
        return len(self.ledger.rows(phase))

    def say(self, text: str, warning: bool = False) -> None:
        """Tell the observer a sentence."""
        self.observer(Message(text, warning))

    @property
    def full_recipe(self) -> Recipe:
        """The recipe of this run's network that trains every block at the base rate."""
        training, partition = self.config.training, self.loaded.partition
        rates = (1.0,) * len(partition)
        return Recipe(partition, rates, training.learning_rate, training.optimizer, self.loaded.name)

    @property
    def given_recipe(self) -> Recipe | None:
        """The recipe that the run was given to train or to start from, if it was given one."""
        method = self.config.method
        if not method.multipliers:
            return None
        return self.full_recipe.with_multipliers(method.multipliers).with_values(method.values)

    def final_tasks(self, method: str, recipe: Recipe | None = None, seeds: int | None = None) -> list[Task]:
        """Return the tasks of a method on the full training set, one per final seed, weights kept."""
        return [self.task(method, recipe, seed, final=True) for seed in self.final_seeds[:seeds]]

    def task(
        self,
        method: str,
        recipe: Recipe | None,
        seed: int,
        fold: int | None = None,
        final: bool = False,
        epochs: tuple[int, int] = (0, 0),
    ) -> Task:
        """Return one task of this run.

        Args:
            method: name and options.
            recipe: what the method ``given`` trains; None for others.
            seed: of the training.
            fold: None for all training images.
            final: True to keep its weights, and to augment as configured.
            epochs: where it goes on and where it pauses; see ``Task``.

        Returns:
            The task.
        """
        training = self.config.training
        augmented = training.augment != "none" and (final or training.augment_search)
        return Task(method, recipe, fold, seed, training.epochs, self.config_hash, final, augmented, *epochs)

    def judged(self, method: str, recipe: Recipe | None, seed: int) -> list[Task]:
        """Return the tasks whose mean fitness judges a method, or a recipe, against others.

        Each pauses at the last rung of the search, or goes to its end if it trains other blocks in other epochs. There
        is one of them, unless few validation images call for out-of-fold scores.
        """
        tasks = [self.task(method, recipe, seed, fold) for fold in self.evaluator.judging]
        return [replace(task, last_epoch=self.rungs[-1]) if self.evaluator.is_even(task) else task for task in tasks]

    @property
    def out_of_fold(self) -> bool:
        """Whether recipes are judged on images that were held out of several trainings, one fold at a time."""
        return len(self.evaluator.judging) > 1

    @property
    def estimating_folds(self) -> tuple[int, ...]:
        """The folds that stand in for a test set; none where there is one."""
        return () if self.data.test else self.evaluator.estimating

    def run(
        self, phase: str, tasks: Sequence[Task], detail: str = "", go_on: Callable[[], bool] = lambda: True
    ) -> list[Evaluation | None]:
        """Train what is not stored yet, and return the results in the order of the tasks.

        Args:
            phase: name under which the cost is booked.
            tasks: what to train; equal tasks are trained once.
            detail: shown with the progress.
            go_on: asked before every training; False leaves the rest undone.

        Returns:
            One result per task, None where ``go_on`` ended the work before it.
        """
        results = {task.key: self._known(phase, task) for task in tasks}
        missing = list({task.key: task for task in tasks if results[task.key] is None}.values())
        for task in missing:
            if not go_on():
                break
            self.ledger.begin(phase, detail)
            for _, evaluation in self.executor.run([task]):
                self.on_result(phase, detail, task, evaluation)
                self.store.add_result(phase, task, evaluation)
                self.ledger.book(phase, task, evaluation)
                self.ledger.end()
                results[task.key] = evaluation
        return [results[task.key] for task in tasks]

    def run_all(self, phase: str, tasks: Sequence[Task], detail: str = "") -> list[Evaluation]:
        """Train all tasks and return all results."""
        return [evaluation for evaluation in self.run(phase, tasks, detail) if evaluation is not None]

    def ensure_weights(self, task: Task) -> None:
        """Train a finished task again if its weights are gone or damaged (same result, by determinism)."""
        if not self.evaluator.has_weights(task):
            self.ledger.begin("restored weights", "")
            for _ in self.executor.run([task]):
                pass
            self.ledger.end()

    def _known(self, phase: str, task: Task) -> Evaluation | None:
        if task.is_infeasible:
            return INFEASIBLE
        evaluation = self.store.result(task)
        if evaluation is not None:
            self.ledger.book(phase, task, evaluation)
        return evaluation

    def _work_of(self, task: Task, evaluation: Evaluation) -> float:
        """Return the work of a training; the epoch in which it diverged was done too, though it left no record."""
        part = (task.key, task.first_epoch)  # one phase may ask for the whole of what another one went on with
        if part not in self._work:
            epochs = len(evaluation.curve) + (evaluation.outcome == "diverged")
            before = self.evaluator.work_of(task, min(epochs, task.first_epoch)) if task.first_epoch else 0.0
            self._work[part] = self.evaluator.work_of(task, epochs) - before
        return self._work[part]
