"""The decoding loop: order, unreadable images, bounded read-ahead, leaving early."""

import hashlib
import threading
import warnings
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from biotune.datasets.image_set import ImageSet
from biotune.datasets.sources import open_source
from biotune.images.decoding import ImageFacts, UnreadableImageError
from biotune.pixels.reading import num_threads, read_all


@pytest.fixture
def photos(write_images: Callable[..., Path]) -> ImageSet:
    """Five files, of which the third is no image."""
    root = write_images("a/0.png", "a/1.png", "a/2.png", "b/3.png", "b/4.png")
    (root / "a/2.png").write_text("<html>")
    return open_source(root)


class _Counting:
    """A reader that counts how many images it was asked for."""

    fingerprint = "counting"

    def __init__(self) -> None:
        self.asked = 0
        self._lock = threading.Lock()

    def read(self, row: int) -> np.ndarray:
        with self._lock:
            self.asked += 1
        return np.full((2, 2), row % 251, dtype=np.uint8)


def _counted(count: int) -> tuple[ImageSet, _Counting]:
    reader = _Counting()
    ids = tuple(str(row) for row in range(count))
    labels = np.zeros(count, dtype=np.int64)
    return ImageSet("numbers", ids, labels, ("a",), ("",) * count, None, None, None, reader=reader), reader


def _value(image: Image.Image, _facts: ImageFacts) -> int:
    return int(np.asarray(image)[0, 0, 0])


def test_facts_come_in_order_with_the_reason_of_an_unreadable_one(photos: ImageSet) -> None:
    found = list(read_all(photos, lambda _, facts: facts))

    assert [index for index, _ in found] == [0, 1, 2, 3, 4]
    assert isinstance(found[2][1], UnreadableImageError)
    assert found[2][1].reason.startswith("its content is none of JPEG")
    facts = found[3][1]
    assert photos.files is not None
    assert isinstance(facts, ImageFacts)
    assert (facts.width, facts.height, facts.format, facts.mode) == (4, 4, "PNG", "L")
    assert facts.digest == hashlib.sha256(photos.files[3].read_bytes()).digest()


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 1000])
def test_every_image_is_made_once_and_in_order(count: int) -> None:
    image_set, reader = _counted(count)

    assert list(read_all(image_set, _value)) == [(row, row % 251) for row in range(count)]
    assert reader.asked == count


def test_few_images_are_read_ahead() -> None:
    image_set, reader = _counted(100_000)

    first = list(islice(read_all(image_set, _value), 10))

    assert first[-1] == (9, 9)
    assert reader.asked <= 10 + 3 * 8 * num_threads()


def test_leaving_early_stops_the_threads_and_brings_the_warnings_back() -> None:
    before, filters = threading.active_count(), list(warnings.filters)
    reading = read_all(_counted(100_000)[0], _value)
    next(reading)

    reading.close()

    assert threading.active_count() == before
    assert warnings.filters == filters


def test_a_fault_of_the_reader_is_raised() -> None:
    image_set, reader = _counted(20)
    reader.read = _fail  # type: ignore[method-assign]

    with pytest.raises(RuntimeError, match="the disk is gone"):
        list(read_all(replace(image_set, reader=reader), _value))


def _fail(row: int) -> np.ndarray:
    raise RuntimeError("the disk is gone")
