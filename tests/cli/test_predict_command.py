"""``biotune predict``: the most probable classes, and answers below a threshold."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from biotune.classifier import Prediction, load_run


@pytest.fixture(scope="module")
def paths(images):
    return sorted(images.glob("*/00[0-4].png"))


def table(ended):
    return list(csv.DictReader(ended.out.splitlines()))


def test_the_most_probable_classes_come_first():
    answer = Prediction("a.png", "cat", 0.5, {"ant": 0.1, "cat": 0.5, "dog": 0.4})
    assert answer.top(2) == [("cat", 0.5), ("dog", 0.4)]
    assert answer.top(9) == [("cat", 0.5), ("dog", 0.4), ("ant", 0.1)]


def test_top_adds_columns_and_changes_none(cli, finished, paths):
    plain, two, many = (
        table(cli("predict", finished.folder, *paths, *top)) for top in ((), ("--top", 2), ("--top", 9))
    )
    assert list(plain[0]) == ["path", "label", "probability", "reason", "unlike", "distance"]
    assert list(two[0]) == [
        *("path", "label", "probability", "label_1", "probability_1", "label_2", "probability_2", "reason"),
        *("unlike", "distance"),
    ]
    assert [{key: row[key] for key in plain[0]} for row in many] == plain
    for row, answer in zip(many, load_run(finished.folder).predict(paths), strict=True):
        ordered = sorted(answer.probabilities, key=answer.probabilities.__getitem__, reverse=True)
        assert [row["label_1"], row["label_2"], row["label_3"]] == ordered
        assert row["probability_3"] == f"{answer.probabilities[ordered[2]]:.4f}"


def test_answers_below_the_threshold_are_unsure(cli, finished, paths):
    """A threshold between the fifth and the sixth highest probability leaves five answers."""
    plain = table(cli("predict", finished.folder, *paths))
    ordered = sorted((float(row["probability"]) for row in plain), reverse=True)
    threshold = (ordered[4] + ordered[5]) / 2
    ended = cli("predict", finished.folder, *paths, "--threshold", threshold)
    for row, before in zip(table(ended), plain, strict=True):
        assert row["label"] == (before["label"] if float(before["probability"]) >= threshold else "unsure")
        assert row["probability"] == before["probability"]
    assert [row["label"] for row in table(ended)].count("unsure") == 10
    assert "unsure: 10 of 15 images, below" in ended.err
    assert ended.code == 0


def test_the_class_below_the_threshold_is_among_the_most_probable(cli, finished, paths):
    (row,) = table(cli("predict", finished.folder, paths[0], "--top", 1, "--threshold", 1))
    (answer,) = load_run(finished.folder).predict(paths[:1])
    assert (row["label"], row["label_1"], row["probability_1"]) == ("unsure", answer.label, row["probability"])


def test_json_keeps_the_most_probable_classes(cli, finished, paths):
    every = json.loads(cli("predict", finished.folder, paths[0], "--json").out)[0]
    (best,) = json.loads(cli("predict", finished.folder, paths[0], "--json", "--top", 1, "--threshold", 1).out)
    assert len(every["probabilities"]) == 3
    assert best["probabilities"] == {every["label"]: every["probability"]}
    assert best["label"] == "unsure"


def test_an_unreadable_image_has_empty_cells(cli, finished, paths, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no image")
    ended = cli("predict", finished.folder, tmp_path / "broken.png", paths[0], "--top", 2, "--threshold", 0.5)
    broken, _ = table(ended)
    assert [broken[name] for name in ("label", "probability", "label_1", "probability_2")] == [""] * 4
    assert broken["reason"].startswith("its content is none of")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--top", 0), "--top is 0; give a number of classes, 1 or more."),
        (("--threshold", 80), "--threshold is 80; give a probability from 0 to 1, such as 0.8."),
        (("--threshold", "nan"), "--threshold is nan; give a probability from 0 to 1, such as 0.8."),
    ],
)
def test_what_makes_no_sense_is_refused(options, words, cli, finished, paths):
    ended = cli("predict", finished.folder, paths[0], *options)
    assert (ended.code, ended.err.strip()) == (2, f"biotune: {words}")


def test_a_class_of_that_name_is_not_mixed_up(cli, finished, paths, tmp_path):
    folder = finished.copy(tmp_path / "run")
    (folder / "labels.json").write_text(json.dumps(["blue", "green", "unsure"]))
    (folder / "manifest.json").unlink()
    ended = cli("predict", folder, paths[0], "--threshold", 0.5)
    assert ended.code == 2
    assert "this network has a class 'unsure', which --threshold would answer too; leave it out." in ended.err
    assert cli("predict", folder, paths[0]).code == 0


@pytest.fixture
def odd(tmp_path):
    """An image of two flat halves, where the run knows noise."""
    pixels = np.zeros((24, 24, 3), np.uint8)
    pixels[:, 12:] = 255
    Image.fromarray(pixels).save(tmp_path / "odd.png")
    return tmp_path / "odd.png"


def test_what_is_unlike_the_learned_images_is_told(cli, finished, paths, odd):
    ended = cli("predict", finished.folder, odd, *paths)
    first, *others = table(ended)
    assert first["unlike"] == "true"
    assert float(first["distance"]) > 1
    assert {row["unlike"] for row in others} == {"false"}
    assert all(0 <= float(row["distance"]) <= 1 for row in others)  # three of four were learned from
    assert "biotune: 1 of 16 images is unlike those that the network learned from." in ended.err
    (entry,) = json.loads(cli("predict", finished.folder, odd, "--json").out)
    assert entry["unlike"] is True
    assert entry["distance"] == pytest.approx(float(first["distance"]), abs=1e-3)
    (alone,) = table(cli("predict", finished.folder, odd, "--single"))
    assert alone["distance"] == first["distance"]


def test_a_run_that_does_not_know_says_nothing(cli, finished, odd, tmp_path):
    """As runs of earlier versions, and those without a test."""
    folder = finished.copy(tmp_path / "run")
    (folder / "familiarity.safetensors").unlink()
    ended = cli("predict", folder, odd)
    (row,) = table(ended)
    assert list(row) == ["path", "label", "probability", "reason"]
    assert "unlike" not in ended.err
    assert {"unlike", "distance"}.isdisjoint(json.loads(cli("predict", folder, odd, "--json").out)[0])


@pytest.mark.parametrize("content", [b"", b"x" * 100])
def test_a_damaged_familiarity_is_named(content, cli, finished, odd, tmp_path):
    folder = finished.copy(tmp_path / "run")
    (folder / "familiarity.safetensors").write_bytes(content)
    ended = cli("predict", folder, odd)
    assert (ended.code, ended.out) == (4, "")
    assert "familiarity.safetensors' is not as the run left it" in ended.err


def test_quiet_prints_the_answers_alone(cli, finished, paths, odd):
    plain, quiet = (cli("predict", finished.folder, odd, *paths, *more) for more in ((), ("--quiet",)))
    assert quiet.err == ""
    assert quiet.out == plain.out
