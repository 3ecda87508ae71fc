"""``summary.json``: what a run found."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field, computed_field, model_validator

from biotune.results.entry import COST, CPU_SECONDS, Entry, Vote
from biotune.results.groups import GROUPS, GroupScores
from biotune.results.operating_point import OperatingPoint
from biotune.results.part import Document, NamedValues, Part
from biotune.results.refinement import Refinement
from biotune.results.scores import ClassScores, Confusion, Scores, Values
from biotune.results.sizing import Sizing
from biotune.statistics import sum_of_known
from biotune.wording import METHOD_NAMES


class Model(Part):
    """The network."""

    name: str = Field(description="canonical name of the network")
    parameters: int = Field(description="number of scalar parameters, fresh head included")
    num_blocks: int = Field(description="number of blocks")
    weights: str = Field(description="where the pretrained weights came from")
    image_size: int = Field(description="side of the input in pixels, 0 for texts")
    vocabulary: int | None = Field(
        None, description="words that a network of texts knows, or tokens of its tokenizer; `null` for images"
    )
    max_length: int | None = Field(None, description="words that it sees of a text, `null` for images")


class Quarantined(Part):
    """A file that could not be read."""

    path: str = Field(description="the file, relative to the source")
    reason: str = Field(description="why")


class Leak(Part):
    """Copies of one picture in several parts."""

    kind: str = Field(description="`exact` if all have the same bytes, else `near`")
    paths: tuple[str, ...] = Field(description="the copies")
    splits: tuple[str, ...] = Field(description="the part of each: `train`, `validation` or `test`")
    classes: tuple[str, ...] = Field(description="the class of each")


class PartFingerprints(Part):
    """Hashes of the parts."""

    train: str = Field(description="hash of the training images alone")
    validation: str = Field(description="hash of the validation images alone")
    test: str = Field(description="hash of the test images alone")


class Data(Part):
    """The data set."""

    name: str = Field(description="name of the source")
    kind: str = Field("image", description="what it holds: `image` or `text`; other keys say images for both")
    train: int = Field(description="number of training images")
    validation: int = Field(description="number of validation images")
    test: int = Field(description="number of test images, 0 without a test set")
    classes: tuple[str, ...] = Field(description="class names, by output index")
    smallest_class: int = Field(description="training and validation images of the class that has fewest")
    fingerprint: str = Field(description="hash of the names and classes of all images, part by part")
    part_fingerprints: PartFingerprints
    quarantined: tuple[Quarantined, ...] = Field(description="files that could not be read and were left out")
    leaks: tuple[Leak, ...] = Field(
        description="groups of [copies](check.md#what-counts-as-a-copy) that are in several parts"
    )
    notes: tuple[str, ...] = Field(description="what else the user should know of the data")


class Budget(Part):
    """The limits of a run."""

    seconds: float = Field(description="time limit of the run, 0 = none")
    max_evaluations: int = Field(description="limit of candidates, 0 = none")
    max_cost: float = Field(description="limit of the search's time, in full fine-tunes; 0 = none")
    max_work: float = Field(description="allowance of the search (`search.max_work`), 0 = none")


class Search(Part):
    """The search."""

    name: str = Field(description="name of the [search](searches.md), with its options")
    preset: str = Field(description="name of the preset")
    seed: int = Field(description="root seed")
    generations: int = Field(description="generations that were begun")
    evaluations: int = Field(description="evaluated candidates, infeasible ones and re-evaluations included")
    trainings: int = Field(description="distinct trainings")
    bred: int | None = Field(
        None,
        description="evaluated candidates that the search made itself, beyond those that it began with; `null` in "
        "older files",
    )
    infeasible: int = Field(description="candidates that froze every block")
    diverged: int = Field(description="candidates whose loss became NaN or infinite")
    out_of_memory: int = Field(0, description="candidates that did not fit into memory")
    failed: int = Field(
        0,
        description="candidates whose training failed otherwise: an error, out of time, or its process died; see "
        "[protocol.md](protocol.md#trainings-that-fail)",
    )
    failure: str = Field("", description="why the first of them failed, in a few words")
    stopped_by: str | None = Field(
        description="the limit that ended the search, in words; `null` if it ended by itself"
    )
    seconds: float = Field(description="seconds of its trainings")
    cpu_seconds: float | None = CPU_SECONDS
    cost_in_full_finetunes: float | None = COST


class Finalist(Part):
    """A recipe that reached the final phase."""

    multipliers: tuple[float, ...] = Field(description="one per block")
    values: NamedValues = Field({}, description="its [named values](method.md#named-values)")
    validation: float | None = Field(
        description="mean validation accuracy, over one seed or all; `null` where no image was held out"
    )


class Companion(Part):
    """A recipe of another kind, one network of which votes with those of the winner."""

    seed: int = Field(description="final seed of the network")
    multipliers: tuple[float, ...] = Field(description="one per block")
    values: NamedValues = Field({}, description="its [named values](method.md#named-values)")


class Final(Part):
    """The final phase."""

    seconds: float = Field(description="seconds of the final phase's trainings")
    cpu_seconds: float | None = CPU_SECONDS
    cost_in_full_finetunes: float | None = COST
    candidates: tuple[Finalist, ...] = Field(description="the finalists; empty after `biotune train`")
    companions: tuple[Companion, ...] = Field(
        (),
        description="the other recipes of the [vote](method.md#the-vote); empty where all networks have the same one",
    )
    diverged: int = Field(0, description="final trainings of the winner that diverged; they have no test score")
    out_of_memory: int = Field(0, description="final trainings of the winner that did not fit into memory")
    best_on_test_optimistic: float | None = Field(
        None,
        description="`paper` preset only: the best mean test accuracy of all finalists, as the papers report it; else "
        "`null`",
    )


class OutOfFold(Values):
    """An estimate without a test set."""

    images: int = Field(description="training and validation images together")
    per_fold: tuple[float, ...] = Field(description="accuracy on each fold")
    epochs: int = Field(description="after which each training was scored, unless it stopped early")
    diverged: int = Field(description="how many of the trainings diverged")
    seconds: float = Field(description="seconds of the trainings")
    cpu_seconds: float | None = CPU_SECONDS

    @model_validator(mode="before")
    @classmethod
    def _of_version_1(cls, content: Any) -> Any:
        return _with_metrics(content, "accuracy", "macro_accuracy")

    @computed_field(  # type: ignore[prop-decorator]
        description="over all images, each left out of one training; those of a diverged training count as wrong"
    )
    @property
    def accuracy(self) -> float:
        """The accuracy over all images."""
        return self.metrics["accuracy"] or 0.0

    @computed_field(  # type: ignore[prop-decorator]
        description="mean recall of the classes, mean over the folds by their sizes"
    )
    @property
    def macro_accuracy(self) -> float:
        """The macro accuracy."""
        return self.metrics["macro"] or 0.0


class Block(Part):
    """One block of a recipe."""

    name: str = Field(description="name of the block, from the input side to the head")
    multiplier: float = Field(description="0 = frozen")
    parameters: int = Field(description="number of scalar parameters")


class RecipeOfRun(Part):
    """The recipe that was found."""

    base_learning_rate: float = Field(description="rate of multiplier 1")
    optimizer: str = Field(description="`adam`, `adamw` or `sgd`")
    values: NamedValues = Field({}, description="[named values](method.md#named-values) beside the multipliers")
    blocks: tuple[Block, ...]
    trainable_fraction: float = Field(description="share of trained parameters")


class Exported(Values):
    """The exported network on the test set; without one, no metrics and no confusions."""

    seed: int = Field(description="final seed of the exported network")
    members: tuple[int, ...] = Field(
        (), description="seeds of the other networks of the vote, in `members/`; none with one seed and in older files"
    )
    per_class: tuple[ClassScores, ...]
    confusions: tuple[Confusion, ...] = Field(
        (), description="pairs of classes that it confuses on the test set, the most frequent first, at most 500"
    )
    groups: GroupScores | None = GROUPS

    @model_validator(mode="before")
    @classmethod
    def _of_version_1(cls, content: Any) -> Any:
        return _with_metrics(content, "test", "test_macro")

    @computed_field(description="its own test accuracy; `null` without a test set")  # type: ignore[prop-decorator]
    @property
    def test(self) -> float | None:
        """The test accuracy."""
        return self.metrics.get("accuracy")

    @computed_field(  # type: ignore[prop-decorator]
        description="its own macro accuracy on the test set; `null` without one"
    )
    @property
    def test_macro(self) -> float | None:
        """The macro accuracy on the test set."""
        return self.metrics.get("macro")


def _with_metrics(content: Any, accuracy: str, macro: str) -> Any:
    """Return content of version 1, which knew two metrics under keys of their own, with ``metrics``."""
    if not isinstance(content, Mapping) or "metrics" in content:
        return content
    found = {"accuracy": content.get(accuracy), "macro": content.get(macro)}
    return {**content, "metrics": {name: value for name, value in found.items() if value is not None}}


class Baseline(Entry):
    """What BioTune is compared with."""

    learning_rate_multiplier: float = Field(description="the chosen multiplier of `full_tuned`; 1 for the others")


class Protocol(Part):
    """What all trainings of a run have in common."""

    epochs: int = Field(description="planned number of epochs")
    stopping: str = Field("early", description="`early`: by patience, the best epoch counts; `planned`: the last one")
    final_images: int | None = Field(None, description="images of a final training; `null` in older files")
    patience: int = Field(description="patience in epochs")
    patience_steps: int = Field(description="patience in optimiser steps; both must have passed")
    batch_size: int = Field(description="images of a step on the full training set")
    learning_rate: float = Field(description="base rate")
    scheduler: str = Field(description="`cosine`, `linear` or `constant`")
    optimizer: str = Field(description="`adam`, `adamw` or `sgd`")
    metric: str = Field(description="the chosen metric, reported beside accuracy and macro accuracy")
    fitness: str = Field(
        "score",
        description="what ranked the trainings: `score`, that of the metric, or `loss`, the calibrated log-loss",
    )
    augment: str = Field(description="augmentation of the final trainings")
    imbalance: str = Field(description="what was done about unequal classes")
    seeds: tuple[int, ...] = Field(description="seeds of the final phase")
    device: str = Field(description="`cpu`, `cuda`, ...")
    threads: int = Field(description="CPU threads of a training")
    precision: str = Field(
        description="`float32` or `bfloat16`: in what trainings multiply; test scores are computed in float32"
    )


class Made(Document):
    """How a result came about."""

    status: str = Field("finished", description="`finished`; the file is written last")
    command: str = Field(description="the command as typed")
    biotune_version: str = Field(description="version of the package that finished the work")
    versions: dict[str, str] = Field(description="versions of biotune, python, torch, torchvision, timm and numpy")
    created: str = Field(description="when the file was written, local time with its offset")
    model: Model


class Summary(Made):
    """What a run found."""

    VERSION: ClassVar[int] = 2

    schema_version: int = Field(
        VERSION, description="version of this format: 2; 1 had no `metrics` and no `confusions`"
    )
    method: str = Field(
        "biotune",
        description="`biotune` for a search; else a [method](methods.md) with its options, `given` for a recipe, or "
        "`refined`",
    )
    preset: str = Field(description="name of the preset")
    sizing: Sizing | None = Field(
        None, description="how the probe chose network and input size; `null` where both were given"
    )
    data: Data
    budget: Budget
    search: Search | None = Field(description="the search; `null` after `biotune train`")
    final: Final
    out_of_fold: OutOfFold | None = Field(
        description="without a test set: what is exported, trained again with one fold left out at a time; else "
        "`null`; see [protocol.md](protocol.md#splits)"
    )
    full_finetune_seconds: float | None = Field(
        description="seconds of one full fine-tune, whose work is the unit of cost; `null` after `biotune train`"
    )
    full_finetune_cpu_seconds: float | None = Field(
        None, description="CPU seconds of the same; `null` after `biotune train` and in older files"
    )
    recipe: RecipeOfRun
    validation: Scores | None = Field(
        description="scores of the winner on the validation set, which was used for selection; `null` where its final "
        "trainings had these images too"
    )
    test: Scores | None = Field(description="scores of the winner on the test set; `null` without one")
    vote: Vote | None = Field(
        None,
        description="the winner's [vote](summary.md#votes); `null` without a test set, with one seed, and in older "
        "files",
    )
    exported: Exported
    operating_point: OperatingPoint | None = Field(
        None,
        description="of two classes: the [threshold](protocol.md#a-threshold-for-two-classes) that held-out images "
        "chose; `null` without held-out or test images, and in older files",
    )
    baselines: dict[str, Baseline]
    protocol: Protocol
    refinement: Refinement | None = Field(
        None, description="of `biotune refine`: how [weights were refined](refine.md); else `null`"
    )

    @property
    def has_votes(self) -> bool:
        """Whether any entry has a vote of its seeds."""
        return any(entry.vote is not None for entry in self.entries.values())

    @property
    def used(self) -> Vote | Exported:
        """What ``biotune predict`` asks, with its scores class by class: the vote, or the exported network."""
        return self.vote if self.vote is not None and self.vote.per_class else self.exported

    @property
    def entries(self) -> dict[str, Entry]:
        """What was chosen, then the baselines in the order of all tables."""
        parts = [part for part in (self.search, self.final) if part is not None]
        chosen = Entry(
            validation=self.validation,
            test=self.test,
            seconds=sum(part.seconds for part in parts),
            cpu_seconds=sum_of_known([part.cpu_seconds for part in parts]),
            cost_in_full_finetunes=sum_of_known([part.cost_in_full_finetunes for part in parts]),
            trainable_fraction=self.recipe.trainable_fraction,
            diverged=self.final.diverged,
            out_of_memory=self.final.out_of_memory,
            vote=self.vote,
            difference=None,
        )
        known = [key for key in METHOD_NAMES if key in self.baselines]
        others = [key for key in self.baselines if key not in METHOD_NAMES]
        return {self.method: chosen, **{key: self.baselines[key] for key in (*known, *others)}}

    @property
    def has_costs(self) -> bool:
        """Whether costs are known in full fine-tunes: not after ``biotune train`` with early stopping."""
        return any(entry.cost_in_full_finetunes is not None for entry in self.entries.values())

    @property
    def is_counted(self) -> bool:
        """Whether costs are counted work; in older files they are wall time."""
        return all(entry.cpu_seconds is not None for entry in self.entries.values())

    @property
    def in_cpu_time(self) -> bool:
        """Whether CPU time is shown beside the work; it says little on a GPU."""
        return self.is_counted and self.protocol.device == "cpu"

    def shown_seconds(self, part: Entry | Search | Final) -> float:
        """Return the time of a part of the run that is shown: CPU time, or wall time where that says little."""
        return part.cpu_seconds if self.in_cpu_time and part.cpu_seconds is not None else part.seconds
