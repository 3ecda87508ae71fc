"""``comparison.json``: what a comparison found."""

from typing import ClassVar, Literal

from pydantic import Field

from biotune.results.entry import Entry
from biotune.results.part import NamedValues, Part
from biotune.results.scores import Scores
from biotune.results.summary import Data, Made, Protocol
from biotune.significance import Ranking, SignedRank

Setting = Literal["default", "tuned"]
SETTINGS: tuple[Setting, ...] = ("default", "tuned")
On = Literal["test", "validation"]


class ComparedEntry(Entry):
    """One entry of a comparison, at its default or tuned."""

    method: str | None = Field(
        description="what the final trainings were: method and options, or `given` for a recipe; `null` where data "
        "sets differ"
    )
    multipliers: tuple[float, ...] | None = Field(
        description="multipliers of a recipe, one per block; `null` over several data sets"
    )
    values: NamedValues = Field(
        {}, description="[named values](method.md#named-values) of a recipe; empty over several data sets"
    )
    selection_seconds: float = Field(
        description="seconds of the search with the screening of its finalists, or of the sweep alone"
    )
    step_bytes: int | float = Field(
        description="memory of one training step: tensors, gradients, optimiser, activations"
    )
    evaluations: int | None = Field(description="candidates of a search, else `null`")
    own_candidates: int | None = Field(
        None,
        description="different recipes that a search tried beyond the start that all searches share, else `null`",
    )
    own_finished: int | None = Field(None, description="how many of these came to the end of the race, else `null`")
    best_on_test_optimistic: float | None = Field(
        description="for a search, if asked for: best mean test accuracy of all finalists, as the papers report it"
    )
    signed_rank: SignedRank | None = Field(
        description="Wilcoxon's test against the reference over data sets; `null` where these are too few or a seed is "
        "missing"
    )
    tuned: "ComparedEntry | None" = Field(
        description="the entry of the tuned method; `null` for a search, or without tuning"
    )

    @property
    def best(self) -> "ComparedEntry":
        """The entry that the order of tables follows: the tuned one, or a search as it is."""
        return self.tuned or self

    def at(self, setting: Setting) -> "ComparedEntry":
        """Return the entry at a setting; a search is the same at both."""
        return self.best if setting == "tuned" else self

    def scores(self, on: On) -> Scores | None:
        """Return the scores on a set of images; None where every final training diverged."""
        return self.test if on == "test" else self.validation


class DataSet(Part):
    """The results on one data set."""

    name: str = Field(description="name of the data set")
    data: Data = Field(description="its parts, classes and fingerprints, as in `summary.json`")
    full_finetune_seconds: float = Field(
        description="seconds of one full fine-tune on this data set, whose work is the unit of cost"
    )
    full_finetune_cpu_seconds: float | None = Field(None, description="CPU seconds of the same; `null` in older files")
    protocol: Protocol = Field(description="what every training kept to, as in `summary.json`")
    methods: dict[str, ComparedEntry]

    @property
    def entries(self) -> list[ComparedEntry]:
        """All entries, the tuned ones too."""
        return [one for entry in self.methods.values() for one in (entry, entry.tuned) if one is not None]


class Rankings(Part):
    """Ranks over data sets."""

    default: Ranking | None = Field(
        description="ranks by test accuracy of all methods at their defaults; `null` where one has no test score"
    )
    tuned: Ranking | None = Field(description="the same of the tuned methods; a search is taken as it is")

    def at(self, setting: Setting) -> Ranking | None:
        """Return the ranks at a setting."""
        return self.tuned if setting == "tuned" else self.default


class Comparison(Made):
    """What a comparison found."""

    VERSION: ClassVar[int] = 2

    schema_version: int = Field(VERSION, description="version of this format: 2; 1 had no `metrics`")
    reference: str = Field(description="key of the entry that all others are compared with")
    methods: dict[str, ComparedEntry] = Field(description="entries over all data sets, or those of the one data set")
    datasets: tuple[DataSet, ...]
    ranking: Rankings

    @property
    def on(self) -> On:
        """``test`` if every data set has a test set; otherwise validation scores are shown throughout."""
        return "test" if all(part.data.test for part in self.datasets) else "validation"

    @property
    def is_counted(self) -> bool:
        """Whether costs are counted work; in older files they are wall time."""
        return all(one.cpu_seconds is not None for part in self.datasets for one in part.entries)

    @property
    def in_cpu_time(self) -> bool:
        """Whether CPU time is shown beside the work; it says little on a GPU."""
        return self.is_counted and all(part.protocol.device == "cpu" for part in self.datasets)

    @property
    def has_tuned(self) -> bool:
        """Whether any method has a tuned entry."""
        return any(entry.tuned for entry in self.methods.values())

    @property
    def setting(self) -> Setting:
        """The setting that is shown first."""
        return "tuned" if self.has_tuned else "default"

    @property
    def metric(self) -> str:
        """The chosen metric."""
        return self.datasets[0].protocol.metric

    @property
    def followed(self) -> str:
        """What a table says after the meaning of that metric; nothing where the log-loss chose instead."""
        return ", which selection followed" if self.datasets[0].protocol.fitness == "score" else ""
