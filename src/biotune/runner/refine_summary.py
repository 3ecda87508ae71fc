"""From what a refinement found to its ``summary.json``."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from biotune.metrics import Metric
from biotune.refinement import Kept, Objective, Parts, Weights
from biotune.refinement.layers import Vector
from biotune.results import Baseline, Scores, Summary
from biotune.results import summary as parts
from biotune.results.refinement import RANDOM, REFINED, REFIT, TRAINED, Judged, Refinement
from biotune.results.scores import Score
from biotune.runner.answers import Answers
from biotune.runner.exported import describe_exported
from biotune.runner.refine_source import Subject
from biotune.runner.setup import versions
from biotune.runner.summary import describe_data, describe_recipe, model_of, protocol_of
from biotune.settings.config import RunConfig
from biotune.statistics import Interval, paired_interval
from biotune.version import __version__


@dataclass(frozen=True)
class Repetitions:
    """What one search found with every seed.

    Args:
        kept: of each seed.
        curves: best value of the objective so far after each round, of each seed; none for the trained weights.
        at_border: share of the values of the best point at the border of the box, of each seed.
        seconds: of all searches.
    """

    kept: tuple[Kept, ...]
    curves: tuple[tuple[float, ...], ...] = ()
    at_border: tuple[float, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True)
class Found:
    """What a refinement found.

    Args:
        parts: which held-out images were searched, and which were held back.
        labels: class index of each held-out image.
        objective: judged by the searched images.
        trained: the trained weights.
        refined: by the chosen search.
        random: by random search; None where that is the chosen search.
        evaluations: points of each repetition.
        best: index of the repetition that is exported.
        metrics: what every entry is scored by, by name in results.
        validation: logits on all held-out images, of each repetition, by the name of the entry.
        refit: weight and bias of the classifier, fitted to all labels; None where it is not one linear layer.
    """

    parts: Parts
    labels: NDArray[np.int64]
    objective: Objective
    trained: Repetitions
    refined: Repetitions
    random: Repetitions | None
    evaluations: int
    best: int
    metrics: Mapping[str, Metric]
    validation: Mapping[str, Sequence[NDArray[np.float64]]]
    refit: Vector | None = None


def build_summary(
    config: RunConfig,
    subject: Subject,
    weights: Weights,
    seeds: tuple[int, ...],
    command: str,
    found: Found,
    answers: Mapping[str, Answers | None],
) -> Summary:
    """Return the summary of a finished refinement; ``answers`` are those of each entry, none without a test set."""
    recipe = _recipe(subject, weights)
    base = subject.summary.protocol if subject.summary else protocol_of(config, subject.data, None, seeds)
    refined = answers.get(REFINED)
    validation = _validation(found, REFINED)
    return Summary(
        command=command,
        biotune_version=__version__,
        versions=versions(),
        created=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        method=REFINED,
        model=_model(subject, recipe),
        data=describe_data(subject.data),
        preset=config.preset,
        budget=parts.Budget.model_validate(config.limits()),
        search=None,
        final=parts.Final(seconds=found.refined.seconds, cost_in_full_finetunes=None, candidates=()),
        out_of_fold=None,
        full_finetune_seconds=None,
        recipe=recipe,
        validation=validation,
        test=None if refined is None else Scores.of(refined.scores),
        exported=_exported(config, subject, seeds, found, answers),
        baselines=_baselines(found, answers, weights, recipe),
        protocol=base.model_copy(update={"seeds": seeds}),
        refinement=_refinement(config, subject, weights, seeds, found, validation, refined),
    )


def _refinement(
    config: RunConfig,
    subject: Subject,
    weights: Weights,
    seeds: tuple[int, ...],
    found: Found,
    validation: Scores,
    refined: Answers | None,
) -> Refinement:
    settings = config.refine
    gap = None if refined is None else validation.accuracy - float(refined.correct.mean())
    rows = {TRAINED: found.trained, REFINED: found.refined, RANDOM: found.random}
    judged = {name: _judged(found.objective, row) for name, row in rows.items() if row is not None}
    if found.refit is not None:
        judged[REFIT] = Judged(searched=None, held_back=None)
    return Refinement(
        source=subject.words,
        voters=subject.voters,
        layers=settings.layer,
        bias=settings.bias,
        values=len(weights.centre),
        heuristic=settings.heuristic,
        bound=settings.bound,
        agents=settings.agents,
        iterations=settings.iterations,
        evaluations=found.evaluations,
        objective=settings.objective,
        safeguards=bool(len(found.parts.held_back)),
        searched_images=found.parts.num_searched,
        held_back_images=len(found.parts.held_back),
        seeds=seeds,
        steps=tuple(one.step for one in found.refined.kept),
        largest_change=float(np.abs(found.refined.kept[found.best].vector - weights.centre).max()),
        at_border=found.refined.at_border,
        curves=found.refined.curves,
        judged=judged,
        gap=gap,
        taken=settings.take,
        seconds=found.refined.seconds,
    )


def _exported(
    config: RunConfig,
    subject: Subject,
    seeds: tuple[int, ...],
    found: Found,
    answers: Mapping[str, Answers | None],
) -> parts.Exported:
    """Return the network that the folder holds: the best repetition, or the refit, with their scores."""
    if config.refine.take == REFIT:
        return describe_exported(subject.data, seeds[found.best], answers.get(REFIT), 0)
    return describe_exported(subject.data, seeds[found.best], answers.get(REFINED), found.best)


def _judged(objective: Objective, row: Repetitions) -> Judged:
    unseen = [objective.value(one.held_back) for one in row.kept if one.held_back is not None]
    return Judged(
        searched=Score.of([objective.value(one.fitness) for one in row.kept]),
        held_back=Score.of(unseen) if unseen else None,
    )


def _validation(found: Found, name: str) -> Scores:
    """Return the scores on all held-out images of the repetitions of an entry."""
    rows = found.validation[name]
    return Scores.of({key: [metric.value(row, found.labels) for row in rows] for key, metric in found.metrics.items()})


def _baselines(
    found: Found,
    answers: Mapping[str, Answers | None],
    weights: Weights,
    recipe: parts.RecipeOfRun,
) -> dict[str, Baseline]:
    """Return what the refined weights are compared with, each with the difference of the refined ones to it."""
    total = sum(block.parameters for block in recipe.blocks)
    sizes = {TRAINED: 0, RANDOM: len(weights.centre), REFIT: 0 if found.refit is None else len(found.refit)}
    seconds = {RANDOM: 0.0 if found.random is None else found.random.seconds}
    there = {TRAINED: True, RANDOM: found.random is not None, REFIT: found.refit is not None}
    return {
        name: Baseline(
            validation=_validation(found, name) if name in found.validation else None,
            test=None if (own := answers.get(name)) is None else Scores.of(own.scores),
            seconds=seconds.get(name, 0.0),
            cost_in_full_finetunes=None,
            trainable_fraction=sizes[name] / total,
            difference=_difference(answers.get(REFINED), own),
            learning_rate_multiplier=1.0,
        )
        for name in (TRAINED, RANDOM, REFIT)
        if there[name]
    }


def _difference(ours: Answers | None, theirs: Answers | None) -> Interval | None:
    """Return the refined weights minus an entry, in accuracy; an entry of one network meets every repetition."""
    if ours is None or theirs is None:
        return None
    one, other = ours.correct, theirs.correct
    other = np.repeat(other, len(one), axis=0) if len(other) == 1 else other
    return paired_interval(one, other, groups=ours.groups)


def _model(subject: Subject, recipe: parts.RecipeOfRun) -> parts.Model:
    parameters = sum(block.parameters for block in recipe.blocks)
    return model_of(subject.name, parameters, len(recipe.blocks), subject.weights, subject.preprocessing)


def _recipe(subject: Subject, weights: Weights) -> parts.RecipeOfRun:
    """Return the recipe of the trained network, and which share of its parameters was refined."""
    recipe = subject.recipe_of(weights)
    total = sum(block.num_parameters for block in recipe.partition.blocks)
    return describe_recipe(recipe, len(weights.centre) / total)
