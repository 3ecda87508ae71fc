"""What runs and comparisons find, as types: built once, written once, and read by everything that shows them."""

from biotune.results.comparison import ComparedEntry, Comparison
from biotune.results.entry import Entry
from biotune.results.history import History
from biotune.results.scores import Score, Scores
from biotune.results.summary import Baseline, Summary

__all__ = ["Baseline", "ComparedEntry", "Comparison", "Entry", "History", "Score", "Scores", "Summary"]
