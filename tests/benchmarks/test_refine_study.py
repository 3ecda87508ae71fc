"""The study of refinement: its arithmetic, that it runs in pieces, and that its page is made from its results."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmarks.refine_study import measure
from benchmarks.refine_study.cases import CASES, Case, Examples, Material
from benchmarks.refine_study.entries import SEARCHES, stopped
from benchmarks.refine_study.judged import Difference, rows, searched, signed, usual, values
from benchmarks.refine_study.networks import mean_of, mlp
from benchmarks.refine_study.page import FOLDER, PAGE, filled, results
from benchmarks.refine_study.special import RATIO, Rounded, uneven
from biotune.errors import InputError
from biotune.wording import MINUS

COMMITTED = sorted(FOLDER.glob("*.json"))


def examples(count: int, seed: int = 0) -> Examples:
    draw = np.random.default_rng(seed)
    labels = np.arange(count, dtype=np.int64) % 3
    inputs = draw.normal(size=(count, 1, 4, 4)) + 0.5 * labels[:, None, None, None]
    return Examples(torch.from_numpy(inputs).float(), labels)


@pytest.mark.parametrize(
    ("values", "patience", "expected"),
    [
        ([0, 1, 2, 3], 2, (3, 3)),  # always better: to the end
        ([0, 1, 1, 1, 5], 2, (3, 1)),  # equal is not better; the last one is never seen
        ([3, 1, 2], 5, (2, 0)),  # nothing is better than the start
        ([0, -1, -2, -3], 3, (3, 0)),
    ],
)
def test_where_a_search_stops(values, patience, expected):
    assert stopped(np.array(values, dtype=float), patience) == expected


def test_an_interval_over_seeds_by_hand():
    """Differences 1, 2, 3: mean 2, standard error 1 / sqrt(3), t of two degrees of freedom 4.3027."""
    found = Difference.of(np.array([2.0, 4.0, 6.0]), np.array([1.0, 2.0, 3.0]))

    assert found.mean == 2
    assert found.high - found.mean == pytest.approx(4.302653 / np.sqrt(3), rel=1e-6)
    assert found.low == pytest.approx(2 - 4.302653 / np.sqrt(3), rel=1e-6)
    assert Difference(0.01, 0.002, 0.018).written() == "**+1.0 [+0.2, +1.8]**"
    assert Difference(-0.01, -0.02, 0.0).written() == f"{MINUS}1.0 [{MINUS}2.0, 0.0]"
    assert [signed(value) for value in (0.04, -0.04, -1.25)] == ["0.0", "0.0", f"{MINUS}1.2"]


def test_classes_become_uneven():
    found = uneven(examples(300), 1)

    assert np.bincount(found.labels).tolist() == [100, round(100 * RATIO**-0.5), 5]
    assert len(np.unique(found.inputs.flatten(1).numpy(), axis=0)) == len(found)


class TestRounding:
    """Whole numbers of few bits for each weight."""

    weight = np.array([[0.7, -0.32, 0.0], [0.1, 0.04, -0.1]])

    def test_the_nearest_by_hand(self):
        """Three bits hold -3 to 3: the steps are 0.7 / 3 and 0.1 / 3."""
        rounded = Rounded(self, self.weight, 3).vector(np.zeros(6)).reshape(2, 3)

        assert rounded == pytest.approx(np.array([[0.7, -0.7 / 3, 0.0], [0.1, 0.1 / 3, -0.1]]))

    def test_an_offset_rounds_the_other_way_and_never_out_of_range(self):
        rounded = Rounded(self, self.weight, 3).vector(np.array([0.5, -0.5, 0.5, 0.5, 0.5, -0.5])).reshape(2, 3)

        assert rounded[0, 1] == pytest.approx(-2 * 0.7 / 3)
        assert rounded[1, 1] == pytest.approx(2 * 0.1 / 3)
        assert (rounded[0, 0], rounded[1, 0], rounded[1, 2]) == pytest.approx((0.7, 0.1, -0.1))

    num_images = 0

    def parts(self, _):
        return iter(())


def test_weights_are_averaged():
    states = [
        {"a": torch.tensor([1.0, 2.0]), "n": torch.tensor(1)},
        {"a": torch.tensor([3.0, 6.0]), "n": torch.tensor(5)},
    ]
    found = mean_of(states)

    assert found["a"].tolist() == [2, 4]
    assert found["n"] == 5


@pytest.fixture
def tiny_case(monkeypatch):
    """A case that trains within a second."""
    material = Material(examples(90), examples(60, 1), 3)
    monkeypatch.setitem(CASES, "tiny", Case("tiny", lambda root: material, mlp, 2, 1, special=("calibration",)))
    return "tiny"


def test_it_runs_in_pieces(tiny_case, tmp_path):
    """Whatever was measured is kept, and pieces give what one call gives, but for clocks."""
    heard = []
    measure.measure_study([tiny_case], range(1), tmp_path / "a", "", "python -m benchmarks refine_study", heard.append)
    pieces = measure.measure_study([tiny_case], range(2), tmp_path / "a", "", "command", heard.append)[tiny_case]
    at_once = measure.measure_study([tiny_case], range(2), tmp_path / "b", "", "command", heard.append)[tiny_case]

    assert heard == [f"tiny, seed {seed}" for seed in (0, 1, 0, 1)]
    clocks = {"seconds"}
    first, second = (
        [{key: value for key, value in row.items() if key not in clocks} for row in one["rows"]]
        for one in (pieces, at_once)
    )
    assert first == second
    assert pieces["case"] | {"name": ""} == at_once["case"] | {"name": ""}
    for entry in SEARCHES:
        assert (
            searched(pieces, entry, "loss", 0.1, "validation_loss")
            <= values(pieces, "validation_loss", entry="trained")
        ).all()
    for bound in (0.001, 0.01, 0.1):
        gradient = values(pieces, "validation_loss", entry="L-BFGS", bound=bound)
        assert (gradient <= searched(pieces, "pso", "loss", bound, "validation_loss") + 1e-6).all()
    measure.write_result(tmp_path / "tiny.json", pieces)
    assert json.loads((tmp_path / "tiny.json").read_text()) == json.loads(json.dumps(pieces))


def test_an_unknown_case():
    with pytest.raises(InputError, match="there is no case 'nothing'; choose of fashion_mnist mlp"):
        measure.chosen(["nothing"])
    assert measure.chosen([]) == list(CASES)


def test_held_out_examples_differ_by_seed_and_groups_stay_together():
    material = Material(replace(examples(90), groups=np.arange(90) // 6), examples(60, 1), 3)
    case = Case("tiny", lambda root: material, mlp, 2, 1)
    found = [set(part.groups.tolist()) for part in case.parts(material, 0)]
    other = case.parts(material, 1)[1]

    assert not found[0] & found[1]
    assert set(other.groups.tolist()) != found[1]


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_a_result_says_how_it_was_made_and_names_no_place(path):
    text = path.read_text(encoding="utf-8")
    content = json.loads(text)

    assert content["command"].startswith("python -m benchmarks refine_study")
    assert content["machine"]["threads"] == 1
    seeds = len(content["seeds"])
    assert seeds >= 5
    assert all(len(values(content, "test_accuracy", **usual(entry, "loss", 0.01))) == seeds for entry in SEARCHES)
    assert len(rows(content, entry="refit")) == 1
    assert not [place for place in ("/home/", "/root/", "/tmp/", "/work/") if place in text]


def test_the_page_is_made_from_the_results():
    page = PAGE.read_text(encoding="utf-8")

    assert filled(page, results()) == page
