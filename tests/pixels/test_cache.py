"""The cache of decoded images: what it holds, when it is made again, and what is only found by hashing everything."""

import hashlib
import json
import os
import re
import shutil
import stat
import threading
import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from biotune.datasets.image_set import ImageSet
from biotune.datasets.sources import open_source
from biotune.errors import InputError
from biotune.images.decoding import decode_with_facts
from biotune.images.resizing import load_image
from biotune.pixels import cache as cache_module
from biotune.pixels.cache import Cache, Decoded, cache_folder, decoded_images
from biotune.pixels.cache_entry import Entry, Quarantined
from biotune.pixels.rows import ImagesOnDemand
from biotune.records import Preprocessing

SMALL = Preprocessing(image_size=8)
ROWS = np.arange(8)


@pytest.fixture
def photos(write_images: Callable[..., Path]) -> ImageSet:
    """Six readable files, one damaged and one that is no image."""
    root = write_images("a/0.png", "a/1.png", "a/2.png", "b/3.png", "b/4.png", "b/5.png")
    (root / "a/damaged.png").write_bytes((root / "a/0.png").read_bytes()[:40])
    (root / "b/page.jpg").write_text("<html>")
    return open_source(root)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "new/cache"


@pytest.fixture
def decode(photos: ImageSet, folder: Path) -> Callable[..., Decoded]:
    """Decode the photos into the folder; ``limit_bytes`` and ``verify`` are those of the cache."""

    def call(progress=None, say=lambda _text, _warning: None, **options) -> Decoded:
        return decoded_images(photos, SMALL, Cache(folder, **options), progress, say)

    return call


