"""Using a finished run: predictions, scores by class name, damaged or foreign folders."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image

import tiny
from biotune.datasets.unlabelled import to_label
from biotune.errors import DamagedStateError, InputError
from biotune.predict import load_run
from tiny import evaluate_run


@pytest.fixture(scope="module")
def classifier(finished):
    return load_run(finished.folder)


def test_probabilities_add_up_and_name_the_label(classifier, images):
    answer = classifier.predict([images / "red" / "000.png"])[0]
    assert tuple(answer.probabilities) == tiny.CLASSES
    assert sum(answer.probabilities.values()) == pytest.approx(1.0)
    assert answer.probability == max(answer.probabilities.values()) == answer.probabilities[answer.label]


def test_batches_change_nothing(classifier, images):
    """Seventy images need two batches; alone, an image gets the same answer up to rounding."""
    paths = sorted(images.glob("*/*.png"))
    many = classifier.predict([*paths, *paths[:10]])
    assert [answer.path for answer in many] == [str(path) for path in [*paths, *paths[:10]]]
    assert classifier.predict(paths[:1])[0].probability == pytest.approx(many[0].probability, abs=1e-5)


def test_predicting_nothing_gives_nothing(classifier):
    assert classifier.predict([]) == []


def test_an_unreadable_image_is_named(classifier, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"cannot read the image '.*broken\.png': "):
        classifier.predict([tmp_path / "broken.png"])


def test_an_unreadable_image_does_not_stop_the_others(classifier, images, tmp_path):
    """Seventy files in two batches; the first, one in the middle and the last cannot be read."""
    (tmp_path / "broken.png").write_bytes(b"no image")
    good = sorted(images.glob("*/*.png"))
    paths = [
        tmp_path / "missing.png",
        *good[:33],
        tmp_path / "broken.png",
        *good[33:],
        *good[:8],
        tmp_path / "missing.png",
    ]
    answers = list(classifier.predictions(paths))
    assert [answer.path for answer in answers] == [str(path) for path in paths]
    assert [index for index, answer in enumerate(answers) if answer.reason] == [0, 34, 70]
    assert (answers[0].label, answers[0].probability, answers[0].probabilities) == ("", 0.0, {})
    assert answers[0].reason == "No such file or directory"
    assert answers[34].reason.startswith("its content is none of ")
    expected = classifier.predict(good[:1])[0]
    assert (answers[1].label, answers[1].probability) == (expected.label, pytest.approx(expected.probability, abs=1e-5))


def test_folders_stand_for_the_images_inside(images, tmp_path):
    deep = tiny.write_classes(tmp_path / "deep", {"b/c": 1, "a": 2})
    (deep / "a" / "notes.txt").write_text("no image")
    (deep / ".hidden.png").write_text("hidden")
    named = [tmp_path / "odd.name", deep, images / "red" / "000.png"]
    inside = [deep / "a/000.png", deep / "a/001.png", deep / "b/c/000.png"]
    assert [one.source for one in to_label(named)[0]] == [named[0], *inside, named[2]]


def test_a_folder_without_images_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"the folder '.*' holds no images \(files that end in \.bmp "):
        to_label([tmp_path])


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


def test_evaluate_says_what_was_scored(cli, finished, images):
    own = cli("evaluate", finished.folder, images)
    every = cli("evaluate", finished.folder, images, "--split", "all")
    assert own.out.startswith("Scored the 12 test images of the run's own data by the vote of 2 networks.\nAccuracy ")
    assert "The run learned from, or chose by, 48 of these images, so the scores are optimistic.\n" in every.out


def test_an_unknown_class_is_refused(finished, tmp_path):
    tiny.write_classes(tmp_path / "other", ("cats", "dogs"))
    with pytest.raises(InputError, match=r"the class 'cats' of '.*other' is unknown to this network; it knows blue, "):
        evaluate_run(finished.folder, tmp_path / "other")


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no model of biotune yet; run the command that began it to continue"):
        load_run(tmp_path)


@pytest.mark.parametrize("name", ["model.safetensors", "labels.json", "preprocessing.json", "config.toml"])
@pytest.mark.parametrize("damage", ["cut", "missing", "other"])
def test_a_damaged_run_is_refused(name, damage, finished, tmp_path):
    folder = finished.copy(tmp_path / "run")
    path = folder / name
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    else:
        path.write_bytes(b"{}" if path.suffix == ".json" else safetensors.torch.save({"other": torch.zeros(1)}))
    with pytest.raises(DamagedStateError, match=f"'{path}' (is missing|is not as the run left it|is damaged|lacks)"):
        load_run(folder)


def test_a_network_of_another_size_is_refused(finished, tmp_path):
    folder = finished.copy(tmp_path / "run")
    (folder / "labels.json").write_text(json.dumps(["one", "two"]))
    (folder / "manifest.json").unlink()
    with pytest.raises(DamagedStateError, match=r"model\.safetensors' is damaged"):
        load_run(folder)


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


def test_images_in_memory_get_the_answers_of_their_files(classifier, images):
    path = images / "red" / "000.png"
    picture = Image.open(path)
    several = [path, str(path), path.read_bytes(), np.asarray(picture), picture]
    answers = classifier.predict(several)
    assert {answer.label for answer in answers} == {answers[0].label}
    assert [answer.path for answer in answers[2:]] == ["image 2", "image 3", "image 4"]


@pytest.mark.parametrize("wrong", ["a.png", Path("a.png"), b"x", np.zeros((2, 2, 3), np.uint8)], ids=repr)
def test_one_image_instead_of_a_list_is_refused(wrong, classifier):
    with pytest.raises(InputError, match=r"one image is given; give a list of images: predict\(\[image\]\)"):
        classifier.predict(wrong)


@pytest.mark.parametrize("wrong", [3, None, {"a": 1}, np.zeros((2, 2, 3))], ids=repr)
def test_what_is_no_image_is_refused(wrong, classifier):
    with pytest.raises(InputError, match=r"an image is a|an image of type float64"):
        classifier.predict([wrong])


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


def test_predict_counts_what_it_ignores_in_folders(cli, finished, images, tmp_path):
    shutil.copytree(images / "red", tmp_path / "new")
    (tmp_path / "new" / "000.png").rename(tmp_path / "new" / "000.jfif")
    (tmp_path / "new" / "notes.txt").touch()
    (tmp_path / "new" / "lost.png").symlink_to("nowhere")
    ended = cli("predict", finished.folder, tmp_path / "new")
    assert len(ended.out.splitlines()) == 21
    assert "ignored in the folders: files that are not images" in ended.err
    assert "broken links (1)" in ended.err
