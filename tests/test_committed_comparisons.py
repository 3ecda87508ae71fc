"""The committed comparisons: their statistics follow from the scores that they hold, their tables from the JSON."""

import json
from itertools import combinations, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from biotune.report.comparison_files import to_markdown
from biotune.results import Comparison

RESULTS = Path(__file__).parent.parent / "docs" / "results"
FOLDER = RESULTS / "compare"
FILES = [path for folder in (FOLDER, RESULTS / "paper") for path in sorted(folder.glob("*.json"))]
COMPARISONS = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in FILES}
ROWS = [
    (name, part["name"], method)
    for name, comparison in COMPARISONS.items()
    for part in comparison["datasets"]
    for method in part["methods"]
]


def rows_of(name: str, data_set: str) -> dict[str, Any]:
    return next(part["methods"] for part in COMPARISONS[name]["datasets"] if part["name"] == data_set)


def holm(values: list[float]) -> list[float]:
    """Holm's step-down correction, written out."""
    order, corrected, worst = np.argsort(values), [0.0] * len(values), 0.0
    for step, index in enumerate(order):
        worst = max(worst, min(1.0, (len(values) - step) * values[index]))
        corrected[index] = worst
    return corrected


@pytest.mark.parametrize("name", [path.stem for path in FILES if path.parent == FOLDER])
def test_the_table_is_that_of_the_json(name):
    assert (FOLDER / f"{name}.md").read_text(encoding="utf-8") == to_markdown(Comparison.read(FOLDER / f"{name}.json"))


@pytest.mark.parametrize("name", COMPARISONS)
def test_no_place_of_a_machine_is_named(name):
    text = json.dumps(COMPARISONS[name])
    assert not [place for place in ("/home/", "/root/", "/tmp/", "/work/") if place in text]
    assert COMPARISONS[name]["command"].startswith(("biotune compare ", "python -m benchmarks paper "))


@pytest.mark.parametrize(("name", "data_set", "method"), ROWS)
def test_means_errors_and_differences_follow_from_the_seeds(name, data_set, method):
    rows = rows_of(name, data_set)
    reference = np.array(rows[COMPARISONS[name]["reference"]]["test"]["per_seed"])
    for row in filter(None, (rows[method], rows[method]["tuned"])):
        scores = np.array(row["test"]["per_seed"])
        assert row["test"]["accuracy"] == pytest.approx(scores.mean())
        assert row["test"]["standard_error"] == (pytest.approx(stats.sem(scores)) if len(scores) > 1 else None)
        if row["difference"]:
            both = min(len(reference), len(scores))  # of seeds of which one diverged, those are paired that both have
            pairs = product(combinations(reference, both), combinations(scores, both))
            means = [np.mean(ours) - np.mean(theirs) for ours, theirs in pairs]
            assert min(abs(row["difference"]["difference"] - mean) for mean in means) < 1e-9
            assert row["difference"]["low"] <= row["difference"]["difference"] <= row["difference"]["high"]


@pytest.mark.parametrize("name", COMPARISONS)
@pytest.mark.parametrize("setting", ["default", "tuned"])
def test_ranks_are_those_of_scipy(name, setting):
    comparison = COMPARISONS[name]
    ranking, methods = comparison["ranking"][setting], list(comparison["methods"])

    def score(row: dict[str, Any]) -> float:
        return float(((row["tuned"] or row) if setting == "tuned" else row)["test"]["accuracy"])

    table = np.array([[score(part["methods"][method]) for method in methods] for part in comparison["datasets"]])
    ranks = stats.rankdata(-table, axis=1).mean(axis=0)
    assert ranking["mean_ranks"] == pytest.approx(dict(zip(methods, ranks, strict=True)))
    if ranking["friedman_p"] is not None:
        assert ranking["friedman_p"] == pytest.approx(stats.friedmanchisquare(*table.T).pvalue)


@pytest.mark.parametrize("name", COMPARISONS)
def test_signed_ranks_are_those_of_scipy_with_holm(name):
    """Means over seeds, one pair per data set; defaults and tuned rows are corrected together."""
    comparison = COMPARISONS[name]
    both = [(method, setting) for method in comparison["methods"] for setting in ("default", "tuned")]
    tested = [key for key in both if (found := _row(comparison, *key)) and found["signed_rank"]]
    reference = _scores(comparison, comparison["reference"], "default")
    pairs = [np.round(reference - _scores(comparison, *key), 9) for key in tested]  # ties are ties
    expected = [stats.wilcoxon(pair).pvalue if np.any(pair) else 1.0 for pair in pairs]
    stored = [_row(comparison, *key)["signed_rank"] for key in tested]
    assert [one["p"] for one in stored] == pytest.approx(expected)
    assert [one["p_holm"] for one in stored] == pytest.approx(holm(expected))


def _row(part: dict[str, Any], method: str, setting: str) -> dict[str, Any]:
    row = part["methods"][method]
    return row["tuned"] if setting == "tuned" else row


def _scores(comparison: dict[str, Any], method: str, setting: str) -> np.ndarray:
    """Return the mean test accuracy of every data set."""
    return np.array([np.mean(_row(part, method, setting)["test"]["per_seed"]) for part in comparison["datasets"]])
