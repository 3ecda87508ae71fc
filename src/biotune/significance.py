"""Rank tests over several data sets, with corrections; none if there are too few for a test.

The unit is the data set: which method suits a data set is shared by all its seeds, so seeds are averaged first. Tests
that count them one by one call a fifth of all pairs of equal methods different, in place of 5 %.

Sources: Wilcoxon (1945); Holm (1979); Friedman (1937); Nemenyi (1963); as summarised by Demsar, "Statistical
comparisons of classifiers over multiple data sets", JMLR 7 (2006). SciPy computes the tests.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from pydantic.dataclasses import dataclass

from biotune.errors import InputError

ALPHA = 0.05
"""Level of significance, the usual convention."""

SMALLEST_BLOCKS = 6
"""Fewest data sets for Friedman's test and Nemenyi's distance, which are asymptotic; below, only ranks are given. With
fewer, no signed-rank test of two methods can be significant either."""


@dataclass(frozen=True)
class SignedRank:
    """Wilcoxon's two-sided signed-rank test of paired differences.

    Args:
        p: p value of this test alone.
        p_holm: p value corrected for all methods that were compared at once.
        num_pairs: number of pairs, one per data set.
    """

    p: Annotated[float, Field(description="of the test alone")]
    p_holm: Annotated[float, Field(description="corrected for all entries")]
    num_pairs: Annotated[int, Field(description="number of pairs, one per data set")]


@dataclass(frozen=True)
class Ranking:
    """Mean ranks of methods over data sets; rank 1 is best, ties share their mean rank.

    Args:
        mean_ranks: method -> mean rank.
        num_blocks: number of data sets.
        friedman_p: p value of Friedman's test; None if there are too few data sets or methods.
        nemenyi_critical_distance: Nemenyi's distance at 5 %: mean ranks closer than this do not clearly differ; None if
            there are too few data sets or methods.
    """

    mean_ranks: Annotated[dict[str, float], Field(description="mean rank of every method over the data sets")]
    num_blocks: Annotated[int, Field(description="number of data sets")]
    friedman_p: Annotated[
        float | None, Field(description="p of Friedman's test; `null` below six data sets or three methods")
    ]
    nemenyi_critical_distance: Annotated[float | None, Field(description="at 5 %; `null` where `friedman_p` is")]


def pairs_needed(num_tests: int) -> int:
    """Return the fewest pairs for which one of ``num_tests`` signed-rank tests can be significant after Holm.

    The smallest two-sided p of n pairs is 2 / 2^n; the smallest of m tests is multiplied by m.

    Args:
        num_tests: number of tests, at least 1.

    Returns:
        The number of pairs: 6 for one test, 9 for ten.
    """
    return math.ceil(math.log2(2 * num_tests / ALPHA))


def signed_rank_tests(scores: Mapping[str, Sequence[float]], reference: str) -> dict[str, SignedRank] | None:
    """Test the reference against every other method by Wilcoxon's signed-rank test with Holm's correction.

    ``scipy.stats.wilcoxon`` with its default handling of zeros (left out) and of small samples (exact); if all
    differences are zero, p is 1.

    Args:
        scores: method -> one score per data set, the mean over its seeds, in one order for all methods.
        reference: the method that the others are compared with.

    Returns:
        One test per other method; None if there are fewer pairs than ``pairs_needed``.

    Raises:
        InputError: the reference is missing or the methods have different numbers of scores.
    """
    if reference not in scores or len({len(row) for row in scores.values()}) != 1:
        raise InputError(f"'{reference}' and every other method must have one score for each pair.")
    others = [name for name in scores if name != reference]
    count = len(scores[reference])
    if not others or count < pairs_needed(len(others)):
        return None
    gains = {
        name: np.asarray(scores[reference], dtype=float) - np.asarray(scores[name], dtype=float) for name in others
    }
    p_values = [_signed_rank_p(gains[name]) for name in others]
    corrected = holm(p_values)
    return {name: SignedRank(p, q, count) for name, p, q in zip(others, p_values, corrected, strict=True)}


def _signed_rank_p(gains: NDArray[np.float64]) -> float:
    """Return p of the signed-rank test; gains that differ only by rounding are tied."""
    from scipy import stats

    rounded = np.round(gains, 9)  # far below one image of any test set, far above the rounding of float64
    return float(stats.wilcoxon(rounded).pvalue) if rounded.any() else 1.0


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's corrected p values, in the given order: never below an earlier one in sorted order, at most 1."""
    order = np.argsort(p_values, kind="stable")
    corrected = np.empty(len(p_values))
    highest = 0.0
    for position, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - position) * p_values[index]))
        corrected[index] = highest
    return [float(value) for value in corrected]


def ranking(scores: Mapping[str, Sequence[float]]) -> Ranking:
    """Rank methods within each data set and average over data sets.

    Args:
        scores: method -> one score per data set, higher is better, in one order for all methods.

    Returns:
        Mean ranks; Friedman's p and Nemenyi's critical distance q sqrt(k (k + 1) / (6 N)) if there are enough data
        sets.

    Raises:
        InputError: there is no method or no score, or the numbers of scores differ.
    """
    from scipy import stats

    if not scores or len({len(row) for row in scores.values()}) != 1 or not next(iter(scores.values())):
        raise InputError("every method must have one score for each data set, and there must be one of each at least.")
    table = np.array(list(scores.values()), dtype=float)
    ranks = stats.rankdata(-table, axis=0)
    means = {name: float(mean) for name, mean in zip(scores, ranks.mean(axis=1), strict=True)}
    num_methods, num_blocks = table.shape
    if num_methods < 3 or num_blocks < SMALLEST_BLOCKS:
        return Ranking(means, num_blocks, None, None)
    p = float(stats.friedmanchisquare(*table).pvalue) if np.ptp(ranks) else 1.0
    quantile = float(stats.studentized_range.ppf(1 - ALPHA, num_methods, np.inf)) / math.sqrt(2)
    distance = quantile * math.sqrt(num_methods * (num_methods + 1) / (6 * num_blocks))
    return Ranking(means, num_blocks, p, distance)
