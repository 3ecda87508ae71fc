"""From what the phases of a run found to ``summary.json``."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from biotune.metrics import METRICS, reported
from biotune.pixels.learning_data import LearningData
from biotune.recipe import Recipe
from biotune.records import Evaluation, Inputs, Preprocessing, TextInputs
from biotune.results import Baseline, Scores, Summary
from biotune.results import summary as parts
from biotune.results.operating_point import OperatingPoint
from biotune.results.refinement import REFINED
from biotune.results.sizing import Sizing
from biotune.runner.answers import Answers
from biotune.runner.exported import exported, voted
from biotune.runner.final import TrainedEntry
from biotune.runner.members import vote_scores
from biotune.runner.refine_winner import RefinedHeads
from biotune.runner.session import Session
from biotune.runner.setup import versions
from biotune.runner.testing import by_seed, common
from biotune.runner.unit import Unit
from biotune.runs.store import SIZING, Candidate
from biotune.settings.config import RunConfig
from biotune.statistics import paired_interval
from biotune.training.trainer import effective_batch_size
from biotune.trials.counting import Cost
from biotune.trials.failures import why
from biotune.version import __version__
from biotune.wording import printable

_OTHERWISE = ("error", "timeout", "killed")
"""Outcomes of trainings that failed, but for a lack of memory, which is counted by itself."""


@dataclass(frozen=True)
class Found:
    """What the phases of a run found.

    Args:
        entries: ``biotune`` (what is exported) and the baselines, by name.
        answers: on the test set, by the same names; None without a test set.
        candidates: what the search evaluated.
        finalists: recipes of the final phase, as far as they were trained.
        optimistic: best mean test accuracy of all finalists, where the papers' figure is asked for.
        out_of_fold: scores of what is exported on images that were left out, where there are no test images.
        stopped_by: the limit that ended the search; empty where none did.
        unit: one full fine-tune; None where none was measured.
        refined: the heads of the winner, refined; None where that was not asked for.
        operating_point: of two classes, from which probability on the rarer one is answered; None without one.
    """

    entries: Mapping[str, TrainedEntry]
    answers: Mapping[str, Answers | None]
    candidates: Sequence[Candidate] = ()
    finalists: Sequence[TrainedEntry] = ()
    optimistic: float | None = None
    out_of_fold: parts.OutOfFold | None = None
    stopped_by: str = ""
    unit: Unit | None = None
    refined: RefinedHeads | None = None
    operating_point: OperatingPoint | None = None


def build_summary(session: Session, command: str, found: Found) -> Summary:
    """Return the summary of a finished run, the content of ``summary.json``."""
    config, answers = session.config, found.answers
    winner, unit = found.entries["biotune"], found.unit
    planned = config.training.epochs if config.training.stopping == "planned" else None
    one = unit.epochs if unit else planned  # what early stopping leaves of a full fine-tune must be measured
    searched = config.method.name == "search"
    return Summary(
        command=command,
        biotune_version=__version__,
        versions=versions(),
        created=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        method="biotune" if searched else config.method.name,
        model=describe_model(session),
        data=describe_data(session.data),
        sizing=_sizing(session),
        preset=config.preset,
        budget=parts.Budget.model_validate(config.limits()),
        search=_search(session, found, one) if searched else None,
        final=_final(session, found, one),
        out_of_fold=found.out_of_fold,
        full_finetune_seconds=unit.seconds if unit else None,
        full_finetune_cpu_seconds=unit.cpu_seconds if unit else None,
        exported=exported(session, winner, answers["biotune"]),
        recipe=_recipe(session, winner),
        validation=validation_scores(session, winner.results),
        test=test_scores(answers["biotune"]),
        vote=voted(session, winner, answers["biotune"]),
        operating_point=found.operating_point,
        baselines={
            name: _baseline(session, entry, answers[name], found, one)
            for name, entry in found.entries.items()
            if name != "biotune"
        }
        | ({} if found.refined is None else {REFINED: _refined(session, found.refined, winner, answers["biotune"])}),
        protocol=describe_protocol(session),
    )


def describe_model(session: Session) -> parts.Model:
    """Return the network: name, size, blocks, weights."""
    loaded = session.loaded
    return model_of(loaded.name, _num_parameters(session), len(loaded.partition), loaded.weights, loaded.preprocessing)


def model_of(name: str, parameters: int, num_blocks: int, weights: str, inputs: Inputs) -> parts.Model:
    """Return a network, and what it takes."""
    texts = inputs if isinstance(inputs, TextInputs) else None
    return parts.Model(
        name=name,
        parameters=parameters,
        num_blocks=num_blocks,
        weights=weights,
        image_size=inputs.image_size if isinstance(inputs, Preprocessing) else 0,
        vocabulary=None if texts is None else texts.vocabulary_size,
        max_length=None if texts is None else texts.max_length,
    )


def _sizing(session: Session) -> Sizing | None:
    """Return how network and input size were chosen, None where they were given."""
    stored = session.store.fact(SIZING)
    return None if stored is None else Sizing.model_validate(stored)


def describe_data(data: LearningData) -> parts.Data:
    """Return the data set: parts, classes, fingerprints, what was left out."""
    return parts.Data(
        name=data.name,
        kind=data.kind,
        train=len(data.train),
        validation=len(data.validation),
        test=data.num_test,
        classes=tuple(data.class_names),
        smallest_class=int(np.bincount(data.selection.labels, minlength=len(data.class_names)).min()),
        fingerprint=data.fingerprints.splits,
        part_fingerprints=parts.PartFingerprints.model_validate(data.fingerprints.parts),
        quarantined=tuple(parts.Quarantined(path=item.id, reason=item.reason) for item in data.remarks.quarantined),
        leaks=tuple(parts.Leak.model_validate(asdict(leak)) for leak in data.remarks.leaks),
        notes=(*data.remarks.warnings, *data.remarks.notes),
    )


def describe_protocol(session: Session) -> parts.Protocol:
    """Return what all trainings of a run have in common."""
    final_images = len(session.tasks.data.parts[session.tasks.final_fold][0])
    return protocol_of(session.config, session.data, final_images, tuple(session.tasks.final_seeds))


def protocol_of(
    config: RunConfig, data: LearningData, final_images: int | None, seeds: tuple[int, ...]
) -> parts.Protocol:
    """Return what all trainings with a configuration have in common.

    Args:
        config: device, threads and precision are resolved.
        data: what they learn from.
        final_images: images of a final training; None where there is none.
        seeds: of the final phase.

    Returns:
        A part of the summary.
    """
    training, compute = config.training, config.compute
    return parts.Protocol(
        epochs=training.epochs,
        stopping=training.stopping,
        final_images=final_images,
        patience=training.patience,
        patience_steps=training.patience_steps,
        batch_size=effective_batch_size(len(data.train), training),
        learning_rate=training.learning_rate,
        scheduler=training.scheduler,
        optimizer=training.optimizer,
        metric=training.metric,
        fitness=training.fitness,
        augment=training.augment,
        imbalance=training.imbalance,
        seeds=seeds,
        device=compute.device,
        threads=compute.threads,
        precision=compute.precision,
    )


def validation_scores(session: Session, results: Sequence[Evaluation]) -> Scores | None:
    """Return the validation scores of an entry's seeds, each at the epoch that counts; the worst where there is none.

    None where no image was held out.
    """
    if all(result.best is None or result.best.score is None for result in results) and session.tasks.final_fold:
        return None
    metric = session.config.training.metric
    bests = [result.best for result in results]
    chosen = [METRICS[metric].from_selection_score((best and best.score) or 0.0) for best in bests]
    values = {
        "accuracy": [(best and best.accuracy) or 0.0 for best in bests],
        "macro": [(best and best.macro_accuracy) or 0.0 for best in bests],
    }
    return Scores.of({name: values.get(name, chosen) for name in reported(metric)})


def test_scores(answers: Answers | None) -> Scores | None:
    """Return the test scores of an entry's seeds, None without a test."""
    return None if answers is None else Scores.of(answers.scores)


