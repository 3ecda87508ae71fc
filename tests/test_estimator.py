"""``ImageClassifier`` beside scikit-learn: its contract, and images in every form in the place of rows."""

import gc
import pickle
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import estimator_checks

import biotune
import tiny
from biotune.errors import InputError

MODEL = tiny.TINY["model"]
SETTINGS = {
    section: {**fields, **tiny.BRIEF.get(section, {})} for section, fields in tiny.TINY.items() if section != "model"
}
QUIET = {"settings": SETTINGS, "observer": biotune.silent}


@pytest.fixture(scope="module")
def files(images):
    return sorted(images.glob("*/*.png"))


@pytest.fixture(scope="module")
def labels(files):
    return [file.parent.name for file in files]


@pytest.fixture(scope="module")
def fitted(files, labels):
    return biotune.ImageClassifier(MODEL, **QUIET).fit(files, labels)


@pytest.mark.parametrize(
    "check",
    [
        estimator_checks.check_do_not_raise_errors_in_init_or_set_params,
        estimator_checks.check_estimator_cloneable,
        estimator_checks.check_estimator_repr,
        estimator_checks.check_estimator_tags_renamed,
        estimator_checks.check_get_params_invariance,
        estimator_checks.check_mixin_order,
        estimator_checks.check_no_attributes_set_in_init,
        estimator_checks.check_parameters_default_constructible,
        estimator_checks.check_set_params,
        estimator_checks.check_valid_tag_types,
    ],
    ids=lambda check: check.__name__,
)
def test_the_checks_of_scikit_learn_that_need_no_rows_of_numbers(check):
    check("ImageClassifier", biotune.ImageClassifier())


def test_fit_changes_no_parameter_and_gives_a_classifier(fitted, files, labels):
    assert clone(fitted).get_params() == biotune.ImageClassifier(MODEL, **QUIET).get_params() == fitted.get_params()
    assert fitted.classes_.tolist() == list(tiny.CLASSES)
    assert fitted.predict(files).shape == (60,)
    assert fitted.score(files, labels) == np.mean(fitted.predict(files) == labels)


def test_probabilities_are_in_the_order_of_the_classes(fitted, files):
    probabilities = fitted.predict_proba(files[:7])
    assert probabilities.shape == (7, 3)
    assert probabilities.sum(axis=1) == pytest.approx(np.ones(7))
    assert fitted.predict(files[:7]).tolist() == fitted.classes_[probabilities.argmax(axis=1)].tolist()
    answers = fitted.classifier_.predict(files[:7])
    assert probabilities[:, 2].tolist() == [answer.probabilities["red"] for answer in answers]


def test_one_image_in_any_form_and_several_get_the_same_answer(fitted, files):
    picture = Image.open(files[0])
    pixels = np.asarray(picture)
    (expected,) = fitted.predict_proba([files[0]])
    for given in (files[0], str(files[0]), files[0].read_bytes(), pixels, picture, pixels[None], [picture],
                  np.array([str(files[0])]), pd.Series([files[0]]), pd.DataFrame({"path": [files[0]], "site": [1]}),
                  pixels / np.float64(255)):  # fmt: skip
        assert fitted.predict_proba(given).tolist() == [expected.tolist()], type(given)


def test_a_folder_stands_for_its_images(fitted, images, files):
    red = [file for file in files if file.parent.name == "red"]
    assert fitted.predict_proba(images / "red").tolist() == fitted.predict_proba(red).tolist()


def test_the_table_has_the_columns_of_the_command(fitted, files, tmp_path):
    (tmp_path / "broken.png").write_text("no image")
    table = fitted.predict_table([files[0], tmp_path / "broken.png"], top=2)
    assert list(table) == ["path", "label", "probability", "label_2", "probability_2", "reason", "unlike", "distance"]
    ordered = np.sort(fitted.predict_proba(files[0])[0])[::-1]
    assert table.loc[0, ["probability", "probability_2"]].tolist() == ordered[:2].tolist()
    assert table.loc[0, "label"] == fitted.predict(files[0])[0]
    assert table.loc[1].isna().tolist() == [False, True, True, True, True, False, True, True]
    assert table.loc[0, "unlike"] == (table.loc[0, "distance"] > 1)
    assert "its content is none of JPEG" in table.loc[1, "reason"]
    with pytest.raises(InputError, match=r"broken\.png"):
        fitted.predict([tmp_path / "broken.png"])
    with pytest.raises(InputError, match="top is 4; give a number of classes, 1 to 3"):
        fitted.predict_table(files, top=4)


