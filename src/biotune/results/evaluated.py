"""What ``biotune evaluate`` finds: how a run's network does on labelled images."""

from pydantic import Field, computed_field

from biotune.results.groups import GROUPS, GroupScores
from biotune.results.scores import ClassScores, Confusion, Mistake, Values
from biotune.statistics import accuracy_interval

LISTED_MISTAKES = 20
"""Wrong answers that are listed; ``evaluate --out`` writes all."""


class Evaluated(Values):
    """How a network does on labelled images, over all of them and class by class."""

    split: str = Field(description="the part that was scored: `train`, `validation`, `test` or `all`")
    images: int = Field(description="number of scored images")
    kind: str = Field("image", description="what was scored: `image` or `text`; other keys say images for both")
    own: bool = Field(description="whether DATA is the run's own, unchanged")
    seen: int | None = Field(
        description="how many of them the run learned from or chose by, whatever they are called now; `null` for other "
        "data than its own where an older run did not record it"
    )
    metric: str = Field(description="the metric that the run was chosen by")
    classes: tuple[ClassScores, ...] = Field(description="of the classes that the images have or were taken for")
    confusions: tuple[Confusion, ...] = Field(
        description="pairs of classes that were confused, the most frequent first, at most 500"
    )
    mistakes: tuple[Mistake, ...] = Field(
        (), description="wrong answers, the surest first, at most 20; `--out` writes every answer"
    )
    aside: int = Field(
        0,
        description="images of DATA that the run did not use, as `--test-images` and the like said; only `--split all` "
        "scores them",
    )
    groups: GroupScores | None = GROUPS
    left_out: tuple[str, ...] = Field(description="images that cannot be read")
    networks: int = Field(1, description="number of networks whose mean probabilities were scored: 1 with `--single`")
    note: str = Field(description="which model this is, before a run is finished; else empty")

    @computed_field(description="share of right labels")  # type: ignore[prop-decorator]
    @property
    def accuracy(self) -> float:
        """The accuracy."""
        return self.metrics["accuracy"] or 0.0

    @computed_field(  # type: ignore[prop-decorator]
        description="95 % interval of `accuracy` from the choice of images, or of their groups, lower and upper end"
    )
    @property
    def interval(self) -> tuple[float, float]:
        """The interval of the accuracy."""
        return self.groups.interval if self.groups else accuracy_interval(self.accuracy, self.images)

    @computed_field(description="mean recall of the classes")  # type: ignore[prop-decorator]
    @property
    def macro_accuracy(self) -> float:
        """The macro accuracy."""
        return self.metrics["macro"] or 0.0

    @computed_field(description="recall of each class that the images have, by name")  # type: ignore[prop-decorator]
    @property
    def per_class(self) -> dict[str, float]:
        """The recall of each class that occurs."""
        return {row.name: row.recall for row in self.classes if row.recall is not None}
