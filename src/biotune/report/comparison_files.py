"""A comparison as text files: Markdown to read, CSV to compute with, LaTeX to print."""

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from biotune import wording
from biotune.report.chosen import CHOICES, choices
from biotune.report.comparison_story import headline, notes, reference_name
from biotune.report.comparison_tables import bracketed, written_score
from biotune.report.contenders import Contender, Grid, best_of, contenders, grids, has_tuned, on_test

CSV_COLUMNS = (
    "data_set", "method", "setting", "trained_as", "multipliers", "test_accuracy", "test_standard_error",
    "test_macro_accuracy", "test_per_seed", "validation_accuracy", "validation_standard_error",
    "validation_macro_accuracy", "validation_per_seed", "difference", "difference_low", "difference_high", "verdict",
    "p", "p_holm", "num_pairs", "diverged", "seconds", "selection_seconds", "cost_in_full_finetunes",
    "trainable_fraction", "step_bytes", "evaluations", "best_on_test_optimistic",
)  # fmt: skip
_PLAIN = (
    "diverged", "seconds", "selection_seconds", "cost_in_full_finetunes", "trainable_fraction", "step_bytes",
    "evaluations", "best_on_test_optimistic",
)  # fmt: skip
_LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "_": r"\_", "%": r"\%",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "±": r"$\pm$", wording.MINUS: "$-$", wording.MISSING: "--",
    "\N{NO-BREAK SPACE}": "~", "“": "``", "”": "''", "[": "{[}", "]": "{]}",
}  # fmt: skip
_MARKDOWN = re.compile(r"[\\`*_<>#|~$]|\](?=[(:\[])")


def to_csv(comparison: Mapping[str, Any]) -> str:
    """Return one row per data set, method and setting (``default`` or ``tuned``), with all numbers.

    Args:
        comparison: as in ``comparison.json``.

    Returns:
        CSV with a header. Numbers are written so that they read back exactly; an empty cell means that there is no such
        value; lists are separated by spaces. No cell is a formula to a spreadsheet.
    """
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, CSV_COLUMNS, lineterminator="\n")
    writer.writeheader()
    for entry in comparison["datasets"]:
        for key, row in entry["methods"].items():
            for setting, part in (("default", row), ("tuned", row["tuned"])):
                if part is not None:
                    writer.writerow(_csv_row(entry["name"], key, setting, part))
    return buffer.getvalue()


def _csv_row(data_set: str, key: str, setting: str, row: Mapping[str, Any]) -> dict[str, object]:
    names = {"data_set": data_set, "method": key, "setting": setting, "trained_as": row["method"]}
    cells: dict[str, object] = {
        name: wording.csv_cell(wording.printable(str(value)).strip()) for name, value in names.items()
    }
    cells["multipliers"] = _numbers(row["multipliers"])
    for part in ("test", "validation"):
        score = row[part] or {}
        cells |= {f"{part}_{name}": score.get(name) for name in ("accuracy", "standard_error", "macro_accuracy")}
        cells[f"{part}_per_seed"] = _numbers(score.get("per_seed"))
    found, tested = row["difference"] or {}, row["signed_rank"] or {}
    cells |= {"difference": found.get("difference"), "verdict": found.get("verdict")}
    cells |= {f"difference_{end}": found.get(end) for end in ("low", "high")}
    return (
        cells | {name: tested.get(name) for name in ("p", "p_holm", "num_pairs")} | {name: row[name] for name in _PLAIN}
    )


def _numbers(values: Sequence[float] | None) -> str:
    return " ".join(map(repr, values or ()))


def to_markdown(comparison: Mapping[str, Any]) -> str:
    """Return headline, tables and sentences as Markdown.

    Args:
        comparison: as in ``comparison.json``.

    Returns:
        Methods by data sets (of two and more), the table of methods, what was chosen, a table of methods for each data
        set, and the sentences.
    """
    first = headline(comparison)
    parts = [
        f"# {_markdown(first.title)}",
        _markdown(first.lead),
        f"**{_markdown(first.claim)}.** {_markdown(first.reason)}",
    ]
    several = len(comparison["datasets"]) > 1
    if several:
        for grid in grids(comparison):
            what = "Tuned methods" if grid.setting == "tuned" else "Methods at their defaults"
            parts += [
                f"## {what}, {_on(comparison)} accuracy by data set",
                _markdown_table(*grid_cells(comparison, grid)),
            ]
            parts.append("In %, (standard error over seeds); the best of each column is bold.")
    parts += ["## Methods", _markdown_table(*_method_cells(comparison, comparison["methods"]))]
    parts.append(_markdown(_explained(comparison)))
    head, rows = choices(comparison)
    if rows:
        plain = [[(cell, False) for cell in row] for row in rows]
        parts += ["## What was chosen on validation", _markdown_table(head, plain, "---"), _markdown(CHOICES)]
    if several:
        for entry in comparison["datasets"]:
            parts += [f"## {_markdown(wording.label(entry['name'], 60))}"]
            parts.append(_markdown_table(*_method_cells(comparison, entry["methods"])))
    parts += ["## Before you quote these numbers", "\n".join(f"* {_markdown(note)}" for note in notes(comparison))]
    return "\n\n".join(parts) + "\n"


Cell = tuple[str, bool]
"""Text, and whether it is bold."""