def multipliers_of(recipe: Recipe | None) -> tuple[float, ...]:
    """Return the multipliers of a recipe, none where there is no recipe."""
    return tuple(recipe.multipliers) if recipe else ()


def trainable_fraction(session: Session, entry: TrainedEntry) -> float:
    """Return the trained parameters, added ones included, over the parameters of the network."""
    return entry.results[0].trainable / _num_parameters(session)


def in_full_finetunes(cost: Cost, unit: float | None) -> float | None:
    """Return the work of trainings in that of one full fine-tune, None where this is not known."""
    return cost.work / unit if unit else None


def failures(entry: TrainedEntry) -> dict[str, int]:
    """Return how many final trainings of an entry diverged and did not fit into memory, as ``Entry`` has it."""
    outcomes = Counter(result.outcome for result in entry.results)
    return {"diverged": outcomes["diverged"], "out_of_memory": outcomes["oom"]}


def _num_parameters(session: Session) -> int:
    return sum(block.num_parameters for block in session.loaded.partition.blocks)


def _recipe(session: Session, entry: TrainedEntry) -> parts.RecipeOfRun:
    training = session.config.training
    recipe = replace(
        session.worker.recipe_of(entry.tasks[0]),
        base_learning_rate=training.learning_rate,
        optimizer=training.optimizer,
    )
    return describe_recipe(recipe, trainable_fraction(session, entry))


