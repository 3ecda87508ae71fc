"""The goals of BioTune's search, and whether the figures of a benchmark reach them."""

from collections.abc import Iterator, Mapping
from typing import Any

from biotune.comparison.entries import BIOTUNE

SEARCH_COST, TOTAL_COST = 4.0, 7.0
"""Largest cost in full fine-tunes, without and with the final phase. All goals here were set by hand."""

BETTER_THAN = ("random", "greedy")
NOT_WORSE_THAN: Mapping[str, float] = {"tpe": 0.003, "cmaes": 0.003, "dehb": 0.003, "paper": 0.005}
"""Search -> how far below zero the lower end of BioTune's difference to it may be."""

RANDOM_SHARE = 0.5
"""Share of random search's work after which BioTune's incumbent is as good as random search's last one."""

PAPERS_SHARE = 1 / 20
"""Largest share of the training time of the papers' protocol."""


def judged(rows: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Judge every goal for which there are figures.

    Args:
        rows: search -> its pooled figures; see ``search_rows``.

    Returns:
        For each goal: ``goal`` and ``found``, texts, and ``reached``.
    """
    return [{"goal": goal, "found": found, "reached": bool(reached)} for goal, found, reached in _goals(rows)]


def _goals(rows: Mapping[str, Any]) -> Iterator[tuple[str, str, bool]]:
    own = rows[BIOTUNE]
    for what, most, cost in (
        ("search", SEARCH_COST, own["search_cost"]),
        ("search and final phase", TOTAL_COST, own["total_cost"]),
    ):
        yield f"{what}: at most {most:g} full fine-tunes", f"{cost:.2f}", cost <= most
    for name in BETTER_THAN:
        if found := rows.get(name, {}).get("difference"):
            yield f"better than {name}: interval above 0", _points(found), found["low"] > 0
    for name, least in NOT_WORSE_THAN.items():
        if found := rows.get(name, {}).get("difference"):
            goal = f"not worse than {name}: interval above -{100 * least:g} points"
            yield goal, _points(found), found["low"] >= -least
    if own["mean_rank"] is not None:
        best = min(row["mean_rank"] for row in rows.values())
        yield "best mean rank", f"{own['mean_rank']:.2f}", own["mean_rank"] == best
    if share := rows.get("random", {}).get("reached"):
        median = share["median"]
        found_share = "not reached" if median is None else f"{median:.2f}"
        goal = f"random's last choice reached at {RANDOM_SHARE:g} of its work"
        yield goal, found_share, median is not None and median <= RANDOM_SHARE
    if "paper" in rows:
        ratio = own["seconds"] / rows["paper"]["seconds"]
        yield f"at most {PAPERS_SHARE:g} of the time of the papers' protocol", f"{ratio:.3f}", ratio <= PAPERS_SHARE


def _points(found: Mapping[str, Any]) -> str:
    """Write a difference and its interval in percentage points, as plain text."""
    return f"{100 * found['difference']:+.2f} [{100 * found['low']:+.2f}, {100 * found['high']:+.2f}]"
