"""Copies that lie in several parts of a run are named, in every kind of cache."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tiny
from biotune.datasets.sources import open_source
from biotune.inspection.leaks import Leak, leak_note, with_leaks
from biotune.pixels import load
from biotune.pixels.cache import cache_folder
from biotune.records import Preprocessing
from biotune.settings.sections import CacheConfig, DataConfig

SQUARE = Preprocessing(48, (0.5,) * 3, (0.5,) * 3)


def picture(seed: int) -> Image.Image:
    """Squares of many sizes and colours."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (150, 150))
    for _ in range(60):
        left, top, side = (int(number) for number in rng.integers(0, 120, 3))
        image.paste(tuple(rng.integers(0, 256, 3).tolist()), (left, top, left + 10 + side // 3, top + 10 + side // 4))
    return image


@pytest.fixture
def split_folder(tmp_path: Path) -> Path:
    """Twelve pictures to train on, six to validate, six to test on, no copies yet."""
    root = tmp_path / "pictures"
    seeds = iter(range(100))
    for split, count in (("train", 6), ("val", 3), ("test", 3)):
        for name in ("a", "b"):
            (root / split / name).mkdir(parents=True)
            for number in range(count):
                picture(next(seeds)).save(root / split / name / f"{number}.png")
    return root


def leaks_of(folder: Path, cache: CacheConfig | None = None) -> tuple[Leak, ...]:
    return with_leaks(load(open_source(folder), DataConfig(), SQUARE, cache)).remarks.leaks


def test_different_pictures_do_not_leak(split_folder: Path) -> None:
    data = with_leaks(load(open_source(split_folder), DataConfig(), SQUARE))

    assert data.remarks.leaks == ()
    assert data.remarks.warnings == ()


@pytest.mark.parametrize("limit_gib", [64.0, 0.0])
def test_copies_between_the_parts(split_folder: Path, limit_gib: float) -> None:
    """Also where the cache has no room and images are decoded on demand; copies inside a part are no leak."""
    shutil.copy(split_folder / "train" / "a" / "1.png", split_folder / "test" / "b" / "copy.png")
    shutil.copy(split_folder / "train" / "a" / "2.png", split_folder / "train" / "a" / "copy.png")
    original = Image.open(split_folder / "val" / "b" / "0.png")
    original.resize((100, 100)).save(split_folder / "test" / "b" / "smaller.jpg")
    original.close()
    (split_folder / "val" / "b" / "broken.png").touch()
    (split_folder / "test" / "b" / "broken.png").touch()

    assert leaks_of(split_folder, CacheConfig(limit_gib=limit_gib)) == (
        Leak("exact", ("train/a/1.png", "test/b/copy.png"), ("train", "test"), ("a", "b")),
        Leak("near", ("val/b/0.png", "test/b/smaller.jpg"), ("validation", "test"), ("b", "b")),
    )


def test_what_was_found_is_kept_and_damage_means_another_search(split_folder: Path) -> None:
    shutil.copy(split_folder / "train" / "a" / "1.png", split_folder / "test" / "b" / "copy.png")
    before = set(cache_folder().glob("*.json"))
    first = leaks_of(split_folder)
    (kept,) = (path for path in set(cache_folder().glob("*.json")) - before if path.read_text().startswith("["))

    assert kept.read_text() == '[["exact", [1, 24]]]'
    kept.write_text('[["near", [1, 24]]]')
    assert [leak.kind for leak in leaks_of(split_folder)] == ["near"]
    kept.write_text('[["exact", [1')
    assert leaks_of(split_folder) == first
    assert kept.read_text() == '[["exact", [1, 24]]]'


def test_the_sentence_names_the_parts_and_an_example() -> None:
    leaks = [
        Leak("near", ("v", "w", "t"), ("validation", "validation", "test"), ("a", "a", "b")),
        Leak("exact", ("x", "y"), ("train", "test"), ("a", "a")),
    ]

    assert leak_note(leaks) == (
        "2 pictures are in several parts (train and test, validation and test), for example v and t: "
        "scores will be too good. 'biotune check' looks closer."
    )


def test_a_run_warns_and_keeps_them(tmp_path: Path, cli, no_report, tiny_toml: Path) -> None:
    images = tiny.write_classes(tmp_path / "split" / "train", {"blue": 8, "red": 8}).parent
    tiny.write_classes(images / "test", {"blue": 4, "red": 4}, 100)
    shutil.copy(images / "train" / "red" / "003.png", images / "test" / "red" / "copy.png")
    ended = cli("train", images, "--config", tiny_toml, "--method", "linear_probe", "--out", tmp_path / "run", "--json")
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["data"]["leaks"] == [
        {
            "kind": "exact",
            "paths": ["train/red/003.png", "test/red/copy.png"],
            "splits": ["train", "test"],
            "classes": ["red", "red"],
        }
    ]
    assert "several parts (train and test), for example train/red/003.png and test/red/copy.png" in ended.err
