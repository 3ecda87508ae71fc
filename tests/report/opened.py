"""Made-up JSON data, opened as the report opens a file."""

from typing import Any

from biotune.results import Comparison, History, Summary


def opened(summary: dict[str, Any]) -> Summary:
    return Summary.from_json(summary, "summary.json")


def opened_history(history: dict[str, Any]) -> History:
    return History.from_json(history, "history.json")


def opened_comparison(comparison: dict[str, Any]) -> Comparison:
    return Comparison.from_json(comparison, "comparison.json")