@pytest.fixture
def nothing_is_decoded(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From its call on, decoding is an error."""
    return partial(monkeypatch.setattr, Entry, "write", None)


def _files(folder: Path, suffix: str) -> list[Path]:
    return sorted(folder.glob(f"*.{suffix}"))


def _contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.suffix != ".use"}


def _hash(pixels: np.ndarray) -> str:
    """The documented hash: SHA-256 over the SHA-256 of every image."""
    return hashlib.sha256(b"".join(hashlib.sha256(image.tobytes()).digest() for image in pixels)).hexdigest()


def test_the_cache_holds_every_image_in_order(photos: ImageSet, decode, folder: Path) -> None:
    seen: list[tuple[int, int]] = []

    found = decode(lambda *done: seen.append(done))

    pixels = found.images
    assert pixels.shape == (8, 8, 8, 3)
    assert isinstance(pixels, np.memmap)
    assert not pixels.flags.writeable
    assert " ".join(photos.ids) == "a/0.png a/1.png a/2.png a/damaged.png b/3.png b/4.png b/5.png b/page.jpg"
    assert pixels[:, 0, 0, 0].tolist() == [0, 1, 2, 0, 3, 4, 5, 0]
    assert (pixels == pixels[:, :1, :1, :1]).all()
    assert found.content == _hash(pixels)
    assert [item.id for item in found.quarantined] == ["a/damaged.png", "b/page.jpg"]
    assert found.quarantined[1].reason.startswith("its content is none of JPEG")
    assert seen == [(done, 8) for done in range(1, 9)]


def test_the_facts_are_kept_beside_the_pixels(photos: ImageSet, decode) -> None:
    expected = [None if row in (3, 7) else decode_with_facts(photos.image(row))[1] for row in range(8)]

    assert list(decode().facts) == expected
    assert list(decode().facts) == expected
    assert len(decode().facts) == 8


def test_the_second_time_nothing_is_decoded(decode, nothing_is_decoded) -> None:
    first = decode()
    nothing_is_decoded()
    seen: list[tuple[int, int]] = []

    second = decode(lambda *done: seen.append(done))

    np.testing.assert_array_equal(first.images[ROWS], second.images[ROWS])
    assert (first.quarantined, first.content) == (second.quarantined, second.content)
    assert isinstance(second.quarantined[0], Quarantined)
    assert seen == [(8, 8)]


def test_opening_reads_no_pixels(decode, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decode()
    monkeypatch.setattr(Entry, "has_content", lambda entry, notes: pytest.fail("the pixels were read"))

    assert decode().images[ROWS][1].max() == 1


def test_many_images_come_out_as_one_by_one(tmp_path: Path) -> None:
    digits = open_source("digits8").subset(range(300))

    found = decoded_images(digits, Preprocessing(image_size=20), Cache(tmp_path))

    assert digits.arrays is not None
    assert found.quarantined == ()
    expected = np.stack([load_image(array, Preprocessing(image_size=20)) for array in digits.arrays])
    np.testing.assert_array_equal(found.images[np.arange(300)], expected)


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
    decoded_images(photos, SMALL, Cache(tmp_path))
    decoded_images(photos, Preprocessing(**({"image_size": 8} | changes)), Cache(tmp_path))

    assert len(_files(tmp_path, "npy")) == files


def test_a_changed_file_is_decoded_anew(photos: ImageSet, decode) -> None:
    decode()
    assert photos.files is not None
    Image.new("L", (4, 4), 77).save(photos.files[3])

    found = decode()

    assert found.images[ROWS][3].max() == 77
    assert len(found.quarantined) == 1


def test_a_file_that_disappeared_is_quarantined(photos: ImageSet, decode) -> None:
    assert photos.files is not None
    photos.files[0].unlink()

    assert decode().quarantined[0] == Quarantined("a/0.png", "No such file or directory")


def test_changed_pixels_in_memory_are_decoded_anew(tmp_path: Path) -> None:
    digits = open_source("digits8").subset([0, 1])
    decoded_images(digits, SMALL, Cache(tmp_path))
    assert digits.arrays is not None
    digits.arrays[0] = 3

    assert (decoded_images(digits, SMALL, Cache(tmp_path)).images[np.array([0])] == 3).all()


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


def _other_words(path: Path) -> None:
    path.write_text(path.read_text().replace("its content is none", "its contents are none"))


def _older(path: Path) -> None:
    os.utime(path, ns=(1, 1))


@pytest.mark.parametrize(
    ("suffix", "damage"),
    [
        ("npy", _cut),
        ("npy", _empty),
        ("npy", _flip),
        ("npy", Path.unlink),
        ("json", _cut),
        ("json", _empty),
        ("json", _flip),
        ("json", _other_json),
        ("json", _other_words),
        ("json", Path.unlink),
        ("facts", _cut),
        ("facts", _empty),
        ("facts", _flip),
        ("facts", Path.unlink),
    ],
)
def test_a_damaged_cache_is_made_again(decode, folder: Path, suffix: str, damage) -> None:
    decode()
    intact = _contents(folder)
    damage(_files(folder, suffix)[0])

    found = decode()

    assert found.images[ROWS][5, 0, 0, 0] == 4
    assert len(found.quarantined) == 2
    now = _contents(folder)
    assert now.keys() == intact.keys()
    assert all(now[name] == intact[name] for name in now if not name.endswith(".json"))
    assert decode().content == found.content


def test_a_copied_cache_is_hashed_once_and_kept(decode, folder: Path, nothing_is_decoded, monkeypatch) -> None:
    decode()
    _older(_files(folder, "npy")[0])
    nothing_is_decoded()

    assert decode().images[ROWS][1].max() == 1

    monkeypatch.setattr(Entry, "has_content", lambda entry, notes: pytest.fail("it was hashed again"))
    assert decode().images[ROWS][1].max() == 1


def _unseen(damage: Callable[[Path], None], path: Path) -> None:
    """Damage a file without a change of its time, as a failing disk does."""
    status = path.stat()
    damage(path)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_only_verifying_finds_bytes_that_a_disk_has_changed(decode, folder: Path) -> None:
    intact = decode().content
    heard: list[tuple[str, bool]] = []
    _unseen(_flip, _files(folder, "npy")[0])
    assert _hash(decode().images[ROWS]) != intact

    found = decode(say=lambda *said: heard.append(said), verify=True)

    assert _hash(found.images[ROWS]) == intact
    assert heard[0] == (
        f"The decoded images in '{_files(folder, 'npy')[0]}' were damaged; all images are decoded again.",
        True,
    )


def _save_white(path: Path) -> None:
    Image.new("L", (4, 4), 255).save(path, compress_level=0)


def _save_black(path: Path) -> None:
    Image.new("L", (4, 4), 0).save(path, compress_level=0)


def test_only_verifying_finds_another_content_of_the_same_size_and_time(photos: ImageSet, decode) -> None:
    assert photos.files is not None
    _save_white(photos.files[1])
    decode()
    heard: list[tuple[str, bool]] = []
    _unseen(_save_black, photos.files[1])
    assert decode().images[ROWS][1].max() == 255

    found = decode(say=lambda *said: heard.append(said), verify=True)

    assert found.images[ROWS][1].max() == 0
    assert heard[0][0] == (
        "One image has another content under the same size and time, 'a/1.png' first; all images are decoded again."
    )


def test_verifying_what_is_intact_decodes_nothing(decode, nothing_is_decoded) -> None:
    decode()
    nothing_is_decoded()
    heard: list[tuple[str, bool]] = []

    decode(say=lambda *said: heard.append(said), verify=True)

    assert heard == [("Verified: the decoded images and the content of every source are as they were recorded.", False)]


def test_the_size_is_said_before_anything_is_written(decode, folder: Path) -> None:
    heard: list[tuple[str, bool, list[Path]]] = []

    decode(say=lambda *said: heard.append((*said, _files(folder, "npy"))))
    decode(say=lambda *said: pytest.fail("nothing is written the second time"))

    assert heard == [(f"Writing 8 decoded images, 1.7 kB, to '{folder}'.", False, [])]


def test_a_second_run_waits_for_the_first_and_says_so(decode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "_PATIENCE_S", 0.05)
    heard: list[str] = []
    waits = threading.Event()

    def hear(text: str, _warning: bool) -> None:
        heard.append(text)
        waits.set()

    def hold(done: int, total: int) -> None:
        if done == 1:
            second.start()
            assert waits.wait(10)

    second = threading.Thread(target=decode, kwargs={"say": hear})
    decode(hold)
    second.join()

    assert heard == ["Another run is decoding the same images; waiting for it."]


def test_an_interrupted_cache_leaves_nothing_that_counts(decode, folder: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        decode(stop)

    assert {file.suffix for file in folder.iterdir()} <= {".lock", ".use"}
    assert decode().images[ROWS][1, 0, 0, 0] == 1


FULL_DISK = (
    r"The 8 decoded images need 1.7 kB, more than the disk of '.*/new/cache' has room for: they are decoded whenever "
    r"they are needed, which is slower \(make room, or set BIOTUNE_CACHE to another folder\)\."
)


def _require_same(found: Decoded, kept: Decoded) -> None:
    readable = np.array([0, 1, 2, 4, 5, 6])
    np.testing.assert_array_equal(found.images[readable], kept.images[readable])
    assert (list(found.facts), found.quarantined, found.content) == (list(kept.facts), kept.quarantined, kept.content)
    np.testing.assert_array_equal(found.facts.digests, kept.facts.digests)


@pytest.mark.parametrize("free", [0, 1000, 8 * 76 + 1663])
def test_on_a_full_disk_images_are_decoded_on_demand(
    photos: ImageSet, decode, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int
) -> None:
    kept = decoded_images(photos, SMALL, Cache(tmp_path / "roomy"))
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=free))
    heard: list[tuple[str, bool]] = []

    found = decode(say=lambda *said: heard.append(said))

    assert isinstance(found.images, ImagesOnDemand)
    _require_same(found, kept)
    assert {file.suffix for file in folder.iterdir()} <= {".lock", ".use"}
    ((text, is_warning),) = heard
    assert re.fullmatch(FULL_DISK, text)
    assert is_warning


def test_what_just_fits_the_disk_is_kept(decode, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=8 * 76 + 1664))

    assert isinstance(decode().images, np.memmap)


@pytest.mark.parametrize("limit", [64 * 2**30, 1000])
def test_a_path_that_is_no_folder_is_refused(photos: ImageSet, tmp_path: Path, limit: int) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(InputError, match=r"kept in '.*/file', which is not a folder; change BIOTUNE_CACHE\."):
        decoded_images(photos, SMALL, Cache(tmp_path / "file", limit))
    with pytest.raises(InputError, match=r"kept in '.*/file/below', which is not a folder; change BIOTUNE_CACHE\."):
        decoded_images(photos, SMALL, Cache(tmp_path / "file" / "below", limit))


NOWHERE = Path("/proc/self/biotune")
"""No folder can be made here, whoever asks."""


def test_a_folder_that_cannot_be_made_is_refused(photos: ImageSet) -> None:
    with pytest.raises(
        InputError,
        match=r"to '/proc/self/biotune': .*; set BIOTUNE_CACHE to a folder that can be written, or .* --cache-gib 0\.",
    ):
        decoded_images(photos, SMALL, Cache(NOWHERE))


def test_without_a_cache_nothing_needs_to_be_written(photos: ImageSet, decode) -> None:
    seen: list[tuple[int, int]] = []
    heard: list[tuple[str, bool]] = []

    found = decoded_images(
        photos, SMALL, Cache(NOWHERE, 0), lambda *done: seen.append(done), lambda *said: heard.append(said)
    )

    _require_same(found, decode())
    assert seen == [(done, 8) for done in range(1, 9)]
    ((text, is_warning),) = heard
    assert "more than the cache of 0 bytes has room for" in text
    assert not is_warning


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes anywhere")
def test_a_folder_that_can_only_be_read_serves_what_it_holds(decode, folder: Path, nothing_is_decoded) -> None:
    decode()
    nothing_is_decoded()
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        assert decode().images[ROWS][1].max() == 1
    finally:
        folder.chmod(stat.S_IRWXU)


def test_a_disk_that_fills_while_it_is_written_counts_as_full(
    decode, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(handle: int) -> None:
        raise OSError(28, "No space left on device")

    heard: list[tuple[str, bool]] = []
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fail)
        found = decode(say=lambda *said: heard.append(said))

    assert {file.suffix for file in folder.iterdir()} <= {".lock", ".use"}
    assert re.fullmatch(FULL_DISK, heard[-1][0])
    _require_same(found, decode())


def test_memory_does_not_grow_with_the_number_of_images(tmp_path: Path) -> None:
    digits = open_source("digits8").subset(range(1200))
    decoded_images(digits.subset([0]), Preprocessing(image_size=96), Cache(tmp_path))
    tracemalloc.start()

    found = decoded_images(digits, Preprocessing(image_size=96), Cache(tmp_path))

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.prod(found.images.shape) > 33_000_000
    assert peak < 8_000_000


def test_past_the_limit_images_are_decoded_on_demand(decode, folder: Path, nothing_is_decoded) -> None:
    heard: list[tuple[str, bool]] = []

    found = decode(say=lambda *said: heard.append(said), limit_bytes=1663)

    assert heard == [
        (
            "The 8 decoded images need 1.7 kB, more than the cache of 1.7 kB has room for: they are decoded "
            "whenever they are needed, which is slower (--cache-gib).",
            False,
        )
    ]
    assert _files(folder, "npy") == []
    kept = decode()
    rows = np.array([5, 0, 5, 2])
    np.testing.assert_array_equal(found.images[rows], kept.images[rows])
    assert (found.quarantined, found.content, list(found.facts)) == (kept.quarantined, kept.content, list(kept.facts))
    nothing_is_decoded()
    again = decode(limit_bytes=0)
    np.testing.assert_array_equal(again.images[rows], kept.images[rows])


def test_a_full_cache_makes_room_and_says_so(photos: ImageSet, decode, folder: Path) -> None:
    other = decoded_images(photos, Preprocessing(image_size=9), Cache(folder))
    del other
    heard: list[str] = []

    decode(say=lambda text, _warning: heard.append(text), limit_bytes=4000)

    assert heard[0] == "Removed decoded images that were used long ago (3.3 kB) to make room."
    assert [np.load(file).shape for file in _files(folder, "npy")] == [(8, 8, 8, 3)]


def test_where_others_fill_the_cache_images_are_decoded_on_demand(photos: ImageSet, decode, folder: Path) -> None:
    other = decoded_images(photos, Preprocessing(image_size=9), Cache(folder))

    found = decode(limit_bytes=4000)

    assert found.images[ROWS[:2]][1].max() == 1
    assert [np.load(file).shape for file in _files(folder, "npy")] == [(8, 9, 9, 3)]
    assert len(decode(limit_bytes=4000).facts) == len(other.facts) == 8


def test_the_cache_may_be_in_the_home_folder(monkeypatch, tmp_path):
    """A job script, or a file of variables, leaves the tilde as it is."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("BIOTUNE_CACHE", "~/cache")
    assert cache_folder() == tmp_path / "cache"
