"""The whole configuration of a run: its sections, and what is saved as ``config.toml``."""

import math
from typing import Annotated, Any, Self

import tomli_w
from pydantic import model_validator

from biotune.errors import InputError
from biotune.settings.compute import ComputeConfig
from biotune.settings.presets import PRESETS
from biotune.settings.refine import RefineConfig
from biotune.settings.search import SearchConfig
from biotune.settings.sections import (
    BudgetConfig,
    CacheConfig,
    DataConfig,
    FinalConfig,
    MethodConfig,
    ModelConfig,
    Section,
    Seed,
    TrainingConfig,
)
from biotune.settings.setting import RUN, SEARCH, WITH_REFINE, OneOf, Option, Setting
from biotune.settings.table import Row, rows_of
from biotune.settings.texts import TextConfig
from biotune.settings.tracking import TrackingConfig

KEPT = 1 / 3
"""Share of all candidates seen at a rung whose score admits a candidate to the next one (successive halving with eta 3,
Jamieson and Talwalkar 2016, but compared with the whole search so far, so that a poor batch promotes nobody)."""

SEARCHED_SHARE = 0.7
"""Typical cost of training a candidate to its end, in full fine-tunes: frozen prefixes are computed once, and frozen
blocks need no gradient. A rough value, only for estimates of time."""


class RunConfig(Section):
    """All settings of a run."""

    preset: Annotated[
        str,
        OneOf(PRESETS),
        Setting("Preset that the settings come from", Option(SEARCH, main=True), page="method.md#presets"),
    ] = "standard"
    seed: Annotated[
        Seed,
        Setting("Root seed of every random number but the splits'", Option(RUN, (*WITH_REFINE, "demo"), main=True)),
    ] = 0
    model: ModelConfig = ModelConfig()
    data: DataConfig = DataConfig()
    training: TrainingConfig = TrainingConfig()
    method: MethodConfig = MethodConfig()
    search: SearchConfig = SearchConfig()
    final: FinalConfig = FinalConfig()
    compute: ComputeConfig = ComputeConfig()
    cache: CacheConfig = CacheConfig()
    budget: BudgetConfig = BudgetConfig()
    refine: RefineConfig = RefineConfig()
    text: TextConfig = TextConfig()
    tracking: TrackingConfig = TrackingConfig()

    @model_validator(mode="after")
    def _held_out_where_refined(self) -> Self:
        """Refuse to refine networks that were trained on the images which would judge it."""
        if self.refine.winner and self.finals_use_all:
            raise InputError(
                "--refine needs images that the final networks have not learned from, and they learn from the "
                "validation images too (final.data = all): add --final-data training."
            )
        return self

    def limits(self) -> dict[str, float]:
        """Return all limits: they decide when a run ends, not what it computes; JSON-able."""
        return {row.field: row.value(self) for row in SETTINGS.values() if row.setting.is_limit}

    def first_batch(self, folds: int = 1, finishing: int | None = None) -> tuple[int, int]:
        """Return the trainings and epochs of the search's first batch, if nothing is frozen.

        Args:
            folds: number of parts of the images that score a candidate at the last rung, each held out of a training of
                its own.
            finishing: how many go on to the last rung; None for all that are among the better ones.

        Returns:
            Both for all search seeds; a candidate that is promoted counts as another training.
        """
        racing, trainings, epochs, start = self.search.population, 0, 0, 0
        ends = [end or self.training.epochs for end in self.search.epochs_of_rungs(self.training.epochs)]
        for end in ends:
            judging = 1
            if end == ends[-1]:
                judging, racing = folds, racing if finishing is None or len(ends) == 1 else finishing
            trainings += racing * judging
            epochs += racing * (judging * end - start)
            racing, start = max(self.search.elites, math.ceil(KEPT * self.search.population)), end
        return trainings * self.search.seeds, epochs * self.search.seeds

    def searched_trainings(self) -> int:
        """Return how many trainings the search plans: one per point and seed, or as many as its limits allow."""
        evaluations = self.search.evaluations
        planned = min(evaluations, self.budget.max_evaluations or evaluations) * self.search.seeds
        if not self.search.max_work:
            return planned
        trainings, epochs = self.first_batch()
        affordable = math.ceil(self.search.max_work * self.training.epochs * trainings / epochs)
        return min(planned, max(trainings, affordable))

    def searched_share(self) -> float:
        """Return the expected cost of a training of the search, as a share of a full fine-tune."""
        trainings, epochs = self.first_batch()
        return min(SEARCHED_SHARE, epochs / (trainings * self.training.epochs))

    @property
    def finals_use_all(self) -> bool:
        """Whether final trainings use the validation images too, if there is a test set.

        Not where these stop trainings, nor where all finalists are tested, which are compared by them.
        """
        return self.final.data == "all" and self.training.stopping == "planned" and not self.final.test_all

    def final_trainings(self, recipes: int) -> int:
        """Return how many trainings it takes to choose among recipes; a training that is continued counts twice."""
        seeds = self.final.seeds
        if self.finals_use_all:  # begins again, on more images
            screened = recipes * (seeds if self.final.screening == "all_seeds" else 1)
            return (screened if recipes > 1 else 0) + seeds
        if self.final.screening == "all_seeds":
            return recipes * seeds
        goes_on = self.search.epochs_of_rungs(self.training.epochs)[-1] > 0
        return recipes + seeds - (not goes_on)

    def to_toml(self, facts: dict[str, Any]) -> str:
        """Return the text of ``config.toml``: the configuration, and the facts that it was resolved with."""
        return tomli_w.dumps({**self.model_dump(mode="json"), "resolved": facts})


SETTINGS: dict[str, Row] = {row.key: row for row in rows_of(RunConfig)}
"""Every setting by its key."""
