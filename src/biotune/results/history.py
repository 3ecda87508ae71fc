"""``history.json``: what a run did, without times, so that equal runs give equal files."""

from typing import ClassVar

from pydantic import Field

from biotune.results.part import Document, NamedValues, Part


class Candidate(Part):
    """One evaluated point of the search."""

    sequence: int = Field(description="position in the order of the search, from 0")
    generation: int = Field(description="from 0; the start belongs to generation 0")
    kind: str = Field(
        description="`new`, `probe` (around an elite) or `reevaluate` (on another fold, or at a higher rung)"
    )
    fold: int = Field(description="training fold")
    genes: tuple[float, ...] | str = Field(
        description="one per block, the threshold, and one per value that the search chooses; a digest where there "
        "are more than 1,000"
    )
    multipliers: tuple[float, ...] = Field(description="one per block, all 0 if infeasible or a probe")
    values: NamedValues = Field({}, description="[named values](method.md#named-values) of the recipe")
    outcome: str = Field(
        description="`ok`, `diverged`, `oom` (out of memory), `error`, `timeout`, `killed` or `infeasible`"
    )
    fitness: float = Field(
        description="higher is better, by [`protocol.fitness`](protocol.md#fitness) of `summary.json`; mean over the "
        "search seeds; at the rung where the candidate stopped"
    )
    finished: bool = Field(description="whether it reached the last rung of the race")
    parents: tuple[int, ...] = Field(
        (),
        description="`sequence` of the candidates that it was made from; none for those that the search began with, of "
        "searches that do not say, and in older files",
    )


class Curve(Part):
    """One training, epoch by epoch."""

    label: str = Field(description="name of the method")
    method: str = Field(description="the same")
    seed: int = Field(description="seed of the training")
    train_loss: tuple[float, ...] = Field((), description="mean training loss of each epoch, in nats")
    validation_loss: tuple[float, ...] = Field(
        (),
        description="mean cross-entropy on the images held out, after each epoch, in nats; empty where none was, and "
        "in older files",
    )
    validation_accuracy: tuple[float, ...] = Field(
        description="after each epoch of a final training; empty where it had the validation images too"
    )
    validation_score: tuple[float, ...] = Field(
        description="the same in the chosen metric, as the score that is selected by: higher is better"
    )


class History(Document):
    """The candidates of the search and the curves of the final trainings."""

    VERSION: ClassVar[int] = 1

    schema_version: int = Field(description="version of this format: 1")
    judged_after_epochs: int = Field(
        description="where the search compared its candidates: at this epoch, or with early stopping by their best "
        "epoch up to it"
    )
    judged_on_folds: int = Field(
        description="1, or how many [parts](method.md#few-validation-images) of the images judged a candidate at the "
        "last rung"
    )
    judged_images: int | None = Field(
        None, description="how many images judged a candidate at the last rung; `null` in older files"
    )
    tied_recipes: int | None = Field(
        None,
        description="ranked by log-loss: how many of the recipes that finished the race show no clear difference from "
        "the best (paired over the held-out images, 95 %), itself included; else, and in older files, `null`",
    )
    candidates: tuple[Candidate, ...]
    curves: tuple[Curve, ...] = Field(description="of the final trainings")
    judged_curves: tuple[Curve, ...] = Field(
        (),
        description="of the trainings that judged the chosen recipe in the search, where the final trainings had the "
        "validation images too; empty otherwise, and in older files",
    )
