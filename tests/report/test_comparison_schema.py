"""Comparisons that version 0.1 wrote open, and hold the same when they are written again."""

import json

import made_up_comparison as made
import numpy as np
import pytest
from opened import opened_comparison

from biotune.report.comparison_page import write_comparison
from biotune.results import Comparison
from test_docs import TEXTS, table


@pytest.fixture(scope="module")
def real():
    """What ``biotune.comparison`` makes of made-up answers: its own statistics, pooled rows and ranks."""
    from biotune.comparison.results import DataSetResult, build_comparison

    random = np.random.default_rng(0)
    mine = opened_comparison(made.comparison(("biotune", "full"), ("a", "b"), seeds=4))
    rows = ("biotune", "full", "full (tuned)")
    results = [
        DataSetResult(part, {row: {seed: random.uniform(size=8) < 0.8 for seed in part.protocol.seeds} for row in rows})
        for part in mine.datasets
    ]
    return build_comparison("biotune compare a b", mine.model, "biotune", results)


def test_means_over_data_sets_are_means_of_every_metric(real):
    for name in ("accuracy", "macro"):
        parts = [part.methods["full"].tuned.test.metrics[name].mean for part in real.datasets]
        assert real.methods["full"].tuned.test.metrics[name].mean == pytest.approx(np.mean(parts))


def test_statistics_are_of_the_answers_given(real):
    assert real.methods["biotune"].difference is None
    for part in (real, *real.datasets):
        assert part.methods["full"].difference.low <= part.methods["full"].difference.difference
        assert part.methods["full"].tuned.difference is not None
    assert set(real.ranking.tuned.mean_ranks) == {"biotune", "full"}


def test_what_is_written_reads_back_equal(real):
    assert Comparison.from_json(json.loads(json.dumps(real.to_json())), "comparison.json") == real


def test_every_key_of_version_1_is_still_there():
    def missing(old, new, path=""):
        if isinstance(old, dict):
            for key, value in old.items():
                yield from missing(value, new[key], f"{path}.{key}") if key in new else [f"{path}.{key}"]
        elif isinstance(old, list) and old and isinstance(old[0], dict):
            yield from (found for pair in zip(old, new, strict=True) for found in missing(*pair, f"{path}[]"))

    old = made.comparison(("biotune", "full"), ("a", "b"), seeds=4)
    assert list(missing(old, opened_comparison(old).to_json())) == []


def test_a_comparison_is_written(real, tmp_path):
    write_comparison(tmp_path, real)
    files = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    documented = set(table("docs/compare.md", "Files")) - {"comparison.json"}
    assert files == documented
    assert "`comparison.json`" in TEXTS["docs/compare.md"]
