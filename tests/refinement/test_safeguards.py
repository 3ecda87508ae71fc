"""Images held back decide how far a refinement goes, and nothing is ever worse than the trained weights."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from biotune.refinement import Kept, best_of, deal, shrunk
from biotune.settings.refine import RefineConfig


class Curve:
    """An objective that depends on the weights directly, whatever the outputs."""

    def __init__(self, optimum: float) -> None:
        self.optimum = optimum

    def fitness(self, _outputs: object, vectors: np.ndarray) -> np.ndarray:
        return -((vectors - self.optimum) ** 2).sum(1)


CENTRE, BEST = np.zeros(2), np.ones(2)


def kept_of(searched: float, held_back: float | None, best: np.ndarray = BEST) -> Kept:
    """Return what is kept where the two objectives have these optima."""
    seen, unseen = Curve(searched), None if held_back is None else Curve(held_back)
    start = Kept(CENTRE, 0.0, seen.fitness(None, CENTRE[None])[0], unseen and unseen.fitness(None, CENTRE[None])[0])
    return shrunk(None, seen, unseen, start, best, seen.fitness(None, best[None])[0])


def test_the_step_that_is_best_on_the_images_held_back_is_kept():
    kept = kept_of(searched=1.0, held_back=0.45)

    assert (kept.step, kept.vector.tolist()) == (0.5, [0.5, 0.5])
    assert kept.fitness == pytest.approx(-0.5)
    assert kept.held_back == pytest.approx(-2 * 0.05**2)


@pytest.mark.parametrize("optimum", [-1.0, 0.0, 0.125])
def test_nothing_is_kept_that_does_not_gain_on_the_images_held_back(optimum):
    """An optimum in the middle of the first step is as far from the trained weights as from that step."""
    assert kept_of(searched=1.0, held_back=optimum).vector.tolist() == [0.0, 0.0]


def test_a_step_that_loses_on_the_searched_images_is_left_out():
    """The images held back would go the whole way; the searched ones are better off at the trained weights."""
    assert kept_of(searched=0.0, held_back=1.0).step == 0.0


def test_without_safeguards_the_best_point_is_kept():
    kept = kept_of(searched=1.0, held_back=None)

    assert (kept.step, kept.fitness, kept.held_back) == (1.0, 0.0, None)
    assert kept_of(searched=1.0, held_back=None, best=CENTRE.copy()).step == 0.0


@given(st.floats(-2, 2), st.floats(-2, 2))
def test_the_result_is_never_worse_on_either_objective(searched, held_back):
    kept = kept_of(searched, held_back)

    assert kept.fitness >= Curve(searched).fitness(None, CENTRE[None])[0]
    assert kept.held_back >= Curve(held_back).fitness(None, CENTRE[None])[0]


def test_the_exported_repetition_is_best_on_the_images_held_back():
    rows = [Kept(BEST, 1.0, 3.0, 1.0), Kept(BEST, 1.0, 1.0, 2.0), Kept(BEST, 1.0, 2.0, 2.0)]

    assert best_of(rows) == 1
    assert best_of([Kept(BEST, 1.0, 1.0, None), Kept(BEST, 1.0, 2.0, None)]) == 1


LABELS = np.repeat([0, 1, 2], [30, 30, 6])


def test_a_third_of_every_class_is_held_back():
    parts = deal(LABELS, None, RefineConfig(), seed=0)

    assert np.bincount(LABELS[parts.held_back]).tolist() == [10, 10, 2]
    assert [len(part) for part in parts.searched] == [9, 9, 9, 9, 8]
    assert sorted(np.concatenate([parts.held_back, *parts.searched]).tolist()) == list(range(66))
    assert parts.num_searched == 44


def test_groups_stay_together():
    groups = np.arange(66) // 3
    parts = deal(LABELS, groups, RefineConfig(), seed=0)
    pieces = [parts.held_back, *parts.searched]

    assert all(not set(groups[one]) & set(groups[two]) for one in pieces for two in pieces if one is not two)


@pytest.mark.parametrize(("labels", "settings"), [(LABELS, RefineConfig(safeguards=False)), ([0], RefineConfig())])
def test_without_safeguards_or_with_one_image_everything_is_searched(labels, settings):
    parts = deal(np.array(labels), None, settings, seed=0)

    assert (len(parts.searched), parts.num_searched, len(parts.held_back)) == (1, len(labels), 0)
