"""``summary.json`` and ``history.json``: what a run found, as documented plain data."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from biotune.data.intake import Pixels
from biotune.records import Evaluation
from biotune.runner.final_phase import Entrant
from biotune.runner.session import Session
from biotune.runner.setup import versions
from biotune.runner.testing import Answers, row_of_best
from biotune.runs.store import Candidate
from biotune.statistics import macro_accuracy, mean_and_standard_error, paired_interval
from biotune.training.trainer import effective_batch_size
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
    config, data = session.config, session.data
    final_seconds = session.spent("final")
    return {
        "schema_version": SCHEMA_VERSION,
        "status": "finished",
        "command": command,
        "biotune_version": __version__,
        "versions": versions(),
        "created": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "method": "biotune" if config.method.name == "search" else config.method.name,
        "model": {
            "name": session.loaded.name,
            "parameters": sum(block.num_parameters for block in session.loaded.partition.blocks),
            "num_blocks": len(session.loaded.partition),
            "weights": session.loaded.weights,
            "image_size": session.loaded.preprocessing.image_size,
        },
        "data": {
            "name": data.name,
            "train": len(data.train),
            "validation": len(data.validation),
            "test": len(data.test_images) if data.test_images else 0,
            "classes": list(data.class_names),
            "fingerprint": data.fingerprint,
            "part_fingerprints": data.part_fingerprints,
            "quarantined": [{"path": item.id, "reason": item.reason} for item in data.quarantined],
            "notes": list(data.notes),
        },
        "preset": config.preset,
        "search": _search(session, candidates, unit) if config.method.name == "search" else None,
        "final": {
            "seconds": final_seconds,
            "cost_in_full_finetunes": _cost(final_seconds, unit),
            "candidates": [
                {
                    "multipliers": list(entrant.tasks[0].multipliers),
                    "validation": _validation(entrant.results)["accuracy"],
                }
                for entrant in finalists
            ],
        },
        "full_finetune_seconds": unit,
        "exported": _exported(session, winner, answers["biotune"]),
        "recipe": describe(winner, session),
        "validation": _validation(winner.results),
        "test": _test(answers["biotune"]),
        "baselines": {
            name: _baseline(session, entrant, answers, unit) for name, entrant in entrants.items() if name != "biotune"
        },
        "protocol": _protocol(session),
    }


def describe(entrant: Entrant, session: Session) -> dict[str, Any]:
    """Return an entrant's recipe block by block."""
    recipe = session.evaluator.recipe_of(entrant.tasks[0])
    return {
        "base_learning_rate": session.config.training.learning_rate,
        "optimizer": session.config.training.optimizer,
        "blocks": [
            {"name": block.name, "multiplier": value, "parameters": block.num_parameters}
            for block, value in zip(recipe.partition.blocks, recipe.multipliers, strict=True)
        ],
        "trainable_fraction": _trainable_fraction(entrant, session),
    }


def _trainable_fraction(entrant: Entrant, session: Session) -> float:
    """Return the trained parameters, added ones included, over the parameters of the network."""
    return entrant.results[0].trainable / sum(block.num_parameters for block in session.loaded.partition.blocks)


def _protocol(session: Session) -> dict[str, Any]:
    training, compute = session.config.training, session.config.compute
    names = (
        "epochs", "patience", "patience_steps", "learning_rate", "scheduler", "optimizer", "metric", "augment",
        "imbalance",
    )  # fmt: skip
    return {
        **{name: getattr(training, name) for name in names},
        "batch_size": effective_batch_size(len(session.data.train), training),
        "seeds": list(session.final_seeds),
        "device": compute.device,
        "threads": compute.threads,
    }


def _search(session: Session, candidates: Sequence[Candidate], unit: float | None) -> dict[str, Any]:
    config = session.config
    stop = session.store.fact("search_stop")
    stopped = stop is not None and stop["limits"] == config.budget.model_dump()
    return {
        "name": config.search.name,
        "preset": config.preset,
        "seed": config.seed,
        "generations": max((candidate.generation for candidate in candidates), default=-1) + 1,
        "evaluations": len(candidates),
        "trainings": session.trainings("search"),
        "infeasible": sum(candidate.outcome == "infeasible" for candidate in candidates),
        "diverged": sum(candidate.outcome == "diverged" for candidate in candidates),
        "stopped_by": stop["reason"] if stopped else None,
        "seconds": session.spent("search"),
        "cost_in_full_finetunes": _cost(session.spent("search"), unit),
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
        "validation": _validation(entrant.results),
        "test": _test(theirs),
        "seconds": entrant.seconds,
        "cost_in_full_finetunes": _cost(entrant.seconds, unit),
        "trainable_fraction": _trainable_fraction(entrant, session),
        "learning_rate_multiplier": entrant.multiplier,
        "difference": difference,
    }


def _validation(results: Sequence[Evaluation]) -> dict[str, Any]:
    bests = [result.best for result in results]
    accuracies = [best.accuracy if best else 0.0 for best in bests]
    macros = [best.macro_accuracy if best else 0.0 for best in bests]
    return _scores(accuracies, macros)


def _test(answers: Answers | None) -> dict[str, Any] | None:
    if answers is None:
        return None
    correct = answers.correct
    return _scores(correct.mean(axis=1).tolist(), [macro_accuracy(row, answers.labels) for row in correct])


def _scores(accuracies: list[float], macros: list[float]) -> dict[str, Any]:
    mean, error = mean_and_standard_error(accuracies)
    return {
        "accuracy": mean,
        "macro_accuracy": float(np.mean(macros)),
        "standard_error": error,
        "per_seed": accuracies,
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


def _cost(seconds: float, unit: float | None) -> float | None:
    return seconds / unit if unit else None


def build_history(session: Session, entrants: Mapping[str, Entrant], candidates: Sequence[Candidate]) -> dict[str, Any]:
    """Return the content of ``history.json``: what was done, without clocks, so that equal runs give equal bytes."""
    seeds = len(session.search_seeds)
    return {
        "schema_version": SCHEMA_VERSION,
        "candidates": [
            {
                "sequence": candidate.sequence,
                "generation": candidate.generation,
                "kind": candidate.kind,
                "fold": candidate.fold,
                "genes": list(candidate.genes),
                "multipliers": list(candidate.multipliers),
                "outcome": candidate.outcome,
                "fitness": candidate.fitness,
                "trainings_before": seeds * candidate.sequence,
            }
            for candidate in candidates
        ],
        "curves": [
            {
                "label": name,
                "method": name,
                "seed": task.seed,
                "validation_accuracy": [record.accuracy for record in result.curve],
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
