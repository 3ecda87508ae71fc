"""The results of a run as tables for the terminal (rich renderables)."""

import math
from collections.abc import Iterator, Sequence
from string import ascii_uppercase

from rich.table import Table
from rich.text import Text

from biotune import wording
from biotune.metrics import METRICS
from biotune.report.answered import Answered
from biotune.report.run_sentences import failures, is_identical
from biotune.report.tables import VERDICT_STYLES, plain_table, wide_table
from biotune.results import Entry, Scores, Summary
from biotune.results.groups import GroupScores
from biotune.results.scores import ClassScores, Mistake
from biotune.statistics import Interval

_HALF_BAR = 8


def run_tables(summary: Summary) -> Iterator[Table]:
    """Yield the tables of what a run reached, each at most 80 columns wide."""
    yield comparison_table(summary)
    if _says_more(summary):
        yield metric_table(summary)


def _says_more(summary: Summary) -> bool:
    """Return whether the chosen metric reads otherwise than accuracy; with classes of one size, macro does not."""
    metric, entries = summary.protocol.metric, summary.entries.values()
    parts = [part for entry in entries for part in (entry.validation, entry.test)]
    return any(written_score(part, metric) != written_score(part) for part in parts)


def comparison_table(summary: Summary) -> Table:
    """Return the table of entries: scores, BioTune's paired difference to each, cost, share of trained parameters."""
    entries = summary.entries
    has_differences = any(entry.difference is not None for entry in entries.values())
    selected = "; the validation scores were used for selection" if summary.validation else ""
    what = "BioTune's vote minus the method's" if summary.final.companions else "BioTune minus the method"
    difference = f"Difference: {what} on the test set, points and 95 % interval.\n"
    table = plain_table(
        f"Accuracy in %, mean ± standard error over seeds{selected}.\n"
        f"{difference if has_differences else ''}"
        f"Macro: mean recall of the classes, {'test' if summary.test else 'validation'} set."
        f"{_share(summary)}\n{cost_words(summary)}{_votes(summary)}{_failed(summary)}"
    )
    table.padding = (0, 0)  # no room for more than the box's own space in 80 characters
    table.add_column("Method", overflow="fold", min_width=12)
    if summary.validation:
        table.add_column("Val.", justify="right", no_wrap=True)
    table.add_column("Test", justify="right", no_wrap=True)
    if summary.has_votes:
        table.add_column("Vote", justify="right", no_wrap=True)
    table.add_column("Macro", justify="right", no_wrap=True)
    table.add_column("Difference", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    if summary.has_costs:
        table.add_column("Cost", justify="right", no_wrap=True)
    table.add_column("CPU" if summary.in_cpu_time else "Time", justify="right", no_wrap=True)
    if _has_share(summary):
        table.add_column("Share", justify="right", no_wrap=True)
    for key, entry in entries.items():
        table.add_row(*_comparison_cells(key, entry, summary), style="bold" if key == "biotune" else "")
    return table


def _comparison_cells(key: str, entry: Entry, summary: Summary) -> Iterator[Text]:
    yield Text(wording.label(wording.method_name(key)))
    if summary.validation:
        yield Text(wording.percent(entry.validation.accuracy if entry.validation else None, unit=""))
    yield Text(written_score(entry.test))
    if summary.has_votes:
        yield Text(wording.percent(entry.vote.accuracy if entry.vote else None, unit=""))
    yield Text(wording.percent(entry.shown.macro_accuracy, unit=""))
    yield from difference_cells(entry.difference, is_identical(summary, key))
    if summary.has_costs:
        yield Text(wording.cost(entry.cost_in_full_finetunes))
    yield Text(wording.short_duration(summary.shown_seconds(entry)))
    if _has_share(summary):
        yield Text(f"{100 * entry.trainable_fraction:.3g}")


def difference_cells(difference: Interval | None, identical: bool = False) -> Iterator[Text]:
    """Yield the cells of a difference and of its verdict; ``identical`` says that both are one way of fine-tuning."""
    if difference is None:
        yield from (Text(wording.MISSING), Text(""))
    else:
        numbers = f"{wording.points(difference.difference)} {wording.interval(difference.low, difference.high)}"
        yield from (
            Text(numbers),
            Text("identical" if identical else difference.verdict, style=VERDICT_STYLES[difference.verdict]),
        )


def metric_table(summary: Summary) -> Table:
    """Return the table of the chosen metric: every entry on validation and test."""
    name = summary.protocol.metric
    metric = METRICS[name]
    table = wide_table(f"{metric.label}{metric.scale}: the {metric.meaning},\nmean ± standard error over seeds.")
    chose = ", which chose the recipe" if summary.search and summary.protocol.fitness == "score" else ""
    table.title = Text(f"By {metric.name}{chose}")
    table.add_column("Method", overflow="fold", min_width=12)
    if summary.validation:
        table.add_column("Validation", justify="right", no_wrap=True)
    table.add_column("Test", justify="right", no_wrap=True)
    for key, entry in summary.entries.items():
        shown = (entry.validation, entry.test) if summary.validation else (entry.test,)
        scores = (Text(written_score(part, name)) for part in shown)
        label = Text(wording.label(wording.method_name(key)))
        table.add_row(label, *scores, style="bold" if key == "biotune" else "")
    return table


def recipe_table(summary: Summary) -> Table:
    """Return the recipe block by block: parameters, multiplier, learning rate and a bar on a log scale."""
    recipe = summary.recipe
    bars = "Bars: slower (left) or faster (right) than the base rate, on a log scale."
    table = plain_table(f"{wording.named_values(recipe.values)}\n{bars}".strip())
    table.add_column("Block", overflow="fold")
    table.add_column("Parameters", justify="right", no_wrap=True)
    table.add_column("Multiplier", justify="right", no_wrap=True)
    table.add_column("Learning rate", justify="right", no_wrap=True)
    table.add_column("slower  │  faster", no_wrap=True)
    used = [abs(math.log10(block.multiplier)) for block in recipe.blocks if block.multiplier]
    span = max([1.0, *used])
    for block in recipe.blocks:
        table.add_row(
            Text(wording.label(block.name, 40)),
            Text(wording.parameters(block.parameters)),
            Text(wording.multiplier(block.multiplier)),
            Text(wording.rate(block.multiplier * recipe.base_learning_rate)),
            _bar(block.multiplier, span),
            style="dim" if block.multiplier == 0 else "",
        )
    return table


def classes_table(rows: Sequence[ClassScores], kind: str = "image") -> Table:
    """Return how a network does on each class, in the order given; ``kind`` is that of the data set."""
    about = "Recall: share of a class's images labelled right.\nPrecision: share of its labels that are right."
    table = wide_table(wording.about(kind, about))
    table.add_column("Class", overflow="fold", max_width=36)
    for name in (wording.about(kind, "Images"), "Recall", "Precision", "F1"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        shares = (Text(wording.percent(value)) for value in (row.recall, row.precision, row.f1))
        table.add_row(Text(wording.label(row.name, 60)), Text(wording.count(row.test)), *shares)
    return table


def groups_table(scores: GroupScores, kind: str = "image") -> Table:
    """Return the groups of images with the most mistakes; ``kind`` is that of the data set."""
    low, _, high = (wording.percent(value, 0) for value in scores.quartiles)
    about = f"The groups with the most mistakes; in half of all\n{scores.groups:,} groups, {low} to {high} are right."
    table = wide_table(about)
    table.title = Text("Group by group")
    table.add_column("Group", overflow="fold", max_width=36)
    for name in (wording.about(kind, "Images"), "Mistakes", "Right"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in scores.worst:
        numbers = (
            wording.count(row.images),
            wording.count(row.mistakes),
            wording.percent(1 - row.mistakes / row.images, 0),
        )
        table.add_row(Text(wording.label(row.name, 60)), *map(Text, numbers))
    return table


def confusion_table(answered: Answered, kind: str = "image") -> Table:
    """Return how often each of at most 26 classes (rows) got each answer (columns).

    A letter stands for a class, since digits are the names of some; ``kind`` is that of the data set.
    """
    about = "Images of each class (rows) by the answer (columns)."
    table = wide_table(wording.about(kind, about))
    table.title = Text("What it confuses")
    table.add_column("", no_wrap=True)
    table.add_column("True class", overflow="fold", max_width=24)
    letters = ascii_uppercase[: len(answered.classes)]
    for letter in letters:
        table.add_column(letter, justify="right", no_wrap=True)
    for row, (name, counts) in enumerate(zip(answered.classes, answered.confusion.tolist(), strict=True)):
        cells = (
            Text(wording.count(count) if count else "·", style="bold" if row == column else "")
            for column, count in enumerate(counts)
        )
        table.add_row(letters[row], Text(wording.label(name, 40)), *cells)
    return table


def mistakes_table(mistakes: Sequence[Mistake], number: int) -> Table:
    """Return wrong answers, the surest first; ``number`` is how many there are in all."""
    shown = "all mistakes" if number == len(mistakes) else f"{len(mistakes)} of {number:,} mistakes"
    table = wide_table(f"The surest first; {shown}.")
    table.title = Text("Its surest mistakes")
    table.add_column("File", overflow="fold")
    table.add_column("True class", overflow="fold", max_width=20)
    table.add_column("Answer", overflow="fold", max_width=20)
    table.add_column("Probability", justify="right", no_wrap=True)
    for one in mistakes:
        classes = (Text(wording.label(name, 40)) for name in (one.truth, one.answer))
        table.add_row(Text(wording.label(one.path, 120)), *classes, Text(wording.percent(one.probability, 0)))
    return table


def written_score(scores: Scores | None, metric: str = "accuracy", missing: str = wording.MISSING) -> str:
    """Return a cell: a score in a metric, without a unit (``88.9 ±0.3``), or ``missing``.

    The standard error is left out where all seeds have the same score: it would look like certainty.
    """
    score = scores.get(metric) if scores else None
    if score is None:
        return missing
    spread = f" ±{METRICS[metric].write(score.standard_error, unit='')}" if score.standard_error else ""
    return f"{METRICS[metric].write(score.mean, unit='')}{spread}"


def _votes(summary: Summary) -> str:
    """Return what the column of votes is, on a line of its own; nothing without one."""
    times = max((len(entry.vote.seeds) for entry in summary.entries.values() if entry.vote), default=0)
    if not times:
        return ""
    return (
        f"\nVote: all {times} seeds' networks together, by the mean of their probabilities;\n"
        f"a prediction costs {times} times as much. Compare votes with votes only."
    )


def _failed(summary: Summary) -> str:
    """Return which final trainings have no test score, on a line of its own; nothing where all have one."""
    failed = failures(summary)
    return f"\n{failed} They have no test score." if failed else ""


def cost_words(summary: Summary) -> str:
    """Return what the columns of cost and time are, on one line or two."""
    time = "CPU: CPU time of the trainings." if summary.in_cpu_time else "Time: wall time of the trainings."
    seconds = summary.full_finetune_seconds
    if not summary.has_costs:
        return time
    if not summary.is_counted:
        return f"Cost: in full fine-tunes{f' of {wording.short_duration(seconds)}' if seconds else ''}. {time}"
    one = one_full_finetune(summary)
    takes = f"; one takes about\n{one} here" if one else ""
    return f"Cost: in full fine-tunes, counted in multiplications{takes}. {time}"


def one_full_finetune(summary: Summary) -> str:
    """Return the time of one full fine-tune, CPU time where that is shown; empty if none was measured."""
    if summary.in_cpu_time:
        return wording.cpu_seconds(summary.full_finetune_cpu_seconds) if summary.full_finetune_cpu_seconds else ""
    return wording.duration(summary.full_finetune_seconds) if summary.full_finetune_seconds else ""


def _has_share(summary: Summary) -> bool:
    """Return whether the table has room for the share of trained parameters."""
    return not (summary.validation and summary.has_votes)


def _share(summary: Summary) -> str:
    return " Share: trained parameters, %." if _has_share(summary) else ""


def _bar(multiplier: float, span: float) -> Text:
    """A bar around a middle line, ``span`` decades to either side."""
    if multiplier == 0:
        return Text("┄" * (2 * _HALF_BAR + 1), style="dim")
    exponent = math.log10(multiplier)
    length = round(_HALF_BAR * abs(exponent) / span)
    filled, empty = "█" * length, " " * (_HALF_BAR - length)
    if exponent < 0:
        return Text(f"{empty}{filled}│", style="blue")
    return Text(f"{' ' * _HALF_BAR}│{filled}", style="dark_orange")
