"""``--refine``: the head of each final network of the winner, refined before the test set is opened; a row of its own.

What is exported stays the trained network: the row says what ``biotune refine RUN`` would give.
"""

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import nn

from biotune.errors import InputError
from biotune.metrics import METRICS, log_softmax, reported
from biotune.pixels.learning_data import Pixels
from biotune.pixels.rows import ChosenImages, ImageRows
from biotune.randomness import derived_seeds
from biotune.records import Task
from biotune.refinement import (
    Kept,
    LastLayer,
    Objective,
    Parts,
    Weights,
    chosen_weights,
    deal,
    explore,
    last_features,
    logits_of,
    make_search,
    shrunk,
)
from biotune.refinement.layers import Vector
from biotune.results.scores import Scores
from biotune.runner.answers import Answers, answers_of, stored_answers
from biotune.runner.final import TrainedEntry
from biotune.runner.session import Session
from biotune.runs.events import Progress
from biotune.settings.refine import RefineConfig
from biotune.space import BoxSpace
from biotune.trials.worker import source_of

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class RefinedHead:
    """The refined head of one final network.

    Args:
        task: the training of the network.
        weights: the tensors of the head as trained.
        kept: what the search found and the safeguards kept.
        validation: logits on the validation images.
    """

    task: Task
    weights: Weights
    kept: Kept
    validation: Floats


@dataclass(frozen=True)
class RefinedHeads:
    """The refined heads of the winner's final networks, those that did not diverge.

    Args:
        heads: one for each seed.
        scores: on the validation images.
        seconds: what all searches took together, by the clock.
        cpu_seconds: what they took in CPU time.
        answers: on the test set; None without one.
    """

    heads: tuple[RefinedHead, ...]
    scores: Scores
    seconds: float
    cpu_seconds: float
    answers: Answers | None = None


def settings_of(session: Session) -> RefineConfig | None:
    """Return how heads are refined, None where they are not.

    The settings are those of the section ``refine``, with the search that ``--refine`` names and the head alone.

    Raises InputError: the network's head is not one layer, or no image was held out.
    """
    settings = session.config.refine
    if not settings.winner:
        return None
    if len(session.loaded.heads) > 1:
        raise InputError(
            f"{session.loaded.name} has several classifiers, and --refine takes one; leave it out, and refine one of "
            "them with biotune refine RUN --layer NAME."
        )
    if (
        not isinstance(layer := session.loaded.model.get_submodule(session.loaded.heads[0]), nn.Linear)
        or layer.bias is None
    ):
        raise InputError(
            f"the head of {session.loaded.name} is not one fully connected layer with a bias, which --refine needs; "
            "leave it out, and refine its layers with biotune refine RUN --layer NAME."
        )
    if not len(session.data.validation):
        raise InputError("--refine needs validation images to judge weights by; leave out --validation-fraction 0.")
    settings.measure(session.data.class_names)  # refuses a cost matrix of other classes
    return settings.model_copy(update={"heuristic": settings.winner, "layer": session.loaded.heads})


def refine_heads(session: Session, winner: TrainedEntry) -> RefinedHeads | None:
    """Refine the head of each final network by the validation images, or take what is stored; None if not asked for.

    Each search has the seed of the first repetition of ``biotune refine RUN``, so that this gives the same weights.
    """
    settings = settings_of(session)
    if settings is None:
        return None
    done = [task for task, result in zip(winner.tasks, winner.results, strict=True) if result.outcome == "ok"]
    session.desk.ensure_weights(done)
    data = session.data
    labels = data.selection.labels[data.validation]
    groups = None if data.groups is None else data.groups[data.validation]
    parts = deal(labels, groups, settings, session.config.data.split_seed)
    heads, wall, cpu = list[RefinedHead](), time.perf_counter(), time.process_time()
    for number, task in enumerate(done):
        session.observer(Progress("refining", number, len(done), settings.heuristic))
        heads.append(_refined(session, settings, task, parts, labels))
    session.observer(Progress("refining", len(done), len(done), settings.heuristic))
    taken = _once(session, "refine:seconds", [time.perf_counter() - wall, time.process_time() - cpu])
    measures = {name: METRICS[name] for name in reported(session.config.training.metric)}
    scores = {name: [metric.value(head.validation, labels) for head in heads] for name, metric in measures.items()}
    changed = sum(head.kept.step > 0 for head in heads)
    session.say(
        f"Refined the head by {settings.heuristic}: {changed} of {len(heads)} final networks got weights "
        "that are better on the images held back too. The exported network stays as it was trained."
    )
    return RefinedHeads(tuple(heads), Scores.of(scores), seconds=taken[0], cpu_seconds=taken[1])


