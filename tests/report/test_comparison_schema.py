"""The comparisons of these tests have the shape of real ones, and docs/compare.md lists every key."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import made_up_comparison as made
import numpy as np
import pytest

from biotune.report.comparison import write_comparison
from test_docs import TEXTS, table

WHOLE = {"model", "data", "protocol", "versions", "test", "validation", "mean_ranks"}
"""Described elsewhere, or named by the user."""


def keys(value: Any, path: str = "") -> Iterator[str]:
    """Yield every path as docs/compare.md writes it."""
    for key, item in value.items():
        is_row = path.endswith("methods")
        here = f"{path}.{'NAME' if is_row else 'SETTING' if path == 'ranking' else key}".lstrip(".")
        inner = "row" if is_row else here
        if here != "ranking.SETTING":
            yield here
        if isinstance(item, dict) and key not in WHOLE:
            yield from keys(item, "row" if here == "row.tuned" else inner)
        elif isinstance(item, list) and item and isinstance(item[0], dict):
            yield from keys(item[0], f"{inner}[]")


@pytest.fixture(scope="module")
def real():
    """What ``biotune.compare`` makes of made-up answers: its own statistics, pooled rows and ranks."""
    from biotune.compare.results import DataSetResult, build_comparison

    random = np.random.default_rng(0)
    results = []
    for entry in copy.deepcopy(made.comparison(("biotune", "full"), ("a", "b"), seeds=4)["datasets"]):
        entry["methods"]["full"]["tuned"]["sweep"] = [{"method": "full", "multipliers": [], "fitness": [0.5]}]
        rows = ("biotune", "full", "full (tuned)")
        seeds = entry["protocol"]["seeds"]
        results.append(
            DataSetResult(entry, {row: {seed: random.uniform(size=8) < 0.8 for seed in seeds} for row in rows})
        )
    return build_comparison("biotune compare a b", {"name": "x", "parameters": 9, "num_blocks": 2, "weights": "w",
                                                    "image_size": 32}, "biotune", results)  # fmt: skip


def test_made_up_comparisons_have_the_shape_of_real_ones(real):
    mine = made.comparison(("biotune", "full"), ("a", "b"), seeds=4)
    assert set(keys(mine)) == {key for key in keys(real) if not key.startswith("row.sweep[]")}


def test_every_key_is_documented(real):
    section = set(table("docs/compare.md", "comparison.json")) - {"ranking.default", "ranking.tuned"}
    containers = {"methods", "datasets", "datasets[].methods", "ranking"}
    assert set(keys(real)) - containers == section


def test_a_real_comparison_is_written(real, tmp_path):
    write_comparison(tmp_path, json.loads(json.dumps(real)))
    files = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    documented = set(table("docs/compare.md", "Files")) - {"comparison.json"}
    assert files == documented
    assert "`comparison.json`" in TEXTS["docs/compare.md"]
