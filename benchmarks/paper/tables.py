"""The papers' tables, from finished comparisons."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean

from rich.table import Table as RichTable
from scipy.stats import rankdata

from benchmarks.paper import published
from benchmarks.paper.measure import Expected
from benchmarks.paper.plan import METHODS, PARTS, Cell
from biotune import wording
from biotune.comparison.entries import BIOTUNE
from biotune.methods import PROBE
from biotune.metrics import METRICS
from biotune.report.comparison_rows import best_of, written_multipliers
from biotune.report.comparison_tables import bracketed
from biotune.report.tables import wide_table
from biotune.report.text_tables import LATEX_HEAD, latex_table, markdown, markdown_table
from biotune.report.text_tables import Cell as Text
from biotune.results import ComparedEntry, Comparison, Score
from biotune.statistics import Interval

FULL = "full"
Found = Mapping[Cell, Comparison]


@dataclass(frozen=True)
class Table:
    """One table.

    Args:
        caption: what it shows, in one sentence or two.
        head: names of the columns.
        rows: text, and whether it is bold.
    """

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[Text]]


def tables(name: str, found: Found) -> list[Table]:
    """Return the tables behind a name of ``PARTS``, of the comparisons that are finished; none without any."""
    return [table for table in _MADE[name](found) if table.rows]


def to_markdown(made: Sequence[Table]) -> str:
    """Return tables as Markdown, each under its caption."""
    return "\n\n".join(f"{markdown(one.caption)}\n\n{markdown_table(one.head, one.rows)}" for one in made) + "\n"


def to_latex(made: Sequence[Table]) -> str:
    """Return tables as LaTeX."""
    return "\n".join([LATEX_HEAD, *(latex_table(one.caption, one.head, one.rows) for one in made)])


def by_protocol(found: Found, part: str = "methods") -> Iterator[tuple[str, dict[str, Comparison]]]:
    """Yield each protocol with its comparisons of the first network, by data set."""
    for protocol in METHODS:
        chosen = {
            cell.data: comparison
            for cell, comparison in found.items()
            if (cell.part, cell.protocol) == (part, protocol)
        }
        if chosen:
            yield protocol, chosen


def entry_of(comparison: Comparison, key: str, tuned: bool = False) -> ComparedEntry | None:
    """Return an entry of the comparison's one data set; None if it does not take part."""
    entry = comparison.datasets[0].methods.get(key)
    return entry.tuned if entry is not None and tuned else entry


def score_of(comparison: Comparison, key: str, tuned: bool = False) -> Score | None:
    """Return the test score of an entry in the metric that selection followed."""
    entry = entry_of(comparison, key, tuned)
    return None if entry is None or entry.test is None else entry.test.get(comparison.metric)


