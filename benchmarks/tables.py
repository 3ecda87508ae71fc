"""Tables of benchmark results for the terminal (rich renderables)."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.table import Table

from benchmarks.search.figure import search_name
from biotune import wording
from biotune.report.tables import plain_table

_SERIES = {
    "images": "images",
    "images_on_demand": "on demand",
    "blocks": "blocks",
    "population": "evaluations",
}
_LAPS = {"loading": "loading", "epoch": "train all", "half": "half frozen", "run": "whole run"}
_MEMORY = {"peak_bytes": "memory", "own_bytes": "own memory"}


def machine_line(content: Mapping[str, Any]) -> str:
    """Return where a result was measured, in a sentence."""
    machine, versions = content["machine"], content["versions"]
    device = f", {machine['accelerator']}" if machine["accelerator"] else ""
    return (
        f"{machine['cpu']}, {machine['threads']} of {machine['cores']} cores{device}, load average "
        f"{machine['load_average']}; torch {versions['torch']}, biotune {versions['biotune']}."
    )


def throughput_tables(content: Mapping[str, Any]) -> Iterator[Table]:
    """Yield a table for every network and size of ``throughput.json``."""
    for found in content["results"]:
        table = plain_table(
            f"{found['model']}, {found['image_size']} px, {found['precision']}. Of bare: the trainer's speed over a "
            "plain loop's on the same blocks; median and quartiles. Gain: over training everything. Bound: by "
            "multiplications."
        )
        for name in ("Frozen", "Trained from", "Of bare", "Quartiles", "By CPU time", "Gain", "Bound"):
            table.add_column(name, justify="left" if name == "Trained from" else "right")
        for row in found["rows"]:
            table.add_row(*throughput_cells(row))
        yield table


def throughput_cells(row: Mapping[str, Any]) -> list[str]:
    """Return the cells of one boundary."""
    bare, gain = row["of_bare"], row["speedup"]["median"]
    speed = ["", "", ""]
    if bare:
        speed = [f"{bare['median']:.3f}", f"{bare['low']:.3f} to {bare['high']:.3f}", f"{bare['cpu_median']:.3f}"]
    return [str(row["frozen_blocks"]), row["first_trained_block"], *speed, f"{gain:.2f}", f"{row['bound']:,.2f}"]


def scale_table(content: Mapping[str, Any]) -> Table:
    """Return the table of all series of ``scale.json``."""
    table = plain_table(
        "Times: of the largest point to the smallest. R²: of a straight line through all points, by wall time and by "
        "CPU time. Memory: peak of the process; own: without mapped files, which the system can reclaim."
    )
    for name in ("Against", "Points", "What", "Times", "R²", "R² (CPU)", "Per unit"):
        table.add_column(name, justify="left" if name in ("Against", "What") else "right")
    for cells in scale_rows(content):
        table.add_row(*cells)
    return table


def scale_rows(content: Mapping[str, Any]) -> Iterator[list[str]]:
    """Yield the cells of each measured quantity of each series."""
    for name, series in content["series"].items():
        start = [_SERIES[name], f"{series['counts'][0]:,} to {series['counts'][-1]:,}"]
        for lap, line in series["time"].items():
            fits = [_fixed(line["r_squared"]), _fixed(line["cpu_r_squared"])]
            yield [*start, _LAPS[lap], f"{line['last_to_first']:.2f}", *fits, ""]
        for kind, line in series["memory"].items():
            slope = "" if line["slope"] is None else f"{line['slope'] / 1000:,.2f} kB"
            yield [*start, _MEMORY[kind], f"{line['last_to_first']:.2f}", "", "", slope]


def _fixed(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


SEARCH_COLUMNS = ("Search", "Test, %", "Difference", "Rank", "Work", "Cost", "Tried", "Reached")


def search_tables(content: Mapping[str, Any]) -> Iterator[Table]:
    """Yield the table of all data sets of ``search.json``, one for each data set of several, and the goals."""
    settings, data_sets = content["settings"], content["data_sets"]
    table = _search_table(
        content["searches"],
        f"{len(data_sets)} data sets, {len(settings['seeds'])} root seeds. Test: accuracy in %, mean and standard "
        "error over root seeds. Difference: BioTune minus the search in points, with its 95 % interval. Cost: of the "
        "search, and with the final phase, in full fine-tunes. Tried: candidates. Reached: share of the search's work "
        "after which BioTune's choice was as good on validation, and in how many repetitions.",
    )
    yield table
    if len(data_sets) > 1:
        for name, part in data_sets.items():
            yield _search_table(part["searches"], f"{wording.label(name)}.")
    goals = plain_table("Goals.")
    for name in ("Goal", "Found", "Reached"):
        goals.add_column(name)
    for cells in goal_rows(content):
        goals.add_row(*cells)
    yield goals


def _search_table(rows: Mapping[str, Any], caption: str) -> Table:
    table = plain_table(caption)
    shown = [index for index, name in enumerate(SEARCH_COLUMNS) if name != "Work"]  # to fit into 80 characters
    for index in shown:
        table.add_column(SEARCH_COLUMNS[index], justify="right" if index else "left")
    for cells in search_cells(rows):
        table.add_row(*(cells[index] for index in shown))
    return table


def search_cells(rows: Mapping[str, Any]) -> Iterator[list[str]]:
    """Yield the cells of each search, in the order of ``SEARCH_COLUMNS``."""
    for key, row in rows.items():
        yield [
            search_name(key),
            _test_cell(row["test"]),
            _difference_cell(row["difference"]),
            wording.MISSING if row["mean_rank"] is None else f"{row['mean_rank']:.2f}",
            f"{row['work']:.1f}",
            f"{row['search_cost']:.1f}/{row['total_cost']:.1f}",
            f"{row['candidates']:.0f}",
            _reached_cell(row["reached"]),
        ]


def goal_rows(content: Mapping[str, Any]) -> Iterator[list[str]]:
    """Yield each goal, the measured value, and whether it reaches the goal."""
    for found in content["goals"]:
        yield [found["goal"], found["found"], "yes" if found["reached"] else "no"]


def _test_cell(test: Mapping[str, Any] | None) -> str:
    if test is None:
        return wording.MISSING
    error = test["standard_error"]
    return f"{100 * test['accuracy']:.1f}" + ("" if error is None else f" ±{100 * error:.1f}")


def _difference_cell(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return ""
    return f"{100 * found['difference']:+.2f} [{100 * found['low']:+.2f}, {100 * found['high']:+.2f}]"


def _reached_cell(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return ""
    median = wording.MISSING if found["median"] is None else f"{found['median']:.2f}"
    return f"{median} ({found['reached']}/{found['repetitions']})"
