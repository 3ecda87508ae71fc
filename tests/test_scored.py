"""Scoring a run on labelled images: by class name, of its own data or other; the files of its answers."""

import csv
import json
import shutil
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import tiny
from biotune import scored
from biotune.classifier import load_run
from biotune.datasets.image_set import TEXT
from biotune.errors import InputError
from tiny import evaluate_run


def test_classes_are_matched_by_name(finished, images, tmp_path):
    """Two classes of three, in folders whose order differs from the network's."""
    for name, source in (("red", "red"), ("blue", "blue")):
        shutil.copytree(images / source, tmp_path / "some" / name)
    part, whole = (evaluate_run(finished.folder, data, split="all") for data in (tmp_path / "some", images))
    assert part["per_class"] == {name: whole["per_class"][name] for name in ("blue", "red")}
    assert part["images"] == 40
    assert part["accuracy"] == pytest.approx(np.mean(list(part["per_class"].values())))


def test_unequal_classes_weigh_equally_in_the_macro_accuracy(finished, tmp_path):
    tiny.write_classes(tmp_path / "some", {"blue": 9, "green": 1})
    scores = evaluate_run(finished.folder, tmp_path / "some")
    recalls = scores["per_class"]
    assert scores["accuracy"] == pytest.approx((9 * recalls["blue"] + recalls["green"]) / 10)
    assert scores["macro_accuracy"] == pytest.approx((recalls["blue"] + recalls["green"]) / 2)


def test_the_test_part_is_scored_and_train_may_be_missing(finished, images, tmp_path):
    """The class red has no image to train on in DATA, which is nothing to the network."""
    shutil.copytree(images / "blue", tmp_path / "d/train/blue")
    for name in ("blue", "red"):
        shutil.copytree(images / name, tmp_path / "d/test" / name)
        shutil.copytree(images / name, tmp_path / "only/test" / name)
    shutil.copytree(images / "red", tmp_path / "one/red")
    tested, alone, one = (evaluate_run(finished.folder, tmp_path / name) for name in ("d", "only", "one"))
    assert (tested["split"], tested["images"], tested["seen"]) == ("test", 40, 32)
    assert (alone["split"], alone["per_class"]) == ("test", tested["per_class"])
    assert (one["split"], one["images"], list(one["per_class"])) == ("all", 20, ["red"])
    assert evaluate_run(finished.folder, tmp_path / "d", split="train")["images"] == 20
    with pytest.raises(InputError, match="has no validation images; it has 40 test, 20 train"):
        evaluate_run(finished.folder, tmp_path / "d", split="validation")
    with pytest.raises(InputError, match="unknown split 'dev'; use train, validation, test, all"):
        evaluate_run(finished.folder, tmp_path / "d", split="dev")


def test_of_its_own_source_a_run_scores_its_test_images(finished, images):
    own, every = evaluate_run(finished.folder, images, vote=False), evaluate_run(finished.folder, images, split="all")
    assert (own["split"], own["images"], own["seen"]) == ("test", 12, 0)
    assert own["accuracy"] == pytest.approx(finished.summary["exported"]["test"])
    assert (every["images"], every["seen"]) == (60, 48)


def test_of_a_run_on_fewer_images_the_same_are_scored(cli, images, tmp_path, no_report):
    config = tiny.tiny_config(images, tiny.BRIEF, {"data": {"train_images": 24, "test_images": 6}})
    summary = tiny.run(config, tmp_path / "run")
    own = evaluate_run(tmp_path / "run", images)
    assert (own["images"], own["aside"], own["seen"]) == (6, 60 - 6 - 24 - summary["data"]["validation"], 0)
    assert own["accuracy"] == summary["test"]["accuracy"]
    every = evaluate_run(tmp_path / "run", images, split="all")
    assert (every["images"], every["aside"]) == (60, 0)
    assert every["seen"] == 24 + summary["data"]["validation"]
    said = cli("evaluate", tmp_path / "run", images).out
    assert f"Not scored: {own['aside']} images of DATA that the run did not use either, as --test-images" in said


def test_evaluate_says_what_was_scored(cli, finished, images):
    own = cli("evaluate", finished.folder, images)
    every = cli("evaluate", finished.folder, images, "--split", "all")
    assert own.out.startswith("Scored the 12 test images of the run's own data by the vote of 2 networks.\nAccuracy ")
    assert "The run learned from, or chose by, 48 of these images, so the scores are optimistic.\n" in every.out


