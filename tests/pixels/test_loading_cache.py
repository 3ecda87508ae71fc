"""From a source to learning data: unreadable images, the closed test set, progress, and a limited cache."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from biotune.datasets.sources import open_source
from biotune.errors import InputError
from biotune.pixels.learning_data import LearningData
from biotune.pixels.loading import load
from biotune.pixels.rows import ChosenImages
from biotune.records import Preprocessing
from biotune.runs.events import Event, Message, Progress
from biotune.settings.sections import CacheConfig, DataConfig
from tiny import write_classes

SMALL = Preprocessing(image_size=24, crop_fraction=1.0)
BAD = tuple(f"{name}/{number:03}.png" for name in ("blue", "red") for number in range(4))


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIOTUNE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three classes of twenty images; eight files cannot be read."""
    root = write_classes(tmp_path / "photos")
    for name in BAD:
        (root / name).write_text("<html>")
    return root


def _taken(root: Path, heard: list[Event] | None = None, cache: CacheConfig | None = None, **config) -> LearningData:
    observer = (heard if heard is not None else []).append
    return load(open_source(root), DataConfig(**config), SMALL, cache, observer)


def test_unreadable_images_are_left_out_without_a_copy_of_the_others(photos: Path) -> None:
    data = _taken(photos)

    test = data.test.open()
    assert test is not None
    assert isinstance(data.selection.images, ChosenImages)
    assert {item.id for item in data.remarks.quarantined} == set(BAD)
    assert len(data.selection.images) + len(test.images) == 60 - 8
    assert not set(BAD) & {*data.selection.ids, *test.ids}
    used = np.concatenate([data.train, data.validation])
    assert sorted(used) == list(range(len(data.selection.labels)))
    source = open_source(photos)
    means = data.selection.images[used].reshape(len(used), -1, 3).mean(axis=1)
    assert [source.class_names[label] for label in data.selection.labels[used]] == [
        ("red", "green", "blue")[channel] for channel in means.argmax(axis=1)
    ]


def test_bad_images_are_refused_where_that_is_asked_for(photos: Path) -> None:
    with pytest.raises(InputError) as refusal:
        _taken(photos, bad_images="error")

    text = str(refusal.value)
    assert text.startswith("8 images cannot be read: blue/00")
    assert text.count("its content is none of JPEG") == 5
    assert text.endswith(" and 3 more; fix or remove them, or leave them out with --bad-images skip.")


def test_good_images_are_not_refused(images: Path) -> None:
    assert _taken(images, bad_images="error").remarks.quarantined == ()


def test_without_a_cache_everything_is_the_same(photos: Path) -> None:
    kept, decoded = _taken(photos), _taken(photos, cache=CacheConfig(limit_gib=0))
    first, second = kept.test.open(), decoded.test.open()

    assert first is not None
    assert second is not None
    rows, tested = np.arange(len(kept.selection.ids)), np.arange(len(first.ids))
    np.testing.assert_array_equal(kept.selection.images[rows], decoded.selection.images[rows])
    np.testing.assert_array_equal(first.images[tested], second.images[tested])
    assert (kept.fingerprints, kept.remarks) == (decoded.fingerprints, decoded.remarks)


def test_a_test_image_that_changed_since_the_run_began_is_refused(images: Path, tmp_path: Path) -> None:
    root = write_classes(tmp_path / "changing")
    data = _taken(root)
    assert data.test is not None
    assert data.test.images.files is not None
    data.test.images.files[0].write_bytes(data.test.images.files[1].read_bytes())

    with pytest.raises(InputError, match="test images of 'changing' have changed since the run began; bring the old"):
        data.test.open()


def test_progress_comes_seldom_and_reaches_the_total(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(np.arange(0.0, 1000.0, 0.05).tolist())
    monkeypatch.setattr("biotune.pixels.loading.time.monotonic", lambda: next(clock))
    heard: list[Event] = []

    _taken(images, heard)

    steps = [event for event in heard if isinstance(event, Progress)]
    done = [step.done for step in steps]
    assert done == sorted(set(done))
    assert 60 / 4 - 2 <= len(done) <= 60 / 4 + 2
    assert (steps[-1].done, steps[-1].total, steps[-1].seconds_left) == (60, 60, None)
    halfway = next(step for step in steps if step.done >= 30)
    assert halfway.seconds_left == pytest.approx(0.05 * (60 - halfway.done))


def test_opening_the_cache_is_one_step_without_a_word(images: Path) -> None:
    _taken(images)
    heard: list[Event] = []

    _taken(images, heard)

    assert heard == [Progress("decoding images", 60, 60)]


def test_what_is_written_where_is_said(images: Path, tmp_path: Path) -> None:
    heard: list[Event] = []

    _taken(images, heard)

    said = [event.text for event in heard if isinstance(event, Message)]
    assert said == [
        f"Writing 48 decoded images, 83.1 kB, to '{tmp_path / 'cache'}'.",
        f"Writing 12 decoded images, 20.9 kB, to '{tmp_path / 'cache'}'.",
    ]


def test_verify_is_passed_on(images: Path) -> None:
    _taken(images)
    heard: list[Event] = []

    _taken(images, heard, CacheConfig(verify=True))

    said = [event.text for event in heard if isinstance(event, Message)]
    assert len(said) == 2
    assert said[0].startswith("Verified: ")


@pytest.mark.parametrize("limit_gib", [64.0, 0.0])
def test_twelve_bits_in_sixteen_are_a_warning_with_their_number(tmp_path: Path, limit_gib: float) -> None:
    root = write_classes(tmp_path / "scans", {"blue": 10, "red": 10})
    for name in ("blue/001.png", "red/002.png", "red/003.png"):
        Image.fromarray(np.linspace(0, 4095, 64, dtype=np.uint16).reshape(8, 8)).save(root / name)
    Image.fromarray(np.linspace(0, 65535, 64, dtype=np.uint16).reshape(8, 8)).save(root / "red" / "005.png")
    (root / "blue" / "006.png").touch()

    warnings = _taken(root, cache=CacheConfig(limit_gib=limit_gib)).remarks.warnings

    assert [text for text in warnings if "black" in text] == [
        "3 images hold 16-bit values of which none is above an eighth of the range (12-bit data, say), so that they "
        "are nearly black; save them with values up to 65535, or as 8-bit images."
    ]
