"""The committed comparisons: their JSON files, and the tables and figures of docs/results/compare made from them.

python -m benchmarks.comparisons runs/ladder ladder     add a finished comparison, then write its files
python -m benchmarks.comparisons                        write all tables and figures again
"""

import argparse
import json
from pathlib import Path

from biotune.report.comparison_figures import draw_comparison
from biotune.report.comparison_files import to_markdown
from biotune.report.figures import to_png
from biotune.results import Comparison

RESULTS = Path(__file__).parent.parent / "docs/results/compare"


def add(folder: Path, name: str) -> None:
    """Copy the content of a finished comparison."""
    comparison = json.loads((folder / "comparison.json").read_text(encoding="utf-8"))
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(comparison, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def write_all() -> None:
    """Write a table, and the forest and rank plots, for every committed comparison."""
    for path in sorted(RESULTS.glob("*.json")):
        comparison = Comparison.read(path)
        path.with_suffix(".md").write_text(to_markdown(comparison), encoding="utf-8")
        for name, figure in draw_comparison(comparison).items():
            if name in ("forest", "ranks"):
                path.with_name(f"{path.stem}-{name}.png").write_bytes(to_png(figure))


def main() -> None:
    """Add a comparison if one is given, then write all tables and figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("name", nargs="?")
    arguments = parser.parse_args()
    if arguments.folder:
        add(arguments.folder, arguments.name or arguments.folder.name)
    write_all()


if __name__ == "__main__":
    main()
