"""How a network does on the groups that images come in, such as patients: how unlike they are, which it gets wrong."""

from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from biotune.results.part import Part
from biotune.statistics import accuracy_interval, effective_images

LISTED_GROUPS = 10
"""Groups that a result lists: those with the most mistakes."""


class Group(Part):
    """How a network does on the images of one group."""

    name: str = Field(description="name of the group")
    images: int = Field(description="number of its images")
    mistakes: int = Field(description="how many of them the network labels wrong")


class GroupScores(Part):
    """How a network does group by group."""

    groups: int = Field(description="number of groups")
    largest: int = Field(description="images of the largest group")
    effective_images: float = Field(
        description="how many independent images would tell the accuracy as surely as these groups of images do"
    )
    interval: tuple[float, float] = Field(
        description="95 % interval of the accuracy from the choice of groups, lower and upper end"
    )
    quartiles: tuple[float, float, float] = Field(
        description="of the accuracies of the groups: that of the lower quarter, the middle one, and that of the upper "
        "quarter"
    )
    worst: tuple[Group, ...] = Field(description="the groups with the most mistakes, at most 10; none without mistakes")

    @classmethod
    def of(cls, correct: NDArray[np.bool_], groups: Sequence[str] | None) -> Self | None:
        """Return how a network does, None where no two images are of one group.

        Args:
            correct: whether each answer is right, shape (num_images,).
            groups: name of the group of each image; None without any.

        Returns:
            The scores of the groups.
        """
        names, numbers = np.unique(np.array(groups or [], dtype=object), return_inverse=True)
        if len(names) == len(numbers):
            return None
        sizes = np.bincount(numbers)
        mistakes = np.bincount(numbers, weights=~correct).astype(np.int64)
        order = np.lexsort((sizes, -mistakes))[:LISTED_GROUPS]  # of equally many mistakes, the smaller group first
        effective = effective_images(correct, groups or ())
        return cls(
            groups=len(names),
            largest=int(sizes.max()),
            effective_images=effective,
            interval=accuracy_interval(float(correct.mean()), effective),
            quartiles=tuple(np.quantile(1 - mistakes / sizes, (0.25, 0.5, 0.75)).tolist()),
            worst=tuple(
                Group(name=names[row], images=int(sizes[row]), mistakes=int(mistakes[row]))
                for row in order.tolist()
                if mistakes[row]
            ),
        )


GROUPS = Field(
    None,
    description="group by group, where images come in [groups](protocol.md#groups); `null` without any, where no two "
    "of these images are of one, and in older files",
)
