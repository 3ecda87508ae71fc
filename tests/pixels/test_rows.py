"""Rows of pixels without a copy of all: chosen ones, and ones that are decoded on demand."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from biotune.datasets.image_set import ImageSet
from biotune.datasets.sources import open_source
from biotune.errors import InputError
from biotune.pixels.cache import Cache, decoded_images
from biotune.pixels.rows import ChosenImages, ImagesOnDemand, expect
from biotune.records import Preprocessing

SMALL = Preprocessing(image_size=8)


@pytest.fixture
def photos(write_images: Callable[..., Path]) -> ImageSet:
    return open_source(write_images(*(f"a/{number}.png" for number in range(9)), "b/9.png"))


@pytest.fixture
def on_demand(photos: ImageSet, tmp_path: Path) -> ImagesOnDemand:
    images = decoded_images(photos, SMALL, Cache(tmp_path / "cache", limit_bytes=0)).images
    assert isinstance(images, ImagesOnDemand)
    return images


def test_chosen_images_are_looked_up_in_the_whole() -> None:
    whole = np.arange(5 * 2 * 2 * 3, dtype=np.uint8).reshape(5, 2, 2, 3)

    chosen = ChosenImages(whole, np.array([4, 0, 3]))

    assert (len(chosen), chosen.shape) == (3, (3, 2, 2, 3))
    np.testing.assert_array_equal(chosen[np.array([2, 1, 2])], whole[[3, 0, 3]])


@pytest.mark.parametrize(
    "announced",
    [[], [[1, 7, 1]], [[1, 7, 1], [2, 2]], [[2, 3]], [[2, 3], [1, 7, 1]]],
    ids=["nothing", "it alone", "it first", "others", "it later"],
)
def test_images_on_demand_are_right_whatever_was_announced(on_demand: ImagesOnDemand, announced) -> None:
    chosen = ChosenImages(on_demand, np.arange(9, -1, -1))
    expect(chosen, [np.array(part) for part in announced])

    pixels = chosen[np.array([1, 7, 1])]

    assert (len(on_demand), on_demand.shape) == (10, (10, 8, 8, 3))
    assert pixels.shape == (3, 8, 8, 3)
    assert pixels[:, 3, 3, 1].tolist() == [8, 2, 8]


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], list[int]]:
    """Waits until so many images were read, and returns them in ascending order."""
    rows: list[int] = []
    image = ImageSet.image
    monkeypatch.setattr(ImageSet, "image", lambda images, row: (rows.append(row), image(images, row))[1])

    def wait(count: int) -> list[int]:
        limit = time.monotonic() + 10
        while len(rows) < count and time.monotonic() < limit:
            time.sleep(0.01)
        time.sleep(0.05)  # for more than that, which would be wrong
        return sorted(rows)

    return wait


def test_one_batch_is_decoded_ahead(on_demand: ImagesOnDemand, read: Callable[[int], list[int]]) -> None:
    parts = [np.array([4, 6]), np.array([1, 2]), np.array([8])]

    expect(on_demand, parts)
    assert read(2) == [4, 6]
    assert on_demand[parts[0]][:, 0, 0, 0].tolist() == [4, 6]
    assert read(4) == [1, 2, 4, 6]
    assert on_demand[parts[1]][:, 0, 0, 0].tolist() == [1, 2]
    assert on_demand[parts[2]][:, 0, 0, 0].tolist() == [8]
    assert read(5) == [1, 2, 4, 6, 8]


@pytest.mark.parametrize(
    "damage", [lambda path: Image.new("L", (4, 4), 77).save(path), Path.unlink], ids=["other pixels", "gone"]
)
def test_an_image_that_changed_during_the_run_is_refused(
    on_demand: ImagesOnDemand, photos: ImageSet, damage: Callable[[Path], None]
) -> None:
    assert photos.files is not None
    damage(photos.files[4])

    with pytest.raises(InputError, match=r"the image 'a/4.png' is no longer what it was .*bring the old file back"):
        on_demand[np.array([4])]


def test_arrays_need_no_announcement() -> None:
    expect(np.zeros((2, 4, 4, 3), dtype=np.uint8), [np.array([0])])
