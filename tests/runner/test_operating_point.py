"""The threshold of two classes: chosen on held-out images, tried on the test, used by ``predict``."""

import csv
import json

import numpy as np
import pytest

from biotune.classifier import load_run
from biotune.errors import InputError
from biotune.results.operating_point import Rates, youden_threshold
from biotune.runner.operating_point import rarer_class
from tiny import EARLY, run, tiny_config, write_classes

SMALL = {
    "search": {"population": 2, "generations": 1},
    "final": {"seeds": 2, "candidates": 1, "baselines": ()},
}
CLASSES = {"blue": 40, "green": 20}


@pytest.fixture(scope="module")
def two_classes(tmp_path_factory):
    """Two classes, the second the rarer one; not to be changed."""
    return write_classes(tmp_path_factory.mktemp("two") / "colours", CLASSES)


@pytest.fixture(scope="module", params=["final", "search"])
def finished_two(request, two_classes, tmp_path_factory):
    """Folder and summary of a run whose final networks left out the validation images, or learned from them too."""
    folder = tmp_path_factory.mktemp(request.param) / "run"
    kept = {"final": {**SMALL["final"], "data": "training"}} if request.param == "final" else {}
    return request.param, folder, run(tiny_config(two_classes, SMALL, kept), folder)


def test_the_threshold_of_the_highest_sum_by_hand():
    """Of the class: 0.2, 0.3, 0.9; others: 0.1, 0.15, 0.25, 0.6.

    At 0.175 all 3 are found and 2 of 4 left alone: J = 0.5; at 0.275, 2 of 3 and 3 of 4: 0.417; at 0.5, 1/3 and 3/4.
    """
    probability = np.array([0.2, 0.3, 0.9, 0.1, 0.15, 0.25, 0.6])
    positive = np.array([True] * 3 + [False] * 4)
    assert youden_threshold(probability, positive) == pytest.approx(0.175)


@pytest.mark.parametrize(
    "probability",
    [
        [0.9, 0.7, 0.3, 0.2],  # 0.5 separates the classes already
        [0.4, 0.4, 0.4, 0.4],  # nothing does
    ],
)
def test_a_half_stays_where_nothing_is_better(probability):
    assert youden_threshold(np.array(probability), np.array([True, True, False, False])) == 0.5


def test_no_threshold_is_better_than_the_chosen_one(subtests):
    for seed in range(50):
        generator = np.random.default_rng(seed)
        probability = generator.integers(0, 12, 20) / 12  # with ties
        positive = np.arange(20) < 1 + seed % 19
        chosen = youden_threshold(probability, positive)

        def gain(threshold, probability=probability, positive=positive):
            answered = probability >= threshold
            return answered[positive].mean() + (~answered)[~positive].mean()

        with subtests.test(seed=seed):
            between = np.linspace(probability.min() + 0.01, probability.max(), 300)  # one class for all is no choice
            assert gain(chosen) == pytest.approx(max(map(gain, [0.5, *between])))


def test_rates_by_hand():
    """Four of the class, of which 0.5 finds three; six others, of which it takes one: 3 of 4 answers are right.

    Wilson's interval of 3 of 4: 0.301 to 0.954.
    """
    probability = np.array([0.9, 0.8, 0.5, 0.1, 0.7, 0.4, 0.3, 0.2, 0.1, 0.0])
    rates = Rates.at(0.5, probability, np.arange(10) < 4)
    shares = [(one.share, one.images) for one in (rates.sensitivity, rates.specificity, rates.precision)]
    assert shares == [(0.75, 4), (pytest.approx(5 / 6), 6), (0.75, 4)]
    assert rates.sensitivity.interval == pytest.approx((0.301, 0.954), abs=1e-3)
    never = Rates.at(1.1, probability, np.arange(10) < 4).precision
    assert (never.images, never.share, never.interval) == (0, None, None)


def test_the_rarer_class_is_the_second_one_of_a_tie():
    assert [rarer_class(np.array(counts)) for counts in ([3, 2], [2, 3], [2, 2])] == [1, 0, 1]


def test_held_out_images_choose_and_the_test_does_not(finished_two):
    networks, folder, summary = finished_two
    point = summary["operating_point"]
    assert (point["class_name"], point["networks"]) == ("green", networks)
    counted = point["held_out"]["sensitivity"]["images"], point["held_out"]["specificity"]["images"]
    assert sum(counted) == summary["data"]["validation"]
    truth = np.array(json.loads((folder / "answers.json").read_text())["truth"])
    probability = np.load(folder / "probabilities.npz")["biotune"].astype(np.float64).mean(axis=0)[:, 1]
    for rates in (point["test"], point["default"]):
        answered = probability >= rates["threshold"]
        assert rates["sensitivity"]["share"] == pytest.approx(answered[truth == 1].mean())
        assert rates["specificity"]["share"] == pytest.approx((~answered)[truth == 0].mean())
    assert point["default"]["threshold"] == 0.5


