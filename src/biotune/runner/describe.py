"""What results say of a run, piece by piece: the same words in a summary and in a comparison."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from biotune.recipe import Recipe
from biotune.records import Evaluation
from biotune.runner.final import Entrant
from biotune.runner.session import Session
from biotune.runner.testing import Answers
from biotune.statistics import macro_accuracy, mean_and_standard_error
from biotune.training.trainer import effective_batch_size


def describe_model(session: Session) -> dict[str, Any]:
    """Return the network: name, size, blocks, weights."""
    return {
        "name": session.loaded.name,
        "parameters": sum(block.num_parameters for block in session.loaded.partition.blocks),
        "num_blocks": len(session.loaded.partition),
        "weights": session.loaded.weights,
        "image_size": session.loaded.preprocessing.image_size,
    }


def describe_data(session: Session) -> dict[str, Any]:
    """Return the data set: parts, classes, fingerprints, what was left out."""
    data = session.data
    return {
        "name": data.name,
        "train": len(data.train),
        "validation": len(data.validation),
        "test": data.num_test,
        "classes": list(data.class_names),
        "smallest_class": int(np.bincount(data.selection.labels, minlength=len(data.class_names)).min()),
        "fingerprint": data.fingerprints.splits,
        "part_fingerprints": data.fingerprints.parts,
        "quarantined": [{"path": item.id, "reason": item.reason} for item in data.remarks.quarantined],
        "leaks": [asdict(leak) for leak in data.remarks.leaks],
        "notes": [*data.remarks.warnings, *data.remarks.notes],
    }


def describe_recipe(entrant: Entrant, session: Session) -> dict[str, Any]:
    """Return an entrant's recipe block by block."""
    recipe = session.worker.recipe_of(entrant.tasks[0])
    return {
        "base_learning_rate": session.config.training.learning_rate,
        "optimizer": session.config.training.optimizer,
        "blocks": [
            {"name": block.name, "multiplier": value, "parameters": block.num_parameters}
            for block, value in zip(recipe.partition.blocks, recipe.multipliers, strict=True)
        ],
        "trainable_fraction": trainable_fraction(entrant, session),
    }


def multipliers_of(recipe: Recipe | None) -> list[float]:
    """Return the multipliers of a recipe, none where there is no recipe."""
    return list(recipe.multipliers) if recipe else []


def trainable_fraction(entrant: Entrant, session: Session) -> float:
    """Return the trained parameters, added ones included, over the parameters of the network."""
    return entrant.results[0].trainable / sum(block.num_parameters for block in session.loaded.partition.blocks)


def describe_protocol(session: Session) -> dict[str, Any]:
    """Return what all trainings of a run have in common."""
    training, compute = session.config.training, session.config.compute
    names = (
        "epochs", "patience", "patience_steps", "learning_rate", "scheduler", "optimizer", "metric", "augment",
        "imbalance",
    )  # fmt: skip
    return {
        **{name: getattr(training, name) for name in names},
        "batch_size": effective_batch_size(len(session.data.train), training),
        "seeds": list(session.tasks.final_seeds),
        "device": compute.device,
        "threads": compute.threads,
        "precision": compute.precision,
    }


def validation_scores(results: Sequence[Evaluation]) -> dict[str, Any]:
    """Return the validation scores of an entrant's seeds, each at its best epoch."""
    bests = [result.best for result in results]
    accuracies = [best.accuracy if best else 0.0 for best in bests]
    macros = [best.macro_accuracy if best else 0.0 for best in bests]
    return _scores(accuracies, macros)


def test_scores(answers: Answers | None) -> dict[str, Any] | None:
    """Return the test scores of an entrant's seeds, None without a test."""
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


def in_full_finetunes(seconds: float, unit: float | None) -> float | None:
    """Return seconds in units of one full fine-tune, None where that was not measured."""
    return seconds / unit if unit else None
