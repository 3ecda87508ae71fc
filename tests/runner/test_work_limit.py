"""The allowance of a search that gets as much work as another: what has begun finishes, and no more begins."""

from types import SimpleNamespace

import pytest

from biotune.runner.limits import WorkLimit


def session(work, rungs=(4, 8), epochs=0, max_evaluations=0, judging=(None,)):
    return SimpleNamespace(
        search_name="random",
        work=lambda _name: work,
        ledger=SimpleNamespace(epochs=lambda _name: epochs),
        tasks=SimpleNamespace(rungs=rungs, search_seeds=(0,), out_of_fold=len(judging) > 1, judging=judging),
        config=SimpleNamespace(
            budget=SimpleNamespace(max_evaluations=max_evaluations),
            training=SimpleNamespace(epochs=12),
            search=SimpleNamespace(evaluations=100),
        ),
    )


@pytest.mark.parametrize(
    ("work", "admitted"),
    [(18.0, 6), (27.0, 1), (26.9, 1), (20.0, 4), (30.0, 0), (31.0, 0)],
    # nine candidates at a ninth each: what is left of 30 is enough for so many; one begins where anything is left
)
def test_only_what_the_work_that_is_left_can_finish_begins(work, admitted):
    limit = WorkLimit(session(work), 30.0)
    assert limit.admits(9, 9, None) == admitted
    assert ("the work of BioTune's search: 9 candidates took" in limit.reason) == (admitted < 9)
    assert limit.allows(9 + admitted, 99)  # a batch that has begun finishes its race


def test_a_whole_batch_that_fits_does_not_end_the_search():
    limit = WorkLimit(session(9.0), 30.0)
    assert limit.admits(9, 9, None) == 9
    assert limit.reason == ""
    assert limit.allows(18, 30)


def test_the_shared_start_begins_whole():
    assert WorkLimit(session(0.0), 1.0).admits(0, 9, None) == 9
    assert WorkLimit(session(0.0, max_evaluations=3), 1.0).admits(0, 9, None) == 3


def test_at_a_rung_the_epochs_to_it_count():
    """Nine candidates took 36 epochs and 18 epochs of work: half each. Four epochs to the first rung: 2 of work."""
    assert WorkLimit(session(18.0, epochs=36), 24.0).admits(9, 9, 0) == 3
    assert WorkLimit(session(18.0, epochs=36, judging=(0, 1, 2)), 46.0).admits(9, 9, 1) == 2  # (4 + 3 x 8) / 2 = 14