@pytest.mark.parametrize("finished_two", ["final"], indirect=True)
def test_the_final_networks_choose_where_they_left_out_the_validation_images(finished_two, two_classes):
    """The same rates from the networks that ``predict`` asks, on the files of the validation images."""
    _, folder, summary = finished_two
    from biotune.scored import evaluate_run

    answered = evaluate_run(folder, two_classes, split="validation").answered
    rates = Rates.at(summary["operating_point"]["threshold"], answered.probabilities[:, 1], answered.labels == 1)
    assert rates.to_json() == summary["operating_point"]["held_out"]


@pytest.mark.parametrize("finished_two", ["search"], indirect=True)
def test_the_networks_of_the_search_stand_in_where_the_final_ones_learned_from_all(finished_two, two_classes):
    """By hand from what the store holds of the winner: its probability of the right class of each validation image."""
    _, folder, summary = finished_two
    from biotune.runner.opening import opened
    from biotune.runs.events import silent
    from biotune.runs.folder import StopSignal
    from biotune.runs.store import RunStore

    multipliers = [block["multiplier"] for block in summary["recipe"]["blocks"]]
    with RunStore(folder / "run.sqlite", read_only=True) as store:
        logs = [
            result.held_out
            for phase, task, result in store.trainings()
            if phase == "search" and task["multipliers"] == multipliers and result.held_out
        ]
    right = np.exp(max(logs, key=len))
    with opened(tiny_config(two_classes, SMALL), folder, silent, StopSignal()) as session:
        truth = session.data.selection.labels[session.data.validation]
    rates = Rates.at(summary["operating_point"]["threshold"], np.where(truth == 1, right, 1 - right), truth == 1)
    assert rates.to_json() == summary["operating_point"]["held_out"]


def with_threshold(folder, threshold):
    """Change the operating point of a finished run, and what the manifest says of its file."""
    from biotune.runs.manifest import finish

    summary = json.loads((folder / "summary.json").read_text())
    summary["operating_point"]["threshold"] = threshold
    finish(folder, summary)


def test_predict_answers_by_it(finished_two, two_classes, cli, tmp_path):
    """A threshold between two probabilities divides the answers there; without the option nothing changes."""
    import shutil

    _, folder, _ = finished_two
    copy = tmp_path / "run"
    shutil.copytree(folder, copy)
    paths = sorted(two_classes.glob("*/*.png"))
    green = [answer.probabilities["green"] for answer in load_run(folder).predict(paths)]
    threshold = float(np.mean(sorted(green)[20:22]))
    with_threshold(copy, threshold)
    ended = cli("predict", copy, *paths, "--operating-point")
    rows = list(csv.DictReader(ended.out.splitlines()))
    assert [row["label"] for row in rows] == ["green" if value >= threshold else "blue" for value in green]
    assert [row["label"] for row in rows].count("blue") == 21
    for row, value in zip(rows, green, strict=True):
        assert float(row["probability"]) == pytest.approx(value if row["label"] == "green" else 1 - value, abs=1e-4)
    assert "'green' is answered from a probability of" in ended.err
    plain = csv.DictReader(cli("predict", copy, *paths).out.splitlines())
    assert [row["label"] for row in plain] == ["green" if value > 0.5 else "blue" for value in green]


def test_predict_refuses_what_would_mean_nothing(finished_two, finished, cli, images):
    _, folder, _ = finished_two
    path = images / "blue" / "000.png"
    for options, words in (
        ((folder, path, "--operating-point", "--threshold", 0.8), "leave out one"),
        ((folder, path, "--operating-point", "--single"), "leave out --single"),
        ((finished.folder, path, "--operating-point"), "has no operating point: a finished run of two classes"),
    ):
        ended = cli("predict", *options)
        assert ended.code == 2
        assert words in " ".join(ended.err.split())
    with pytest.raises(InputError, match="has no operating point"):
        load_run(finished.folder, operating_point=True)


def test_a_run_that_ranks_by_scores_and_learns_from_all_has_none(two_classes, tmp_path):
    changes = {"training": {"fitness": "score"}}
    assert run(tiny_config(two_classes, SMALL, changes), tmp_path / "run")["operating_point"] is None


def test_a_run_that_stops_early_has_one(two_classes, tmp_path):
    config = tiny_config(two_classes, SMALL, EARLY, {"final": {**SMALL["final"], "data": "training", "seeds": 1}})
    assert run(config, tmp_path / "run")["operating_point"]["networks"] == "final"


def test_the_page_says_how_it_was_chosen_and_what_it_does(finished_two):
    networks, folder, summary = finished_two
    page = " ".join((folder / "report.html").read_text().split())
    assert "At which threshold" in page
    assert "Youden" in page
    assert ("The final networks learned from the validation images" in page) is (networks == "search")
    assert "So few images of the class leave the threshold uncertain." in page
    assert ("predict RUN IMAGES --operating-point" in page) is (summary["operating_point"]["threshold"] != 0.5)
