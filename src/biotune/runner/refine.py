"""A refinement from start to end: search, safeguards, refit, test, results. The same call again continues it."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray

from biotune.datasets import ImageSet
from biotune.errors import InputError
from biotune.metrics import log_softmax
from biotune.pixels.learning_data import Pixels
from biotune.pixels.rows import ChosenImages
from biotune.refinement import (
    Kept,
    Objective,
    Outputs,
    Parts,
    Weights,
    best_of,
    chosen_weights,
    deal,
    explore,
    logits_of,
    make_search,
    refit,
    refitted_logits,
    shrunk,
    weighted_layers,
)
from biotune.refinement.layers import Vector
from biotune.report.refinement_page import write_refinement
from biotune.results import Summary
from biotune.results.refinement import RANDOM, REFINED, REFIT, TRAINED
from biotune.runner.answers import Answers, answers_of, stored_answers, write_answers
from biotune.runner.opening import keep_changed_aside
from biotune.runner.refine_source import Subject, subject_of
from biotune.runner.refine_summary import Found, Repetitions, build_summary
from biotune.runner.refine_work import Network, Work
from biotune.runner.setup import with_device
from biotune.runs import folder as files
from biotune.runs.events import Observer, Progress, silent
from biotune.runs.folder import StopSignal, claim, locked
from biotune.runs.manifest import finish
from biotune.runs.status import finished_summary
from biotune.runs.store import RunStore
from biotune.runs.unfinished import Unfinished, digest, replace_model
from biotune.settings.config import RunConfig
from biotune.space import BoxSpace
from biotune.wording import listed, plural

Floats = NDArray[np.float64]

HEAD = "head"
"""What stands for the classifier, whatever its layer is called."""


def refine(
    config: RunConfig,
    run: Path | None,
    folder: Path,
    command: str = "",
    observer: Observer = silent,
    stop: StopSignal | None = None,
    image_set: ImageSet | None = None,
) -> Summary:
    """Refine the weights of a trained network, or do what is left of it, and return the summary.

    Args:
        config: what to do; its section ``refine`` most of all.
        run: the run whose network is refined; None for a network with a file of weights.
        folder: a new or empty one, or that of the same refinement.
        command: as typed, for the summary.
        observer: receives messages and progress.
        stop: a request to stop; everything finished stays stored.
        image_set: the images, where the configuration cannot name their source.

    Returns:
        The content of ``summary.json``.

    Raises:
        InputError: bad input, or the folder of something else.
        InterruptedRunError: stopped by ``stop``.
        DamagedStateError: a file is damaged.
    """
    if run is not None and folder.resolve() == run.resolve():
        raise InputError(f"'{folder}' is the run itself; choose a new folder with --out.")
    with locked(folder, observer):
        config = with_device(config, folder)
        subject = subject_of(config, run, observer, image_set)
        settings = config.refine.model_copy(update={"layer": _layers(subject, config.refine.layer)})
        config = config.model_copy(update={"refine": settings})
        weights = chosen_weights(subject.model, settings.layer, settings.bias)
        space = BoxSpace(weights.centre, settings.bound)
        evaluations = make_search(settings.heuristic, space, settings, 0).evaluations  # refused before anything is made
        continued = claim(folder, config, subject.facts)
        keep_changed_aside(folder, observer)
        if continued and _is_finished(folder, settings.take):
            return finished_summary(folder)
        _write_learned(folder, run, subject)
        with RunStore(folder / files.STORE) as store:
            work = Work(config, subject, weights, space, evaluations, store, observer, stop or StopSignal())
            return _refine(work, folder, command)


def _layers(subject: Subject, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the layers to refine: the classifier where none is named, or where ``head`` is no layer's own name."""
    if names == (HEAD,) and HEAD not in {layer.name for layer in weighted_layers(subject.model)}:
        return subject.heads
    if not names and len(subject.heads) > 1:
        raise InputError(f"{subject.name} has the classifiers {listed(subject.heads)}; name layers with --layer.")
    return names or subject.heads


def _is_finished(folder: Path, take: str) -> bool:
    """Return whether the folder holds the result, with the network that is to be taken."""
    if not (folder / files.SUMMARY).exists() or (folder / files.UNFINISHED).exists():
        return False
    found = finished_summary(folder).refinement
    return found is not None and found.taken == take


