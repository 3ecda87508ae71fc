"""The settings of a refinement: which weights are refined, by which search, on what, and how its result is checked."""

from typing import Annotated, Any

from pydantic import Field, field_validator

from biotune import options
from biotune.metrics import METRICS
from biotune.search import SEARCHES
from biotune.settings.reading import read_names
from biotune.settings.sections import Count, CountOrZero, Section
from biotune.settings.setting import SEARCH, OneOf, Option, Setting

REFINE = ("refine",)

LOSS = "loss"
OBJECTIVES = {LOSS: "log_loss", **{name: name for name in METRICS if name != "log_loss"}}
"""Name of an objective -> the metric that it is."""


class RefineConfig(Section):
    """How ``biotune refine`` looks for better weights of a trained layer."""

    layer: Annotated[
        tuple[str, ...],
        Setting(
            "Layers whose weights are refined, separated by commas; see 'biotune refine RUN --layers'",
            Option(SEARCH, REFINE, read=read_names, default="the classifier"),
            page="refine.md",
        ),
    ] = ()
    bias: Annotated[bool, Setting("Refine the biases of these layers too", Option(SEARCH, REFINE))] = False
    heuristic: Annotated[
        str,
        Setting(
            "Search that proposes weights: NAME or NAME:option=value,...; see 'biotune searches'",
            Option(SEARCH, REFINE),
            page="searches.md",
        ),
    ] = "pso"
    bound: Annotated[
        float,
        Field(gt=0, le=1000),
        Setting("Largest distance of a weight from its trained value", Option(SEARCH, REFINE)),
    ] = 0.01
    agents: Annotated[Count, Setting("Points that are evaluated at a time", Option(SEARCH, REFINE))] = 10
    iterations: Annotated[CountOrZero, Setting("Rounds after the first one", Option(SEARCH, REFINE))] = 15
    seeds: Annotated[
        Annotated[int, Field(ge=1, le=1000)], Setting("Repetitions of the search, each with a seed of its own")
    ] = 10
    objective: Annotated[
        str,
        OneOf(OBJECTIVES),
        Setting("What is improved on held-out images", Option(SEARCH, REFINE), page="refine.md"),
    ] = LOSS
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
    memory_mib: Annotated[
        Annotated[int, Field(ge=1, le=2**20)],
        Setting("Memory for the evaluation of many points at a time, in MiB; recorded outputs come on top"),
    ] = 256

    @field_validator("heuristic")
    @classmethod
    def _in_one_spelling(cls, text: str) -> str:
        """Write the options of a search in a fixed order, those at their default left out."""
        return options.written(*parsed(text))

    @property
    def metric(self) -> str:
        """The name of the objective in ``METRICS``."""
        return OBJECTIVES[self.objective]

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
