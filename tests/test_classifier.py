"""Using a finished run: predictions, scores by class name, damaged or foreign folders."""

import copy
import json
import pickle
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import torch
from PIL import Image

import tiny
from biotune.classifier import load_run
from biotune.datasets.image_set import IMAGE, TEXT
from biotune.datasets.unlabelled import listed, to_label
from biotune.errors import DamagedStateError, InputError
from biotune.explained import explain


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


def test_a_pattern_that_no_shell_has_replaced_stands_for_what_it_matches(tmp_path):
    deep = tiny.write_classes(tmp_path / "deep", {"b": 1, "a": 2, "[x]": 1})

    assert [one.source for one in to_label([f"{deep}/?/00*.png"])[0]] == [
        deep / "a/000.png", deep / "a/001.png", deep / "b/000.png",
    ]  # fmt: skip
    assert [one.source for one in to_label([deep / "[x]"])[0]] == [deep / "[x]/000.png"]
    with pytest.raises(InputError, match=r"no file matches '.*/\*\.bmp'; check the pattern, or give a folder"):
        to_label([f"{deep}/*.bmp"])


def test_a_folder_without_images_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"the folder '.*' holds no images \(files that end in \.bmp "):
        to_label([tmp_path])


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no run of biotune; give the folder that --out named"):
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


def test_images_in_memory_get_the_answers_of_their_files(classifier, images):
    path = images / "red" / "000.png"
    picture = Image.open(path)
    several = [path, str(path), path.read_bytes(), np.asarray(picture), picture]
    answers = classifier.predict(several)
    assert {answer.label for answer in answers} == {answers[0].label}
    assert [answer.path for answer in answers[2:]] == ["image 2", "image 3", "image 4"]


def test_one_image_is_not_a_list_of_letters_bytes_or_rows(classifier, images):
    path = images / "red" / "000.png"
    (expected,) = classifier.predict([path])
    for given in (path, str(path), path.read_bytes(), np.asarray(Image.open(path)), Image.open(path)):
        (answer,) = classifier.predict(given)
        assert answer.probabilities == expected.probabilities


def test_images_of_pillow_are_read_as_their_files_are(classifier, images, tmp_path):
    """Transparency is put over white, and an image is turned upright, as in a file."""
    picture = Image.open(images / "red" / "000.png").convert("RGBA")
    picture.putalpha(Image.linear_gradient("L").resize(picture.size))
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(tmp_path / "a.png", exif=exif)
    file, image = classifier.predict([tmp_path / "a.png", Image.open(tmp_path / "a.png")])
    assert file.probabilities == image.probabilities


def test_an_image_of_pillow_that_is_closed_does_not_stop_the_others(classifier, images):
    path, closed = images / "red" / "000.png", Image.open(images / "red" / "001.png")
    closed.close()
    answers = list(classifier.predictions([closed, path]))
    assert answers[0].reason == "Pillow cannot load it (Operation on closed image)"
    assert answers[1].label
    with pytest.raises(InputError, match="cannot read the image 'image 0': Pillow cannot load it"):
        classifier.predict(closed)
    assert next(explain(classifier, closed)).answer.reason == answers[0].reason


@pytest.mark.parametrize(
    ("shape", "expected"), [((24, 24), 1), ((24, 24, 1), 1), ((2, 24, 24), 2), ((2, 24, 24, 3), 2)]
)
def test_how_many_images_an_array_holds(shape, expected, classifier):
    assert len(classifier.predict(np.zeros(shape, np.uint8))) == expected


def test_how_many_images_a_tensor_holds(classifier):
    shapes = [(24, 24), (3, 24, 24), (1, 24, 24), (24, 24, 3), (24, 24, 1), (2, 24, 24), (2, 3, 24, 24)]
    assert [len(classifier.predict(torch.zeros(shape))) for shape in shapes] == [1, 1, 1, 1, 1, 2, 2]


def test_an_empty_path_is_not_the_current_folder(classifier, images):
    with pytest.raises(InputError, match=r"the path of the images is empty; give a file or a folder, '\.' for the"):
        classifier.predict("")
    answers = list(classifier.predictions([images / "red" / "000.png", ""]))
    assert [answer.path for answer in answers] == [str(images / "red" / "000.png"), "image 1"]
    assert [answer.reason for answer in answers] == ["", "its path is empty"]


def test_the_column_of_a_table_depends_on_what_it_holds():
    table = pd.DataFrame({"path": ["a.png"], "text": ["A fine film."], "label": ["x"]})
    assert list(listed(table, IMAGE)) == ["a.png"]
    assert list(listed(table, TEXT)) == ["A fine film."]
    with pytest.raises(
        InputError, match="the table has the columns path, label; give the one that holds the texts, or"
    ):
        listed(table[["path", "label"]], TEXT)


@pytest.mark.parametrize("wrong", [3, None, {"a": 1}, np.full((2, 2, 3), 2.0)], ids=repr)
def test_what_is_no_image_is_refused(wrong, classifier):
    with pytest.raises(InputError, match=r"an image is a|an image holds values from 2 to 2"):
        classifier.predict([wrong])


def test_results_are_short_as_text(classifier, images):
    assert len(repr(classifier)) < 400
    assert "probabilities" not in repr(classifier.predict(images / "red")[0])


def test_predict_counts_what_it_ignores_in_folders(cli, finished, images, tmp_path):
    shutil.copytree(images / "red", tmp_path / "new")
    (tmp_path / "new" / "000.png").rename(tmp_path / "new" / "000.jfif")
    (tmp_path / "new" / "notes.txt").touch()
    (tmp_path / "new" / "lost.png").symlink_to("nowhere")
    ended = cli("predict", finished.folder, tmp_path / "new")
    assert len(ended.out.splitlines()) == 21
    assert "ignored in the folders: files that are not images" in ended.err
    assert "broken links (1)" in ended.err


def test_threads_that_share_a_classifier_get_its_answers(classifier, images):
    """Parts of unequal length in eight threads: answers, distances and what spoke for them are those of one thread."""
    paths = sorted(images.glob("*/*.png"))
    parts = [paths[start : start + length] for start in range(0, 40, 4) for length in (1, 3, 8)]

    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(classifier.predict, parts))
        drawn = list(threads.map(lambda path: next(explain(classifier, [path])).seen.heat, paths[:16]))

    assert together == [classifier.predict(part) for part in parts]
    for path, heat in zip(paths, drawn, strict=False):
        np.testing.assert_array_equal(heat, next(explain(classifier, [path])).seen.heat)


@pytest.mark.parametrize("twin", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_a_copy_of_a_classifier_waits_for_nobody(twin, classifier, images):
    with classifier.lock, ThreadPoolExecutor(1) as thread:
        answers = thread.submit(twin(classifier).predict, images).result(timeout=30)
    assert answers == classifier.predict(images)
