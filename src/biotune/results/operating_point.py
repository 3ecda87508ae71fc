"""The operating point of two classes: from which probability on the rarer one is answered, and what that does."""

from collections.abc import Sequence
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from biotune.results.part import Part
from biotune.statistics import among, share_interval

DEFAULT = 0.5
"""Where the more probable of two classes is answered."""


class Rate(Part):
    """A share of some images."""

    images: int = Field(description="how many images it is a share of")
    share: float | None = Field(description="the share; `null` where there are no such images")
    interval: tuple[float, float] | None = Field(
        description="its 95 % interval from the choice of images, or of their groups, lower and upper end; `null` "
        "without images"
    )

    @classmethod
    def of(cls, right: NDArray[np.bool_], groups: Sequence[str] | None = None) -> Self:
        """Return the share of images that are True, shape (n,); ``groups`` names the group of each."""
        share = float(right.mean()) if len(right) else None
        return cls(images=len(right), share=share, interval=share_interval(right, groups))


class Rates(Part):
    """What a threshold does on some images."""

    threshold: float = Field(description="the class is answered where its probability is at least this")
    sensitivity: Rate = Field(description="share of the images of the class for which it is answered: its recall")
    specificity: Rate = Field(description="share of the other images for which it is not answered")
    precision: Rate = Field(description="share of the images for which it is answered that are of the class")

    @classmethod
    def at(
        cls,
        threshold: float,
        probability: NDArray[np.float64],
        positive: NDArray[np.bool_],
        groups: Sequence[str] | None = None,
    ) -> Self:
        """Return what a threshold does.

        Args:
            threshold: in [0, 1].
            probability: of the class, shape (num_images,).
            positive: which images are of the class, same shape.
            groups: name of the group of each image; None where they come in none.

        Returns:
            The three rates.
        """
        answered = probability >= threshold
        return cls(
            threshold=threshold,
            sensitivity=Rate.of(answered[positive], among(groups, positive)),
            specificity=Rate.of(~answered[~positive], among(groups, ~positive)),
            precision=Rate.of(positive[answered], among(groups, answered)),
        )


class OperatingPoint(Part):
    """A threshold for the rarer of two classes, chosen on held-out images, and what it does on the test images."""

    class_name: str = Field(description="the class: the rarer one among the images to learn and to choose from")
    threshold: float = Field(
        description="the probability from which on it is answered: that of the highest Youden's J, sensitivity + "
        "specificity - 1, on the held-out images; the one nearest to 0.5 of a tie"
    )
    networks: Literal["final", "search"] = Field(
        description="whose probabilities chose it: `final`, the networks that answer, on validation images that they "
        "did not learn from; `search`, the networks that judged the same recipes in the search, on the validation "
        "images, at the temperature of their least log-loss"
    )
    held_out: Rates = Field(description="what it does on these images, which chose it: too good to be expected")
    test: Rates = Field(description="what it does on the test images, which had no part in the choice")
    default: Rates = Field(description="what 0.5, the more probable class, does on the test images")


def youden_threshold(probability: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    """Return the threshold of the highest J = sensitivity + specificity - 1.

    Candidates are 0.5 and the middle between any two neighbouring probabilities; of a tie, the one nearest to 0.5, so
    that the default stays where nothing is better. To answer one class for all images is not among them.

    Args:
        probability: of the class, shape (n,).
        positive: which images are of the class, same shape; some are, and some are not.

    Returns:
        A probability, in (0, 1).

    Source: Youden 1950 (Cancer 3). J weighs both classes alike, however rare one is.
    """
    values = np.unique(probability)
    candidates = np.append((values[1:] + values[:-1]) / 2, DEFAULT)
    found = np.sort(probability[positive])
    others = np.sort(probability[~positive])
    sensitivity = 1 - np.searchsorted(found, candidates) / len(found)
    specificity = np.searchsorted(others, candidates) / len(others)
    gain = np.round(sensitivity + specificity, 12)  # sums of fractions differ in the last bits
    best = candidates[gain == gain.max()]
    return float(best[np.abs(best - DEFAULT).argmin()])