def dry_run_table(expected: Sequence[Expected]) -> RichTable:
    """Return what comparisons will take, for the terminal; the last row adds up what is known."""
    table = wide_table(
        "Trainings: at most, sweeps left out. Time: at most, without early stopping, on this machine;\n"
        "'not here' where the images have to be fetched first."
    )
    table.add_column("Comparison", overflow="fold")
    for name in ("Trainings", "Time"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("Images from", overflow="fold")
    for one in expected:
        time = "not here" if one.seconds is None else wording.duration(one.seconds)
        table.add_row(one.cell.name, f"{one.trainings:,}", time, one.lacking)
    known = sum(one.seconds or 0.0 for one in expected)
    trainings = sum(one.trainings for one in expected)
    table.add_row(f"{len(expected)} comparisons", f"{trainings:,}", wording.duration(known), "", style="bold")
    return table


def _methods(found: Found) -> Iterator[Table]:
    """Table I: methods by data sets, then the gain over full fine-tuning and over logistic regression."""
    for protocol, of_data in by_protocol(found):
        yield _grid(protocol, of_data)
        yield _gains(protocol, of_data)


def _rows_of(of_data: Mapping[str, Comparison]) -> list[tuple[str, bool]]:
    """Return the entries that stand in every comparison, each at its default and, where it has one, tuned."""
    first = next(iter(of_data.values())).datasets[0].methods
    rows = [(key, tuned) for key, entry in first.items() for tuned in (False, True) if not tuned or entry.tuned]
    return [row for row in rows if all(entry_of(one, *row) is not None for one in of_data.values())]


def _grid(protocol: str, of_data: Mapping[str, Comparison]) -> Table:
    rows = _rows_of(of_data)
    columns = [[score_of(one, *row) for row in rows] for one in of_data.values()]
    means = [_mean([column[place] for column in columns]) for place in range(len(rows))]
    ranks = _ranks(columns, len(rows))
    bold = [best_of([None if score is None else score.mean for score in column]) for column in columns]
    bold += [best_of(means), best_of(ranks, lowest=True)]
    made: list[list[Text]] = []
    for place, (key, tuned) in enumerate(rows):
        mean, rank = means[place], ranks[place]
        shown = [_shown(one, key, tuned) for one in of_data.values()]
        shown += [wording.percent(mean, unit=""), wording.MISSING if rank is None else f"{rank:.2f}"]
        own = key == BIOTUNE
        made.append([(_name(key, tuned), own), *zip(shown, (column[place] for column in bold), strict=True)])
    metric = METRICS[next(iter(of_data.values())).metric]
    caption = (
        f"Protocol {protocol}: test {metric.name} in % (standard error over seeds); the best of each column is bold."
    )
    return Table(caption, ["Method", *of_data, "Mean", "Mean rank"], made)


def _mean(scores: Sequence[Score | None]) -> float | None:
    values = [None if score is None else score.mean for score in scores]
    return None if None in values else fmean(value for value in values if value is not None)


def _ranks(columns: Sequence[Sequence[Score | None]], count: int) -> list[float | None]:
    """Return the mean rank of each row over the columns, rank 1 is best; None for all where a score is missing."""
    values = [[None if score is None else score.mean for score in column] for column in columns]
    if any(None in column for column in values):
        return [None] * count
    ranks = [rankdata([-value for value in column if value is not None]) for column in values]
    return [fmean(float(rank[place]) for rank in ranks) for place in range(count)]


def _gains(protocol: str, of_data: Mapping[str, Comparison]) -> Table:
    """The gain over others, set by set and on average, in points and relative to them."""
    rows: list[list[Text]] = []
    for key, tuned in ((FULL, False), (FULL, True), (PROBE, False)):
        gains: list[float] = []
        differences: list[Interval] = []
        for data, comparison in of_data.items():
            own, other = score_of(comparison, BIOTUNE), score_of(comparison, key, tuned)
            entry = entry_of(comparison, key, tuned)
            if own is None or other is None or entry is None or own.mean is None or other.mean is None:
                continue
            gains.append(own.mean - other.mean)
            differences += [entry.difference] if entry.difference else []
            printed = _printed_gain(data) if (key, tuned) == (FULL, False) else wording.MISSING
            relative = wording.points(own.mean / other.mean - 1)
            cells = [data, _name(key, tuned), _shown(comparison, key, tuned), _shown(comparison, BIOTUNE)]
            cells += [wording.points(gains[-1]), relative]
            rows.append(_plain([*cells, printed, _difference(entry.difference)]))
        if len(gains) > 1:
            of_all = mean_interval(differences) if len(differences) == len(gains) else None
            cells = [f"Mean of {len(gains)}", _name(key, tuned), "", "", wording.points(fmean(gains)), "", ""]
            rows.append(_plain([*cells, _difference(of_all)]))
    head = [
        "Data set",
        "Against",
        "It",
        "BioTune",
        "Gain, points",
        "Relative, %",
        "Relative in the paper, %",
        "Gain in accuracy, points",
    ]
    caption = (
        f"Protocol {protocol}: BioTune's gain over others, in the score of the first table. The last column "
        "is of the accuracy, with intervals that hold 95 % of a paired bootstrap over seeds and test images; that of a "
        "mean adds up their variances, and is about these data sets alone."
    )
    return Table(caption, head, rows)


def mean_interval(intervals: Sequence[Interval]) -> Interval:
    """Return the mean of independent differences, with as much of its half-widths as their variances add up to."""
    count = len(intervals)
    mean = fmean(one.difference for one in intervals)
    low, high = (
        sqrt(sum((getattr(one, side) - one.difference) ** 2 for one in intervals)) / count for side in ("low", "high")
    )
    return Interval(mean, mean - low, mean + high)


def _printed_gain(data: str) -> str:
    """Return the relative gain that the papers' own figures give; nothing for data sets that they do not have."""
    if data not in published.FULL:
        return wording.MISSING
    return wording.points(published.BIOTUNE[data] / published.FULL[data] - 1)


def _shares(found: Found) -> Iterator[Table]:
    """Table II: what of the network BioTune's recipe trains."""
    rows: list[list[Text]] = []
    for protocol, of_data in by_protocol(found):
        for data, comparison in of_data.items():
            entry = entry_of(comparison, BIOTUNE)
            if entry is not None:
                printed = published.TRAINED.get(data)
                values = ", ".join(f"{name} {value}" for name, value in entry.values.items()) or wording.MISSING
                cells = [data, protocol, wording.percent(entry.trainable_fraction, unit="")]
                cells += [wording.MISSING if printed is None else f"{printed:g}"]
                rows.append(_plain([*cells, written_multipliers(entry.multipliers or ()), values]))
    head = ["Data set", "Protocol", "Trained, %", "Trained in the paper, %", "Blocks and rates", "Values"]
    yield Table("Share of the parameters that BioTune's recipe trains, and the recipe.", head, rows)


def _data(found: Found) -> Iterator[Table]:
    """Table III: the share of the training images in each generation."""
    head = [
        "Data set",
        "Network",
        "Share",
        "Score, %",
        "All minus it, points",
        "Work",
        "CPU seconds",
        "In the paper, %",
    ]
    rows: list[list[Text]] = []
    for cell, comparison in _of(found, "data"):
        for key, entry in comparison.datasets[0].methods.items():
            printed = published.SHARES.get(key) if cell.data == "flowers102" else None
            rows.append(
                _plain(
                    [
                        cell.data,
                        cell.network,
                        "all the data" if key == BIOTUNE else key,
                        _shown(comparison, key),
                        _difference(entry.difference),
                        wording.cost(entry.cost_in_full_finetunes),
                        wording.MISSING if entry.cpu_seconds is None else f"{entry.cpu_seconds:,.0f}",
                        wording.MISSING if printed is None else f"{printed:g}",
                    ]
                )
            )
    caption = (
        "Share of the training images in each generation. Work in full fine-tunes on all images, the final trainings "
        "included; each search runs to its own end."
    )
    yield Table(caption, head, rows)


def _networks(found: Found) -> Iterator[Table]:
    """Several networks: BioTune beside full fine-tuning and the ten-second model."""
    rows: list[list[Text]] = []
    for cell, comparison in found.items():
        if cell.part not in PARTS["networks"] or cell.protocol != "standard":
            continue
        own = entry_of(comparison, BIOTUNE)
        for key, tuned in ((FULL, False), (FULL, True), ("probe", False)):
            entry = entry_of(comparison, key, tuned)
            if own is None or entry is None:
                continue
            cells = [cell.data, cell.network, _name(key, tuned), _shown(comparison, key, tuned)]
            cells += [_shown(comparison, BIOTUNE), _difference(entry.difference)]
            rows.append(_plain([*cells, wording.percent(own.trainable_fraction, unit="")]))
    head = ["Data set", "Network", "Against", "It", "BioTune", "BioTune minus it, points", "Trained, %"]
    yield Table("Networks by data sets, protocol standard: test score in % (standard error over seeds).", head, rows)


def _ablations(found: Found) -> Iterator[Table]:
    """What each part of the search is worth."""
    for part in PARTS["ablations"]:
        rows: list[list[Text]] = []
        for cell, comparison in _of(found, part):
            for key, entry in comparison.datasets[0].methods.items():
                cells = [
                    cell.data,
                    cell.network,
                    _name(key, False),
                    _shown(comparison, key),
                    _difference(entry.difference),
                ]
                rows.append(_plain([*cells, _own(key, entry), wording.cost(entry.cost_in_full_finetunes)]))
        head = ["Data set", "Network", "Variant", "Score, %", "BioTune minus it, points", "Own recipes", "Work"]
        caption = (
            f"Ablation {part}, protocol standard without an allowance. Own recipes: tried beyond the start that all "
            "share, and how many of them finished the race. Work in full fine-tunes, the final trainings included."
        )
        yield Table(caption, head, rows)


def _own(key: str, entry: ComparedEntry) -> str:
    if entry.own_candidates is None:
        return wording.MISSING
    if not entry.own_candidates and key != BIOTUNE:
        return "none: this row says nothing of the variant"
    return f"{entry.own_candidates}, {entry.own_finished} finished"


def _of(found: Found, part: str) -> list[tuple[Cell, Comparison]]:
    return [(cell, comparison) for cell, comparison in found.items() if cell.part == part]


def _shown(comparison: Comparison, key: str, tuned: bool = False) -> str:
    """Return the score of an entry, and how many of its final trainings have none, since they diverged."""
    entry = entry_of(comparison, key, tuned)
    score = bracketed(score_of(comparison, key, tuned))
    return score if entry is None or not entry.diverged else f"{score}, {entry.diverged} diverged"


def _name(key: str, tuned: bool) -> str:
    return f"{wording.method_name(key)}{', tuned' if tuned else ''}"


def _difference(found: Interval | None) -> str:
    if found is None:
        return wording.MISSING
    return f"{wording.points(found.difference)} {wording.interval(found.low, found.high)}"


def _plain(cells: Sequence[str]) -> list[Text]:
    return [(cell, False) for cell in cells]


_MADE: Mapping[str, Callable[[Found], Iterator[Table]]] = {
    "table1": _methods,
    "table2": _shares,
    "fig2": _shares,
    "table3": _data,
    "networks": _networks,
    "ablations": _ablations,
}