def test_an_unknown_class_is_refused(finished, tmp_path):
    tiny.write_classes(tmp_path / "other", ("cats", "dogs"))
    with pytest.raises(InputError, match=r"the class 'cats' of '.*other' is unknown to this network; it knows blue, "):
        evaluate_run(finished.folder, tmp_path / "other")


def test_evaluating_leaves_out_what_cannot_be_read(finished, tmp_path):
    images = tiny.write_classes(tmp_path / "more", {"blue": 3, "red": 3})
    (images / "red" / "000.png").write_bytes(b"no image")
    scores = evaluate_run(finished.folder, images)
    assert (scores["images"], scores["left_out"]) == (5, ["red/000.png"])
    assert set(scores["per_class"]) == {"blue", "red"}


def test_evaluating_nothing_readable_is_refused(finished, tmp_path):
    images = tiny.write_classes(tmp_path / "more", {"blue": 1, "red": 1})
    for name in ("blue", "red"):
        (images / name / "000.png").write_bytes(b"no image")
    with pytest.raises(InputError, match="none of the 2 images"):
        evaluate_run(finished.folder, images)


def test_other_images_of_the_same_names_are_not_the_runs_own(finished, tmp_path):
    """As 2024/colours and 2025/colours: all of them are new to the network, so all are scored."""
    scores = evaluate_run(finished.folder, tiny.write_classes(tmp_path / "colours", first_seed=50_000))
    assert (scores["own"], scores["split"], scores["images"], scores["seen"]) == (False, "all", 60, 0)


def test_images_that_broke_or_vanished_leave_the_rest_the_runs_own(tmp_path, no_report):
    """Two of the images that train cannot be read: one from the beginning, one since the run."""
    images = tiny.write_classes(tmp_path / "colours")
    rows = [f"{path.relative_to(tmp_path)},{path.parent.name}" for path in sorted(images.glob("*/*.png"))]
    table = tmp_path / "table.csv"
    table.write_text("\n".join(["path,label,split", *(f"{row},{'test' if '/00' in row else ''}" for row in rows)]))
    (images / "red" / "010.png").write_bytes(b"no image")
    tiny.run(tiny.tiny_config(table, tiny.BRIEF), tmp_path / "run")
    (images / "red" / "011.png").unlink()
    scores = evaluate_run(tmp_path / "run", table)
    assert (scores["own"], scores["split"], scores["images"], scores["seen"]) == (True, "test", 30, 0)


def changed(images, tmp_path, how):
    """Return images of the run, changed a little."""
    data = shutil.copytree(images, tmp_path / ("colours" if how != "renamed" else "others"))
    if how == "one more":
        tiny.write_image(data / "red" / "new.png", seed=5000)
    elif how == "one less":
        (data / "red" / "000.png").unlink()
    elif how == "a table":
        rows = [f"colours/{path.parent.name}/{path.name},{path.parent.name}" for path in sorted(data.glob("*/*.png"))]
        data = tmp_path / "table.csv"
        data.write_text("\n".join(["path,label", *rows]))
    return data


@pytest.mark.parametrize("how", ["one more", "one less", "renamed", "a table"])
def test_images_that_the_run_learned_from_are_known_in_other_data(how, finished, images, tmp_path):
    scores = evaluate_run(finished.folder, changed(images, tmp_path, how))
    assert scores["own"] is False
    assert scores["split"] == "all"
    assert 46 <= scores["seen"] <= 48


def test_an_older_run_does_not_say_what_it_learned_from(finished, images, tmp_path):
    folder = finished.copy(tmp_path / "run")
    (folder / "learned.bin").unlink()
    assert evaluate_run(folder, changed(images, tmp_path, "one more"))["seen"] is None


@pytest.fixture(scope="module")
def mixed(images, tmp_path_factory):
    """The classes of the run with thirteen images in the wrong folders, since the tiny run makes no mistake."""
    root = shutil.copytree(images, tmp_path_factory.mktemp("data") / "mixed")
    for number in range(13):
        (root / "red" / f"{number:03}.png").rename(root / "blue" / f"red-{number}.png")
    return root


