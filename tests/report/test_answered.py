"""What a page says of the answers: mistakes, confusions, how sure the network is, and when it cannot be used."""

import csv
import re
from dataclasses import replace

import numpy as np
import pytest
from made_up_run import CLASSES, with_votes
from opened import opened, opened_history

from biotune.report import answer_figures as draw
from biotune.report.answer_files import write_answer_table, write_confusion_table
from biotune.report.answered import Answered, Bin, reliability
from biotune.report.run_page import draw_figures, render
from biotune.report.run_sentences import alarms, captions, headline
from biotune.results.operating_point import Rates


def _answered(labels, predicted, probability, classes=("cat", "dog")):
    labels = np.array(labels)
    return Answered(
        classes=classes,
        paths=tuple(f"{number}.png" for number in range(len(labels))),
        images=np.zeros((len(labels), 4, 4, 3), dtype=np.uint8),
        labels=labels,
        predicted=np.array(predicted),
        probability=np.array(probability),
    )


def _per_class(summary, *rows):
    summary["exported"]["per_class"] = [
        {"name": name, "train": train, "test": test, "recall": right / test} for name, train, test, right in rows
    ]
    right, tested = sum(row[3] for row in rows), sum(row[2] for row in rows)
    summary["exported"]["test"] = right / tested
    summary["data"].update(test=tested, classes=[row[0] for row in rows])
    return opened(summary)


def test_the_surest_mistakes_come_first():
    found = _answered([0, 0, 1, 1], [1, 0, 0, 0], [0.6, 0.99, 0.9, 0.6])
    assert [(one.path, one.truth, one.answer) for one in found.surest_mistakes(5)] == [
        ("2.png", "dog", "cat"),
        ("0.png", "cat", "dog"),  # of equal probability, in the order of the images
        ("3.png", "dog", "cat"),
    ]
    assert [one.path for one in found.surest_mistakes(1)] == ["2.png"]


def test_a_sample_is_spread_over_all_images():
    found = _answered([0] * 9, [0] * 9, [1.0] * 9)
    assert [one.path for one in found.sample(3)] == ["0.png", "4.png", "8.png"]
    assert len(found.sample(20)) == 9


def test_answers_of_similar_probability_are_counted_together():
    """Of 15 bins, 0.61 and 0.66 share one (0.6 to 0.667), 0.94 and 1 the last (above 0.933)."""
    bins = reliability(np.array([0.94, 1.0, 0.61, 0.66]), np.array([True, False, True, True]))
    assert bins == [Bin(2, pytest.approx(0.635), 1.0), Bin(2, pytest.approx(0.97), 0.5)]


def test_the_page_says_how_sure_the_answers_are(summary, history):
    """A gap of 0.47 in the one bin, of 0.365 in the other: 0.4175 on average."""
    found = replace(_answered([0, 0, 0, 0], [0, 1, 0, 0], [0.94, 1.0, 0.61, 0.66]), classes=CLASSES)
    caption = captions(opened(summary), opened_history(history), found)["reliability"].replace(
        "\N{NO-BREAK SPACE}", " "
    )
    assert "an answer has a probability of 80.2 %, and 75.0 % of the answers are right; the calibration" in caption


def test_a_threshold_of_a_half_is_marked():
    """Of two images of the class one is above a half, of two others one: recall 50 %, others 50 %, precision 50 %."""
    figure = draw.two_classes(np.array([0.9, 0.4, 0.6, 0.1]), np.array([True, True, False, False]), "cat")
    left, right = figure.axes
    marks = [line for axes in (left, right) for line in axes.get_lines() if line.get_marker() == "o"]
    assert [(mark.get_xdata()[0], mark.get_ydata()[0]) for mark in marks] == [(50, 50), (50, 50)]
    assert left.get_title() == "ROC curve: area 0.750"  # of four pairs, three are in the right order


