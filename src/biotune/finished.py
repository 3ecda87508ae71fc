"""A finished run, or comparison, as a Python program holds it."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import nn

from biotune.classifier import Classifier, Prediction, load_run
from biotune.exports import Export, Format, export
from biotune.models import Backbone
from biotune.notebook import Page
from biotune.recipe import Recipe
from biotune.report.card import card, comparison_card
from biotune.report.comparison_sentences import headline
from biotune.report.run_sentences import brief
from biotune.results import Comparison, Summary
from biotune.runs.comparisons import PAGE
from biotune.runs.folder import REPORT


@dataclass(frozen=True, repr=False)
class TuneResult:
    """A finished run.

    A notebook shows its verdict, its score and its recipe.

    Args:
        folder: the run folder.
        summary: what it found: the content of ``summary.json`` as an object.
        backbone: the module that was tuned, where it was one of the user's own.
    """

    folder: Path
    summary: Summary
    backbone: Backbone | None = None

    def __repr__(self) -> str:
        return f"<TuneResult '{self.folder}': {brief(self.summary)}>"

    def _repr_html_(self) -> str:
        return card(self.summary, self.folder)

    @cached_property
    def recipe(self) -> Recipe:
        """The recipe that was found."""
        return Recipe.load(self.folder)

    @cached_property
    def classifier(self) -> Classifier:
        """What ``biotune predict`` answers by: the vote of all final networks, with labels and preprocessing."""
        return load_run(self.folder, self.backbone)

    @cached_property
    def model(self) -> nn.Module:
        """The exported network alone, in evaluation mode."""
        return load_run(self.folder, self.backbone, vote=False).model

    def predict(self, images: Any) -> list[Prediction]:
        """Return one prediction per image; images are a path, a folder, arrays, ..., as for ``Classifier``."""
        return self.classifier.predict(images)

    def export(self, format: Format, out: str | Path | None = None, *, vote: bool | None = None) -> Export:  # noqa: A002
        """Export the model for use without BioTune, as ``biotune.export`` does."""
        return export(self.folder, format, out=out, vote=vote, model=self.backbone)

    def report(self) -> Page:
        """Return the report, which a notebook shows below the cell."""
        return Page(self.folder / REPORT)


@dataclass(frozen=True, repr=False)
class CompareResult:
    """A finished comparison.

    Args:
        folder: its folder, with tables and figures.
        comparison: what it found: the content of ``comparison.json`` as an object.
    """

    folder: Path
    comparison: Comparison

    def __repr__(self) -> str:
        return f"<CompareResult '{self.folder}': {headline(self.comparison).claim}>"

    def _repr_html_(self) -> str:
        return comparison_card(self.comparison, self.folder)

    def report(self) -> Page:
        """Return the page of the comparison, which a notebook shows below the cell."""
        return Page(self.folder / PAGE)
