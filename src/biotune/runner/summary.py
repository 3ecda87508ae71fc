"""``summary.json`` and ``history.json``: what a run found, as documented plain data."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from biotune.pixels.learning_data import Pixels
from biotune.runner.describe import (
    describe_data,
    describe_model,
    describe_protocol,
    describe_recipe,
    in_full_finetunes,
    multipliers_of,
    test_scores,
    trainable_fraction,
    validation_scores,
)
from biotune.runner.final import Entrant
from biotune.runner.session import Session
from biotune.runner.setup import versions
from biotune.runner.testing import Answers, row_of_best
from biotune.runs.store import Candidate
from biotune.statistics import macro_accuracy, paired_interval
from biotune.version import __version__

SCHEMA_VERSION = 1


def build_summary(
    session: Session,
    command: str,
    entrants: Mapping[str, Entrant],
    answers: Mapping[str, Answers | None],
    candidates: Sequence[Candidate],
    finalists: Sequence[Entrant],
) -> dict[str, Any]:
    """Return the content of ``summary.json``.

    Args:
        session: of the finished run.
        command: as typed.
        entrants: ``biotune`` (what is exported) and the baselines, by name.
        answers: on the test set, by the same names; None without a test set.
        candidates: of the search.
        finalists: recipes of the final phase, as far as they were trained.

    Returns:
        JSON-able data; docs/summary.md lists every key.
    """
    winner = entrants["biotune"]
    full = entrants.get("full")
    unit = float(np.mean([result.seconds for result in full.results])) if full else None
    config = session.config
    final_seconds = session.ledger.spent("final")
    return {
        "schema_version": SCHEMA_VERSION,
        "status": "finished",
        "command": command,
        "biotune_version": __version__,
        "versions": versions(),
        "created": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "method": "biotune" if config.method.name == "search" else config.method.name,
        "model": describe_model(session),
        "data": describe_data(session),
        "preset": config.preset,
        "search": _search(session, candidates, unit) if config.method.name == "search" else None,
        "final": {
            "seconds": final_seconds,
            "cost_in_full_finetunes": in_full_finetunes(final_seconds, unit),
            "candidates": [
                {
                    "multipliers": multipliers_of(entrant.tasks[0].recipe),
                    "validation": validation_scores(entrant.results)["accuracy"],
                }
                for entrant in finalists
            ],
        },
        "full_finetune_seconds": unit,
        "exported": _exported(session, winner, answers["biotune"]),
        "recipe": describe_recipe(winner, session),
        "validation": validation_scores(winner.results),
        "test": test_scores(answers["biotune"]),
        "baselines": {
            name: _baseline(session, entrant, answers, unit) for name, entrant in entrants.items() if name != "biotune"
        },
        "protocol": describe_protocol(session),
    }


def _search(session: Session, candidates: Sequence[Candidate], unit: float | None) -> dict[str, Any]:
    config = session.config
    return {
        "name": config.search.name,
        "preset": config.preset,
        "seed": config.seed,
        "generations": max((candidate.generation for candidate in candidates), default=-1) + 1,
        "evaluations": len(candidates),
        "trainings": session.ledger.trainings("search"),
        "infeasible": sum(candidate.outcome == "infeasible" for candidate in candidates),
        "diverged": sum(candidate.outcome == "diverged" for candidate in candidates),
        "seconds": session.ledger.spent("search"),
        "cost_in_full_finetunes": in_full_finetunes(session.ledger.spent("search"), unit),
    }


def _baseline(
    session: Session, entrant: Entrant, answers: Mapping[str, Answers | None], unit: float | None
) -> dict[str, Any]:
    ours, theirs = answers["biotune"], answers[entrant.name]
    difference = None
    if ours is not None and theirs is not None:
        interval = paired_interval(ours.correct, theirs.correct)
        difference = {**interval.to_json(), "verdict": interval.verdict}
    return {
        "validation": validation_scores(entrant.results),
        "test": test_scores(theirs),
        "seconds": entrant.seconds,
        "cost_in_full_finetunes": in_full_finetunes(entrant.seconds, unit),
        "trainable_fraction": trainable_fraction(entrant, session),
        "learning_rate_multiplier": entrant.multiplier,
        "difference": difference,
    }


def _exported(session: Session, winner: Entrant, answers: Answers | None) -> dict[str, Any]:
    """Return the exported seed with its scores on the test set, over all images and class by class."""
    data, seed = session.data, winner.tasks[winner.best_index].seed
    correct = None if answers is None else answers.correct[row_of_best(winner)]
    labels = np.zeros(0, dtype=np.int64) if answers is None else answers.labels
    trained = np.bincount(data.selection.labels[data.train], minlength=len(data.class_names))
    tested = np.bincount(labels, minlength=len(data.class_names))
    right = np.bincount(labels, correct, minlength=len(data.class_names))
    return {
        "seed": seed,
        "test": None if correct is None else float(correct.mean()),
        "test_macro": None if correct is None else macro_accuracy(correct, labels),
        "per_class": [
            {
                "name": name,
                "train": int(trained[label]),
                "test": int(tested[label]),
                "recall": float(right[label] / tested[label]) if tested[label] else None,
            }
            for label, name in enumerate(data.class_names)
        ],
    }


def build_history(session: Session, entrants: Mapping[str, Entrant], candidates: Sequence[Candidate]) -> dict[str, Any]:
    """Return the content of ``history.json``: what was done, without clocks, so that equal runs give equal bytes."""
    return {
        "schema_version": SCHEMA_VERSION,
        "judged_after_epochs": session.tasks.rungs[-1] or session.config.training.epochs,
        "judged_on_folds": len(session.tasks.judging),
        "candidates": [
            {
                "sequence": candidate.sequence,
                "generation": candidate.generation,
                "kind": candidate.kind,
                "fold": candidate.fold,
                "genes": candidate.genes if isinstance(candidate.genes, str) else list(candidate.genes),
                "multipliers": multipliers_of(candidate.recipe),
                "outcome": candidate.outcome,
                "fitness": candidate.fitness,
                "finished": candidate.finished,
            }
            for candidate in candidates
        ],
        "curves": [
            {
                "label": name,
                "method": name,
                "seed": task.seed,
                "validation_accuracy": [record.accuracy for record in result.curve],
                "validation_score": [record.score for record in result.curve],
            }
            for name, entrant in entrants.items()
            for task, result in zip(entrant.tasks, entrant.results, strict=True)
        ],
    }


def build_answers(class_names: Sequence[str], test: Pixels, answers: Mapping[str, Answers | None]) -> dict[str, Any]:
    """Return the content of ``answers.json``: every answer on the test set, to recompute any statistic from.

    Args:
        class_names: by label.
        test: the test images.
        answers: of each method that was tested.

    Returns:
        ``classes``, ``images`` (ids), ``truth`` (label of each image) and ``predicted``: by method, one row per seed.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "classes": list(class_names),
        "images": list(test.ids),
        "truth": test.labels.tolist(),
        "predicted": {name: found.predicted.tolist() for name, found in answers.items() if found is not None},
    }
