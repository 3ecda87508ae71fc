"""Where a search without derivatives might have a case: objectives and values that no gradient reaches.

Each topic yields rows of one metric on held-out and test examples, with the obvious other way beside the searches.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import optimize
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from benchmarks.refine_study.cases import Case, Examples, Material
from benchmarks.refine_study.entries import (
    LARGER,
    RANDOM,
    USUAL,
    Floats,
    Row,
    Subject,
    WholeNetwork,
    refitted,
    searched,
)
from benchmarks.refine_study.networks import PARTS, Trained, through, trained
from biotune.methods.logistic import fit_logistic
from biotune.metrics import CALIBRATION, METRICS, Metric, cost_metric, log_softmax
from biotune.refinement import Kept, Objective, Outputs, Weights, chosen_weights, deal, shrunk
from biotune.refinement.layers import Vector
from biotune.refinement.outputs import Part
from biotune.settings.refine import RefineConfig

RATIO = 20.0
"""Examples of the most frequent class for one of the rarest; the others lie between them, evenly in the logarithm."""

BOUNDS = (0.01, 0.1)
TAUS = np.linspace(0.0, 2.0, 21)
"""Strengths of the logit adjustment that are tried on the held-out examples; 1 is the one that theory gives."""

SHARES = np.linspace(0.4, 1.0, 25)
"""Shares of the largest weight of an output at which its weights are clipped before rounding; 1 for not at all."""

BITS = (3, 4, 8)

PENALTY = 0.1
"""C of the refits here: what folds choose, or next to it, for the networks of these topics."""
Logits = dict[str, Floats]


def topic_rows(topic: str, case: Case, material: Material, network: Trained, seed: int) -> Iterator[Row]:
    """Yield the rows of a topic for a case with one seed, given its trained network."""
    if topic == "classes":
        yield from class_rows(case, material, seed)
    else:
        yield from {"calibration": calibration_rows, "rounding": rounding_rows, "norms": norm_rows}[topic](
            network, seed
        )


def row(topic: str, entry: str, metric: Metric, trained: Trained, logits: Logits, bound: float = 0.0) -> Row:
    """Return the row of an entry: the metric on held-out and test examples, and its accuracy there."""
    values = {part: metric.value(logits[part], trained.labels(part)) for part in PARTS[1:]}
    accuracy = METRICS["accuracy"].value(logits["test"], trained.labels("test"))
    facts = {"topic": topic, "entry": entry, "metric": metric.name, "bound": bound}
    return {**facts, **values, "test_accuracy": accuracy}


def trained_logits(trained: Trained) -> Logits:
    """Return the logits of the trained network on held-out and test examples."""
    return {part: trained.logits(part, trained.weight, trained.bias) for part in PARTS[1:]}


def refined_rows(topic: str, subject: Subject, metric: Metric, bound: float) -> Iterator[Row]:
    """Yield the rows of a particle swarm without and with safeguards, and of random search, by any metric."""
    trained, centre, outputs = subject.trained, subject.weights.centre, subject.outputs["validation"]
    labels = trained.labels("validation")
    whole = Objective(metric, labels, trained.num_classes, [np.arange(len(labels))])
    for heuristic in ("pso", RANDOM):
        point = searched(subject, whole, heuristic, bound, USUAL).points[-1]
        yield row(topic, heuristic, metric, trained, _logits(subject, point), bound)
    parts = deal(labels, trained.parts["validation"].groups, RefineConfig(), subject.seed)
    seen = Objective(metric, labels, trained.num_classes, parts.searched)
    unseen = Objective(metric, labels, trained.num_classes, [parts.held_back])
    found = searched(subject, seen, "pso", bound, USUAL)
    start = (objective.fitness(outputs, centre[None])[0] for objective in (seen, unseen))
    first = Kept(centre, 0.0, *map(float, start))
    kept = shrunk(outputs, seen, unseen, first, found.points[-1], found.fitness[-1])
    yield row(topic, "pso, safeguards", metric, trained, _logits(subject, kept.vector), bound)


def _logits(subject: Subject, vector: Vector) -> Logits:
    return {part: subject.logits(part, vector) for part in PARTS[1:]}


def class_rows(case: Case, material: Material, seed: int) -> Iterator[Row]:
    """Yield the rows of unequal classes: mean recall, macro F1 and mean cost."""
    learning, test = uneven(material.learning, seed), uneven(material.test, 0)
    train, held_out = case.parts(replace(material, learning=learning), seed)
    parts = {"train": train, "validation": held_out, "test": test}
    count, epochs = material.num_classes, case.epochs
    network = trained(case.network, parts, count, epochs, 0, seed)
    prior = np.bincount(train.labels, minlength=count) / len(train)
    balanced = torch.from_numpy(1 / (count * prior)).float()
    weighted = trained_logits(trained(case.network, parts, count, epochs, 0, seed, balanced))
    costs = np.random.default_rng(0).integers(1, 11, (count, count)) * (1.0 - np.eye(count))
    for metric in (METRICS["macro"], METRICS["f1"], cost_metric(costs)):
        plain = trained_logits(network)
        yield row("classes", "trained", metric, network, plain)
        yield row("classes", "class weights", metric, network, weighted)
        yield row("classes", "logit adjustment", metric, network, adjusted(network, plain, np.log(prior), metric))
        if metric.is_loss:
            yield row("classes", "least expected cost", metric, network, cheapest(network, plain, costs))
        for bound in BOUNDS:
            yield from refined_rows("classes", Subject.of(network, seed), metric, bound)


def uneven(examples: Examples, seed: int) -> Examples:
    """Return some of the examples, so that class c has RATIO^(-c / (classes - 1)) as many as class 0."""
    draw, rows = np.random.default_rng(seed), list[NDArray[np.int64]]()
    counts = np.bincount(examples.labels)
    for label in range(len(counts)):
        own = np.flatnonzero(examples.labels == label)
        share = RATIO ** (-label / (len(counts) - 1))
        rows.append(draw.permutation(own)[: round(counts.min() * share)])
    return examples.at(np.sort(np.concatenate(rows)))


def adjusted(trained: Trained, logits: Logits, prior: Floats, metric: Metric) -> Logits:
    """Return logits minus tau times the logarithm of the prior; tau does best on the held-out examples.

    Source: Menon et al. 2021, Long-tail learning via logit adjustment (ICLR). Departure: tau is tuned.
    """
    sign = -1 if metric.is_loss else 1
    labels, held_out = trained.labels("validation"), logits["validation"]
    tau = max(TAUS, key=lambda one: sign * metric.value(held_out - one * prior, labels))
    return {part: values - tau * prior for part, values in logits.items()}


def cheapest(trained: Trained, logits: Logits, costs: Floats) -> Logits:
    """Return minus the expected cost of each answer, by probabilities at the temperature of ``tempered``."""
    calm = tempered(trained, logits)
    return {part: -np.exp(log_softmax(values)) @ costs for part, values in calm.items()}


def tempered(trained: Trained, logits: Logits) -> Logits:
    """Return the logits over one temperature, that of the least loss on the held-out examples (Guo et al. 2017)."""
    labels, held_out = trained.labels("validation"), logits["validation"]
    loss = METRICS["log_loss"].value
    found = optimize.minimize_scalar(lambda one: loss(held_out * 10.0**one, labels), bounds=(-2, 2), method="bounded")
    return {part: values * 10.0 ** float(found.x) for part, values in logits.items()}


def calibration_rows(network: Trained, seed: int) -> Iterator[Row]:
    """Yield the rows of the calibration error."""
    plain = trained_logits(network)
    yield row("calibration", "trained", CALIBRATION, network, plain)
    yield row("calibration", "temperature", CALIBRATION, network, tempered(network, plain))
    for bound in BOUNDS:
        yield from refined_rows("calibration", Subject.of(network, seed), CALIBRATION, bound)


class Rounded:
    """A head with whole-number weights: a vector in [-1/2, 1/2] is added to each weight before it is rounded."""

    def __init__(self, inner: Outputs, weight: Floats, bits: int, share: float = 1.0) -> None:
        self._inner, self._weight, self._most = inner, weight, 2 ** (bits - 1) - 1
        self._scale = share * np.abs(weight).max(1, keepdims=True) / self._most
        self.num_images = inner.num_images

    def vector(self, offsets: Vector) -> Vector:
        """Return the rounded weights for offsets, as one vector."""
        whole = np.rint(self._weight / self._scale + offsets.reshape(self._weight.shape))
        return np.asarray(np.clip(whole, -self._most, self._most) * self._scale).ravel()

    def parts(self, vectors: Vector) -> Iterator[Part]:
        """Yield the logits of offsets, shape (num_vectors, num_values)."""
        return self._inner.parts(np.stack([self.vector(vector) for vector in vectors]))


def rounding_rows(network: Trained, seed: int) -> Iterator[Row]:
    """Yield the rows of few bits for each weight of the head: which way each is rounded, judged by the loss."""
    subject, loss = Subject.of(network, seed), METRICS["log_loss"]
    labels, weight = network.labels("validation"), network.weight
    objective = Objective(loss, labels, network.num_classes, [np.arange(len(labels))])
    inner, none = subject.outputs["validation"], np.zeros(weight.size)
    features = np.concatenate([network.features[part] for part in ("train", "validation")])
    every = np.concatenate([network.labels(part) for part in ("train", "validation")])
    head = fit_logistic(features, every, network.num_classes, seed=0, c=PENALTY)
    yield row("rounding", "trained", loss, network, trained_logits(network))
    for bits in BITS:
        topic = f"rounding to {bits} bits"
        rounded = Rounded(inner, weight, bits)
        yield row(topic, "nearest", loss, network, _logits(subject, rounded.vector(none)))
        clipped = [Rounded(inner, weight, bits, share) for share in SHARES]
        best = max(clipped, key=lambda one: objective.fitness(one, none[None])[0])
        yield row(topic, "nearest, best clipping", loss, network, _logits(subject, best.vector(none)))
        few = Rounded(inner, head.weight, bits).vector(none).reshape(weight.shape)
        again = {part: network.logits(part, few, head.bias) for part in PARTS[1:]}
        yield row(topic, "refit, nearest", loss, network, again)
        offsets = Weights(subject.weights.names, subject.weights.shapes, none)
        moved = Subject(network, offsets, {"validation": rounded}, seed)
        for heuristic in ("pso", "ga", RANDOM):
            for size in (USUAL, LARGER):
                point = searched(moved, objective, heuristic, 0.5, size).points[-1]
                entry = f"{heuristic}, {size[0]} x {size[1]}"
                yield row(topic, entry, loss, network, _logits(subject, rounded.vector(point)), 0.5)


def norm_rows(network: Trained, seed: int) -> Iterator[Row]:
    """Yield the rows of scale and shift of the batch norms in the last residual block, judged by loss and accuracy."""
    body = cast("torch.nn.Sequential", network.model.body)
    block = cast(nn.Sequential, body.layer4)[-1]
    seen = {part: before(network.model, block, network.parts[part].inputs) for part in PARTS[1:]}
    tail = nn.Sequential(block, cast(nn.Module, body.global_pool), network.model.head)
    norms = [name for name, module in tail.named_modules() if isinstance(module, nn.BatchNorm2d)]
    weights = chosen_weights(tail, norms, bias=True)
    outputs: dict[str, Outputs] = {part: WholeNetwork(tail, weights, inputs) for part, inputs in seen.items()}
    subject = Subject(network, weights, outputs, seed)
    for metric in (METRICS["log_loss"], METRICS["accuracy"]):
        yield row("norms", "trained", metric, network, trained_logits(network))
        for bound in BOUNDS:
            yield from refined_rows("norms", subject, metric, bound)
    for bound in BOUNDS:
        slope = gradient(tail, weights, seen["validation"], network.labels("validation"))
        box = [(value - bound, value + bound) for value in weights.centre]
        found = optimize.minimize(
            slope, weights.centre, jac=True, method="L-BFGS-B", bounds=box, options={"maxiter": 50}
        )
        for metric in (METRICS["log_loss"], METRICS["accuracy"]):
            yield row("norms", "L-BFGS", metric, network, _logits(subject, found.x), bound)
    refit = refitted(subject, PENALTY, ("train", "validation"), "refit")
    for metric, key in ((METRICS["log_loss"], "loss"), (METRICS["accuracy"], "accuracy")):
        values = {part: refit[f"{part}_{key}"] for part in PARTS[1:]}
        facts = {"topic": "norms", "entry": "refit", "metric": metric.name, "bound": 0.0}
        yield {**facts, **values, "test_accuracy": refit["test_accuracy"]}


def before(model: nn.Module, block: nn.Module, inputs: Tensor) -> Tensor:
    """Return what a block of a network gets of inputs."""
    kept = list[Tensor]()
    handle = block.register_forward_pre_hook(lambda _module, given: kept.append(given[0].clone()))
    through(model, inputs)
    handle.remove()
    return torch.cat(kept)


def gradient(
    tail: nn.Module, weights: Weights, inputs: Tensor, labels: NDArray[np.int64]
) -> Callable[[Vector], tuple[float, Vector]]:
    """Return the loss of some layers' values and its gradient, as a function of the vector of all of them."""
    truth, fixed = torch.from_numpy(labels), inputs.clone()

    def loss(vector: Vector) -> tuple[float, Vector]:
        tensors = {name: value.clone().requires_grad_() for name, value in weights.tensors(vector).items()}
        value = functional.cross_entropy(functional_call(tail, tensors, (fixed,)), truth)
        slopes = torch.autograd.grad(value, list(tensors.values()))
        return float(value.detach()), torch.cat([slope.ravel() for slope in slopes]).double().numpy()

    return loss
