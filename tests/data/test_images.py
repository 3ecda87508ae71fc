import json
import os
import shutil
import tracemalloc
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from biotune.data import images as images_module
from biotune.data.image_set import ImageSet
from biotune.data.images import Quarantined, decoded_cache, load_image, resize
from biotune.data.sources import open_source
from biotune.errors import InputError
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


@pytest.fixture
def photos(write_images) -> ImageSet:
    """Six readable files, one damaged and one that is no image."""
    root = write_images("a/0.png", "a/1.png", "a/2.png", "b/3.png", "b/4.png", "b/5.png")
    (root / "a/damaged.png").write_bytes((root / "a/0.png").read_bytes()[:40])
    (root / "b/page.jpg").write_text("<html>")
    return open_source(root)


def test_the_cache_holds_every_image_in_order(photos: ImageSet, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []

    pixels, quarantined = decoded_cache(photos, SMALL, tmp_path / "new/cache", lambda *done: seen.append(done))

    assert pixels.shape == (8, 8, 8, 3)
    assert isinstance(pixels, np.memmap)
    assert not pixels.flags.writeable
    assert " ".join(photos.ids) == "a/0.png a/1.png a/2.png a/damaged.png b/3.png b/4.png b/5.png b/page.jpg"
    assert pixels[:, 0, 0, 0].tolist() == [0, 1, 2, 0, 3, 4, 5, 0]
    assert (pixels == pixels[:, :1, :1, :1]).all()
    assert [item.id for item in quarantined] == ["a/damaged.png", "b/page.jpg"]
    assert quarantined[1].reason.startswith("its content is none of JPEG")
    assert seen == [(done, 8) for done in range(1, 9)]


def test_the_second_time_nothing_is_decoded(photos: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, quarantined = decoded_cache(photos, SMALL, tmp_path)
    monkeypatch.setattr(images_module, "_make", None)
    seen: list[tuple[int, int]] = []

    second, again = decoded_cache(photos, SMALL, tmp_path, lambda *done: seen.append(done))

    np.testing.assert_array_equal(first, second)
    assert quarantined == again
    assert isinstance(again[0], Quarantined)
    assert seen == [(8, 8)]


def test_many_images_come_out_as_one_by_one(tmp_path: Path) -> None:
    digits = open_source("digits8").subset(range(300))

    pixels, quarantined = decoded_cache(digits, Preprocessing(image_size=20), tmp_path)

    assert digits.arrays is not None
    assert quarantined == ()
    expected = np.stack([load_image(array, Preprocessing(image_size=20)) for array in digits.arrays])
    np.testing.assert_array_equal(pixels, expected)


def _files(folder: Path, suffix: str) -> list[Path]:
    return sorted(folder.glob(f"*.{suffix}"))


@pytest.mark.parametrize(
    ("changes", "files"),
    [
        ({"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}, 1),
        ({"image_size": 9}, 2),
        ({"resize": "pad"}, 2),
        ({"crop_fraction": 0.9}, 2),
        ({"interpolation": "bilinear"}, 2),
    ],
)
def test_only_what_changes_pixels_makes_another_file(
    photos: ImageSet, tmp_path: Path, changes: dict[str, object], files: int
) -> None:
    decoded_cache(photos, SMALL, tmp_path)
    decoded_cache(photos, Preprocessing(**({"image_size": 8} | changes)), tmp_path)

    assert len(_files(tmp_path, "npy")) == files


def test_a_changed_file_is_decoded_anew(photos: ImageSet, tmp_path: Path) -> None:
    decoded_cache(photos, SMALL, tmp_path / "cache")
    assert photos.files is not None
    Image.new("L", (4, 4), 77).save(photos.files[3])

    pixels, quarantined = decoded_cache(photos, SMALL, tmp_path / "cache")

    assert pixels[3].max() == 77
    assert len(quarantined) == 1


def test_a_file_that_disappeared_is_quarantined(photos: ImageSet, tmp_path: Path) -> None:
    assert photos.files is not None
    photos.files[0].unlink()

    _, quarantined = decoded_cache(photos, SMALL, tmp_path)

    assert quarantined[0] == Quarantined("a/0.png", "No such file or directory")


def test_changed_pixels_in_memory_are_decoded_anew(tmp_path: Path) -> None:
    digits = open_source("digits8").subset([0, 1])
    decoded_cache(digits, SMALL, tmp_path)
    assert digits.arrays is not None
    digits.arrays[0] = 3

    assert (decoded_cache(digits, SMALL, tmp_path)[0][0] == 3).all()


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _other_json(path: Path) -> None:
    path.write_text(json.dumps([1, 2]))


@pytest.mark.parametrize(
    ("suffix", "damage"),
    [
        ("npy", _cut),
        ("npy", _empty),
        ("npy", _flip),
        ("npy", Path.unlink),
        ("json", _cut),
        ("json", _empty),
        ("json", _other_json),
        ("json", Path.unlink),
    ],
)
def test_a_damaged_cache_is_made_again(photos: ImageSet, tmp_path: Path, suffix: str, damage) -> None:
    cache = tmp_path / "cache"
    decoded_cache(photos, SMALL, cache)
    intact = {file.name: file.read_bytes() for file in cache.iterdir()}
    damage(_files(cache, suffix)[0])

    pixels, quarantined = decoded_cache(photos, SMALL, cache)

    assert pixels[5, 0, 0, 0] == 4
    assert len(quarantined) == 2
    assert {file.name: file.read_bytes() for file in cache.iterdir()} == intact


def test_an_interrupted_cache_leaves_nothing_that_counts(photos: ImageSet, tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        decoded_cache(photos, SMALL, tmp_path / "cache", stop)

    assert [file.suffix for file in (tmp_path / "cache").iterdir()] in ([], [".lock"])
    assert decoded_cache(photos, SMALL, tmp_path / "cache")[0][1, 0, 0, 0] == 1


def test_a_full_disk_is_reported_before_writing(
    photos: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=1000))

    with pytest.raises(InputError, match=r"need 5,632 bytes in '.*', but 1,000 are free; make room"):
        decoded_cache(photos, SMALL, tmp_path)

    assert _files(tmp_path, "npy") == []


def test_a_folder_that_cannot_be_made_is_reported(photos: ImageSet, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(
        InputError, match=r"cannot write the decoded images to '.*/file' \(5,632 bytes\): .*; make room"
    ):
        decoded_cache(photos, SMALL, tmp_path / "file")


def test_a_write_that_fails_is_reported_and_cleaned_up(
    photos: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)

    with pytest.raises(InputError, match="No space left on device; make room"):
        decoded_cache(photos, SMALL, tmp_path)

    assert _files(tmp_path, "npy") + _files(tmp_path, "tmp") + _files(tmp_path, "json") == []


def test_memory_does_not_grow_with_the_number_of_images(tmp_path: Path) -> None:
    digits = open_source("digits8").subset(range(1200))
    decoded_cache(digits.subset([0]), Preprocessing(image_size=96), tmp_path)
    tracemalloc.start()

    pixels, _ = decoded_cache(digits, Preprocessing(image_size=96), tmp_path)

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert pixels.nbytes > 33_000_000
    assert peak < 8_000_000
