"""The settings of a refinement: which weights are refined, by which search, on what, and how its result is checked."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import Field, field_validator, model_validator

from biotune import metrics, options
from biotune.errors import InputError
from biotune.metrics import METRICS, Metric
from biotune.search import SEARCHES
from biotune.settings.costs import CostRows, checked_costs, costs_of, read_costs
from biotune.settings.reading import read_names
from biotune.settings.sections import Count, CountOrZero, Section
from biotune.settings.setting import SEARCH, OneOf, Option, Setting

REFINE = ("refine",)

LOSS, CALIBRATION, COSTS = "loss", "calibration", "costs"
OBJECTIVES = {
    LOSS: "log_loss",
    **{name: name for name in METRICS if name != "log_loss"},
    CALIBRATION: CALIBRATION,
    COSTS: COSTS,
}
"""Name of an objective -> the name of its score in results."""


def metric_of(objective: str, costs: Sequence[Sequence[float]] = ((0.0,),)) -> Metric:
    """Return the metric that an objective is; ``costs`` are those of ``costs_of``, needed only to compute a cost."""
    if objective == COSTS:
        return metrics.cost_metric(np.array(costs))
    return metrics.CALIBRATION if objective == CALIBRATION else METRICS[OBJECTIVES[objective]]


class RefineConfig(Section):
    """How ``biotune refine`` looks for better weights of a trained layer."""

    layer: Annotated[
        tuple[str, ...],
        Setting(
            "Layers whose weights are refined, separated by commas; see 'biotune refine RUN --layers'",
            Option(SEARCH, REFINE, read=read_names, default="the classifier", main=True),
            page="refine.md",
        ),
    ] = ()
    bias: Annotated[bool, Setting("Refine the biases of these layers too", Option(SEARCH, REFINE))] = False
    heuristic: Annotated[
        str,
        Setting(
            "Search that proposes weights: NAME or NAME:option=value,...; see 'biotune searches'",
            Option(SEARCH, REFINE, main=True),
            page="searches.md",
        ),
    ] = "pso"
    bound: Annotated[
        float,
        Field(gt=0, le=1000),
        Setting("Largest distance of a weight from its trained value", Option(SEARCH, REFINE, main=True)),
    ] = 0.01
    agents: Annotated[Count, Setting("Points that are evaluated at a time", Option(SEARCH, REFINE))] = 10
    iterations: Annotated[CountOrZero, Setting("Rounds after the first one", Option(SEARCH, REFINE))] = 15
    seeds: Annotated[
        Annotated[int, Field(ge=1, le=1000)], Setting("Repetitions of the search, each with a seed of its own")
    ] = 10
    objective: Annotated[
        str,
        OneOf(OBJECTIVES),
        Setting("What is improved on held-out images", Option(SEARCH, REFINE, main=True), page="refine.md"),
    ] = LOSS
    costs: Annotated[
        CostRows,
        Setting(
            "CSV file with what each answer costs for each true class, for the objective costs",
            Option(SEARCH, REFINE, read=read_costs),
            page="refine.md#costs",
        ),
    ] = ()
    safeguards: Annotated[
        bool,
        Setting(
            "Keep some held-out images back: they decide how far to go towards the best point, or not at all",
            Option(SEARCH, REFINE),
            page="refine.md#safeguards",
        ),
    ] = True
    held_back: Annotated[
        float,
        Field(gt=0, le=0.5),
        Setting("Share of the held-out images that the safeguards keep back", page="refine.md#safeguards"),
    ] = 1 / 3
    folds: Annotated[
        Annotated[int, Field(ge=1, le=100)],
        Setting(
            "With safeguards, the objective is the mean over so many parts of the searched images",
            page="refine.md#safeguards",
        ),
    ] = 5
    take: Annotated[
        Literal["refined", "refit"],
        Setting(
            "Which network the result holds: the refined one, or that with its classifier fitted to all labels",
            Option(SEARCH, REFINE, main=True),
            page="refine.md#when-not-to-use-it",
            may_change=True,
        ),
    ] = "refined"
    winner: Annotated[
        str,
        Setting(
            "Refine the head of the final networks by this search before the test, as a row of its own",
            Option(SEARCH, ("tune",), name="refine", default="not at all"),
            page="refine.md#as-part-of-a-run",
        ),
    ] = ""
    memory_mib: Annotated[
        Annotated[int, Field(ge=1, le=2**20)],
        Setting("Memory for the evaluation of many points at a time, in MiB; recorded outputs come on top"),
    ] = 256

    @field_validator("heuristic")
    @classmethod
    def _in_one_spelling(cls, text: str) -> str:
        """Write the options of a search in a fixed order, those at their default left out."""
        return options.written(*parsed(text))

    @field_validator("winner")
    @classmethod
    def _or_none(cls, text: str) -> str:
        """Write it as ``heuristic``; an empty text stands for no search."""
        return options.written(*parsed(text)) if text else ""

    @field_validator("costs")
    @classmethod
    def _a_matrix(cls, rows: CostRows) -> CostRows:
        """Refuse what is not a cost matrix."""
        return checked_costs(rows)

    @model_validator(mode="after")
    def _costs_where_they_count(self) -> Self:
        """Refuse a cost matrix without its objective, and the objective without a matrix."""
        if self.costs and self.objective != COSTS:
            raise InputError(
                f"a cost matrix is used by the objective costs, not by {self.objective}; add --objective costs."
            )
        if self.objective == COSTS and not self.costs:
            raise InputError("the objective costs needs a cost matrix: add --costs FILE.")
        return self

    @property
    def metric(self) -> str:
        """The name of the objective's score in results."""
        return OBJECTIVES[self.objective]

    def measure(self, class_names: Sequence[str]) -> Metric:
        """Return the metric that the objective is, for a network with these classes.

        Raises InputError: the cost matrix is about other classes.
        """
        return metric_of(self.objective, costs_of(self.costs, class_names) if self.costs else ((0.0,),))

    @property
    def evaluations(self) -> int:
        """Points that each repetition evaluates: those of the first round included."""
        return self.agents * (self.iterations + 1)


def parsed(text: str) -> tuple[str, Any]:
    """Return the name of a search and its checked options, of ``NAME`` or ``NAME:option=value,...``.

    Raises InputError: unknown name or option, or a value out of range.
    """
    name, given = options.split(text, "search", SEARCHES)
    return name, options.checked(SEARCHES[name].Options, given, f"search '{name}'")
