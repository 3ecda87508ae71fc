"""Tables of the benchmark ``alternatives``, for the terminal and for pages."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.table import Table

from biotune import wording
from biotune.report.tables import plain_table

COLUMNS = ("Entry", "Test, %", "Macro, %", "Difference", "CPU s", "Wall s")


def alternatives_tables(content: Mapping[str, Any]) -> Iterator[Table | str]:
    """Yield a table for each data set of ``alternatives.json``, the mean ranks of several, and what was left out."""
    for name, rows in content["data_sets"].items():
        counts = content["settings"]["data_sets"][name]
        parts = f"{counts['train']} training, {counts['validation']} validation and {counts['test']} test images"
        table = plain_table(
            f"{wording.label(name)}: {parts}. Test: accuracy, mean over seeds, and its 95 % interval over test "
            "images and seeds. Difference: BioTune minus the entry in points. CPU: of the whole process, medians "
            "over seeds."
        )
        for column in COLUMNS:
            table.add_column(column, justify="left" if column == "Entry" else "right")
        for cells in alternatives_cells(rows, content["settings"]["titles"]):
            table.add_row(*cells)
        yield table
    if len(content["data_sets"]) > 1:
        table = plain_table("Mean rank over the data sets by test accuracy; 1 is best.")
        table.add_column("Entry")
        table.add_column("Rank", justify="right")
        for name, rank in sorted(content["mean_ranks"].items(), key=lambda item: item[1]):
            table.add_row(content["settings"]["titles"][name], f"{rank:.2f}")
        yield table
    yield from content["skipped"].values()


def alternatives_cells(rows: Mapping[str, Any], titles: Mapping[str, str]) -> Iterator[list[str]]:
    """Yield the cells of each entry, in the order of ``COLUMNS``."""
    for name, row in rows.items():
        other = row["difference"]
        difference = "" if other is None else (
            f"{100 * other['difference']:+.1f} [{100 * other['low']:+.1f}, {100 * other['high']:+.1f}]"
        )  # fmt: skip
        accuracy = f"{100 * row['accuracy']:.1f} [{100 * row['low']:.1f}, {100 * row['high']:.1f}]"
        costs = [f"{row['cpu_s']:.0f}", f"{row['wall_s']:.0f}"]
        yield [titles[name], accuracy, f"{100 * row['macro']:.1f}", difference, *costs]