def describe_recipe(recipe: Recipe, trainable: float) -> parts.RecipeOfRun:
    """Return a recipe block by block; ``trainable`` is the share of trained parameters."""
    blocks = zip(recipe.partition.blocks, recipe.multipliers, strict=True)
    return parts.RecipeOfRun(
        base_learning_rate=recipe.base_learning_rate,
        optimizer=recipe.optimizer,
        values=dict(recipe.values),
        blocks=tuple(
            parts.Block(name=block.name, multiplier=value, parameters=block.num_parameters) for block, value in blocks
        ),
        trainable_fraction=trainable,
    )


def _search(session: Session, found: Found, unit: float | None) -> parts.Search:
    config, candidates = session.config, found.candidates
    reasons = [why(result) for _, result in session.ledger.rows("search") if result.outcome in _OTHERWISE]
    cost = session.cost("search")
    return parts.Search(
        name=config.search.name,
        preset=config.preset,
        seed=config.seed,
        generations=max((candidate.generation for candidate in candidates), default=-1) + 1,
        evaluations=len(candidates),
        trainings=session.ledger.trainings("search"),
        bred=sum(candidate.generation > 0 or candidate.kind == "probe" for candidate in candidates),
        infeasible=sum(candidate.outcome == "infeasible" for candidate in candidates),
        diverged=sum(candidate.outcome == "diverged" for candidate in candidates),
        out_of_memory=sum(candidate.outcome == "oom" for candidate in candidates),
        failed=sum(candidate.outcome in _OTHERWISE for candidate in candidates),
        failure=printable(reasons[0], 200) if reasons else "",
        stopped_by=found.stopped_by or None,
        seconds=cost.seconds,
        cpu_seconds=cost.cpu_seconds,
        cost_in_full_finetunes=in_full_finetunes(cost, unit),
    )


def _final(session: Session, found: Found, unit: float | None) -> parts.Final:
    cost = session.cost("final")
    return parts.Final(
        seconds=cost.seconds,
        cpu_seconds=cost.cpu_seconds,
        cost_in_full_finetunes=in_full_finetunes(cost, unit),
        candidates=tuple(
            parts.Finalist(
                multipliers=multipliers_of(entry.tasks[0].recipe),
                values=dict(session.worker.recipe_of(entry.tasks[0]).values),
                validation=scores.accuracy if (scores := validation_scores(session, entry.results)) else None,
            )
            for entry in found.finalists
        ),
        companions=tuple(
            parts.Companion(seed=task.seed, multipliers=multipliers_of(task.recipe), values=dict(task.recipe.values))
            for task, result in found.entries["biotune"].companions
            if task.recipe and result.outcome == "ok"
        ),
        **failures(found.entries["biotune"]),
        best_on_test_optimistic=found.optimistic,
    )


def _baseline(
    session: Session,
    entry: TrainedEntry,
    answers: Answers | None,
    found: Found,
    unit: float | None,
) -> Baseline:
    """Return a baseline, with the differences of what was chosen to it, over common seeds and between the votes.

    Where the winner votes with recipes of other kinds, it leaves few seeds to its own: the difference of the votes, of
    equally many networks, stands for both.
    """
    winner, its_answers = found.entries["biotune"], found.answers["biotune"]
    ours, theirs = common(by_seed(winner, its_answers), by_seed(entry, answers))
    vote = vote_scores(entry, answers, winner, its_answers)
    single = paired_interval(ours, theirs, groups=answers.groups) if answers and len(ours) else None
    return Baseline(
        validation=validation_scores(session, entry.results),
        test=test_scores(answers),
        seconds=entry.cost.seconds,
        cpu_seconds=entry.cost.cpu_seconds,
        cost_in_full_finetunes=in_full_finetunes(entry.cost, unit),
        trainable_fraction=trainable_fraction(session, entry),
        learning_rate_multiplier=entry.multiplier,
        sweep=entry.sweep,
        **failures(entry),
        vote=vote,
        difference=vote.difference if vote and winner.companions else single,
    )


def _refined(session: Session, refined: RefinedHeads, winner: TrainedEntry, answers: Answers | None) -> Baseline:
    """Return the row of the winner's networks with refined heads, with the difference of the winner to them."""
    seeds = [head.task.seed for head in refined.heads]
    theirs = {} if refined.answers is None else dict(zip(seeds, refined.answers.correct, strict=True))
    ours, others = common(by_seed(winner, answers), theirs)
    return Baseline(
        validation=refined.scores,
        test=test_scores(refined.answers),
        seconds=refined.seconds,
        cpu_seconds=refined.cpu_seconds,
        cost_in_full_finetunes=None,
        trainable_fraction=len(refined.heads[0].weights.centre) / _num_parameters(session),
        learning_rate_multiplier=1.0,
        difference=paired_interval(ours, others, groups=answers.groups) if answers and len(ours) else None,
    )
