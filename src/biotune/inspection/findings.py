"""What ``biotune check`` finds, as types: built once, then written as JSON, printed and drawn."""

from collections.abc import Callable
from typing import Any

from pydantic import Field, model_serializer

from biotune.results.part import Part
from biotune.wording import plural

SCHEMA_VERSION = 1
UNASSIGNED = "unassigned"
"""The split of images of a source without splits."""

SPLITS_IN_ORDER = ("train", "validation", "test", UNASSIGNED)


class SplitCounts(Part):
    """One split of the source."""

    images: int = Field(description="number of its usable images")
    classes: dict[str, int] = Field(description="the same by class name")


class Unreadable(Part):
    """An image that cannot be used."""

    path: str = Field(description="which")
    reason: str = Field(description="why, as in [data.md](data.md)")


class Copies(Part):
    """Images that are copies of one another, one entry in each list per copy."""

    kind: str = Field(description="`exact` if all have the same bytes, else `near`")
    paths: tuple[str, ...] = Field(description="of the copies, at least two")
    splits: tuple[str, ...] = Field(description="the split of each path")
    classes: tuple[str, ...] = Field(description="the class of each path")
    groups: tuple[str, ...] | None = Field(None, description="the group of each path; only if the source gives groups")

    @model_serializer(mode="wrap")
    def _without_no_groups(self, serialize: Callable[["Copies"], dict[str, Any]]) -> dict[str, Any]:
        return {name: value for name, value in serialize(self).items() if value is not None}


class StraddlingGroup(Part):
    """A group of the source that is in several splits."""

    group: str = Field(description="its name")
    splits: tuple[str, ...] = Field(description="where it is")


class SmallClass(Part):
    """A class that few images are of."""

    class_name: str = Field(alias="class", description="its name")
    images: int = Field(description="their number")
    fate: str = Field(description="what becomes of them in a run")


class Spread(Part):
    """The range of a size over all images."""

    min: float | int
    median: float | int
    max: float | int


class Sizes(Part):
    """How large the images are, upright."""

    width: Spread = Field(description="`min`, `median` and `max`")
    height: Spread = Field(description="the same")
    aspect_ratio: Spread = Field(description="the same of width divided by height")
    smaller_than_64: int = Field(description="number of images whose shorter side has fewer than 64 pixels")
    longer_than_3_to_1: int = Field(
        description="number of images whose longer side is more than three times the shorter"
    )


class Findings(Part):
    """What reading all images of a source showed, and what to do about it."""

    def __repr__(self) -> str:
        images, classes = plural(self.images, "image"), plural(len(self.classes), "class", "classes")
        return f"<Findings: {images} of {classes}; {self.conclusion}>"

    schema_version: int = Field(SCHEMA_VERSION, description="of this layout: 1")
    name: str = Field(description="of the source")
    images: int = Field(description="number of images that can be used")
    classes: dict[str, int] = Field(description="number of usable images by class name, 0 included")
    splits: dict[str, SplitCounts] = Field(description="by split")
    quarantined: tuple[Unreadable, ...] = Field(description="images that cannot be read; runs leave them out")
    leaks: tuple[Copies, ...] = Field(description="groups of copies that are in several splits")
    label_conflicts: tuple[Copies, ...] = Field(description="groups of copies that are in several classes")
    duplicates: tuple[Copies, ...] = Field(description="all groups of copies; an image is in one group at most")
    torn_by_a_random_split: int = Field(
        description="number of groups of copies without splits that no group of the source keeps together"
    )
    straddling_groups: tuple[StraddlingGroup, ...] = Field(
        description="groups of the source that are in several splits"
    )
    small_classes: tuple[SmallClass, ...] = Field(description="classes with one to four usable images")
    sizes: Sizes | None = Field(description="in pixels, upright; `null` if no image can be used")
    formats: dict[str, int] = Field(description="number of images by format; `pixels` for images that are not files")
    modes: dict[str, int] = Field(description="number by the way the pixels are stored")
    notes: dict[str, int] = Field(description="number by what was done to the pixels, as in [data.md](data.md)")
    ignored: tuple[str, ...] = Field(
        description="what was not taken for an image, and other notes on the source, as sentences"
    )
    refusal: str | None = Field(
        description="why a run with the default fractions would be refused (too few images, or groups that cannot be "
        "divided), or `null`"
    )
    warnings: tuple[str, ...] = Field((), description="sentences, most important first")
    conclusion: str = Field("", description="the closing sentence")
