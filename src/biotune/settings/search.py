"""The settings of a search: its size, its own options, and its space."""

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import field_validator, model_validator

from biotune.errors import InputError
from biotune.options import checked, split, written
from biotune.recipe import Value
from biotune.search import SEARCHES, Evolution, SearchSettings
from biotune.search.base import Reevaluate
from biotune.search.evolution import EvolutionOptions
from biotune.settings.reading import merged, read_names
from biotune.settings.sections import Amount, Count, CountOrZero, Fraction, Section, Seed, Share
from biotune.settings.setting import SEARCH, SEARCH_COMMANDS, Option, Setting

SearchedValue = Literal["head_start", "statistics", "augment"]
SEARCHED_VALUES: tuple[SearchedValue, ...] = get_args(SearchedValue)

RUN_OPTIONS: dict[str, dict[str, Value]] = {"evolution": EvolutionOptions(offspring="batch").model_dump()}
"""Departures from a search's own defaults in a run: only children that are proposed together can race."""


class SearchConfig(Section):
    """Where the search looks, and for how long."""

    name: Annotated[
        str,
        Setting(
            "Search algorithm: NAME or NAME:option=value,...; see 'biotune searches'",
            Option(SEARCH, ("tune",), name="search"),
            page="searches.md",
        ),
    ] = "evolution"
    options: Annotated[
        dict[str, dict[str, Value]],
        Setting("Options of searches, by the name of the search; see 'biotune searches'", page="searches.md"),
    ] = RUN_OPTIONS
    population: Annotated[Count, Setting("Individuals of a generation", Option(SEARCH, SEARCH_COMMANDS))] = 9
    elites: Annotated[Count, Setting("Best individuals, which are probed and survive")] = 1
    generations: Annotated[CountOrZero, Setting("Generations after the start", Option(SEARCH, SEARCH_COMMANDS))] = 3
    seeds: Annotated[Count, Setting("Trainings of one evaluation")] = 1
    given_seeds: Annotated[
        tuple[Seed, ...], Setting("Seeds of the trainings to use first; the others are derived from the root seed")
    ] = ()
    reevaluate: Annotated[Reevaluate, Setting("Who is evaluated again when the fold changes")] = "population"
    law: Annotated[
        Literal["exponential", "wide", "scaled", "normalized", "discriminative", "one_rate"],
        Setting("From a gene to a multiplier", page="method.md#genes-mask-and-weights"),
    ] = "wide"
    head: Annotated[Literal["evolve", "always_train"], Setting("Whether the search may freeze the head")] = "evolve"
    threshold: Annotated[
        Literal["evolve", "none"] | Fraction,
        Setting(
            "Gene below which a block is frozen: evolved like the others, none to freeze nothing, or a fixed number"
        ),
    ] = "evolve"
    values: Annotated[
        tuple[SearchedValue, ...],
        Setting(
            "Values of a training that the search chooses besides the multipliers, separated by commas, or none; one "
            "that is set otherwise than by default is left alone",
            Option(SEARCH, SEARCH_COMMANDS, name="recipe_values", read=read_names, default="all"),
            page="method.md#genes-of-named-values",
        ),
    ] = SEARCHED_VALUES
    start: Annotated[
        Literal["informed", "random"], Setting("Whether the search begins with common recipes or at random")
    ] = "informed"
    start_from: Annotated[
        str, Setting("A recipe.yaml or run folder to start the search from", Option(SEARCH, ("tune",)))
    ] = ""
    rungs: Annotated[
        tuple[Share, ...],
        Setting(
            "Shares of the planned epochs after which a candidate pauses and the better third continues; candidates "
            "are compared at the last one; (1.0) trains each to its end"
        ),
    ] = (0.15, 0.4)
    max_work: Annotated[
        Amount,
        Setting(
            "Limit of the search's work, in full fine-tunes of this run, counted in multiplications; 0 for no limit",
            Option(SEARCH, SEARCH_COMMANDS),
            is_limit=True,
        ),
    ] = 3.25
    out_of_fold_below: Annotated[
        CountOrZero,
        Setting(
            "With fewer validation images, parts of the training images judge too, at the last rung; 0 for never",
            page="method.md#few-validation-images",
        ),
    ] = 0

    def epochs_of_rungs(self, epochs: int) -> tuple[int, ...]:
        """Return after how many epochs a candidate pauses, ascending; 0 stands for training to the end."""
        exact = (round(share * epochs, 9) for share in self.rungs)  # 0.55 * 100 is a little more than 55
        ends = {min(epochs, max(1, math.ceil(end))) for end in exact}
        return tuple(0 if end == epochs else end for end in sorted(ends))

    @model_validator(mode="before")
    @classmethod
    def _with_own_options(cls, data: Any) -> Any:
        """Move the options of ``name`` to ``options``, and complete those of the search."""
        if not isinstance(data, Mapping):
            return data  # refused as no table
        fields = dict(data)
        name, typed = split(str(fields.get("name", "evolution")), "search", SEARCHES)
        given = fields.get("options", {})
        if not isinstance(given, Mapping) or not all(isinstance(own, Mapping) for own in given.values()):
            return fields  # refused as no tables
        options = merged(RUN_OPTIONS, given, {name: typed})
        for other in options:
            split(other, "search", SEARCHES)  # raises for an unknown search
            own = checked(SEARCHES[other].Options, options[other], f"search '{other}'")
            options[other] = own.model_dump(exclude_defaults=other != name)
        return {**fields, "name": name, "options": options}

    @field_validator("rungs")
    @classmethod
    def _at_least_one(cls, rungs: tuple[Share, ...]) -> tuple[Share, ...]:
        """Refuse a race that leads nowhere."""
        if not rungs:
            raise InputError(
                "search.rungs is empty; give one share of the planned epochs at least, such as 1.0, which trains each "
                "candidate to its end."
            )
        return rungs

    @field_validator("given_seeds")
    @classmethod
    def _each_once(cls, seeds: tuple[Seed, ...]) -> tuple[Seed, ...]:
        """Refuse a seed that is given twice: its trainings would be one and the same."""
        if twice := [seed for seed in seeds if seeds.count(seed) > 1]:
            raise InputError(f"the seed {twice[0]} is given twice (search.given_seeds); give each once.")
        return seeds

    @field_validator("values")
    @classmethod
    def _in_one_order(cls, values: tuple[SearchedValue, ...]) -> tuple[SearchedValue, ...]:
        """Sort the values, each once, so that the same choice is the same run."""
        return tuple(name for name in SEARCHED_VALUES if name in values)

    @model_validator(mode="after")
    def _with_possible_sizes(self) -> Self:
        Evolution.require(self.settings(folds=1))  # every search has the size of an evolution
        search = SEARCHES[self.name]
        own = search.Options.model_validate(self.own_options)
        if search.needs_box(own):
            raise InputError(
                f"'{written(self.name, own)}' moves weights in a box around trained ones, and a search for recipes has "
                "no such box; choose engine=textbook."
            )
        return self

    def settings(self, folds: int, num_rungs: int = 1) -> SearchSettings:
        """Return the sizes that every search is given, for a number of folds of the training images.

        ``num_rungs`` is the number of epochs at which a training may stop, the last one included.
        """
        return SearchSettings(
            self.evaluations, self.population, self.elites, self.generations, folds, self.reevaluate, num_rungs
        )

    @property
    def own_options(self) -> dict[str, Value]:
        """The options of the search itself, all of them."""
        return self.options[self.name]

    @property
    def evaluations(self) -> int:
        """Points of the whole search."""
        search = SEARCHES[self.name]
        sizes = SearchSettings(None, self.population, self.elites, self.generations)
        return search.num_evaluations(sizes, search.Options.model_validate(self.own_options))

    def changed(self, **changes: Any) -> Self:
        """Return the section with changed fields, checked; options in ``name`` are added to the present ones."""
        return self.model_validate({**self.model_dump(), **changes})
