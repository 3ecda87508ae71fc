"""The command line and the data sets of the benchmarks."""

from collections.abc import Callable
from functools import partial

import pytest


@pytest.fixture
def benchmark_datasets(monkeypatch: pytest.MonkeyPatch) -> None:
    """The data sets of the benchmarks among the named ones, for one test."""
    from benchmarks.datasets import BENCHMARK_DATASETS
    from biotune.datasets import DATASETS

    for name, info in BENCHMARK_DATASETS.items():
        monkeypatch.setitem(DATASETS, name, info)


@pytest.fixture
def bench(call_main, benchmark_datasets) -> Callable:
    """``python -m benchmarks`` in this process: ``bench("scale", "--quick")`` gives exit code, output and errors."""
    from benchmarks.__main__ import run

    return partial(call_main, run)
