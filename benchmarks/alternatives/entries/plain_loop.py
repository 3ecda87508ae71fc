"""The loop of a tutorial: AdamW, a few rates, flips and crops."""

from benchmarks.alternatives.plain import Network, best_rate, every_parameter, train
from benchmarks.alternatives.task import Labelled, Outcome, Task

RATES = (1e-4, 3e-4, 1e-3)


def run(task: Task, seed: int, epochs: int = 20) -> Outcome:
    """Choose the rate on held-out images, then train on all labelled ones from the start."""
    learned, held_out = task.labelled("train"), task.labelled("validation")
    rate, scores = best_rate(RATES, lambda rate: _trained(task, seed, learned, rate, epochs).accuracy(held_out))
    final = _trained(task, seed, task.labelled("train", "validation"), rate, epochs)
    return task.tested(final.predict, rate=rate, held_out=scores)


def _trained(task: Task, seed: int, data: Labelled, rate: float, epochs: int) -> Network:
    network = Network(task, seed)
    train(network, data, epochs, every_parameter(network, rate))
    return network
