"""A comparison for the terminal (rich renderables): tables, then what they mean in sentences."""

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from biotune import wording
from biotune.metrics import METRICS
from biotune.report.comparison_rows import Grid, Row, best_of, grids, reference_name, rows_of
from biotune.report.comparison_sentences import headline, notes
from biotune.report.run_tables import difference_cells, written_score
from biotune.report.tables import VERDICT_STYLES, plain_table, wide_table
from biotune.results import Comparison, Score

_NAME_WIDTH, _SCORE_WIDTH, _END_WIDTH = 20, 11, 14


def comparison_view(comparison: Comparison, width: int = 80) -> Group:
    """Return everything that the terminal shows of a comparison.

    Args:
        comparison: the results.
        width: width of the terminal in characters, at least 60; the grid of many data sets is split to fit it.

    Returns:
        Headline, grid of methods by data sets (of two and more), table of methods, and sentences.
    """
    return Group(*_parts(comparison, width))


def _parts(comparison: Comparison, width: int) -> Iterator[RenderableType]:
    first = headline(comparison)
    yield Text(first.title, style="bold")
    yield Text(f"{first.claim}. {first.reason}", style=VERDICT_STYLES.get(first.verdict, ""))
    yield Text("")
    if len(comparison.datasets) > 1:
        for table in grid_tables(comparison, grids(comparison)[0], width):
            yield table
            yield Text("")
    yield methods_table(comparison)
    yield Text("")
    if comparison.metric != "accuracy":
        yield metric_table(comparison)
        yield Text("")
    for note in notes(comparison):
        yield Text(f"\N{BULLET} {note}", style="dim")


def methods_table(comparison: Comparison) -> Table:
    """Return the table of methods, which fits 80 columns; of several data sets their means."""
    test, tuned = comparison.on == "test", comparison.has_tuned
    minuend = "the tuned method (or search)" if tuned else "the method"
    table = plain_table(
        f"Accuracy in % ({_on(comparison)}), mean ± standard error over seeds.\n"
        + (f"Difference: {reference_name(comparison)} minus {minuend}, points, 95 % interval.\n" if test else "")
        + "Cost: in full fine-tunes, with selection. Share: trained parameters, %.\nGiB: memory of a training step."
    )
    table.padding = (0, 0)  # the columns of 80 characters leave no room for more than the box's own space
    _add_score_columns(table, tuned)
    if test:
        table.add_column("Difference", justify="right", no_wrap=True)
        table.add_column("", no_wrap=True)
    for name in ("Cost", "Share", "GiB"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows_of(comparison.methods, comparison.on):
        best = row.best
        table.add_row(
            *_score_cells(row, tuned),
            *(difference_cells(best.difference) if test else ()),
            Text(wording.cost(best.cost_in_full_finetunes)),
            Text(f"{100 * best.trainable_fraction:.3g}"),
            Text(wording.memory(best.step_bytes)),
            style="bold" if row.key == comparison.reference else "",
        )
    return table


def metric_table(comparison: Comparison) -> Table:
    """Return the table of the chosen metric, on the same images as that of methods, in 80 columns."""
    tuned, metric = comparison.has_tuned, METRICS[comparison.metric]
    table = wide_table(
        f"{metric.label}{metric.scale} ({_on(comparison)}): the {metric.meaning}"
        f"{comparison.followed};\nmean ± standard error over seeds."
    )
    _add_score_columns(table, tuned)
    for row in rows_of(comparison.methods, comparison.on):
        style = "bold" if row.key == comparison.reference else ""
        table.add_row(*_score_cells(row, tuned, comparison.metric), style=style)
    return table


def _on(comparison: Comparison) -> str:
    several = ", mean over data sets" if len(comparison.datasets) > 1 else ""
    return f"{'test' if comparison.on == 'test' else 'validation, used for selection'}{several}"


def _add_score_columns(table: Table, tuned: bool) -> None:
    table.add_column("Method", overflow="fold", min_width=12)
    for name in ("Default", "Tuned") if tuned else ("Default",):
        table.add_column(name, justify="right", no_wrap=True)


def _score_cells(row: Row, tuned: bool, metric: str = "accuracy") -> Iterator[Text]:
    yield Text(wording.label(row.name, 40))
    yield Text(default_and_tuned(row, metric)[0])
    if tuned:
        yield Text(default_and_tuned(row, metric)[1])


def default_and_tuned(row: Row, metric: str = "accuracy") -> tuple[str, str]:
    """Write the scores of a row at its default and tuned: ``88.9 ±0.3``, in per cent without the sign."""
    scores = [None if entry is None else entry.scores(row.on) for entry in (row.default, row.tuned)]
    default, tuned = (written_score(part, metric, "diverged" if part is None else wording.MISSING) for part in scores)
    return default, tuned if row.tuned else wording.MISSING


def grid_tables(comparison: Comparison, grid: Grid, width: int = 80) -> list[Table]:
    """Return methods by data sets as in the papers' Table I: mean (standard error), the best of each column bold.

    Args:
        comparison: the results.
        grid: one of its ``grids``.
        width: width of the terminal; data sets that do not fit go to a further table. Means and ranks are in the last.

    Returns:
        At least one table.
    """
    names = [wording.label(part.name, _SCORE_WIDTH - 1) for part in comparison.datasets]
    full = max(1, (width - _NAME_WIDTH - 1) // _SCORE_WIDTH)
    last = max(1, (width - _NAME_WIDTH - 1 - _END_WIDTH) // _SCORE_WIDTH)
    parts: list[range] = []
    start = 0
    while len(names) - start > last:
        end = min(start + full, len(names) - 1)
        parts.append(range(start, end))
        start = end
    parts.append(range(start, len(names)))
    tables = [_grid_table(grid, names, part, comparison.reference, part is parts[-1]) for part in parts]
    tables[0].title = Text(
        f"{'Tuned methods' if grid.setting == 'tuned' else 'Methods at their defaults'}, {comparison.on} accuracy"
    )
    tables[-1].caption = Text(
        "Accuracy in % (standard error over seeds); best in bold."
        + (" Searches are shown as they are." if grid.setting == "tuned" else ""),
        style="dim",
    )
    return tables


def _grid_table(grid: Grid, names: Sequence[str], part: range, reference: str, with_means: bool) -> Table:
    table = plain_table("")
    table.caption = None
    columns = [best_of([_mean(grid.cells[row.key][index]) for row in grid.rows]) for index in part]
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


def _mean(score: Score | None) -> float | None:
    return None if score is None else score.mean


def bracketed(score: Score | None) -> str:
    """Write an accuracy as the papers do: ``88.9 (0.3)``; without brackets where there is one seed."""
    if score is None:
        return "diverged"
    error = "" if score.standard_error is None else f" ({wording.percent(score.standard_error, unit='')})"
    return f"{wording.percent(score.mean, unit='')}{error}"
