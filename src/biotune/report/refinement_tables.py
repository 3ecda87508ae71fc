"""Tables of a refinement for the terminal: what it reached beside what it is compared with; layers with weights."""

from collections.abc import Iterator, Mapping, Sequence

from rich.table import Table
from rich.text import Text

from biotune import wording
from biotune.report.run_tables import difference_cells, written_score
from biotune.report.tables import plain_table, wide_table
from biotune.results import Entry, Summary
from biotune.results.refinement import Refinement
from biotune.results.scores import Score
from biotune.settings.refine import metric_of


def refinement_table(summary: Summary, found: Refinement) -> Table:
    """Return the table of a refinement: the objective on held-out images, accuracy on these and on the test set."""
    metric = metric_of(found.objective)
    seen, back = wording.count(found.searched_images), wording.count(found.held_back_images)
    where = f"searched: {seen} held-out images; held back: {back}" if found.safeguards else f"on {seen} held-out images"
    about = (
        f"{metric.label}{metric.scale}; {where}.\n"
        "Val., test: accuracy in %, on all held-out images and on the test set.\n"
        "Means ± standard errors. Refit: logistic regression on all labels.\n"
        "Difference: refined minus the row on the test set, points and 95 % interval."
    )
    table = wide_table(wording.about(summary.data.kind, about))
    table.padding = (0, 0)
    table.add_column("Weights", overflow="fold", min_width=10)
    table.add_column("Searched", justify="right", no_wrap=True)
    if found.safeguards:
        table.add_column("Held back", justify="right", no_wrap=True)
    table.add_column("Val.", justify="right", no_wrap=True)
    table.add_column("Test", justify="right", no_wrap=True)
    table.add_column("Difference", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for key, name, entry in rows_of(summary):
        table.add_row(*_cells(key, name, entry, found), style="bold" if key == "refined" else "")
    return table


def rows_of(summary: Summary) -> list[tuple[str, str, Entry]]:
    """Return key, name and entry of each row: the trained weights first, the refined ones second."""
    entries: Mapping[str, Entry] = summary.entries
    order = sorted(entries, key=lambda key: (key != "trained", key != "refined"))
    return [(key, wording.method_name(key), entries[key]) for key in order]


def objective_cell(score: Score | None, objective: str) -> str:
    """Return a value of the objective: mean over repetitions, with its standard error where there are several."""
    if score is None:
        return wording.MISSING
    metric = metric_of(objective)
    spread = "" if score.standard_error is None else f" ±{metric.write(score.standard_error, unit='')}"
    return f"{metric.write(score.mean, unit='')}{spread}"


def _cells(key: str, name: str, entry: Entry, found: Refinement) -> Iterator[Text]:
    judged = found.judged[key]
    yield Text(wording.label(name))
    yield Text(objective_cell(judged.searched, found.objective))
    if found.safeguards:
        yield Text(objective_cell(judged.held_back, found.objective))
    yield Text(wording.percent(entry.validation.accuracy if entry.validation else None, unit=""))
    yield Text(written_score(entry.test))
    yield from difference_cells(entry.difference)


def layers_table(model: str, rows: Sequence[Mapping[str, object]]) -> Table:
    """Return the layers of a network that have weights, as the command lists them with ``--layers``."""
    table = plain_table("Name some of them with --layer NAME,NAME; their biases take part with --bias.")
    table.title = Text(f"{wording.label(model, 60)}: {wording.plural(len(rows), 'layer')} with weights")
    table.add_column("Layer", overflow="fold")
    table.add_column("Kind", no_wrap=True)
    for name in ("Shape", "Weights", "Biases"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        shape = " x ".join(map(str, row["shape"]))  # type: ignore[call-overload]
        numbers = (f"{row[name]:,}" for name in ("weights", "biases"))
        table.add_row(
            Text(wording.label(str(row["name"]), 60)), Text(str(row["kind"])), Text(shape), *map(Text, numbers)
        )
    return table
