"""The logistic regression as the classifier, then the whole network at a low rate."""

from benchmarks.alternatives.plain import Network, best_rate, every_parameter, start_from_head, train
from benchmarks.alternatives.task import Labelled, Outcome, Task

RATES = (3e-5, 1e-4, 3e-4)


def run(task: Task, seed: int, epochs: int = 10) -> Outcome:
    """Choose the rate on held-out images, then train on all labelled ones; batch norms stay in evaluation mode."""
    learned, held_out = task.labelled("train"), task.labelled("validation")
    rate, scores = best_rate(RATES, lambda rate: _trained(task, seed, learned, rate, epochs).accuracy(held_out))
    final = _trained(task, seed, task.labelled("train", "validation"), rate, epochs)
    return task.tested(final.predict, rate=rate, held_out=scores)


def _trained(task: Task, seed: int, data: Labelled, rate: float, epochs: int) -> Network:
    network = Network(task, seed)
    start_from_head(network, data, seed)
    train(network, data, epochs, every_parameter(network, rate), kept=True)
    return network