def grid_cells(comparison: Mapping[str, Any], grid: Grid) -> tuple[list[str], list[list[Cell]]]:
    """Return the head and the rows of methods by data sets, mean and mean rank at the end; each cell may be bold."""
    names = [wording.label(entry["name"], 28) for entry in comparison["datasets"]]
    keys = [row.key for row in grid.rows]
    columns = [[grid.cells[key][index] for key in keys] for index in range(len(names))]
    best = [best_of([None if score is None else score.accuracy for score in column]) for column in columns]
    means, ranks = [grid.means[key] for key in keys], [grid.mean_ranks.get(key) for key in keys]
    best += [best_of(means), best_of(ranks, lowest=True)]
    rows: list[list[Cell]] = []
    for place, row in enumerate(grid.rows):
        mean, rank = means[place], ranks[place]
        shown = [bracketed(column[place]) for column in columns]
        shown += [wording.percent(mean, unit=""), wording.MISSING if rank is None else f"{rank:.2f}"]
        bold = [row.key == comparison["reference"], *(column[place] for column in best)]
        rows.append(list(zip([wording.label(row.name, 40), *shown], bold, strict=True)))
    return ["Method", *names, "Mean", "Mean rank"], rows


def _method_cells(comparison: Mapping[str, Any], methods: Mapping[str, Any]) -> tuple[list[str], list[list[Cell]]]:
    """Return the head and the rows of the table of methods."""
    test, tuned = on_test(comparison), has_tuned(comparison)
    reference, name = comparison["reference"], reference_name(comparison)
    columns: list[tuple[str, Callable[[Contender], str]]] = [
        ("Method", lambda row: wording.label(row.name, 40)),
        ("Default", lambda row: written_score(row.default)),
    ]
    if tuned:
        columns.append(("Tuned", lambda row: written_score(row.tuned) if row.tuned else wording.MISSING))
    if test:
        minus = f"{name} minus {'tuned' if tuned else 'it'}"
        columns += [(minus, _difference), (f"{name} is", _verdict)]
    columns += [
        ("Cost", lambda row: wording.cost(row.best.cost)),
        ("Share, %", lambda row: f"{100 * row.best.trainable_fraction:.3g}"),
        ("Memory, GiB", lambda row: wording.memory(row.best.step_bytes)),
    ]
    rows = [
        [(write(row), row.key == reference and place == 0) for place, (_, write) in enumerate(columns)]
        for row in contenders(methods, test)
    ]
    return [head for head, _ in columns], rows


def _difference(row: Contender) -> str:
    found = row.best.difference
    return f"{wording.points(found.difference)} {wording.interval(found.low, found.high)}" if found else wording.MISSING


def _verdict(row: Contender) -> str:
    return row.best.difference.verdict if row.best.difference else wording.MISSING


def _on(comparison: Mapping[str, Any]) -> str:
    return "test" if on_test(comparison) else "validation"


def _explained(comparison: Mapping[str, Any]) -> str:
    several = ", mean over data sets" if len(comparison["datasets"]) > 1 else ""
    return (
        f"Accuracy in % ({_on(comparison)}{several}), mean ± standard error over seeds; differences in points with 95 "
        "% intervals; cost in full fine-tunes, with selection; share of trained parameters; memory of a training step."
    )


def _markdown(value: str) -> str:
    """Escape every character that Markdown or HTML could take for more than itself."""
    return _MARKDOWN.sub(r"\\\g<0>", wording.printable(value)).replace("&", "&amp;")


def _markdown_table(head: Sequence[str], rows: Sequence[Sequence[Cell]], align: str = "---:") -> str:
    lines = [[_markdown(name) for name in head], ["---", *[align] * (len(head) - 1)]]
    lines += [[f"**{_markdown(cell)}**" if bold else _markdown(cell) for cell, bold in row] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def to_latex(comparison: Mapping[str, Any]) -> str:
    """Return the tables as LaTeX with booktabs.

    Args:
        comparison: as in ``comparison.json``.

    Returns:
        Methods by data sets, tuned and default (of two and more), and the table of methods; for a document to input.
    """
    parts = ["% Needs \\usepackage{booktabs} and an engine that reads UTF-8."]
    if len(comparison["datasets"]) > 1:
        for grid in grids(comparison):
            what = "tuned methods" if grid.setting == "tuned" else "methods at their defaults"
            caption = f"{_on(comparison).capitalize()} accuracy in % (standard error over seeds), {what}"
            parts.append(_latex_table(f"{caption}; best in bold.", *grid_cells(comparison, grid)))
    parts.append(_latex_table(_explained(comparison), *_method_cells(comparison, comparison["methods"])))
    return "\n".join(parts)


def _latex_table(caption: str, head: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    return "\n".join(_latex_lines(caption, head, rows)) + "\n"


def _latex_lines(caption: str, head: Sequence[str], rows: Sequence[Sequence[Cell]]) -> Iterator[str]:
    yield r"\begin{table}"
    yield rf"\caption{{{_latex(caption)}}}"
    yield r"\centering\small"
    yield rf"\begin{{tabular}}{{l{'r' * (len(head) - 1)}}}"
    yield r"\toprule"
    yield rf"{' & '.join(map(_latex, head))} \\"
    yield r"\midrule"
    for row in rows:
        yield " & ".join(rf"\textbf{{{_latex(cell)}}}" if bold else _latex(cell) for cell, bold in row) + r" \\"
    yield r"\bottomrule"
    yield r"\end{tabular}"
    yield r"\end{table}"


def _latex(value: str) -> str:
    return "".join(_LATEX.get(char, char) for char in wording.printable(value))
