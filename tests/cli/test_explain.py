"""``biotune explain``: a picture and an answer for each image."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

import tiny
from biotune.classifier import load_run
from biotune.explained import explain


@pytest.fixture(scope="module")
def paths(images):
    return [images / "red" / "000.png", images / "blue" / "000.png"]


def test_each_image_has_a_picture(cli, finished, paths, tmp_path):
    ended = cli("explain", finished.folder, *paths, "--out", tmp_path / "new" / "seen")
    rows = list(csv.DictReader(ended.out.splitlines()))
    expected = load_run(finished.folder).predict(paths)
    assert [(row["path"], row["label"]) for row in rows] == [(one.path, one.label) for one in expected]
    assert [float(row["probability"]) for row in rows] == pytest.approx([one.probability for one in expected], abs=1e-4)
    assert [row["picture"] for row in rows] == ["0001-000.png", "0002-000.png"]
    for row in rows:
        with Image.open(tmp_path / "new" / "seen" / row["picture"]) as picture:
            assert picture.width > picture.height > 300


def test_what_is_drawn_is_what_the_network_sees(finished, paths):
    """The tiny images are enlarged; the map of each is scaled by its largest value."""
    for found, path in zip(explain(load_run(finished.folder), paths), paths, strict=True):
        assert found.answer.path == str(path)
        assert found.seen.image.shape == (320, 320, 3)
        assert found.seen.heat.shape == (32, 32)
        assert 0 < found.seen.heat.max() <= 1
        channel = 2 - tiny.CLASSES.index(path.parent.name)
        assert found.seen.image.reshape(-1, 3).mean(axis=0).argmax() == channel


def test_the_exported_network_alone_has_a_map_of_its_own(finished, paths):
    (voted,), (single,) = (list(explain(load_run(finished.folder, vote=vote), paths[:1])) for vote in (True, False))
    assert single.seen.heat.max() == pytest.approx(1.0)
    assert not np.array_equal(voted.seen.heat, single.seen.heat)


def test_an_unreadable_image_has_a_reason(cli, finished, paths, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no image")
    ended = cli("explain", finished.folder, tmp_path / "broken.png", paths[0], "--out", tmp_path, "--json")
    broken, good = json.loads(ended.out)
    assert (broken["label"], broken["picture"]) == (None, None)
    assert broken["reason"].startswith("its content is none of")
    assert (tmp_path / good["picture"]).name == "0002-000.png"
    assert ended.code == 0
    alone = cli("explain", finished.folder, tmp_path / "broken.png", "--out", tmp_path)
    assert alone.code == 2
    assert "none of the 1 images can be read" in alone.err


def test_names_of_pictures_are_harmless(cli, finished, paths, tmp_path):
    odd = tmp_path / "a b$(c)\n;é.png"
    odd.write_bytes(paths[0].read_bytes())
    (row,) = json.loads(cli("explain", finished.folder, odd, "--out", tmp_path, "--json").out)
    assert row["picture"] == "0001-a_b_c_.png"
