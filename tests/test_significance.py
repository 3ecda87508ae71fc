"""Rank tests against SciPy, statsmodels' Holm, scikit-posthocs' Nemenyi and values worked out by hand."""

import numpy as np
import pytest
import scikit_posthocs
from scipy import stats
from statsmodels.stats.multitest import multipletests

from biotune.errors import InputError
from biotune.significance import holm, pairs_needed, ranking, signed_rank_tests


@pytest.mark.parametrize(("tests", "pairs"), [(1, 6), (2, 7), (5, 8), (10, 9)])
def test_how_many_pairs_can_ever_be_significant(tests, pairs):
    # the smallest two-sided p of n pairs is 2 / 2^n, times the number of tests
    assert pairs_needed(tests) == pairs
    assert tests * 2 / 2**pairs <= 0.05 < tests * 2 / 2 ** (pairs - 1)


def test_holm_by_hand():
    # sorted: 0.01 x 3, 0.02 x 2 = 0.04, 0.03 x 1 = 0.03 but never below the one before
    assert holm([0.03, 0.01, 0.02]) == pytest.approx([0.04, 0.03, 0.04])


def test_differences_that_rounding_tells_apart_are_tied():
    """In images of 100: -9 2 4 3 2 0 -2 -5 15; |2| three times. By hand over all 2^8 signs p = 192 / 256."""
    ours = [0.11, 0.20, 0.14, 0.13, 0.12, 0.1, 0.11, 0.15, 0.25]
    theirs = [0.20, 0.18, 0.10, 0.10, 0.10, 0.1, 0.13, 0.20, 0.10]
    assert len(set(np.round(np.abs(np.subtract(ours, theirs)), 15))) != len(set(np.abs(np.subtract(ours, theirs))))
    (test,) = (signed_rank_tests({"a": ours, "b": theirs}, "a") or {}).values()
    assert test.p == pytest.approx(0.75)


@pytest.mark.parametrize("seed", range(5))
def test_holm_equals_statsmodels(seed):
    p_values = np.random.default_rng(seed).uniform(size=9) ** 2
    assert holm(p_values.tolist()) == pytest.approx(multipletests(p_values, method="holm")[1].tolist())


def test_signed_ranks_are_those_of_scipy():
    rng = np.random.default_rng(0)
    scores = {name: (0.8 + shift + 0.02 * rng.normal(size=10)).tolist() for name, shift in (("a", 0), ("b", -0.05))}
    found = signed_rank_tests(scores, "a")
    assert found["b"].p == stats.wilcoxon(scores["a"], scores["b"]).pvalue
    assert found["b"].num_pairs == 10


def test_ten_better_data_sets_are_significant_among_nine_methods():
    scores = {"a": [0.9 + 0.001 * seed for seed in range(10)]}
    scores |= {f"m{index}": [0.8 + 0.0001 * seed * index for seed in range(10)] for index in range(9)}
    found = signed_rank_tests(scores, "a")
    assert all(test.p == 2 / 2**10 for test in found.values())
    assert max(test.p_holm for test in found.values()) == pytest.approx(9 * 2 / 2**10)


def test_too_few_data_sets_give_no_test():
    assert signed_rank_tests({"a": [0.9] * 3, "b": [0.8] * 3}, "a") is None


def test_equal_methods_have_p_of_one():
    assert signed_rank_tests({"a": [0.9] * 6, "b": [0.9] * 6}, "a")["b"].p_holm == 1.0


@pytest.mark.parametrize("scores", [{"b": [0.1]}, {"a": [0.1], "b": [0.1, 0.2]}])
def test_scores_that_do_not_pair_are_refused(scores):
    with pytest.raises(InputError, match="one score for each pair"):
        signed_rank_tests(scores, "a")


def test_mean_ranks_by_hand():
    found = ranking({"a": [0.9, 0.8], "b": [0.7, 0.8], "c": [0.1, 0.2]})
    assert found.mean_ranks == {"a": 1.25, "b": 1.75, "c": 3.0}
    assert (found.friedman_p, found.nemenyi_critical_distance) == (None, None)  # two data sets carry no test


