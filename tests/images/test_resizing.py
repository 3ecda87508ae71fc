import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from biotune.errors import InputError
from biotune.images.resizing import load_image, resize
from biotune.records import Preprocessing

SMALL = Preprocessing(image_size=8)


def _ramp(width: int, height: int) -> Image.Image:
    """Return an image whose red value is the column and whose green value is the row."""
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    return Image.fromarray(np.stack([columns, rows, np.zeros_like(rows)], axis=2).astype(np.uint8))


def test_crop_takes_the_centre_of_the_shorter_side() -> None:
    pixels = resize(_ramp(40, 20), Preprocessing(image_size=20))

    np.testing.assert_array_equal(pixels[0, :, 0], np.arange(10, 30))
    np.testing.assert_array_equal(pixels[:, 0, 1], np.arange(20))


def test_the_crop_fraction_leaves_a_border_out() -> None:
    pixels = resize(_ramp(40, 20), Preprocessing(image_size=10, crop_fraction=0.5))

    np.testing.assert_array_equal(pixels[0, :, 0], np.arange(15, 25))
    np.testing.assert_array_equal(pixels[:, 0, 1], np.arange(5, 15))


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_crop_equals_resizing_everything_and_cropping(interpolation: str) -> None:
    photo = Image.fromarray(np.random.Generator(np.random.PCG64(0)).integers(0, 256, (64, 96, 3), dtype=np.uint8))
    resampling = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}[interpolation]
    reference = photo.resize((48, 32), resampling).crop((10, 2, 38, 30))

    pixels = resize(photo, Preprocessing(image_size=28, crop_fraction=28 / 32, interpolation=interpolation))

    np.testing.assert_array_equal(pixels, np.asarray(reference))


def test_squash_keeps_everything() -> None:
    pixels = resize(_ramp(40, 20), Preprocessing(image_size=20, resize="squash", interpolation="bilinear"))

    assert pixels[0, 0, 0] <= 1
    assert pixels[0, -1, 0] >= 38


def test_pad_keeps_the_aspect_ratio_on_black() -> None:
    pixels = resize(Image.new("RGB", (40, 20), "white"), Preprocessing(image_size=20, resize="pad"))

    assert pixels[:, :, 0].sum(axis=1).tolist() == [0] * 5 + [255 * 20] * 10 + [0] * 5


def test_shrinking_is_antialiased() -> None:
    stripes = Image.fromarray(np.tile(np.array([0, 255], dtype=np.uint8), (64, 32))).convert("RGB")

    pixels = resize(stripes, SMALL)

    assert np.abs(pixels[:, 1:-1].astype(int) - 128).max() <= 2


@pytest.mark.parametrize("size", [(1, 1), (1, 20_000), (20_000, 1), (3, 2)])
@pytest.mark.parametrize("way", ["crop", "squash", "pad"])
def test_extreme_shapes_cost_little(size: tuple[int, int], way: str) -> None:
    image = Image.new("RGB", size, (9, 99, 199))
    tracemalloc.start()

    pixels = resize(image, Preprocessing(image_size=224, resize=way, crop_fraction=0.875))

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000
    assert pixels.shape == (224, 224, 3)
    assert pixels.dtype == np.uint8
    assert pixels.max(axis=(0, 1)).tolist() == [9, 99, 199]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"resize": "stretch"}, "unknown way of resizing 'stretch': use crop, squash or pad"),
        ({"interpolation": "nearest"}, "unknown interpolation 'nearest': use bilinear or bicubic"),
    ],
)
def test_unknown_ways_are_refused(changes: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        resize(_ramp(4, 4), Preprocessing(image_size=4, **changes))


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 1), (4, 4, 3)])
def test_arrays_are_images(shape: tuple[int, ...]) -> None:
    values = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)

    pixels = load_image(values, Preprocessing(image_size=4))

    np.testing.assert_array_equal(pixels, np.broadcast_to(values.reshape(4, 4, -1), (4, 4, 3)))


def test_files_are_images(tmp_path: Path) -> None:
    _ramp(6, 6).save(tmp_path / "a.png")

    np.testing.assert_array_equal(load_image(tmp_path / "a.png", Preprocessing(image_size=6)), np.asarray(_ramp(6, 6)))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((4, 4, 3)), r"type float64 and shape \(4, 4, 3\) was given; use uint8"),
        (np.zeros((4, 4, 2), dtype=np.uint8), r"shape \(4, 4, 2\)"),
        (np.zeros(4, dtype=np.uint8), r"shape \(4,\)"),
        (np.zeros((0, 4), dtype=np.uint8), r"shape \(0, 4\)"),
    ],
)
def test_other_arrays_are_refused(values: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_image(values, SMALL)
