"""The command line of the benchmarks."""

from collections.abc import Callable
from functools import partial

import pytest


@pytest.fixture
def bench(call_main) -> Callable:
    """``python -m benchmarks`` in this process: ``bench("scale", "--quick")`` gives exit code, output and errors."""
    from benchmarks.__main__ import run

    return partial(call_main, run)
