"""Curves of incumbents and what is pooled from them, against values worked out by hand."""

import math

import numpy as np
import pytest

from benchmarks.search.figure import draw_search
from benchmarks.search.goals import judged
from benchmarks.search.incumbents import IncumbentStep, band, fitness_at, work_to_reach
from benchmarks.search.pooled import search_bands, search_rows
from benchmarks.search.repetitions import Repetition, Searched, Unit, in_unit

FIRST = (IncumbentStep(1.0, 0.5), IncumbentStep(2.0, 0.7))
SECOND = (IncumbentStep(1.5, 0.6), IncumbentStep(3.0, 0.9))


def searched(curve, correct, work=4.0, cost=3.0):
    answers = None if correct is None else np.array(correct, dtype=float)
    test = () if answers is None else (float(answers.mean()),)
    return Searched(curve, work, cost, 2 * cost, 10 * cost, 9, 12, test, answers)


def repetition(seed, ours, theirs, data_set="a"):
    return Repetition(data_set, seed, Unit(2.0, 10.0), {"biotune": ours, "random": theirs}, {})


def test_the_incumbent_stays_until_a_better_one_comes():
    found = fitness_at(FIRST, np.array([0.5, 1.0, 1.9, 2.0, 9.0]))

    assert math.isnan(found[0])
    assert found[1:].tolist() == [0.5, 0.5, 0.7, 0.7]


def test_a_band_begins_where_all_have_chosen_and_steps_where_any_steps():
    found = band([FIRST, SECOND], end=4.0)

    assert found.work == (1.5, 2.0, 3.0, 4.0)
    assert found.median == pytest.approx((0.55, 0.65, 0.8, 0.8))
    assert found.low == pytest.approx((0.525, 0.625, 0.75, 0.75))
    assert found.high == pytest.approx((0.575, 0.675, 0.85, 0.85))


@pytest.mark.parametrize("curves", [[FIRST, ()], [(IncumbentStep(5.0, 0.5),)]])
def test_there_is_no_band_where_nothing_was_chosen_before_the_end(curves):
    assert band(curves, end=4.0) is None


@pytest.mark.parametrize(("fitness", "work"), [(0.4, 1.0), (0.5, 1.0), (0.6, 2.0), (0.7, 2.0), (0.71, None)])
def test_work_to_reach_a_fitness(fitness, work):
    assert work_to_reach(FIRST, fitness) == work


def test_costs_in_another_unit():
    found = in_unit(searched(FIRST, [1], work=4.0, cost=3.0), Unit(8.0, 20.0), Unit(2.0, 10.0))

    assert found.curve == (IncumbentStep(2.0, 0.5), IncumbentStep(4.0, 0.7))
    assert (found.work, found.search_cost, found.total_cost, found.seconds) == (8.0, 12.0, 24.0, 30.0)


def test_the_share_at_which_a_rival_is_reached():
    other = searched((IncumbentStep(4.0, 0.7),), [1, 0], work=4.0)
    rows = search_rows([repetition(0, searched(FIRST, [1, 0]), other), repetition(1, searched(SECOND, [1, 0]), other)])

    assert rows["random"]["reached"] == {"low": 0.75, "median": 0.75, "high": 0.75, "reached": 2, "repetitions": 2}


def test_a_rival_that_is_never_reached_counts_as_beyond_all_others():
    good, other = searched(FIRST, [1, 0]), searched((IncumbentStep(4.0, 0.9),), [1, 0], work=4.0)
    rows = search_rows([repetition(0, good, other), repetition(1, searched(SECOND, [1, 0]), other)])

    assert rows["random"]["reached"] == {"low": None, "median": None, "high": None, "reached": 1, "repetitions": 2}


