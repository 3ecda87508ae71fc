"""What the report of a refinement says: the facts behind ``templates/refinement.txt``, which holds the words."""

from dataclasses import dataclass

from biotune import wording
from biotune.report.templating import Sentences
from biotune.results import Scores, Summary
from biotune.results.refinement import RANDOM, REFIT, TRAINED, Refinement
from biotune.settings.refine import OBJECTIVES, metric_of


@dataclass(frozen=True)
class Words:
    """The sentences about a refinement.

    Args:
        title: what it is about.
        lead: what was reached.
        verdict: of the refined weights against the trained ones: ``better``, ``tie``, ``worse`` or ``unknown``.
        claim: the verdict in a few words.
        reason: the numbers behind it.
        refit: what a refit on all labels gives.
        how: what was done.
    """

    title: str
    lead: str
    verdict: str
    claim: str
    reason: str
    refit: str
    how: str


def words_of(summary: Summary, found: Refinement) -> Words:
    """Return the sentences about a refinement."""
    baselines = summary.baselines
    difference = baselines[TRAINED].difference
    words = Sentences(
        "refinement.txt",
        summary=summary,
        found=found,
        test=summary.test is not None,
        layers=wording.listed([wording.label(name, 60) for name in found.layers], 3),
        heuristic=wording.method_name(found.heuristic),
        refined=summary.test or summary.validation,
        trained=baselines[TRAINED].shown,
        random=baselines[RANDOM].test if RANDOM in baselines else None,
        has_refit=REFIT in baselines,
        refitted=baselines[REFIT].test if REFIT in baselines else None,
        by_objective=_by_objective(summary, found),
        against=baselines[REFIT].difference if REFIT in baselines else None,
        difference=difference,
        seeds=len(found.seeds),
        accepted=found.accepted,
        at_border=sum(found.at_border) / len(found.at_border),
        step=sum(found.steps) / len(found.steps),
        gap=found.gap,
        trained_gap=_gap(baselines[TRAINED].validation, baselines[TRAINED].test),
    )
    verdict = "unknown" if difference is None else difference.verdict if found.accepted else "tie"
    return Words(
        title=words("title"),
        lead=words("lead"),
        verdict=verdict,
        claim=words("claim"),
        reason=words("reason"),
        refit=words("refit"),
        how=words("how"),
    )


def _by_objective(summary: Summary, found: Refinement) -> list[str]:
    """Return name and test values of the objective, of trained, refined and refitted weights; none for accuracy."""
    name, metric = OBJECTIVES[found.objective], metric_of(found.objective)
    entries = [summary.entries.get(key) for key in (TRAINED, "refined", REFIT)]
    scores = [entry.test.get(name) for entry in entries if entry is not None and entry.test is not None]
    if name == "accuracy" or not scores:
        return []
    return [metric.name, *(metric.write(score.mean) if score else wording.MISSING for score in scores)]


def _gap(validation: Scores | None, test: Scores | None) -> float | None:
    return None if validation is None or test is None else validation.accuracy - test.accuracy