def score_refined(session: Session, refined: RefinedHeads, test: Pixels | None) -> Answers | None:
    """Return the answers of the refined networks on the test set, computed once and stored; None without one."""
    if test is None:
        return None
    measures = {name: METRICS[name] for name in reported(session.config.training.metric)}
    rows = []
    for head in refined.heads:
        fact = f"refine:answers:{head.task.key}"
        if session.store.fact(fact) is None:
            session.stop.check()
            outputs = _outputs(session, head.task, head.weights, test.images)
            logits = logits_of(outputs, head.kept.vector)
            session.store.set_fact(fact, stored_answers(log_softmax(logits), test.labels, measures))
        rows.append(session.store.fact(fact))
    return answers_of(rows, test)


def _refined(
    session: Session, settings: RefineConfig, task: Task, parts: Parts, labels: NDArray[np.int64]
) -> RefinedHead:
    """Refine the head of one network."""
    weights = chosen_weights(session.worker.load(task), settings.layer, settings.bias)
    outputs = _outputs(session, task, weights, ChosenImages(session.data.selection.images, session.data.validation))
    measure, count = settings.measure(session.data.class_names), len(session.data.class_names)
    seen = Objective(measure, labels, count, parts.searched)
    unseen = Objective(measure, labels, count, [parts.held_back]) if len(parts.held_back) else None
    space, seed = BoxSpace(weights.centre, settings.bound), derived_seeds(1, session.config.seed, "refine")[0]
    centre = weights.centre[None]
    unseen_start = None if unseen is None else float(unseen.fitness(outputs, centre)[0])
    first = Kept(weights.centre, 0.0, float(seen.fitness(outputs, centre)[0]), unseen_start)
    search = make_search(settings.heuristic, space, settings, seed)

    def judge(vectors: Vector) -> Floats:
        session.stop.check()
        return seen.fitness(outputs, vectors)

    at_once = max(1, settings.memory_mib * 2**20 // (4 * 8 * len(weights.centre)))
    found = explore(search, space, judge, first.fitness, session.store, f"refine {task.key}", at_once)
    kept = shrunk(outputs, seen, unseen, first, found.best, found.fitness)
    return RefinedHead(task, weights, kept, logits_of(outputs, kept.vector))


def _outputs(session: Session, task: Task, weights: Weights, images: ImageRows) -> LastLayer:
    """Return the head of a final network with changeable weights on images."""
    compute, head = session.config.compute, session.loaded.heads[0]
    model = session.worker.load(task)
    features = last_features(model, head, source_of(images, session.worker.preprocessing, compute))
    if features is None:
        raise InputError(f"{session.loaded.name} does not give what its head gives; leave out --refine.")
    bias, memory = model.get_parameter(f"{head}.bias"), session.config.refine.memory_mib * 2**20
    return LastLayer(features, weights, bias.clone(), compute.device, memory, session.stop.check)


def _once(session: Session, name: str, taken: list[float]) -> list[float]:
    """Return what was measured when it was first done; a later call only replays it."""
    if session.store.fact(name) is None:
        session.store.set_fact(name, taken)
    return list(session.store.fact(name))