def test_every_data_set_counts_the_same_whatever_its_size():
    parts = [
        repetition(0, searched(FIRST, [1, 1, 1, 1]), searched(FIRST, [0.5, 0.5, 0.5, 0.5]), "a"),
        repetition(1, searched(FIRST, [1, 1, 1, 1]), searched(FIRST, [0.5, 0.5, 0.5, 0.5]), "a"),
        repetition(0, searched(FIRST, [0, 0]), searched(FIRST, [1, 1]), "b"),
    ]
    row = search_rows(parts)["random"]

    assert row["difference"] == {"difference": -0.25, "low": -0.25, "high": -0.25, "verdict": "worse"}
    assert row["test"] == {"accuracy": 0.75, "standard_error": None}
    assert row["mean_rank"] == pytest.approx((2 + 2 + 1) / 3)


def test_a_repetition_whose_final_trainings_diverged_is_left_out_and_counted():
    parts = [
        repetition(0, searched(FIRST, [1, 1]), searched(FIRST, None)),
        repetition(1, searched(FIRST, [1, 0]), searched(FIRST, [0, 0])),
    ]
    rows = search_rows(parts)

    assert rows["random"]["without_test"] == 1
    assert rows["random"]["test"] == {"accuracy": 0.0, "standard_error": None}
    assert rows["random"]["difference"]["difference"] == 0.5
    assert rows["biotune"]["mean_rank"] == 1.0


def test_nothing_is_said_of_a_search_that_has_no_answer_at_all():
    rows = search_rows([repetition(0, searched(FIRST, [1, 1]), searched((), None))])

    names = ("test", "validation", "mean_rank", "difference", "reached")
    assert [rows["random"][name] for name in names] == [None] * 5


def row(**changes):
    plain = {"search_cost": 3.0, "total_cost": 6.5, "mean_rank": 2.0, "difference": None, "reached": None, "seconds": 9}
    return {**plain, **changes}


def difference(low, high):
    return {"difference": (low + high) / 2, "low": low, "high": high}


def test_goals_are_judged_by_their_own_bounds():
    rows = {
        "biotune": row(mean_rank=1.5, seconds=2.0),
        "random": row(difference=difference(0.001, 0.02), reached={"median": 0.6}),
        "tpe": row(difference=difference(-0.004, 0.01)),
        "cmaes": row(difference=difference(-0.002, 0.01)),
        "paper": row(difference=difference(-0.004, 0.01), seconds=50.0),
    }
    found = {goal["goal"]: (goal["found"], goal["reached"]) for goal in judged(rows)}

    assert found == {
        "search: at most 4 full fine-tunes": ("3.00", True),
        "search and final phase: at most 7 full fine-tunes": ("6.50", True),
        "better than random: interval above 0": ("+1.05 [+0.10, +2.00]", True),
        "not worse than tpe: interval above -0.3 points": ("+0.30 [-0.40, +1.00]", False),
        "not worse than cmaes: interval above -0.3 points": ("+0.40 [-0.20, +1.00]", True),
        "not worse than paper: interval above -0.5 points": ("+0.30 [-0.40, +1.00]", True),
        "best mean rank": ("1.50", True),
        "random's last choice reached at 0.5 of its work": ("0.60", False),
        "at most 0.05 of the time of the papers' protocol": ("0.040", True),
    }


@pytest.mark.parametrize(("others_work", "scale"), [(4.0, "linear"), (400.0, "log")])
def test_the_figure_has_a_row_for_each_data_set(others_work, scale):
    parts = {
        name: [
            repetition(seed, searched(FIRST, [1, 0]), searched(SECOND, None, others_work), name) for seed in range(2)
        ]
        for name in ("a", "<b>$_")
    }
    content = {
        "settings": {"searches": ["biotune", "random"]},
        "data_sets": {
            name: {"searches": search_rows(part), "curves": search_bands(part)} for name, part in parts.items()
        },
        "repetitions": [each.to_json() for part in parts.values() for each in part],
    }
    figure = draw_search(content)

    assert len(figure.axes) == 4
    assert figure.axes[0].get_xscale() == scale
    medians = [line.get_ydata().tolist() for line in figure.axes[0].lines]
    assert pytest.approx([50, 70, 70]) in medians
