"""What the phases of a run share, and which tasks they ask for."""

from dataclasses import dataclass, replace
from pathlib import Path

from biotune.models import LoadedModel
from biotune.pixels.learning_data import LearningData
from biotune.randomness import derived_seeds
from biotune.recipe import Recipe
from biotune.records import ALL_IMAGES, Task
from biotune.runner.setup import Setup
from biotune.runs.events import Message, Observer
from biotune.runs.files import tidy
from biotune.runs.folder import CHECKPOINTS, StopSignal
from biotune.runs.store import MAIN_SEARCH, RunStore
from biotune.settings.config import RunConfig
from biotune.settings.search import SearchConfig
from biotune.trials.counting import Cost, Counter
from biotune.trials.desk import Desk
from biotune.trials.ledger import Ledger
from biotune.trials.spec import TrialData
from biotune.trials.worker import Worker


@dataclass(frozen=True)
class Tasks:
    """Says which trainings a phase asks for.

    Args:
        config: the run's configuration, with that of this search.
        config_hash: a hash of everything that a result depends on besides the task.
        counter: knows the folds, and which methods train the same blocks all the time.
        data: what trainings see, fold by fold.
    """

    config: RunConfig
    config_hash: str
    counter: Counter
    data: TrialData

    @property
    def judging(self) -> tuple[int | None, ...]:
        """Folds whose mean fitness judges a recipe."""
        return self.data.judging

    @property
    def estimating(self) -> tuple[int, ...]:
        """Folds that stand in for a test set; none where there is one."""
        return self.data.estimating

    @property
    def search_seeds(self) -> tuple[int, ...]:
        """Seeds of the trainings of one candidate."""
        return self._seeds("search", self.config.search.seeds)

    @property
    def final_seeds(self) -> tuple[int, ...]:
        """Seeds of the final trainings, of every method alike."""
        return self._seeds("final", self.config.final.seeds)

    @property
    def rungs(self) -> tuple[int, ...]:
        """After how many epochs the candidates of the search are compared; 0 stands for the end of a training."""
        return self.config.search.epochs_of_rungs(self.config.training.epochs)

    @property
    def out_of_fold(self) -> bool:
        """Whether recipes are judged on images that were held out of several trainings, one fold at a time."""
        return len(self.judging) > 1

    def one(
        self,
        method: str,
        recipe: Recipe | None,
        seed: int,
        fold: int | None = None,
        final: bool = False,
        epochs: tuple[int, int] = (0, 0),
    ) -> Task:
        """Return one task.

        Args:
            method: name and options.
            recipe: what the method ``given`` trains; None for others.
            seed: seeds everything random in the training.
            fold: None for all training images; see ``Task``.
            final: True to keep its weights, and to augment as configured.
            epochs: where it continues and where it pauses; see ``Task``.

        Returns:
            The task.
        """
        training = self.config.training
        augmented = training.augment != "none" and (final or training.augment_search)
        return Task(method, recipe, fold, seed, training.epochs, self.config_hash, final, augmented, *epochs)

    @property
    def final_fold(self) -> int | None:
        """Images of the final trainings: all that are not for the test, or the training set.

        It is the training set also without a test set, which leaves the validation images to compare methods on.
        """
        return ALL_IMAGES if self.config.finals_use_all and not self.estimating else None

    def final(self, method: str, recipe: Recipe | None = None, seeds: int | None = None) -> list[Task]:
        """Return the final trainings of a method, one per final seed, weights kept."""
        return [self.one(method, recipe, seed, self.final_fold, final=True) for seed in self.final_seeds[:seeds]]

    def judged(self, method: str, recipe: Recipe | None, seed: int) -> list[Task]:
        """Return the tasks whose mean fitness judges a method, or a recipe, against others.

        Each pauses at the last rung of the search, or goes to its end if it trains other blocks in other epochs. There
        is one of them, unless few validation images call for out-of-fold scores.
        """
        tasks = [self.one(method, recipe, seed, fold) for fold in self.judging]
        return [replace(task, last_epoch=self.rungs[-1]) if self.counter.is_even(task) else task for task in tasks]

    def _seeds(self, purpose: str, count: int) -> tuple[int, ...]:
        return (*self.config.search.given_seeds, *derived_seeds(count, self.config.seed, purpose))[:count]


@dataclass(frozen=True)
class Session:
    """One call of a run, open.

    Nothing that a session owns refers back to it, so the network and all recorded outputs are freed with it, at once.

    Args:
        setup: what the run works with.
        folder: the run folder, locked.
        store: the open store.
        worker: this process's own, for what needs a network besides the trainings.
        counter: counts what tasks take.
        desk: trains and stores tasks.
        tasks: says which trainings a phase asks for.
        observer: receives progress and messages.
        stop: looked at between steps.
        continued: whether the folder holds earlier work.
        search_name: name under which the cost of the search is booked and its candidates are stored.
    """

    setup: Setup
    folder: Path
    store: RunStore
    worker: Worker
    counter: Counter
    desk: Desk
    tasks: Tasks
    observer: Observer
    stop: StopSignal
    continued: bool = False
    search_name: str = MAIN_SEARCH

    def for_search(self, name: str, search: SearchConfig) -> "Session":
        """Return a session over the same store, trainings and books that searches in another way."""
        config = self.config.model_copy(update={"search": search})
        return replace(self, tasks=replace(self.tasks, config=config), search_name=name)

    @property
    def config(self) -> RunConfig:
        """The run's configuration with that of this search; device, threads and precision are resolved."""
        return self.tasks.config

    @property
    def loaded(self) -> LoadedModel:
        """The pretrained network."""
        return self.setup.loaded

    @property
    def data(self) -> LearningData:
        """What the run learns from."""
        return self.setup.data

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

    @property
    def ledger(self) -> Ledger:
        """What the phases have taken."""
        return self.desk.ledger

    @property
    def final_name(self) -> str:
        """Name under which the final phase of this search is booked."""
        return "final" if self.search_name == MAIN_SEARCH else f"final {self.search_name}"

    def work(self, phase: str) -> float:
        """Return the work of a phase in epochs of full fine-tuning on all training images, without a clock."""
        return self.counter.work(self.ledger.rows(phase))

    def cost(self, *phases: str) -> Cost:
        """Return what phases cost."""
        return self.counter.cost(row for phase in phases for row in self.ledger.rows(phase))

    def say(self, text: str, warning: bool = False) -> None:
        """Tell the observer a sentence."""
        self.observer(Message(text, warning))

    def drop_checkpoints(self) -> None:
        """Delete the weights that trainings left: the run has all that it needs of them."""
        if warning := tidy(self.folder / CHECKPOINTS):
            self.say(warning, warning=True)
