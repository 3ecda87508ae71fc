"""The allowance of a search that gets as much work as another: what has begun finishes, and no more begins."""

from types import SimpleNamespace

import pytest

from biotune.runner.limits import FIRST_SHARE, SearchLimit, WorkLimit
from biotune.runner.unit import Unit


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


def own(work, population=9, evaluations=39):
    """Return the limit of a run's own search, 3.5 full fine-tunes of 20 epochs, after so much work."""
    one = session(work)
    one.search_name = "search"
    one.config.budget.model_dump = dict
    one.config.search = SimpleNamespace(max_work=3.5, population=population, evaluations=evaluations)
    one.store = SimpleNamespace(fact=lambda _name: None)
    return SearchLimit(one, Unit(seconds=1.0, epochs=20), ())


@pytest.mark.parametrize(
    ("work", "fits"),
    [(0.0, FIRST_SHARE * 70), (40.0, FIRST_SHARE * 70 - 40), (60.0, 0.0)],
)
def test_the_first_batch_leaves_a_share_to_those_after_it(work, fits):
    assert own(work).goes_on(fits, 9) == (work < 49)
    assert not own(work).goes_on(fits + 0.01, 9)


def test_later_batches_may_use_all_and_so_may_the_first_where_none_follows():
    for limit, candidates in ((own(60.0), 10), (own(60.0, evaluations=9), 9)):
        assert limit.goes_on(10.0, candidates)
        assert not limit.goes_on(10.01, candidates)


@pytest.mark.parametrize(("work", "admitted"), [(36.0, 8), (60.0, 1), (69.0, 0), (71.0, 0), (31.5, 9)])
def test_of_a_later_batch_as_many_begin_as_the_rest_pays_for(work, admitted):
    limit = own(work)
    assert limit.admits(9, 9, None) == admitted
    assert ("--max-work" in limit.reason) == (admitted < 9)
