"""What searches and sweeps chose on the validation sets, in words."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from biotune import wording
from biotune.report.contenders import contenders, on_test

CHOICES = (
    "Of a search: the blocks of its recipe, numbered from the input to the head, and their multipliers of the learning "
    "rate. Of a tuned method: what its sweep changed of the default."
)
"""How the table is read."""


def choices(comparison: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return what was chosen for every search and every tuned method, by data set.

    Args:
        comparison: as in ``comparison.json``.

    Returns:
        The head, ``Method`` and the names of the data sets, and one row per method, in the order of all tables; no
        rows where nothing was chosen.
    """
    datasets = comparison["datasets"]
    head = ["Method", *(wording.label(entry["name"], 28) for entry in datasets)]
    rows = [
        [wording.label(row.name, 40), *(_choice(entry["methods"][row.key]) for entry in datasets)]
        for row in contenders(comparison["methods"], on_test(comparison))
        if all(_is_chosen(entry["methods"][row.key]) for entry in datasets)
    ]
    return head, rows


def _is_chosen(row: Mapping[str, Any]) -> bool:
    return row["tuned"] is not None or row["evaluations"] is not None


def _choice(row: Mapping[str, Any]) -> str:
    tuned = row["tuned"]
    if tuned is None:
        return written_multipliers(row["multipliers"])
    if tuned["multipliers"]:  # a mask, whose multipliers are one rate and zeros
        return _option("rate", f"{max(tuned['multipliers']):g}")
    default, found = _options(row["method"]), _options(tuned["method"])
    changed = [_option(name, value) for name, value in found.items() if default.get(name) != value]
    return ", ".join(changed) or "as by default"


def written_multipliers(multipliers: Sequence[float]) -> str:
    """Write the multipliers of a recipe by the numbers of its blocks, the head last: for example ``1-7 frozen``."""
    parts, first = [], 1
    for value, run in groupby(wording.multiplier(multiplier) for multiplier in multipliers):
        last = first + len(list(run)) - 1
        blocks = str(first) if first == last else f"{first}-{last}"
        parts.append(f"{blocks}\N{NO-BREAK SPACE}{value}")
        first = last + 1
    return ", ".join(parts)


def _options(method: str) -> dict[str, str]:
    """Return the options of ``name:option=value,option=value``."""
    pairs = (pair.partition("=") for pair in method.partition(":")[2].split(",") if pair)
    return {name: value for name, _, value in pairs}


def _option(name: str, value: str) -> str:
    return f"rate \N{MULTIPLICATION SIGN}{value}" if name == "rate" else f"{name} {value}"
