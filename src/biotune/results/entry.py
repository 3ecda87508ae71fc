"""An entry: one way of fine-tuning, what it reached and what it cost."""

import math

from pydantic import Field

from biotune.results.groups import GROUPS, GroupScores
from biotune.results.part import Part
from biotune.results.scores import ClassScores, Confusion, Scores, Values
from biotune.statistics import Interval

CPU_SECONDS = Field(None, description="CPU seconds of the same trainings; `null` in older files")
COST = Field(
    description="their [cost](protocol.md#cost) in full fine-tunes, counted in multiplications; by the clock where "
    "`cpu_seconds` is `null`"
)


class Vote(Values):
    """What the networks of all final seeds reach together on the test set, by the mean of their probabilities.

    A vote of three networks is right more often than one of them, whatever trained them: compare votes with votes only.
    """

    seeds: tuple[int, ...] = Field(description="seeds of the networks that vote; a prediction costs as many times more")
    gain: Interval = Field(description="the vote minus one of its networks, mean over these")
    difference: Interval | None = Field(
        None,
        description="the vote of BioTune minus this vote; `null` for BioTune, in a comparison, and where the two have "
        "not the same seeds",
    )
    per_class: tuple[ClassScores, ...] = Field(
        (), description="class by class, of BioTune in a run; empty for other entries, and in older files"
    )
    confusions: tuple[Confusion, ...] = Field(
        (), description="pairs of classes that BioTune's vote confuses, the most frequent first, at most 500"
    )
    groups: GroupScores | None = GROUPS

    @property
    def accuracy(self) -> float | None:
        """The accuracy of the vote."""
        return self.metrics.get("accuracy")


class Tried(Part):
    """One choice of a sweep."""

    method: str = Field(description="method and options")
    multipliers: tuple[float, ...] = Field(description="multipliers of a recipe")
    fitness: tuple[float, ...] = Field(description="fitness on validation, one per seed")
    finished: bool = Field(True, description="whether it came to the end of the race; else fitness is where it stopped")


class Entry(Part):
    """One row of every table."""

    validation: Scores | None = Field(
        description="a [score](summary.md#scores); used for selection; `null` where the final trainings had the "
        "validation images too"
    )
    test: Scores | None = Field(description="a score; `null` without a test set, or where all final trainings diverged")
    seconds: float = Field(description="seconds of selection and final trainings")
    cpu_seconds: float | None = CPU_SECONDS
    cost_in_full_finetunes: float | None = COST
    trainable_fraction: float = Field(
        description="trained parameters, added ones included, over the parameters of the network"
    )
    diverged: int = Field(0, description="number of final trainings that diverged; they have no test score")
    out_of_memory: int = Field(
        0, description="number of final trainings that did not fit into memory; they have no test score"
    )
    sweep: tuple[Tried, ...] | None = Field(
        None, description="for a tuned entry: every choice that its sweep tried, else `null`; also in older files"
    )
    vote: Vote | None = Field(
        None,
        description="the [vote](summary.md#votes) of all seeds; `null` without a test set, with one seed, and in older "
        "files",
    )
    difference: Interval | None = Field(
        description="the reference (of a run: BioTune) minus this entry; `null` for the reference, and where the two "
        "share no tested seed; the difference of the votes where recipes of other kinds vote with BioTune's"
    )

    @property
    def failed(self) -> int:
        """Number of final trainings that have no test score."""
        return self.diverged + self.out_of_memory

    @property
    def shown(self) -> Scores:
        """The scores on the test set, or on the validation set where there are none."""
        return self.test or self.validation or Scores.of({"accuracy": [math.nan], "macro": [math.nan]})
