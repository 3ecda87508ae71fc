"""A comparison for the terminal (rich renderables): tables, then what they mean in sentences."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from biotune import wording
from biotune.report.comparison_story import headline, notes, reference_name
from biotune.report.contenders import Contender, Grid, Result, best_of, contenders, grids, has_tuned, on_test
from biotune.report.rows import Score
from biotune.report.tables import VERDICT_STYLES, plain_table

_NAME_WIDTH, _SCORE_WIDTH, _END_WIDTH = 20, 11, 14


def comparison_view(comparison: Mapping[str, Any], width: int = 80) -> Group:
    """Return everything that the terminal shows of a comparison.

    Args:
        comparison: as in ``comparison.json``.
        width: of the terminal in characters, at least 60; the grid of many data sets is split to fit it.

    Returns:
        Headline, grid of methods by data sets (of two and more), table of methods, and sentences.
    """
    return Group(*_parts(comparison, width))


def _parts(comparison: Mapping[str, Any], width: int) -> Iterator[RenderableType]:
    first = headline(comparison)
    yield Text(first.title, style="bold")
    yield Text(f"{first.claim}. {first.reason}", style=VERDICT_STYLES.get(first.verdict, ""))
    yield Text("")
    if len(comparison["datasets"]) > 1:
        for table in grid_tables(comparison, grids(comparison)[0], width):
            yield table
            yield Text("")
    yield methods_table(comparison)
    yield Text("")
    for note in notes(comparison):
        yield Text(f"\N{BULLET} {note}", style="dim")


def methods_table(comparison: Mapping[str, Any]) -> Table:
    """Return the table of methods; of several data sets their means.

    Args:
        comparison: as in ``comparison.json``.

    Returns:
        A table that fits 80 columns.
    """
    test, tuned = on_test(comparison), has_tuned(comparison)
    several = len(comparison["datasets"]) > 1
    on = "test" if test else "validation, used for selection"
    table = plain_table(
        f"Accuracy in % ({on}{', mean over data sets' if several else ''}), mean ± standard error over seeds.\n"
        + (
            f"Difference: {reference_name(comparison)} minus {_minuend(tuned)}, points, 95 % interval.\n"
            if test
            else ""
        )
        + "Cost: in full fine-tunes, with selection. Share: trained parameters, %.\nGiB: memory of a training step."
    )
    table.padding = (0, 0)  # the columns of 80 characters leave no room for more than the box's own space
    table.add_column("Method", overflow="fold", min_width=12)
    table.add_column("Default", justify="right", no_wrap=True)
    if tuned:
        table.add_column("Tuned", justify="right", no_wrap=True)
    if test:
        table.add_column("Difference", justify="right", no_wrap=True)
        table.add_column("", no_wrap=True)
    for name in ("Cost", "Share", "GiB"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in contenders(comparison["methods"], test):
        cells = _cells(row, tuned, test)
        table.add_row(*cells, style="bold" if row.key == comparison["reference"] else "")
    return table


def _minuend(tuned: bool) -> str:
    return "the tuned method (or search)" if tuned else "the method"


def _cells(row: Contender, tuned: bool, test: bool) -> Iterator[Text]:
    yield Text(wording.label(row.name, 40))
    yield Text(written_score(row.default))
    if tuned:
        yield Text(written_score(row.tuned) if row.tuned else wording.MISSING)
    if test:
        found = row.best.difference
        yield Text(
            f"{wording.points(found.difference)} {wording.interval(found.low, found.high)}"
            if found
            else wording.MISSING
        )
        yield Text(found.verdict, style=VERDICT_STYLES[found.verdict]) if found else Text("")
    yield Text(wording.cost(row.best.cost))
    yield Text(f"{100 * row.best.trainable_fraction:.3g}")
    yield Text(wording.memory(row.best.step_bytes))


def written_score(result: Result) -> str:
    """Write a score with its standard error, in per cent without the sign: ``88.9 ±0.3``."""
    if result.score is None:
        return "diverged"
    error = result.score.standard_error
    spread = "" if error is None else f" ±{wording.percent(error, unit='')}"
    return f"{wording.percent(result.score.accuracy, unit='')}{spread}"


def grid_tables(comparison: Mapping[str, Any], grid: Grid, width: int = 80) -> list[Table]:
    """Return methods by data sets as in the papers' Table I: mean (standard error), the best of each column bold.

    Args:
        comparison: as in ``comparison.json``.
        grid: one of its ``grids``.
        width: of the terminal; data sets that do not fit go to a further table. Means and ranks stand in the last.

    Returns:
        At least one table.
    """
    names = [wording.label(entry["name"], _SCORE_WIDTH - 1) for entry in comparison["datasets"]]
    full = max(1, (width - _NAME_WIDTH - 1) // _SCORE_WIDTH)
    last = max(1, (width - _NAME_WIDTH - 1 - _END_WIDTH) // _SCORE_WIDTH)
    parts: list[range] = []
    start = 0
    while len(names) - start > last:
        end = min(start + full, len(names) - 1)
        parts.append(range(start, end))
        start = end
    parts.append(range(start, len(names)))
    tables = [_grid_table(grid, names, part, comparison["reference"], part is parts[-1]) for part in parts]
    on = "test" if on_test(comparison) else "validation"
    tables[0].title = Text(
        f"{'Tuned methods' if grid.setting == 'tuned' else 'Methods at their defaults'}, {on} accuracy"
    )
    tables[-1].caption = Text(
        "Accuracy in % (standard error over seeds); best in bold."
        + (" Searches stand for themselves." if grid.setting == "tuned" else ""),
        style="dim",
    )
    return tables


def _grid_table(grid: Grid, names: Sequence[str], part: range, reference: str, with_means: bool) -> Table:
    table = plain_table("")
    table.caption = None
    columns = [best_of([_accuracy(grid.cells[row.key][index]) for row in grid.rows]) for index in part]
    mean_best = best_of([grid.means[row.key] for row in grid.rows])
    rank_best = best_of([grid.mean_ranks.get(row.key) for row in grid.rows], lowest=True)
    table.add_column("Method", overflow="fold", width=_NAME_WIDTH)
    for index in part:
        table.add_column(Text(names[index]), justify="right", no_wrap=True, min_width=_SCORE_WIDTH - 1)
    if with_means:
        table.add_column("Mean", justify="right", no_wrap=True)
        table.add_column("Rank", justify="right", no_wrap=True)
    for place, row in enumerate(grid.rows):
        own = "bold" if row.key == reference else ""
        cells = [Text(wording.label(row.name, 40), style=own)]
        for column, index in enumerate(part):
            style = "bold" if columns[column][place] else ""
            cells.append(Text(bracketed(grid.cells[row.key][index]), style=style))
        if with_means:
            rank = grid.mean_ranks.get(row.key)
            mean = wording.percent(grid.means[row.key], unit="")
            cells.append(Text(mean, style="bold" if mean_best[place] else ""))
            cells.append(
                Text(wording.MISSING if rank is None else f"{rank:.2f}", style="bold" if rank_best[place] else "")
            )
        table.add_row(*cells)
    return table


def _accuracy(score: Score | None) -> float | None:
    return None if score is None else score.accuracy


def bracketed(score: Score | None) -> str:
    """Write a score as the papers do: ``88.9 (0.3)``; without brackets where there is one seed."""
    if score is None:
        return "diverged"
    error = "" if score.standard_error is None else f" ({wording.percent(score.standard_error, unit='')})"
    return f"{wording.percent(score.accuracy, unit='')}{error}"