def _write_learned(folder: Path, run: Path | None, subject: Subject) -> None:
    """Note the images that network or search learned from, those of the run that it comes from included."""
    earlier = (run / files.LEARNED) if run is not None else None
    content = earlier.read_bytes() if earlier is not None and earlier.exists() else b""
    digests = [content[start : start + 16] for start in range(0, len(content), 16)]
    files.write_learned(folder, [*digests, *(row.tobytes() for row in subject.data.sides[0].decoded.facts.digests)])


def _refine(work: Work, folder: Path, command: str) -> Summary:
    """Do everything but opening and closing."""
    data, settings = work.subject.data, work.config.refine
    network = Network(work)
    if settings.take == REFIT:
        network.require_refit()
    _put_model(work, folder, network.state(work.weights.centre), "the trained weights, not refined yet")
    labels = data.selection.labels[data.validation]
    groups = None if data.groups is None else data.groups[data.validation]
    parts = deal(labels, groups, settings, work.config.data.split_seed)
    _greet(work, parts)
    everything = network.features(data.selection.images)
    held_out = ChosenImages(data.selection.images, data.validation)
    with network.outputs(held_out, None if everything is None else everything[data.validation]) as outputs:
        found = _searched(work, outputs, parts, labels)
    if everything is not None:
        fitted = refit(everything, data.selection.labels, work.num_classes, data.groups, work.config.data.split_seed)
        found = replace(found, refit=fitted)
    work.say(f"The weights are chosen; {'the test set is opened now' if data.test else 'there is no test set'}.")
    test = data.test.open() if data.test else None
    answers = {} if test is None else _tested(work, network, test, found)
    exported = found.refined.kept[found.best]
    if settings.take == REFIT and found.refit is not None:
        _put_model(work, folder, network.refitted_state(found.refit), "the refit")
    else:
        _put_model(work, folder, network.state(exported.vector), "the refined one")
    summary = build_summary(work.config, work.subject, work.weights, work.seeds, command, found, answers)
    if test is not None:
        write_answers(folder, data.class_names, test, answers)
    write_refinement(folder, summary, _changes(work.weights, exported))
    finish(folder, summary.to_json())
    return summary


def _greet(work: Work, parts: Parts) -> None:
    """Say what is refined, how, and what the user should know."""
    settings, data = work.config.refine, work.subject.data
    kept = f"; {len(parts.held_back)} more are kept back" if len(parts.held_back) else ""
    work.say(
        f"Refining {listed(settings.layer)} ({len(work.weights.centre):,} values) of {work.subject.words} by "
        f"{settings.heuristic}: {work.evaluations:,} evaluations within {settings.bound:g}, "
        f"{plural(settings.seeds, 'time')}, by the {settings.objective} on {parts.num_searched} held-out "
        f"{data.kind}s{kept}."
    )
    for note in (*work.subject.notes, *data.remarks.warnings):
        work.say(note, warning=True)


def _searched(work: Work, outputs: Outputs, parts: Parts, labels: NDArray[np.int64]) -> Found:
    """Search with every seed, by the chosen heuristic and at random, and keep of each what survives."""
    settings = work.config.refine
    measure = work.metrics[settings.metric]
    searched = Objective(measure, labels, work.num_classes, parts.searched)
    held = parts.held_back
    held_back = Objective(measure, labels, work.num_classes, [held]) if len(held) else None
    centre = work.weights.centre
    base = searched.fitness(outputs, centre[None])[0]
    unseen = None if held_back is None else float(held_back.fitness(outputs, centre[None])[0])
    kept = Kept(centre, 0.0, float(base), unseen)
    trained = Repetitions((kept,))
    one = partial(_repetitions, work, outputs, searched, held_back, kept)
    refined = one(settings.heuristic, 0, work.evaluations)
    random = None if settings.heuristic == RANDOM else one(RANDOM, settings.seeds, work.evaluations)
    rows = {TRAINED: trained, REFINED: refined, **({} if random is None else {RANDOM: random})}
    return Found(
        parts=parts,
        labels=labels,
        objective=searched,
        trained=trained,
        refined=refined,
        random=random,
        evaluations=work.evaluations,
        best=best_of(refined.kept),
        metrics=work.metrics,
        validation={name: [logits_of(outputs, kept.vector) for kept in row.kept] for name, row in rows.items()},
    )


