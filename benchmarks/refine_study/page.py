"""Makes the tables and figures of docs/refine_findings.md from the result files of the study.

python -m benchmarks.refine_study.page            write the tables into the page, and draw its figures
python -m benchmarks.refine_study.page --check    exit code 1 if the page does not agree with the files
"""

import argparse
import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.made_pages import with_table
from benchmarks.refine_study import judged
from benchmarks.refine_study.cases import CASES
from benchmarks.refine_study.figures import draw_all
from benchmarks.refine_study.judged import Lines, Results
from benchmarks.refine_study.measure import file_name
from benchmarks.tables import machine_line
from biotune.report.figures import to_png

ROOT = Path(__file__).parent.parent.parent
PAGE, FOLDER = ROOT / "docs/refine_findings.md", ROOT / "docs/results/refine_study"


def results() -> dict[str, dict[str, Any]]:
    """Return the content of the result files that are there, in the order of the cases."""
    paths = {name: FOLDER / f"{file_name(name)}.json" for name in CASES}
    return {name: json.loads(path.read_text(encoding="utf-8")) for name, path in paths.items() if path.exists()}


def origin(found: Results) -> Lines:
    """Yield what was measured, and by which command."""
    header = ["case", "train", "held out", "test", "classes", "values of the head", "epochs", "seeds"]
    cells = []
    for name, case in found.items():
        about = case["case"]
        sizes = [str(about[f"{part}_examples"]) for part in ("train", "validation", "test")]
        weights = about["classes"] * about["features"]
        cells.append(
            [name, *sizes, str(about["classes"]), f"{weights:,}", str(about["epochs"]), str(len(case["seeds"]))]
        )
    yield from judged.lines_of(header, cells)
    yield ""
    last = {case["command"]: case for case in found.values()}
    yield from (f"`{command}` on {machine_line(dict(case))}" for command, case in last.items())


TABLES: dict[str, Callable[[Results], Lines]] = {
    "cases": origin,
    "gains": judged.case_table,
    "best": judged.best_table,
    "bounds": judged.bound_table,
    "ranks": judged.rank_table,
    "gap": judged.gap_table,
    "source": judged.source_table,
    "safeguards": judged.safeguard_table,
    "sizes": judged.size_table,
    "agreement": judged.agreement_table,
    **{topic: partial(judged.special_table, topic=topic) for topic in ("classes", "calibration", "norms")},
    "rounding": partial(judged.special_table, topic="rounding", digits=4),
}
"""Name of a table in the page -> what makes it."""


def filled(page: str, found: Results) -> str:
    """Return the page with every table made again."""
    for name, table in TABLES.items():
        page = with_table(page, name, "benchmarks/refine_study/page.py", table(found))
    return page


def main() -> None:
    """Write the page and its figures, or check it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    found, before = results(), PAGE.read_text(encoding="utf-8")
    after = filled(before, found)
    if arguments.check:
        sys.exit(0 if after == before else f"{PAGE.name} is not made from the result files; run this script.")
    PAGE.write_text(after, encoding="utf-8")
    for name, figure in draw_all(found).items():
        (FOLDER / f"{name}.png").write_bytes(to_png(figure))


if __name__ == "__main__":
    main()