def test_a_table_without_pandas_is_one_sentence(fitted, files, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(InputError, match="a table needs pandas: pip install pandas"):
        fitted.predict_table(files[:1])


def test_scores_on_what_it_was_fitted_to_are_those_of_the_test_images(fitted, files, labels):
    scored = fitted.evaluate(files, labels)
    summary = fitted.result_.summary
    assert (scored.results.split, scored.results.own, scored.results.images) == ("test", True, summary.data.test)
    assert scored.results.accuracy == pytest.approx(summary.test.accuracy)
    shifted = fitted.evaluate(files[:30], [labels[(index + 20) % 60] for index in range(30)])
    assert shifted.results.seen == 30 - sum(file in map(str, files[:30]) for file in scored.images.ids)
    mistakes = shifted.mistakes(2)
    assert [one.answer for one in mistakes] == [fitted.predict(one.path)[0] for one in mistakes]
    assert repr(shifted).startswith("<ScoredRun: accuracy ")
    assert " on 30 images, of which the run learned from " in repr(shifted)


def test_numbers_stay_numbers_and_groups_stay_together(files, labels, no_report):
    numbers = np.array([{"blue": 10, "green": -2, "red": 9}[name] for name in labels])
    pixels = np.stack([np.asarray(Image.open(file)) for file in files])
    groups = [None if index < 2 else f"photo {index // 4}" for index in range(60)]
    fitted = biotune.ImageClassifier(MODEL, **QUIET).fit(pixels, numbers, groups=groups)
    assert fitted.classes_.tolist() == [-2, 9, 10]
    assert fitted.classifier_.class_names == ("-2", "10", "9")  # by text, since one is no plain number
    assert set(fitted.predict(pixels).tolist()) <= {-2, 9, 10}
    nine = [answer.probabilities["9"] for answer in fitted.classifier_.predict(pixels[:3])]
    assert fitted.predict_proba(pixels[:3])[:, 1].tolist() == nine
    tested = {int(name.split("/")[1]) for name in fitted.evaluate(pixels, numbers).images.ids}
    learned = set(range(60)) - tested
    assert tested
    together = {groups[row] for row in tested} & {groups[row] for row in learned}
    assert together <= {None}


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA, pd.NaT])
def test_an_image_whose_group_is_missing_is_alone(missing, monkeypatch):
    given = []
    monkeypatch.setattr("biotune.estimator.tune", lambda data, **settings: given.append(data))
    with pytest.raises(AttributeError):  # there is no run
        biotune.ImageClassifier().fit(["a.png", "b.png", "c.png"], ["x", "y", "x"], groups=[missing, "p", missing])
    assert given[0].groups == ("only a.png", "p", "only c.png")


def test_a_folder_has_labels_of_its_own(images, no_report):
    fitted = biotune.ImageClassifier(MODEL, **QUIET).fit(images)
    assert fitted.classes_.tolist() == list(tiny.CLASSES)
    assert fitted.evaluate(images).results.own


