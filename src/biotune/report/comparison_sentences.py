"""What is said of a comparison: the facts behind ``templates/comparison.txt``, which holds the words."""

from collections.abc import Sequence

from biotune import wording
from biotune.report.comparison_rows import Row, own_of, reference_name, rows_of
from biotune.report.run_sentences import Headline
from biotune.report.templating import Sentences
from biotune.results import ComparedEntry, Comparison
from biotune.significance import ALPHA, SMALLEST_BLOCKS, pairs_needed

_FEW_SEEDS = 10
"""Final seeds below which a note says that they say little. Chosen by hand."""

SAME = 1e-9
"""Means closer than this are equal."""

Named = tuple[str, ComparedEntry]
"""An entry with the name that says which one it is."""


def headline(comparison: Comparison) -> Headline:
    """Return title, lead, verdict and its numbers: the order at the top, and whether the reference is the best."""
    rows = rows_of(comparison.methods, comparison.on)
    others = _others(rows, comparison.reference)
    judged = sorted((pair for pair in others if pair[1].difference), key=_gain, reverse=True)
    groups = {
        verdict: [pair for pair in judged if pair[1].difference and pair[1].difference.verdict == verdict]
        for verdict in ("better", "tie", "worse")
    }
    verdict = _verdict(groups) if judged else "unknown"
    first = next(iter(groups["worse"] or groups["tie"] or judged), None)
    words = Sentences(
        "comparison.txt",
        comparison=comparison,
        metric=comparison.metric,
        reference=reference_name(comparison),
        own=comparison.methods[comparison.reference].scores(comparison.on),
        methods=len(rows),
        verdict=verdict,
        judged=len(judged),
        missing=len(others) - len(judged),
        beaten=len(groups["better"]),
        first=first[0] if first else "",
        lead_of_first=_lead_of(first[1]) if first else "",
        lead_over_first=_lead_over(first[1]) if first else "",
        first_is_ahead=first is not None and _gain(first) >= SAME,
        also_ahead=[name for name, _ in groups["worse"][1:]],
        tied=[name for name, _ in groups["tie"]],
        equal=[pair[0] for pair in groups["tie"] if abs(_gain(pair)) < SAME],
    )
    return Headline(words("title"), words("lead"), verdict, words("claim"), words("reason"))


def _others(rows: Sequence[Row], reference: str) -> list[Named]:
    return [pair for row in rows if row.key != reference for pair in row.entries()]


def _verdict(groups: dict[str, list[Named]]) -> str:
    if groups["worse"]:
        return "worse"
    return "tie" if groups["tie"] else "better"


def _gain(pair: Named) -> float:
    """How far an entry is ahead of the reference."""
    difference = pair[1].difference
    return 0.0 if difference is None else -difference.difference


def _lead_of(entry: ComparedEntry) -> str:
    """Write the difference as a lead of the entry over the reference."""
    found = entry.difference
    if found is None:
        return wording.MISSING
    return f"{abs(100 * found.difference):.1f} points, 95 % interval {wording.interval(-found.high, -found.low)}"


def _lead_over(entry: ComparedEntry) -> str:
    """Write the difference as a lead of the reference over the entry."""
    found = entry.difference
    if found is None:
        return wording.MISSING
    return f"{abs(100 * found.difference):.1f} points, 95 % interval {wording.interval(found.low, found.high)}"


def captions(comparison: Comparison) -> dict[str, str]:
    """Return, for each figure by name, the sentence below it."""
    ranking = comparison.ranking.at(comparison.setting)
    words = Sentences(
        "comparison.txt", comparison=comparison, reference=reference_name(comparison),
        has_bars=ranking is not None and ranking.nemenyi_critical_distance is not None,
    )  # fmt: skip
    return {name: words(name) for name in ("forest", "ranks", "cost")}


def read_choices() -> str:
    """Return how the table of what was chosen is read."""
    return Sentences("comparison.txt")("choices")


def notes(comparison: Comparison) -> list[str]:
    """Return what a reader must know before quoting the numbers.

    The sentences are on intervals, tuning, tests and why some are missing, ranks, divergence, the papers' figure, cost.
    """
    rows = rows_of(comparison.methods, comparison.on)
    others = _others(rows, comparison.reference)
    ranking = comparison.ranking.at(comparison.setting) if comparison.on == "test" else None
    complete = sum(not entry.failed for _, entry in others)
    tested = [(name, entry.signed_rank.p_holm) for name, entry in others if entry.signed_rank]
    entries = [pair for row in rows for pair in row.entries()]
    parts = comparison.datasets
    seeds = [len(part.protocol.seeds) for part in parts]
    words = Sentences(
        "comparison.txt",
        comparison=comparison,
        metric=comparison.metric,
        reference=reference_name(comparison),
        several=len(parts) > 1,
        untested=[wording.label(part.name, 40) for part in parts if not part.data.test],
        searched=comparison.reference == "biotune",
        ranking=ranking,
        friedman="" if ranking is None or ranking.friedman_p is None else _p(ranking.friedman_p),
        smallest_blocks=SMALLEST_BLOCKS,
        alpha=ALPHA,
        complete=complete,
        pairs_needed=pairs_needed(max(1, complete)),
        can_be_tested=complete > 0 and not comparison.methods[comparison.reference].failed,
        tested=tested,
        not_tested=len(others) - len(tested),
        significant=_significant(tested),
        fewest_seeds=min(seeds),
        few_seeds=_FEW_SEEDS,
        searches=[f"{row.name} {own_of(row.default)}" for row in rows if row.default.own_candidates is not None],
        idle=[row.name for row in rows if row.default.own_finished == 0],
        failed=wording.failures([(name, entry.diverged, entry.out_of_memory) for name, entry in entries]),
        optimistic=[
            (wording.label(wording.method_name(key), 40), wording.label(part.name, 40), entry)
            for part in parts
            for key, entry in part.methods.items()
            if entry.best_on_test_optimistic is not None and entry.test is not None
        ],
    )
    return words.paragraphs("notes")


def _significant(tested: Sequence[tuple[str, float]]) -> dict[str, object]:
    """Return how many tested entries differ from the reference, and whichever are fewer: these or the others.

    Args:
        tested: names with their p after Holm's correction.

    Returns:
        ``differ``: number of entries that differ; ``word`` and ``named``: ``namely`` or ``all but``, and names with p;
        ``smallest`` and ``largest`` p.
    """
    differ = [(name, p) for name, p in tested if p < ALPHA]
    alike = [(name, p) for name, p in tested if p >= ALPHA]
    word, named = ("namely", differ) if len(differ) <= len(alike) else ("all but", alike)
    values = [p for _, p in tested]
    return {
        "differ": len(differ),
        "word": word,
        "named": [f"{name}, p = {_p(p)}" for name, p in named],
        "smallest": _p(min(values, default=1.0)),
        "largest": _p(max(values, default=0.0)),
    }


def _p(value: float) -> str:
    return f"{value:.1g}" if value < 0.001 else f"{value:.3f}"
