"""``python -m benchmarks``: the benchmarks, and BioTune's command line with the data sets that only benchmarks use."""

import sys

from benchmarks.commands import app
from benchmarks.datasets import register
from biotune.cli.app import main

register()  # at import, since worker processes of a run import this module too


def run() -> None:
    """Run a benchmark, or ``biotune`` with the arguments that follow it."""
    if sys.argv[1:2] == ["biotune"]:
        del sys.argv[1]
        main(program="python -m benchmarks biotune")
    else:
        main(app, "python -m benchmarks")


if __name__ == "__main__":
    run()
