"""Test images that come in groups: scores group by group, and intervals of a choice of groups."""

import csv
import json

import numpy as np
import pytest

from biotune.results.groups import GroupScores
from biotune.scored import evaluate_run
from biotune.statistics import accuracy_interval, effective_images, paired_interval
from tiny import run, tiny_config, write_classes

SMALL = {
    "search": {"population": 2, "generations": 1},
    "final": {"seeds": 2, "candidates": 1, "baselines": ("linear_probe",)},
}


@pytest.fixture(scope="module")
def grouped(tmp_path_factory):
    """A table of three classes of twenty images, four of each of five photos; not to be changed."""
    root = write_classes(tmp_path_factory.mktemp("grouped") / "colours")
    rows = [("path", "label", "group")]
    for path in sorted(root.glob("*/*.png")):
        rows.append((path.relative_to(root).as_posix(), path.parent.name, f"{path.parent.name} {int(path.stem) // 4}"))
    with (root / "table.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return root / "table.csv"


@pytest.fixture(scope="module")
def grouped_run(grouped, tmp_path_factory):
    """Folder and summary of a run on them; not to be changed."""
    folder = tmp_path_factory.mktemp("grouped_run") / "run"
    return folder, run(tiny_config(grouped, SMALL), folder)


def answers_of(folder):
    """Return the rows of the table of answers."""
    with (folder / "answers.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_group_by_group_by_hand():
    """Three groups: 2 of 4 right, 1 of 2, 3 of 3; a group of equally many mistakes comes later if it is larger."""
    correct = np.array([1, 1, 0, 0, 1, 0, 1, 1, 1], dtype=bool)
    groups = ["b"] * 4 + ["a"] * 2 + ["c"] * 3
    found = GroupScores.of(correct, groups)
    assert (found.groups, found.largest) == (3, 4)
    assert [(one.name, one.images, one.mistakes) for one in found.worst] == [("b", 4, 2), ("a", 2, 1)]
    assert found.quartiles == (0.5, 0.5, 0.75)
    assert found.interval == accuracy_interval(6 / 9, effective_images(correct, groups))
    assert [one.name for one in GroupScores.of(np.array([False] * 3), ["b", "a", "b"]).worst] == ["b", "a"]


@pytest.mark.parametrize("groups", [None, (), ("a", "b", "c")])
def test_images_of_which_no_two_are_of_a_group_have_no_scores_of_groups(groups):
    assert GroupScores.of(np.array([True, False, True][: len(groups or ()) or 3]), groups) is None


def test_at_most_ten_groups_are_listed():
    assert len(GroupScores.of(np.zeros(60, dtype=bool), [f"{number // 2}" for number in range(60)]).worst) == 10


def test_a_run_scores_its_groups(grouped_run):
    folder, summary = grouped_run
    rows = answers_of(folder)
    names = sorted({row["group"] for row in rows})
    assert all(row["path"].startswith(row["group"].split()[0]) for row in rows)
    right = np.array([row["right"] == "yes" for row in rows])
    expected = GroupScores.of(right, [row["group"] for row in rows])
    assert summary["vote"]["groups"]["groups"] == len(names) == 3
    assert summary["vote"]["groups"] == json.loads(expected.model_dump_json())
    for row in summary["vote"]["per_class"]:  # one group of each class
        assert row["recall_interval"] == list(accuracy_interval(row["recall"], 1.0))


def test_differences_are_those_of_a_choice_of_groups(grouped_run):
    folder, summary = grouped_run
    content = json.loads((folder / "answers.json").read_text())
    truth = np.array(content["truth"])
    groups = {row["path"]: row["group"] for row in answers_of(folder)}
    of_images = [groups[path] for path in content["images"]]
    ours, theirs = (np.array(content["predicted"][name]) == truth for name in ("biotune", "linear_probe"))
    expected = paired_interval(ours, theirs, groups=of_images).to_json()
    assert summary["baselines"]["linear_probe"]["difference"] == expected


def test_the_page_names_the_groups_and_their_mistakes(grouped_run):
    folder, summary = grouped_run
    page = " ".join((folder / "report.html").read_text().split())
    assert "Group by group" in page
    assert "The 12 test images are of 3 groups, the largest of 4." in page
    assert "So few groups say little" in page
    assert "from the choice of groups of images" in page
    worst = summary["vote"]["groups"]["worst"]
    wrong = [row for row in answers_of(folder) if row["right"] == "no"]
    assert sum(one["mistakes"] for one in worst) == len(wrong)
    for row in wrong:
        assert f"<bdi>{row['path']}</bdi>" in page


def test_other_images_are_scored_by_group_too(grouped_run, grouped, cli):
    folder, _ = grouped_run
    scored = evaluate_run(folder, grouped, split="all")
    groups = scored.answered.groups
    assert scored.results.groups == GroupScores.of(scored.answered.correct, groups)
    assert scored.results.groups.groups == 15
    assert scored.results.to_json()["interval"] == list(scored.results.groups.interval)
    ended = cli("evaluate", folder, grouped, "--split", "all")
    assert "As far as 60 images of 15 groups can tell" in " ".join(ended.out.split())
    assert ("Group by group" in ended.out) is bool(scored.results.groups.worst)


def test_a_run_without_groups_has_none(finished):
    assert finished.summary["vote"]["groups"] is None
    assert "Group by group" not in (finished.folder / "report.html").read_text()
    assert "group" not in answers_of(finished.folder)[0]