def test_cross_validation_learns_from_each_fold(files, labels, no_report):
    estimator = biotune.ImageClassifier(MODEL, test_fraction=0, **QUIET)
    groups = [index // 5 for index in range(60)]
    scores = cross_val_score(
        estimator, np.array(list(map(str, files))), labels, cv=GroupKFold(2), groups=groups,
        params={"groups": groups}, error_score="raise",
    )  # fmt: skip
    assert scores.shape == (2,)
    assert all(0 <= score <= 1 for score in scores)


def test_in_a_pipeline_and_a_grid(files, labels, no_report):
    frame = pd.DataFrame({"path": list(map(str, files)), "site": ["a"] * 60})
    pipe = make_pipeline(FunctionTransformer(lambda table: table["path"]), biotune.ImageClassifier(MODEL, **QUIET))
    grid = GridSearchCV(pipe, {"imageclassifier__seed": [3]}, cv=2, error_score="raise").fit(frame, labels)
    assert grid.best_params_ == {"imageclassifier__seed": 3}
    assert grid.predict(frame[:2]).shape == (2,)


def test_a_pickled_estimator_predicts_where_its_temporary_folder_is_gone(files, labels, no_report):
    fitted = biotune.ImageClassifier(MODEL, **QUIET).fit(files[::2], labels[::2])
    copy, folder, before = pickle.dumps(fitted), fitted.result_.folder, fitted.predict_proba(files)
    assert folder.is_dir()
    del fitted
    gc.collect()
    assert not folder.exists()
    again = pickle.loads(copy)
    assert again.predict_proba(files).tolist() == before.tolist()
    for use in (again.report, lambda: again.evaluate(files, labels)):
        with pytest.raises(InputError, match=r"the run folder '.*' is gone; give ImageClassifier\(out=...\) a folder"):
            use()


def test_a_named_folder_stays_and_refuses_other_images(files, labels, tmp_path, no_report):
    estimator = biotune.ImageClassifier(MODEL, out=tmp_path / "run", **QUIET)
    first = estimator.fit(files, labels).predict_proba(files)
    assert estimator.fit(files, labels).predict_proba(files).tolist() == first.tolist()
    with pytest.raises(InputError, match="holds another run"):
        estimator.fit(files[::2], labels[::2])
    assert (tmp_path / "run" / "report.html").exists()


def test_a_notebook_shows_the_parameters_and_what_was_found(fitted):
    bundle = fitted._repr_mimebundle_()
    assert "sk-container" in bundle["text/html"]
    assert "test images of 60 images in memory" in bundle["text/html"]
    assert "test images of" not in clone(fitted)._repr_mimebundle_()["text/html"]
    assert repr(fitted.report()) == str(fitted.result_.folder / "report.html")


def test_exported_it_answers_without_biotune(fitted, tmp_path):
    made = fitted.export(tmp_path / "model")
    assert made.folder == tmp_path / "model"
    assert (tmp_path / "model" / "predict.py").exists()


def test_before_fit(files):
    for use in ("predict", "predict_proba", "predict_table", "evaluate"):
        with pytest.raises(NotFittedError):
            getattr(biotune.ImageClassifier(), use)(files)


@pytest.mark.parametrize(
    ("images", "labels", "groups", "message"),
    [
        (["a.png", "b.png"], None, None, "y is missing; give one label per image"),
        (np.zeros((2, 8, 8, 3), np.uint8), None, None, "y is missing"),
        (pd.DataFrame({"path": ["a.png"]}), None, None, "y is missing"),
        ("photos/", ["a"], None, "X is 'photos/' and y is given too; give a list of paths with y, or a folder without"),
        ("photos/", None, ["a"], "groups go with y"),
        (["a.png", "b.png"], ["a"], None, "2 images and 1 labels were given"),
        (["a.png", "b.png"], ["a", "b"], ["p"], "2 images and 1 groups were given"),
        (["a.png", "b.png"], [0.5, 0.7], None, "Unknown label type: continuous"),
        (["a.png", "b.png"], ["a", None], None, r"the label of image 1 is missing \(None\); give every image one, or"),
        (["a.png", "b.png"], ["a", np.nan], None, r"the label of image 1 is missing \(nan\)"),
        (["a.png", "b.png"], pd.array([pd.NA, 3]), None, r"the label of image 0 is missing \((nan|<NA>)\)"),
        (["a.png", "b.png"], pd.Series(["a", 3]), None, "labels of type int and str were given; give all as texts, or"),
        (["a.png", "b.png"], ["e\u0301", "\u00e9"], None, "two labels are written alike"),
        (pd.DataFrame({"file": ["a.png"], "site": [1]}), ["a"], None, "the table has the columns file, site"),
        (3, ["a"], None, "images are a int; give a path"),
        (np.zeros((4, 64)), [0, 1, 0, 1], None, r"an image of shape \(64,\) was given"),
    ],
)
def test_what_cannot_be_fitted_is_one_sentence(images, labels, groups, message):
    with pytest.raises(ValueError, match=message) as error:
        biotune.ImageClassifier().fit(images, labels, groups)
    assert "\n" not in str(error.value)
