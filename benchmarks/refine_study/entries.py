"""One case with one seed: every search in the box, and what else the same labels are worth; a row for each."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import optimize
from torch import Tensor, nn
from torch.func import functional_call

from benchmarks.refine_study.networks import PARTS, Trained
from biotune.methods.logistic import fit_logistic
from biotune.metrics import METRICS, log_softmax
from biotune.refinement import Kept, LastLayer, Objective, Outputs, Weights, chosen_weights, deal, make_search, shrunk
from biotune.refinement.layers import Vector
from biotune.refinement.outputs import Part
from biotune.settings.refine import RefineConfig
from biotune.space import BoxSpace

HEURISTICS = ("pso", "rpso", "bat", "firefly", "ga", "de")
RANDOM, SEPARABLE = "random", "cmaes:separable=true"
SEARCHES = (*HEURISTICS, RANDOM, SEPARABLE)
OBJECTIVES, BOUNDS = ("loss", "accuracy"), (0.001, 0.01, 0.1)
USUAL, LARGER = (10, 15), (20, 50)
"""Agents and iterations."""
SIZES = ((5, 15), (20, 15), (10, 60), (40, 15))
"""Others that one heuristic gets, for a case that is ``core``."""
PATIENCE = (3, 5)
"""Rounds without a better score on the held-back part after which a search would be stopped."""
_STEPS = 200

Row = dict[str, Any]
Floats = NDArray[np.float64]


class WholeNetwork:
    """Logits of vectors for any layers of a network, one vector after the other."""

    def __init__(self, model: nn.Module, weights: Weights, inputs: Tensor) -> None:
        self._model, self._weights, self._inputs = model, weights, inputs
        self.num_images = len(inputs)

    def parts(self, vectors: Vector) -> Iterator[Part]:
        """Yield the logits of vectors, shape (num_vectors, num_values)."""
        for index, vector in enumerate(vectors):
            with torch.inference_mode():
                logits = functional_call(self._model, self._weights.tensors(vector), (self._inputs,))
            yield Part(slice(index, index + 1), slice(0, self.num_images), logits.T[None].clone())


@dataclass(frozen=True)
class Subject:
    """What is refined in one cell: some layers of a trained network.

    Args:
        trained: the network.
        weights: the refined tensors.
        outputs: logits of vectors, by part.
        seed: of the cell; decides every search and the safeguards.
    """

    trained: Trained
    weights: Weights
    outputs: dict[str, Outputs]
    seed: int

    @classmethod
    def of(cls, trained: Trained, seed: int, layers: Sequence[str] = ("head",)) -> "Subject":
        """Return the subject for layers; of the head alone, all vectors are one product."""
        weights = chosen_weights(trained.model, layers, bias=False)
        alone = tuple(layers) == ("head",)
        bias = trained.model.head.bias
        outputs: dict[str, Outputs] = {
            part: LastLayer(trained.features[part], weights, bias)
            if alone
            else WholeNetwork(trained.model, weights, trained.parts[part].inputs)
            for part in PARTS[1:]
        }
        return cls(trained, weights, outputs, seed)

    def objective(self, name: str, parts: Sequence[NDArray[np.int64]] | None = None) -> Objective:
        """Return an objective on the held-out examples, or on parts of them."""
        labels = self.trained.labels("validation")
        settings = RefineConfig(objective=name)
        chosen = [np.arange(len(labels))] if parts is None else list(parts)
        return Objective(settings.measure(()), labels, self.trained.num_classes, chosen)

    def logits(self, part: str, vector: Vector) -> Floats:
        """Return the logits of one vector, shape (n, classes)."""
        return np.concatenate([one.logits[0].T.numpy() for one in self.outputs[part].parts(vector[None])]).astype(float)


def scored(trained: Trained, logits: dict[str, Floats]) -> Row:
    """Return loss and accuracy on the held-out and on the test examples."""
    row: Row = {}
    for part in PARTS[1:]:
        labels = trained.labels(part)
        row[f"{part}_loss"] = METRICS["log_loss"].value(logits[part], labels)
        row[f"{part}_accuracy"] = METRICS["accuracy"].value(logits[part], labels)
    return row


@dataclass(frozen=True)
class Course:
    """How a search went: the best point after each round, and its fitness; the last one counts."""

    points: tuple[Vector, ...]
    fitness: tuple[float, ...]
    evaluations: int
    seconds: float


def searched(
    subject: Subject, objective: Objective, heuristic: str, bound: float, size: tuple[int, int], starts: bool = True
) -> Course:
    """Search the box once; ``starts`` at the trained weights, which nothing worse replaces."""
    settings = RefineConfig(heuristic=heuristic, agents=size[0], iterations=size[1], bound=bound)
    space, outputs = BoxSpace(subject.weights.centre, bound), subject.outputs["validation"]
    search = make_search(heuristic, space, settings, subject.seed)
    best, fitness = space.centre, objective.fitness(outputs, space.centre[None])[0] if starts else -np.inf
    points, curve, done, start = list[Vector](), list[float](), 0, time.process_time()
    while (batch := search.ask()) is not None:
        vectors = np.stack([space.decode(point) for point in batch.points])
        values = objective.fitness(outputs, vectors)
        if values.max() > fitness:
            best, fitness = vectors[values.argmax()], float(values.max())
        done += len(vectors)
        points.append(best)
        curve.append(float(fitness))
        search.tell(values)
    return Course(tuple(points), tuple(curve), done, time.process_time() - start)


def row_of(subject: Subject, vector: Vector, bound: float, **facts: Any) -> Row:
    """Return the row of a vector."""
    change = np.abs(vector - subject.weights.centre)
    logits = {part: subject.logits(part, vector) for part in PARTS[1:]}
    border = float((change >= bound * (1 - 1e-9)).mean())
    return {**facts, "bound": bound, **scored(subject.trained, logits), "border": border}


def search_row(
    subject: Subject, heuristic: str, name: str, bound: float, size: tuple[int, int], layers: str = "head"
) -> Row:
    """Return the row of a search without safeguards: the way of the source, but from the trained weights."""
    objective = subject.objective(name)
    starts = "engine=opytimizer" not in heuristic
    path = searched(subject, objective, heuristic, bound, size, starts)
    facts = {"entry": heuristic, "objective": name, "agents": size[0], "iterations": size[1], "layers": layers}
    curve = [objective.value(value) for value in path.fitness]
    return row_of(
        subject, path.points[-1], bound, **facts, evaluations=path.evaluations, seconds=path.seconds, curve=curve
    )


def safeguarded_rows(subject: Subject, name: str, bound: float, size: tuple[int, int]) -> Iterator[Row]:
    """Yield rows of a particle swarm that sees two thirds of the held-out examples: what the others are good for."""
    labels, groups = subject.trained.labels("validation"), subject.trained.parts["validation"].groups
    parts = deal(labels, groups, RefineConfig(), subject.seed)
    seen, unseen = subject.objective(name, parts.searched), subject.objective(name, [parts.held_back])
    outputs, centre = subject.outputs["validation"], subject.weights.centre
    path = searched(subject, seen, "pso", bound, size)
    values = unseen.fitness(outputs, np.stack([centre, *path.points]))
    first = Kept(centre, 0.0, float(seen.fitness(outputs, centre[None])[0]), float(values[0]))
    kept = shrunk(outputs, seen, unseen, first, path.points[-1], path.fitness[-1])
    facts = {"objective": name, "agents": size[0], "iterations": size[1], "layers": "head"}
    every = [centre, *path.points]
    yield row_of(subject, every[-1], bound, **facts, entry="pso, two thirds", rounds=len(path.points))
    yield row_of(subject, kept.vector, bound, **facts, entry="pso, safeguards", rounds=len(path.points), step=kept.step)
    for patience in PATIENCE:
        end, best = stopped(values, patience)
        entry = f"pso, stopped after {patience}"
        yield row_of(subject, every[best], bound, **facts, entry=entry, rounds=end)


def stopped(values: Floats, patience: int) -> tuple[int, int]:
    """Return after which round a search stops, and the round whose point did best on the held-back part until then.

    Args:
        values: fitness on the held-back part: of the start, then of the best point after each round.
        patience: rounds without a better value after which it stops.

    Returns:
        Both, counted from the start, which is 0.
    """
    best = 0
    for number in range(1, len(values)):
        if values[number] > values[best]:
            best = number
        if number - best >= patience:
            return number, best
    return len(values) - 1, best


def within_the_box(subject: Subject, bound: float) -> Row:
    """Return the row of L-BFGS-B on the loss of the held-out examples, with its gradient, in the same box."""
    trained, centre = subject.trained, subject.weights.centre
    features, labels = trained.features["validation"].astype(float), trained.labels("validation")
    truth = np.eye(trained.num_classes)[labels]

    def loss(vector: Vector) -> tuple[float, Vector]:
        logs = log_softmax(features @ vector.reshape(trained.weight.shape).T + trained.bias)
        slope = (np.exp(logs) - truth).T @ features / len(labels)
        return float(-(truth * logs).sum() / len(labels)), slope.ravel()

    start, box = time.process_time(), list(zip(centre - bound, centre + bound, strict=True))
    found = optimize.minimize(loss, centre, jac=True, method="L-BFGS-B", bounds=box, options={"maxiter": _STEPS})
    seconds = time.process_time() - start
    return row_of(subject, found.x, bound, entry="L-BFGS", objective="loss", evaluations=found.nfev, seconds=seconds)


def refitted(subject: Subject, c: float, parts: Sequence[str], entry: str) -> Row:
    """Return the row of a logistic regression on what the head gets of some parts; folds choose a penalty c of 0."""
    trained = subject.trained
    features = np.concatenate([trained.features[part] for part in parts])
    labels = np.concatenate([trained.labels(part) for part in parts])
    every = [trained.parts[part].groups for part in parts]
    groups = None if any(one is None for one in every) else np.concatenate([one for one in every if one is not None])
    start = time.process_time()
    head = fit_logistic(features, labels, trained.num_classes, groups=groups, seed=0, c=c)
    seconds = time.process_time() - start
    logits = {part: trained.logits(part, head.weight, head.bias) for part in PARTS[1:]}
    return {"entry": entry, **scored(trained, logits), "seconds": seconds, "c": head.c}


def agreement(subject: Subject, keep: bool) -> Row:
    """Return how much two repetitions of a search agree on how to change the weights: a claim of the source.

    It is the share of weights that two particle swarms, which differ in their random numbers alone, change in the same
    direction at bound 0.01: a half by chance. (The sizes of the changes say nothing: most are the bound itself.)

    Args:
        subject: the head.
        keep: whether the changes of the first one are kept, for a figure.

    Returns:
        A row.
    """
    objective, centre = subject.objective("loss"), subject.weights.centre
    one, other = (
        searched(replace(subject, seed=subject.seed + shift), objective, "pso", 0.01, USUAL).points[-1] - centre
        for shift in (0, 1000)
    )
    changes = one.reshape(subject.trained.weight.shape).round(5).tolist() if keep else None
    return {"entry": "agreement", "signs": float((np.sign(one) == np.sign(other)).mean()), "changes": changes}


def rows_of(trained: Trained, seed: int, core: bool, c: float) -> Iterator[Row]:
    """Yield all rows of a cell.

    Args:
        trained: the network of the cell.
        seed: decides every search and the safeguards.
        core: whether larger searches, other sizes and layers are measured too.
        c: penalty of the refit; 0 to let folds choose it.

    Yields:
        Row: one for each entry, objective, bound and size.
    """
    subject = Subject.of(trained, seed)
    yield row_of(subject, subject.weights.centre, np.inf, entry="trained")
    for name, logits in trained.others.items():
        yield {"entry": name, **scored(trained, logits)}
    refit = refitted(subject, c, ("train", "validation"), "refit")
    yield refit
    if core:
        yield refitted(subject, refit["c"], ("train",), "refit, training examples")
    for bound in BOUNDS:
        yield within_the_box(subject, bound)
        for name in OBJECTIVES:
            yield from (search_row(subject, heuristic, name, bound, USUAL) for heuristic in SEARCHES)
            yield from safeguarded_rows(subject, name, bound, USUAL)
    for heuristic in HEURISTICS:  # the sources' library and objective
        yield search_row(subject, f"{heuristic}:engine=opytimizer", "accuracy", 0.01, USUAL)
    yield agreement(subject, keep=core and seed == 0)
    if core:
        yield from core_rows(subject)


def core_rows(subject: Subject) -> Iterator[Row]:
    """Yield the rows that few cases get: larger searches, other numbers of agents and iterations, other layers."""
    for name in OBJECTIVES:
        for bound in BOUNDS[1:]:
            yield from (search_row(subject, heuristic, name, bound, LARGER) for heuristic in SEARCHES)
            yield from safeguarded_rows(subject, name, bound, LARGER)
        yield from (search_row(subject, "pso", name, 0.01, size) for size in SIZES)
        for layers in (("body.1",), ("body.1", "head")):
            other = Subject.of(subject.trained, subject.seed, layers)
            yield search_row(other, "pso", name, 0.01, USUAL, layers="+".join(layers))