def test_friedman_and_nemenyi_against_other_libraries():
    rng = np.random.default_rng(1)
    table = rng.uniform(size=(6, 4)) + 0.3 * np.arange(4)  # 6 data sets, 4 methods
    found = ranking({f"m{index}": table[:, index].tolist() for index in range(4)})
    assert found.friedman_p == pytest.approx(stats.friedmanchisquare(*table.T).pvalue)
    nemenyi = scikit_posthocs.posthoc_nemenyi_friedman(table).to_numpy()
    ranks = np.array(list(found.mean_ranks.values()))
    apart = np.abs(ranks[:, None] - ranks[None, :])
    off_diagonal = ~np.eye(4, dtype=bool)
    assert ((apart > found.nemenyi_critical_distance) == (nemenyi < 0.05))[off_diagonal].all()
    assert (apart > found.nemenyi_critical_distance).any()


def test_the_critical_distance_of_demsar():
    # Demsar 2006, table 5: q = 2.569 for 4 methods; 14 data sets give 2.569 sqrt(4 * 5 / 84) = 1.25
    table = np.random.default_rng(2).uniform(size=(14, 4))
    found = ranking({f"m{index}": table[:, index].tolist() for index in range(4)})
    assert found.nemenyi_critical_distance == pytest.approx(1.25, abs=0.005)


@pytest.mark.parametrize("scores", [{}, {"a": []}, {"a": [0.1], "b": [0.1, 0.2]}])
def test_ranks_need_one_score_for_each_data_set(scores):
    with pytest.raises(InputError, match="one score for each data set"):
        ranking(scores)


def null_scores(rng, num_sets, num_seeds, names):
    """Scores of methods that are equally good over all data sets; which one suits a set is shared by its seeds."""
    suits = 0.02 * rng.normal(size=(num_sets, len(names), 1))
    noise = 0.01 * rng.normal(size=(num_sets, len(names), num_seeds))
    scores = 0.8 + 0.1 * rng.normal(size=(num_sets, 1, 1)) + suits + noise
    return {name: scores[:, index] for index, name in enumerate(names)}


def false_verdicts(repetitions, num_sets, num_seeds, names, unit):
    """Return how often any method is called different from the first, at 5 %, though all are equally good."""
    rng = np.random.default_rng(17)
    count = 0
    for _ in range(repetitions):
        scores = {name: unit(table) for name, table in null_scores(rng, num_sets, num_seeds, names).items()}
        tests = signed_rank_tests(scores, names[0])
        count += min(test.p_holm for test in tests.values()) < 0.05
    return count / repetitions


def means(table):
    return table.mean(axis=1).tolist()


@pytest.mark.parametrize(("num_sets", "names"), [(8, "ab"), (12, "ab"), (12, "abcd")])
def test_equal_methods_are_called_different_at_the_nominal_rate(num_sets, names):
    """At most three standard errors above 5 % in 500 repetitions; with few sets the exact test has less."""
    rate = false_verdicts(500, num_sets, 5, names, means)
    assert 0.01 <= rate <= 0.05 + 3 * (0.05 * 0.95 / 500) ** 0.5


def test_seeds_of_a_data_set_are_not_independent():
    """What the unit is there for: counted one by one, the same seeds give several times as many false verdicts."""
    assert false_verdicts(200, 6, 5, "ab", lambda table: table.ravel().tolist()) > 0.15


def test_ranks_of_equal_methods_differ_at_the_nominal_rate():
    """Friedman's test, and Nemenyi's distance after it, between any two of four methods over the fewest data sets."""
    rng, friedman, nemenyi = np.random.default_rng(3), 0, 0
    for _ in range(500):
        scores = {name: means(table) for name, table in null_scores(rng, 6, 5, "abcd").items()}
        found = ranking(scores)
        friedman += found.friedman_p < 0.05
        ranks = list(found.mean_ranks.values())
        nemenyi += found.friedman_p < 0.05 and max(ranks) - min(ranks) > found.nemenyi_critical_distance
    assert max(friedman, nemenyi) / 500 <= 0.05 + 3 * (0.05 * 0.95 / 500) ** 0.5