def test_a_confusion_matrix_of_many_classes_is_drawn(summary, history, answered):
    many = replace(answered, classes=tuple(f"class {number}" for number in range(30)))
    drawn = draw_figures(opened(summary), opened_history(history), many)
    assert set(drawn) >= {"confusion_matrix", "mistakes", "reliability", "sample_predictions"}
    (image,) = drawn["confusion_matrix"].axes[0].get_images()
    shares = image.get_array().filled(0.0)
    assert shares.shape == (30, 30)
    assert (shares[3, 5], shares[2, 5], shares[0, 0]) == (0.5, 0.5, 1.0)  # answers 3 and 8 of 12 are wrong


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([("healthy", 400, 92, 92), ("tumour", 30, 8, 0)], ["The model is no better", "tumour (finds 0 of 8)"]),
        ([("healthy", 400, 92, 91), ("tumour", 30, 8, 6)], ["The model is not clearly better"]),
        ([("healthy", 400, 50, 49), ("tumour", 30, 50, 45)], []),
    ],
)
def test_a_model_that_is_no_better_than_one_answer_is_called_so(summary, rows, words):
    found = " ".join(alarms(_per_class(summary, *rows)))
    for part in words:
        assert part in found
    assert bool(found) == bool(words)
    if words:
        assert "Always answering “healthy”, the class with the most training images" in found


@pytest.mark.parametrize(("test", "useful"), [((92, 8), False), ((50, 50), True)])
def test_a_better_baseline_that_is_of_no_use_either_is_not_recommended(summary, test, useful):
    """It reaches 88.0 % where always answering one class reaches 92 %, or 50 %."""
    own = {"difference": -0.05, "low": -0.08, "high": -0.02, "verdict": "worse"}
    summary["baselines"]["full_tuned"]["difference"] = own
    reason = headline(_per_class(summary, ("healthy", 400, test[0], 40), ("tumour", 30, test[1], 1))).reason
    assert ("On this data it is the better choice." in reason) is useful
    assert ("always answering “healthy” either: neither of the two is of use." in reason) is not useful


def test_copies_between_test_and_training_images_are_an_alarm(summary):
    leak = {"kind": "exact", "paths": ["a", "b", "c"], "splits": ["test", "train", "test"], "classes": ["x"] * 3}
    among_test = leak | {"splits": ["test"] * 3}
    summary["data"]["leaks"] = [leak, among_test]
    (found,) = alarms(opened(summary))
    assert found.startswith("2 test images have copies")


def test_a_search_that_bred_nothing_is_said_to_have_evolved_nothing(summary):
    words = "Nothing was evolved: the search chose among the 34 recipes that it began with"
    assert words not in headline(opened(summary)).lead  # an older file does not say
    summary["search"]["bred"] = 1
    assert words not in headline(opened(summary)).lead
    summary["search"]["bred"] = 0
    assert words in headline(opened(summary)).lead
    assert alarms(opened(summary)) == []


@pytest.mark.parametrize(("evaluations", "words"), [(0, "room for 0 recipes only"), (1, "room for 1 recipe only")])
def test_a_search_without_a_choice_is_an_alarm(evaluations, words, summary):
    summary["search"].update(evaluations=evaluations, bred=0)
    assert words in " ".join(alarms(opened(summary)))
    assert "Nothing was evolved" not in headline(opened(summary)).lead


def test_without_a_test_set_nothing_is_said_of_classes(summary):
    summary.update(test=None, baselines={})
    summary["exported"].update(test=None, test_macro=None)
    assert alarms(opened(summary)) == []


def test_the_headline_says_how_far_it_can_be_off(summary):
    """575 images at 88.9 %, seeds 0.894, 0.883 and 0.890: Wilson gives 86.1 to 91.2, the seeds add a tenth."""
    lead = headline(opened(summary)).lead.replace("\N{NO-BREAK SPACE}", " ")
    assert re.search(r"95 % interval 86\.\d to 91\.\d % from the choice of images and the spread of seeds", lead)
    lead = headline(opened(with_votes(summary))).lead.replace("\N{NO-BREAK SPACE}", " ")
    assert "95 % interval 88.5 to 93.2 % from the choice of images)" in lead


def test_the_page_shows_the_vote_where_there_is_one(summary, history):
    run = with_votes(summary)
    rows = [row | {"recall": 0.25 if row["test"] else None} for row in run["exported"]["per_class"]]
    run["vote"].update(per_class=rows, confusions=[{"truth": CLASSES[0], "predicted": CLASSES[1], "images": 4}])
    found = opened(run)
    assert found.used == found.vote
    page = render(found, opened_history(history), {})
    assert "The vote on the test set" in page
    assert page.count("25.0\N{NO-BREAK SPACE}%") == 5  # classes with test images


def test_the_page_lists_the_files_of_mistakes(summary, history, answered):
    page = render(opened(summary), opened_history(history), {}, answered)
    assert f"{CLASSES[3]}/3.png" in page
    assert f"{CLASSES[2]}/8.png" in page
    assert "/4.png" not in page


