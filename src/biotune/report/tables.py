"""The same results as tables for the terminal (rich renderables)."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from biotune import wording
from biotune.report.rows import MethodRow, Score, method_rows

VERDICT_STYLES = {"better": "bold green", "tie": "yellow", "worse": "bold red"}
_HALF_BAR = 8


def comparison_table(summary: Mapping[str, Any]) -> Table:
    """Return the table of methods: scores, BioTune's paired difference to each, cost and share of trained parameters.

    Args:
        summary: of a finished run, as in ``summary.json``.

    Returns:
        A table that fits 80 columns.
    """
    rows = method_rows(summary)
    has_differences = any(row.difference is not None for row in rows)
    difference = "Difference: BioTune minus the method on the test set, points and 95 % interval.\n"
    table = plain_table(
        "Accuracy in %, mean ± standard error over seeds; the validation scores were used for selection.\n"
        f"{difference if has_differences else ''}"
        f"Macro: mean recall of the classes, {'test' if summary.get('test') else 'validation'} set. "
        f"{_unit(summary)} Share: trained parameters, %."
    )
    table.add_column("Method", overflow="fold", min_width=12)
    table.add_column("Val.", justify="right", no_wrap=True)
    table.add_column("Test", justify="right", no_wrap=True)
    table.add_column("Macro", justify="right", no_wrap=True)
    table.add_column("Difference", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("Cost", justify="right", no_wrap=True)
    table.add_column("Share", justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*_comparison_cells(row), style="bold" if row.key == "biotune" else "")
    return table


def _comparison_cells(row: MethodRow) -> tuple[Text, ...]:
    difference, verdict = Text(wording.MISSING), Text("")
    if row.difference is not None:
        found = row.difference
        difference = Text(f"{wording.points(found.difference)} {wording.interval(found.low, found.high)}")
        verdict = Text(found.verdict, style=VERDICT_STYLES[found.verdict])
    return (
        Text(wording.label(row.name)),
        Text(wording.percent(row.validation.accuracy, unit="")),
        Text(_score(row.test)),
        Text(wording.percent(row.score.macro_accuracy, unit="")),
        difference,
        verdict,
        Text(wording.short_duration(row.seconds) if row.cost is None else wording.cost(row.cost)),
        Text(_short_share(row.trainable_fraction)),
    )


def recipe_table(summary: Mapping[str, Any]) -> Table:
    """Return the recipe block by block: parameters, multiplier, learning rate and a bar on a log scale.

    Args:
        summary: of a finished run, as in ``summary.json``; only its ``recipe`` is read.

    Returns:
        A table that fits 80 columns.
    """
    recipe = summary["recipe"]
    table = plain_table("Bars: slower (left) or faster (right) than the base rate, on a log scale.")
    table.add_column("Block", overflow="fold")
    table.add_column("Parameters", justify="right", no_wrap=True)
    table.add_column("Multiplier", justify="right", no_wrap=True)
    table.add_column("Learning rate", justify="right", no_wrap=True)
    table.add_column("slower  │  faster", no_wrap=True)
    used = [abs(math.log10(block["multiplier"])) for block in recipe["blocks"] if block["multiplier"]]
    span = max([1.0, *used])
    for block in recipe["blocks"]:
        table.add_row(
            Text(wording.label(block["name"], 40)),
            Text(wording.parameters(block["parameters"])),
            Text(wording.multiplier(block["multiplier"])),
            Text(wording.rate(block["multiplier"] * recipe["base_learning_rate"])),
            _bar(block["multiplier"], span),
            style="dim" if block["multiplier"] == 0 else "",
        )
    return table


def blocks_table(model: str, blocks: Sequence[Mapping[str, Any]]) -> Table:
    """Return the partition of a network: each block's modules, parameters and share.

    Args:
        model: name of the network, shown as the title.
        blocks: ``name``, ``prefixes``, ``num_parameters`` and, optionally, ``inert`` of each block.

    Returns:
        A table that fits 80 columns.
    """
    total = sum(block["num_parameters"] for block in blocks)
    inert = any(block.get("inert") for block in blocks)
    table = plain_table("inert: not reached by the training loss" if inert else "")
    table.title = Text(f"{wording.label(model, 44)}: {len(blocks)} blocks, {wording.parameters(total)} parameters")
    table.min_width = len(table.title)
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column("Block", overflow="fold")
    table.add_column("Modules", overflow="fold", ratio=1)
    table.add_column("Parameters", justify="right", no_wrap=True)
    table.add_column("Share", justify="right", no_wrap=True)
    for index, block in enumerate(blocks):
        name = wording.label(block["name"], 40) + (" (inert)" if block.get("inert") else "")
        table.add_row(
            str(index),
            Text(name),
            Text(_prefixes(block["prefixes"])),
            Text(wording.parameters(block["num_parameters"])),
            Text(wording.share(block["num_parameters"] / (total or 1))),
        )
    return table


def plain_table(caption: str) -> Table:
    """Return an empty table in the style of all tables, with a caption below it."""
    return Table(
        box=box.SIMPLE_HEAD, caption=Text(caption, style="dim"), caption_justify="left",
        title_justify="left", title_style="bold", padding=(0, 1, 0, 0), pad_edge=False, show_edge=False,
    )  # fmt: skip


def _score(score: Score | None) -> str:
    if score is None:
        return wording.MISSING
    spread = "" if score.standard_error is None else f" ±{wording.percent(score.standard_error, unit='')}"
    return f"{wording.percent(score.accuracy, unit='')}{spread}"


def _unit(summary: Mapping[str, Any]) -> str:
    seconds = summary.get("full_finetune_seconds")
    return f"Cost: in full fine-tunes of {wording.short_duration(seconds)}." if seconds else "Cost: time."


def _short_share(fraction: float) -> str:
    return f"{100 * fraction:.3g}"


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


def _prefixes(prefixes: Sequence[str], shown: int = 6) -> str:
    return wording.listed([wording.label(prefix, 60) for prefix in prefixes], shown)
