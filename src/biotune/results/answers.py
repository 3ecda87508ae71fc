"""``answers.json``: every answer on the test set, to recompute any statistic from."""

from typing import ClassVar

from pydantic import Field

from biotune.results.part import Document


class TestAnswers(Document):
    """What every entry answered on the test set; ``probabilities.npz`` holds the probabilities beside it."""

    __test__ = False  # pytest takes a class of this name for a test

    VERSION: ClassVar[int] = 1

    schema_version: int = Field(VERSION, description="version of this format: 1")
    classes: tuple[str, ...] = Field(description="class names, by label")
    images: tuple[str, ...] = Field(description="the test images: paths relative to the source")
    truth: tuple[int, ...] = Field(description="label of each image, from 0")
    predicted: dict[str, tuple[tuple[int, ...], ...]] = Field(
        description="by name (`biotune` or a baseline), labels: one list per final seed, diverged seeds left out"
    )
