"""``python -m torture``: run every promise for a while, and print one table: promise, cases tried, held."""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from torture import (
    covered,
    damage,
    faults,
    fuzzing,
    injection,
    kills,
    long_run,
    surroundings,
    system_calls,
    wrong_calls,
)
from torture.promise import Case, Promise, Scene

PROMISES: tuple[Promise, ...] = (
    *kills.PROMISES,
    *faults.PROMISES,
    *system_calls.PROMISES,
    *damage.PROMISES,
    *long_run.PROMISES,
    *wrong_calls.PROMISES,
    *fuzzing.PROMISES,
    *covered.PROMISES,
    *injection.PROMISES,
    *surroundings.PROMISES,
)
NUMBERS = {
    "kills": 100,
    "faults": 200,
    "changes": 1000,
    "damages": 2500,
    "candidates": 500,
    "calls": 300,
    "inputs": 20_000,
    "seconds": 120,
    "names": 60,
    "budgets": 8,
    "limits": 40,
    "commands": 20,
}
"""Cases of each promise, by its kind; of faults and changes, those that are tried at most, each in four ways; seconds
are those of each reader under atheris."""


def torture(promise: Promise, scene: Scene, count: int, seconds: float, report: Console) -> list[Case]:
    """Return the cases of one promise, as many as ``seconds`` allow; faults are printed as they are found."""
    tried, limit = list[Case](), time.monotonic() + seconds
    for case in _guarded(promise.cases(scene, count)):
        tried.append(case)
        if case.fault:
            report.print(f"NOT HELD: {case.name}: {case.fault}", markup=False, soft_wrap=True)
        if time.monotonic() > limit:
            break
    return tried


def _guarded(cases: Iterator[Case]) -> Iterator[Case]:
    """Yield the cases; an error between them is a fault too, and ends them."""
    try:
        yield from cases
    except Exception as error:
        yield Case("the cases themselves", f"{type(error).__name__}: {error}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the promises; return 1 if one was not held in a case."""
    parser = argparse.ArgumentParser(prog="torture", description=__doc__)
    for kind, number in NUMBERS.items():
        parser.add_argument(f"--{kind}", type=int, default=number)
    parser.add_argument("--minutes", type=float, default=60, help="longest time of one promise")
    parser.add_argument("--only", default="", help="promises whose words hold this text")
    options = parser.parse_args(arguments)
    console = Console(stderr=True)
    table = Table("promise", "cases", "held", "minutes", title="What was promised, tried and held")
    failed = False
    with tempfile.TemporaryDirectory(prefix="biotune-torture-") as root, system_calls.watched(Path(root)):
        os.environ["BIOTUNE_CACHE"] = str(Path(root) / "cache")
        scene = Scene(Path(root))
        for promise in PROMISES:
            if options.only not in promise.words:
                continue
            begun = time.monotonic()
            tried = torture(promise, scene, getattr(options, promise.kind), 60 * options.minutes, console)
            cases = sum(case.count for case in tried)
            held = sum(case.count for case in tried if not case.fault)
            is_held = not any(case.fault for case in tried)
            failed |= not is_held
            words = f"{held} of {cases}" if is_held or held < cases else f"{held} of {cases}, but see above"
            table.add_row(promise.words, str(cases), words, f"{(time.monotonic() - begun) / 60:.1f}")
            console.print(f"{promise.words}: {words}", highlight=False)
    Console(width=120).print(table)
    return int(failed)


if __name__ == "__main__":
    torch.set_num_threads(1)  # others may want the cores
    sys.exit(main())