@pytest.fixture(scope="module")
def mistaken(finished, mixed):
    """The run, scored on these."""
    return scored.evaluate_run(finished.folder, mixed)


def rows_of(path):
    return list(csv.DictReader(path.read_text().splitlines()))


def test_the_files_hold_what_predict_answers(mistaken, finished, mixed, tmp_path):
    mistaken.write(tmp_path / "new" / "wrong")
    answers, confusion = (rows_of(tmp_path / "new/wrong" / name) for name in ("answers.csv", "confusion.csv"))

    predicted = load_run(finished.folder).predict([mixed / row["path"] for row in answers])
    assert [row["answer"] for row in answers] == [one.label for one in predicted]
    assert [row["truth"] for row in answers] == [row["path"].split("/")[0] for row in answers]
    assert [float(row["green"]) for row in answers] == pytest.approx(
        [one.probabilities["green"] for one in predicted], abs=1e-3
    )
    counts = Counter((row["truth"], row["answer"]) for row in answers)
    assert {(row["truth"], name): int(row[name]) for row in confusion for name in tiny.CLASSES} == {
        (truth, answer): counts[truth, answer] for truth in tiny.CLASSES for answer in tiny.CLASSES
    }


def test_mistakes_are_listed_the_surest_first(mistaken, tmp_path):
    mistaken.write(tmp_path)
    wrong = [row for row in rows_of(tmp_path / "answers.csv") if row["right"] == "no"]
    found = mistaken.mistakes(1000)
    assert len(found) == len(wrong) == 13
    assert [(one.path, one.truth, one.answer) for one in found] == [
        (row["path"], row["truth"], row["answer"]) for row in wrong
    ]
    assert [one.probability for one in found] == sorted((one.probability for one in found), reverse=True)
    assert mistaken.mistakes(2) == found[:2]
    assert list(mistaken.results.mistakes) == found[:20]


def test_the_mistakes_are_drawn(mistaken, tmp_path):
    mistaken.write(tmp_path)
    with Image.open(tmp_path / "mistakes.png") as sheet:
        assert sheet.format == "PNG"
        assert sheet.width > 900
        tile = np.asarray(sheet.convert("RGB"))[130:236, 30:130]  # inside the first tile: its own pixels, enlarged
    assert tile.reshape(-1, 3).mean(axis=0).argmax() == 0  # red, in the folder of blue images


@pytest.mark.parametrize("why", ["no mistake", "texts"])
def test_where_there_is_nothing_to_draw_no_old_picture_stays(why, mistaken, tmp_path):
    mistaken.write(tmp_path)
    if why == "no mistake":
        other = replace(mistaken, answered=replace(mistaken.answered, predicted=mistaken.answered.labels))
    else:
        other = replace(mistaken, images=replace(mistaken.images, kind=TEXT))
    other.write(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["answers.csv", "confusion.csv"]


def test_evaluate_shows_mistakes_and_writes_files(cli, mistaken, finished, mixed, tmp_path):
    told = cli("evaluate", finished.folder, mixed, "--out", tmp_path / "wrong")
    first = mistaken.mistakes(1)[0]
    assert "What it confuses" in told.out
    assert "The surest first; 10 of 13 mistakes." in told.out
    (line,) = [line for line in told.out.splitlines() if first.path in line]
    assert line.split()[1:3] == [first.truth, first.answer]
    assert (tmp_path / "wrong" / "mistakes.png").exists()


def test_evaluate_gives_mistakes_and_the_interval_as_json(cli, mistaken, finished, mixed):
    found = json.loads(cli("evaluate", finished.folder, mixed, "--json").out)
    assert found["mistakes"][0]["path"] == mistaken.mistakes(1)[0].path
    low, high = found["interval"]
    p, n, z = found["accuracy"], 60, 1.96
    centre, half = (p + z**2 / 2 / n) / (1 + z**2 / n), z * (p * (1 - p) / n + z**2 / 4 / n**2) ** 0.5 / (1 + z**2 / n)
    assert (low, high) == (pytest.approx(centre - half), pytest.approx(centre + half))


def test_a_folder_that_cannot_be_made_is_refused(cli, finished, images):
    ended = cli("evaluate", finished.folder, images, "--out", "/dev/null/x")
    assert ended.code == 2
    assert "cannot make the folder '/dev/null/x': Not a directory; choose another with --out." in ended.err