def test_the_table_of_answers_begins_with_the_surest_mistakes(tmp_path):
    found = _answered([0, 0, 1], [0, 1, 0], [0.99, 0.7, 0.9], classes=("=cat", "dog"))
    found = replace(found, probabilities=np.array([[0.99, 0.01], [0.3, 0.7], [0.9, 0.1]]))
    write_answer_table(tmp_path, found)
    rows = list(csv.reader((tmp_path / "answers.csv").read_text().splitlines()))
    assert rows == [
        ["path", "truth", "answer", "right", "probability", "'=cat", "dog"],
        ["2.png", "dog", "'=cat", "no", "0.9000", "0.9", "0.1"],
        ["1.png", "'=cat", "dog", "no", "0.7000", "0.3", "0.7"],
        ["0.png", "'=cat", "'=cat", "yes", "0.9900", "0.99", "0.01"],
    ]
    write_answer_table(tmp_path, replace(found, probabilities=None))
    assert (tmp_path / "answers.csv").read_text().startswith("path,truth,answer,right,probability\n")


def test_the_confusion_matrix_is_a_table_too(tmp_path):
    """Rows are true classes: of two cats one is taken for a dog, and so are both dogs for cats."""
    found = _answered([0, 0, 1, 1], [1, 0, 0, 0], [0.6, 0.99, 0.9, 0.6], classes=("=cat", "dog"))
    assert found.confusion.tolist() == [[1, 1], [2, 0]]
    write_confusion_table(tmp_path, found)
    assert (tmp_path / "confusion.csv").read_text() == "truth,'=cat,dog\n'=cat,1,1\ndog,2,0\n"


def test_mistakes_and_right_answers_are_explained_in_equal_numbers():
    found = _answered([0] * 8, [1, 0, 0, 1, 0, 1, 0, 0], [0.9, 0.9, 0.9, 0.7, 0.9, 0.8, 0.9, 0.9])
    assert found.to_explain(4).tolist() == [0, 5, 1, 7]  # the two surest mistakes, the first and the last right answer
    assert found.to_explain(20).tolist() == [0, 5, 3, 1, 2, 4, 6, 7]
    assert _answered([0, 0, 0], [1, 1, 1], [0.7, 0.9, 0.8]).to_explain(2).tolist() == [1, 2]
    assert _answered([0, 0, 0], [0, 0, 0], [0.7, 0.9, 0.8]).to_explain(2).tolist() == [0, 2]


def test_the_page_shows_what_the_network_looks_at(summary, history, answered):
    assert "explained" not in draw_figures(opened(summary), opened_history(history), answered)
    explained = replace(answered, explained=tuple(answered.sample(5)))
    drawn = draw_figures(opened(summary), opened_history(history), explained)
    assert len(drawn["explained"].axes) == 5
    page = render(opened(summary), opened_history(history), drawn, explained)
    assert "What it looks at" in page
    assert "yellow where most" in page


@pytest.mark.parametrize(("threshold", "marks"), [(None, 1), (0.5, 1), (0.3, 2)])
def test_the_threshold_that_was_chosen_is_marked_beside_a_half(summary, history, threshold, marks):
    """In both curves, unless it is a half."""
    probability = np.array([0.9, 0.4, 0.35, 0.1])
    truth = np.array([1, 1, 0, 0])
    found = replace(
        _answered(truth, (probability >= 0.5).astype(np.int64), np.maximum(probability, 1 - probability)),
        classes=("healthy", "tumour"),
        probabilities=np.stack([1 - probability, probability], axis=1),
    )
    if threshold is not None:
        rates = {"test": threshold, "default": 0.5, "held_out": threshold}
        summary["operating_point"] = {"class_name": "tumour", "threshold": threshold, "networks": "final"} | {
            name: Rates.at(value, probability, truth == 1).to_json() for name, value in rates.items()
        }
    run = opened(summary)
    left, right = draw_figures(run, opened_history(history), found)["two_classes"].axes
    for axes in (left, right):
        assert len([line for line in axes.get_lines() if line.get_marker() in ("o", "D")]) == marks
    caption = captions(run, opened_history(history), found)["two_classes"]
    assert ("the blue diamonds are the threshold that held-out images chose" in caption) is (marks == 2)
    assert ("Choose a threshold on other images than these." in caption) is (threshold is None)