def _repetitions(
    work: Work,
    outputs: Outputs,
    searched: Objective,
    held_back: Objective | None,
    trained: Kept,
    heuristic: str,
    done: int,
    evaluations: int,
) -> Repetitions:
    """Search with every seed; ``done`` counts the searches before."""
    settings = work.config.refine
    total = settings.seeds * (1 if settings.heuristic == RANDOM else 2)
    kept, curves, borders, seconds = list[Kept](), list[tuple[float, ...]](), list[float](), 0.0
    for number, seed in enumerate(work.seeds):
        work.observer(Progress("refining", done + number, total, f"{heuristic}, seed {number + 1}"))
        start, name = time.perf_counter(), f"{heuristic} {seed}"
        search = make_search(heuristic, work.space, settings, seed, evaluations)
        judge = _judge(work, searched, outputs)
        explored = explore(search, work.space, judge, trained.fitness, work.store, name, work.at_once)
        kept.append(shrunk(outputs, searched, held_back, trained, explored.best, explored.fitness))
        curves.append(tuple(map(searched.value, explored.curve)))
        distance = np.abs(explored.best - trained.vector)
        borders.append(float((distance >= settings.bound * (1 - 1e-9)).mean()))
        seconds += _seconds(work.store, name, time.perf_counter() - start)
    work.observer(Progress("refining", done + settings.seeds, total, heuristic))
    return Repetitions(tuple(kept), tuple(curves), tuple(borders), seconds)


def _judge(work: Work, objective: Objective, outputs: Outputs) -> Callable[[Vector], Floats]:
    def judge(vectors: Vector) -> Floats:
        work.stop.check()
        return objective.fitness(outputs, vectors)

    return judge


def _seconds(store: RunStore, name: str, taken: float) -> float:
    """Return how long a search took when it was first finished; a later call only replays it."""
    fact = f"seconds:{name}"
    if store.fact(fact) is None:
        store.set_fact(fact, taken)
    return float(store.fact(fact))


def _tested(work: Work, network: Network, test: Pixels, found: Found) -> dict[str, Answers | None]:
    """Return the answers of every entry on the test images, computed once and stored."""
    metrics = work.metrics
    answers: dict[str, Answers | None] = {}
    with ExitStack() as stack:
        opened = list[tuple[Outputs, NDArray[np.float32] | None]]()

        def ready() -> tuple[Outputs, NDArray[np.float32] | None]:
            if not opened:
                features = network.features(test.images)
                opened.append((stack.enter_context(network.outputs(test.images, features)), features))
            return opened[0]

        def stored(name: str, logits: Callable[[], Floats]) -> Any:
            fact = f"answers:{name}"
            if work.store.fact(fact) is None:
                work.stop.check()
                work.store.set_fact(fact, stored_answers(log_softmax(logits()), test.labels, metrics))
            return work.store.fact(fact)

        rows = ((TRAINED, found.trained), (REFINED, found.refined), (RANDOM, found.random))
        for name, repetitions in rows:
            if repetitions is not None:
                facts = [
                    stored(f"{name} {number}", partial(_logits, ready, kept.vector))
                    for number, kept in enumerate(repetitions.kept)
                ]
                answers[name] = answers_of(facts, test)
        if found.refit is not None:
            fact = stored(REFIT, partial(_refitted, ready, found.refit, work.num_classes))
            answers[REFIT] = answers_of([fact], test)
    return answers


def _logits(ready: Callable[[], tuple[Outputs, Any]], vector: Vector) -> Floats:
    return logits_of(ready()[0], vector)


def _refitted(ready: Callable[[], tuple[Outputs, Any]], vector: Vector, num_classes: int) -> Floats:
    return refitted_logits(ready()[1], vector, num_classes)


def _changes(weights: Weights, exported: Kept) -> Floats | None:
    """Return how much the weights of the first layer were changed, shape (outputs, inputs); None for not at all."""
    if not exported.step:
        return None
    shape = weights.shapes[0]
    first = (exported.vector - weights.centre)[: int(np.prod(shape))]
    return first.reshape(shape[0], -1)


def _put_model(work: Work, folder: Path, state: dict[str, torch.Tensor], what: str) -> None:
    """Export a network, with all that belongs to it."""
    content = safetensors.torch.save(state)
    subject = work.subject
    about = Unfinished(
        what,
        0.0,
        digest(content),
        subject.recipe_of(work.weights).to_yaml(),
        list(subject.data.class_names),
        subject.preprocessing.to_json(),
        subject.data.name,
    )
    replace_model(folder, content, about)
