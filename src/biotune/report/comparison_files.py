"""A comparison as text files: Markdown to read, CSV to compute with, LaTeX to print."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence

from biotune import wording
from biotune.metrics import METRICS
from biotune.report.comparison_rows import Grid, Row, best_of, choices, grids, reference_name, rows_of
from biotune.report.comparison_sentences import headline, notes, read_choices
from biotune.report.comparison_tables import bracketed, default_and_tuned
from biotune.report.text_tables import LATEX_HEAD, Cell, latex_table, markdown, markdown_table
from biotune.results import ComparedEntry, Comparison, Score, Scores
from biotune.results.comparison import SETTINGS

CSV_COLUMNS = (
    "data_set", "method", "setting", "trained_as", "multipliers", "values", "test_accuracy", "test_standard_error",
    "test_macro_accuracy", "test_per_seed", "validation_accuracy", "validation_standard_error",
    "validation_macro_accuracy", "validation_per_seed", "difference", "difference_low", "difference_high", "verdict",
    "p", "p_holm", "num_pairs", "diverged", "seconds", "cpu_seconds", "selection_seconds", "cost_in_full_finetunes",
    "trainable_fraction", "step_bytes", "evaluations", "own_candidates", "own_finished", "best_on_test_optimistic",
    "metric", "test_metric",
    "test_metric_standard_error", "test_metric_per_seed", "validation_metric", "validation_metric_standard_error",
    "validation_metric_per_seed",
)  # fmt: skip


def to_csv(comparison: Comparison) -> str:
    """Return CSV with a header: one row per data set, method and setting (``default`` or ``tuned``), all numbers.

    Numbers are written so that they read back exactly; an empty cell means that there is no such value; lists are
    separated by spaces. No cell is a formula to a spreadsheet.
    """
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, CSV_COLUMNS, lineterminator="\n")
    writer.writeheader()
    for part in comparison.datasets:
        for key, entry in part.methods.items():
            for setting, settled in zip(SETTINGS, (entry, entry.tuned), strict=True):
                if settled is not None:
                    values = " ".join(f"{name}={value}" for name, value in settled.values.items())
                    names = {"data_set": part.name, "method": key, "setting": setting, "trained_as": settled.method}
                    names |= {"values": values}
                    texts = {
                        name: wording.csv_cell(wording.printable(str(text)).strip()) for name, text in names.items()
                    }
                    writer.writerow(texts | _numbers_of(settled) | _chosen_metric(settled, part.protocol.metric))
    return buffer.getvalue()


def _numbers_of(entry: ComparedEntry) -> dict[str, object]:
    difference, tested = entry.difference, entry.signed_rank
    return {
        "multipliers": _spaced(entry.multipliers),
        **_accuracies("test", entry.test),
        **_accuracies("validation", entry.validation),
        "difference": difference and difference.difference,
        "difference_low": difference and difference.low,
        "difference_high": difference and difference.high,
        "verdict": difference and difference.verdict,
        "p": tested and tested.p,
        "p_holm": tested and tested.p_holm,
        "num_pairs": tested and tested.num_pairs,
        "diverged": entry.diverged,
        "seconds": entry.seconds,
        "cpu_seconds": entry.cpu_seconds,
        "selection_seconds": entry.selection_seconds,
        "cost_in_full_finetunes": entry.cost_in_full_finetunes,
        "trainable_fraction": entry.trainable_fraction,
        "step_bytes": entry.step_bytes,
        "evaluations": entry.evaluations,
        "own_candidates": entry.own_candidates,
        "own_finished": entry.own_finished,
        "best_on_test_optimistic": entry.best_on_test_optimistic,
    }


def _accuracies(part: str, scores: Scores | None) -> dict[str, object]:
    return {
        f"{part}_accuracy": scores and scores.accuracy,
        f"{part}_standard_error": scores and scores.standard_error,
        f"{part}_macro_accuracy": scores and scores.macro_accuracy,
        f"{part}_per_seed": _spaced(scores.per_seed if scores else None),
    }


def _chosen_metric(entry: ComparedEntry, metric: str) -> dict[str, object]:
    """Return the cells of the chosen metric."""
    cells: dict[str, object] = {"metric": metric}
    for part, scores in (("test", entry.test), ("validation", entry.validation)):
        score: Score | None = scores.get(metric) if scores else None
        cells[f"{part}_metric"] = score and score.mean
        cells[f"{part}_metric_standard_error"] = score and score.standard_error
        cells[f"{part}_metric_per_seed"] = _spaced(score.per_seed if score else None)
    return cells


def _spaced(values: Sequence[float | None] | None) -> str:
    """Write numbers so that they read back exactly, ``-`` for one that is not defined."""
    return " ".join("-" if value is None else repr(value) for value in values or ())


def to_markdown(comparison: Comparison) -> str:
    """Return headline, tables and sentences as Markdown.

    The tables are methods by data sets (of two and more), the methods, what was chosen, and the methods of each data
    set.
    """
    first = headline(comparison)
    parts = [
        f"# {markdown(first.title)}",
        markdown(first.lead),
        f"**{markdown(first.claim)}.** {markdown(first.reason)}",
    ]
    several = len(comparison.datasets) > 1
    if several:
        for grid in grids(comparison):
            what = "Tuned methods" if grid.setting == "tuned" else "Methods at their defaults"
            parts += [
                f"## {what}, {comparison.on} accuracy by data set",
                markdown_table(*grid_cells(comparison, grid)),
            ]
            parts.append("In %, (standard error over seeds); the best of each column is bold.")
    parts += ["## Methods", markdown_table(*_method_cells(comparison, comparison.methods))]
    parts.append(markdown(_explained(comparison)))
    if comparison.metric != "accuracy":
        parts += [f"## {markdown(METRICS[comparison.metric].label)}", markdown_table(*_metric_cells(comparison))]
        parts.append(markdown(_explained_metric(comparison)))
    head, rows = choices(comparison)
    if rows:
        plain = [[(cell, False) for cell in row] for row in rows]
        parts += ["## What was chosen on validation", markdown_table(head, plain, "---"), markdown(read_choices())]
    if several:
        for part in comparison.datasets:
            parts += [f"## {markdown(wording.label(part.name, 60))}"]
            parts.append(markdown_table(*_method_cells(comparison, part.methods)))
    parts += ["## Before you quote these numbers", "\n".join(f"* {markdown(note)}" for note in notes(comparison))]
    return "\n\n".join(parts) + "\n"


def grid_cells(comparison: Comparison, grid: Grid) -> tuple[list[str], list[list[Cell]]]:
    """Return the head and the rows of methods by data sets, mean and mean rank at the end; each cell may be bold."""
    names = [wording.label(part.name, 28) for part in comparison.datasets]
    keys = [row.key for row in grid.rows]
    columns = [[grid.cells[key][index] for key in keys] for index in range(len(names))]
    best = [best_of([None if score is None else score.mean for score in column]) for column in columns]
    means, ranks = [grid.means[key] for key in keys], [grid.mean_ranks.get(key) for key in keys]
    best += [best_of(means), best_of(ranks, lowest=True)]
    rows: list[list[Cell]] = []
    for place, row in enumerate(grid.rows):
        mean, rank = means[place], ranks[place]
        shown = [bracketed(column[place]) for column in columns]
        shown += [wording.percent(mean, unit=""), wording.MISSING if rank is None else f"{rank:.2f}"]
        bold = [row.key == comparison.reference, *(column[place] for column in best)]
        rows.append(list(zip([wording.label(row.name, 40), *shown], bold, strict=True)))
    return ["Method", *names, "Mean", "Mean rank"], rows


def _method_cells(comparison: Comparison, methods: Mapping[str, ComparedEntry]) -> tuple[list[str], list[list[Cell]]]:
    """Return the head and the rows of the table of methods."""
    tuned, name = comparison.has_tuned, reference_name(comparison)
    columns = _score_columns(tuned, "accuracy")
    if comparison.on == "test":
        columns += [(f"{name} minus {'tuned' if tuned else 'it'}", _difference), (f"{name} is", _verdict)]
    columns += [
        ("Cost", lambda row: wording.cost(row.best.cost_in_full_finetunes)),
        ("Share, %", lambda row: f"{100 * row.best.trainable_fraction:.3g}"),
        ("Memory, GiB", lambda row: wording.memory(row.best.step_bytes)),
    ]
    return _cells(columns, rows_of(methods, comparison.on), comparison.reference)


def _metric_cells(comparison: Comparison) -> tuple[list[str], list[list[Cell]]]:
    """Return the head and the rows of the table of the chosen metric."""
    columns = _score_columns(comparison.has_tuned, comparison.metric)
    return _cells(columns, rows_of(comparison.methods, comparison.on), comparison.reference)


Column = tuple[str, Callable[[Row], str]]
"""Heading, and what writes the cell of a row."""


def _score_columns(tuned: bool, metric: str) -> list[Column]:
    columns: list[Column] = [
        ("Method", lambda row: wording.label(row.name, 40)),
        ("Default", lambda row: default_and_tuned(row, metric)[0]),
    ]
    return [*columns, ("Tuned", lambda row: default_and_tuned(row, metric)[1])] if tuned else columns


def _cells(columns: Sequence[Column], rows: Sequence[Row], reference: str) -> tuple[list[str], list[list[Cell]]]:
    cells = [
        [(write(row), row.key == reference and place == 0) for place, (_, write) in enumerate(columns)] for row in rows
    ]
    return [head for head, _ in columns], cells


def _difference(row: Row) -> str:
    found = row.best.difference
    return f"{wording.points(found.difference)} {wording.interval(found.low, found.high)}" if found else wording.MISSING


def _verdict(row: Row) -> str:
    return row.best.difference.verdict if row.best.difference else wording.MISSING


def _explained(comparison: Comparison) -> str:
    return (
        f"Accuracy in % ({_images(comparison)}), mean ± standard error over seeds; differences in points with 95 "
        "% intervals; cost in full fine-tunes, with selection; share of trained parameters; memory of a training step."
    )


def _explained_metric(comparison: Comparison) -> str:
    metric = METRICS[comparison.metric]
    return (
        f"{metric.label}{metric.scale} ({_images(comparison)}): the {metric.meaning}{comparison.followed}; mean ± "
        "standard error over seeds."
    )


def _images(comparison: Comparison) -> str:
    return f"{comparison.on}{', mean over data sets' if len(comparison.datasets) > 1 else ''}"


def to_latex(comparison: Comparison) -> str:
    """Return the tables as LaTeX with booktabs, for a document to input.

    These are methods by data sets, tuned and default (of two and more), and the table of methods.
    """
    parts = [LATEX_HEAD]
    if len(comparison.datasets) > 1:
        for grid in grids(comparison):
            what = "tuned methods" if grid.setting == "tuned" else "methods at their defaults"
            caption = f"{comparison.on.capitalize()} accuracy in % (standard error over seeds), {what}"
            parts.append(latex_table(f"{caption}; best in bold.", *grid_cells(comparison, grid)))
    parts.append(latex_table(_explained(comparison), *_method_cells(comparison, comparison.methods)))
    if comparison.metric != "accuracy":
        parts.append(latex_table(_explained_metric(comparison), *_metric_cells(comparison)))
    return "\n".join(parts)
