"""What a refinement of weights found, beside the scores that every run has."""

from pydantic import Field, computed_field

from biotune.results.part import Part
from biotune.results.scores import Score

REFINED = "refined"
"""Refined weights: what a refinement chose, and the row of a run that refines the head of its winner."""

TRAINED, RANDOM, REFIT = "trained", "random", "refit"
"""What refined weights are compared with: names of ``baselines``, in the order of the tables."""


class Judged(Part):
    """How an entry does by the objective."""

    searched: Score | None = Field(
        description="on the images that the search saw; a loss is lower for better weights; `null` for `refit`, which "
        "learned from their labels"
    )
    held_back: Score | None = Field(
        description="on the images that only the safeguards saw; `null` without them, and for `refit`"
    )


class Refinement(Part):
    """A search for better weights of some layers."""

    source: str = Field(description="the run, or the network and file, whose weights were refined")
    voters: int = Field(
        1, description="networks that answer together in the run that the weights come from; one of them is refined"
    )
    layers: tuple[str, ...] = Field(description="names of the layers")
    bias: bool = Field(description="whether their biases were refined too")
    values: int = Field(description="number of weights and biases that were refined")
    heuristic: str = Field(description="the [search](searches.md), with its options")
    bound: float = Field(description="largest distance of a value from its trained one")
    agents: int = Field(description="points of a round")
    iterations: int = Field(description="rounds after the first one")
    evaluations: int = Field(description="points that each repetition evaluated, the trained weights included")
    objective: str = Field(description="what was improved: `loss`, or the name of a metric")
    safeguards: bool = Field(description="whether images were held back from the search")
    searched_images: int = Field(description="held-out images that the search saw")
    held_back_images: int = Field(description="held-out images that only the safeguards saw")
    seeds: tuple[int, ...] = Field(description="seed of each repetition; its scores are in this order")
    steps: tuple[float, ...] = Field(
        description="of each repetition: share of the way from the trained weights to its best point that was kept; 0 "
        "where the trained weights were"
    )
    largest_change: float = Field(description="largest absolute change of a value in the exported network")
    at_border: tuple[float, ...] = Field(
        description="of each repetition: share of the values of its best point that lie at the border of the box"
    )
    curves: tuple[tuple[float, ...], ...] = Field(
        description="of each repetition: the objective of its best point so far, after each round"
    )
    judged: dict[str, Judged] = Field(
        description="by the objective: `refined`, and the names of `baselines`: `trained` weights, `random` search in "
        "the same box with as many evaluations, `refit` of the classifier by logistic regression on the labels of the "
        "training and validation images"
    )
    gap: float | None = Field(
        description="accuracy on the held-out images minus that on the test images, of the refined weights, mean over "
        "the repetitions; `null` without a test set"
    )
    taken: str = Field(
        REFINED,
        description="which network the folder holds: `refined`, or `refit` where `--take refit` asked for it; "
        "`validation` and `test` are those of the refined weights in both cases",
    )
    seconds: float = Field(description="seconds of all repetitions, without those of `random`")

    @computed_field(description="repetitions whose result differs from the trained weights")  # type: ignore[prop-decorator]
    @property
    def accepted(self) -> int:
        """Repetitions that changed something."""
        return sum(step > 0 for step in self.steps)
