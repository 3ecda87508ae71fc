"""Many methods on the same data, splits, seeds, schedule and budget."""

from biotune.comparison.ablations import ABLATIONS, UNLIMITED, ablation, entries_of
from biotune.comparison.entries import DEFAULT_METHODS, Entry, parse_entries
from biotune.comparison.run import ComparePlan, compare

__all__ = [
    "ABLATIONS",
    "DEFAULT_METHODS",
    "UNLIMITED",
    "ComparePlan",
    "Entry",
    "ablation",
    "compare",
    "entries_of",
    "parse_entries",
]
